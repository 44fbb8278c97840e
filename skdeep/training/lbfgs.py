"""L-BFGS on the whole data: scipy minimises, the engine computes loss and gradient batch by batch."""

import numpy as np
from scipy.optimize import minimize

from skdeep.training.optimisers import GradientOnly, Objective, hyperparameters


def loss_and_gradient(run, data, loss, objective, weights_of, theta):
    """The penalised mean loss of theta and its gradient, in float64.

    Parameters
    ----------
    run : skdeep.networks.run.Run
        Its theta is overwritten.
    data : skdeep.training.epochs.Data
    loss : int
        A loss code of the engine.
    objective : Objective
    weights_of : callable
        Views of the penalised weights of a flat vector.
    theta : array of shape (n_parameters,)
    """
    run.theta[...], run.first[...] = theta, 0
    unpenalised = hyperparameters(GradientOnly(), Objective(loss_parameter=objective.loss_parameter))
    order = np.arange(data.X.shape[0])
    steps = run.train(data.X, data.Y, order, loss, unpenalised, weights=data.weights)
    total = steps.weights.sum()
    ridge = objective.alpha / total + objective.l2
    value, gradient = float(steps.losses @ steps.weights / total), run.first.astype(np.float64) / total
    for W, G in zip(weights_of(theta), weights_of(gradient), strict=True):
        value += 0.5 * ridge * float((W * W).sum())
        G += ridge * W
    return value, gradient


def minimise(run, data, plan, history, weights_of, *, max_fun, end_iteration, say):
    """Train a run by L-BFGS, each iteration counting as an epoch.

    `max_fun` evaluations of the loss at most; `end_iteration` is called after each iteration, and a true value
    stops the training. The other parameters are those of `loss_and_gradient` and `skdeep.training.epochs.train`.

    Returns
    -------
    result : scipy.optimize.OptimizeResult
        With `converged` for "a tolerance was met, or a callback stopped the training".

    Raises
    ------
    ValueError
        If the loss or the parameters are no longer finite.
    """
    history.n_iter = 0
    state = {"norms": None, "stopped": False}

    def function(theta):
        value, gradient = loss_and_gradient(run, data, plan.loss, plan.objective, weights_of, theta)
        state["norms"] = np.array([np.linalg.norm(G) for G in weights_of(gradient)])
        return value, gradient

    def after_iteration(intermediate_result):
        history.n_iter += 1
        history.loss_curve.append(float(intermediate_result.fun))
        history.grad_norm_curve.append(state["norms"])
        if history.loss_curve[-1] < history.best_loss:
            history.best_loss, history.best_epoch = history.loss_curve[-1], len(history.loss_curve)
        say(f"Iteration {history.n_iter}, loss = {history.loss_curve[-1]:.8f}")
        run.theta[...] = intermediate_result.x
        state["stopped"] = end_iteration()
        if state["stopped"]:
            raise StopIteration

    with np.errstate(all="ignore"):  # what overflows is reported below
        result = minimize(
            function,
            run.theta.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={"maxfun": max_fun, "maxiter": plan.max_iter, "gtol": plan.tol},
        )
    if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. L-BFGS diverged in iteration {history.n_iter + 1}: scale X, as with StandardScaler."
        )
    run.theta[...] = result.x
    history.n_iter = result.nit
    result.converged = result.success or state["stopped"]
    return result
