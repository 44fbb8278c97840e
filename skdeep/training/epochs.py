"""The loop over epochs: losses, validation, learning rates, and when to stop."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdeep.networks.run import PREDICTION_BATCH, Run, Steps
from skdeep.training.optimisers import hyperparameters
from skdeep.training.schedules import factors

# Where the learning rate of the mode "adaptive" stops falling.
SMALLEST_RATE = 1e-6
# Numbers of the images that are augmented at a time.
_AUGMENTED = 2**22


@dataclass
class History:
    """What one training leaves to the next and to its user.

    Attributes
    ----------
    loss_curve, validation_loss_curve, validation_scores, lr_curve : list of float
        One number for each epoch: the penalised mean loss, taken before each step; loss and score on validation
        data; the learning rate of its last step.
    grad_norm_curve : list of float64 arrays of shape (n_layers,)
        Norm of the gradient by the weights of each layer, root mean square over the steps of each epoch.
    best_loss, best_score : float
        Lowest loss and highest score so far.
    best_epoch : int
        Whose they are, 1 for the first.
    no_improvement_count : int
        Epochs since the last progress.
    n_samples_seen : int
        Samples that all epochs have gone through.
    learning_rate : float
        Before the schedule.
    n_iter : int
        Epochs of the last training.
    start : numpy.random.RandomState or None
        Of a training that has not ended: as it was before the training's draws.
    n_before : int
        The epochs of that training which others have done, if it goes on.
    best : (array, array) or None
        While it may stop early: parameters and running statistics of the epoch whose score is the best.
    """

    learning_rate: float
    loss_curve: list = field(default_factory=list)
    validation_loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    lr_curve: list = field(default_factory=list)
    grad_norm_curve: list = field(default_factory=list)
    best_loss: float = np.inf
    best_score: float = -np.inf
    best_epoch: int = 0
    no_improvement_count: int = 0
    n_samples_seen: int = 0
    n_iter: int = 0
    start: np.random.RandomState | None = None
    n_before: int = 0
    best: tuple | None = None

    def begin(self, rng):
        """Begin a training whose draws are `rng`'s."""
        self.start, self.n_before, self.best = copy.deepcopy(rng), 0, None

    def go_on(self):
        """Go on with a training that has not ended: its random numbers, as they were before its draws."""
        self.n_before += self.n_iter
        return copy.deepcopy(self.start)

    def end(self):
        """End a training: what only one that goes on needs is forgotten."""
        self.start, self.n_before, self.best = None, 0, None


@dataclass(frozen=True)
class Data:
    """Samples as a run takes them; weights may be None."""

    X: object
    Y: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Validation:
    """Data that is held out, and the function that scores the network.

    `score` is called with the outputs on the data and with the `learned` of `train`.
    """

    data: Data
    score: Callable


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes
    ----------
    max_iter : int
    loss : int
        A loss code of the engine.
    optimiser, objective : objects of `skdeep.training.optimisers`
    mode : {"constant", "invscaling", "adaptive"}
        What becomes of the learning rate after each epoch, with the exponent `power_t` for the second.
    schedule : str, callable or None
    shuffle : bool
    tol, patience : float
        Progress below `tol` counts as none, and more than `patience` epochs without end the training.
    stop_early : bool
        Whether progress is the validation score's.
    restore_best : bool
        Whether then the weights of the best score are restored.
    augmentation : skdeep.training.augmentation.Augmentation or None
        What changes the samples anew in each epoch.
    seed : int
        Of dropout and of the augmentation.
    """

    max_iter: int
    loss: int
    optimiser: object
    objective: object
    mode: str = "constant"
    power_t: float = 0.5
    schedule: object = None
    shuffle: bool = True
    tol: float = 1e-4
    patience: float = 10
    stop_early: bool = False
    restore_best: bool = True
    augmentation: object = None
    seed: int = 0


def train(run, data, plan, history, rng, begin_epoch, validation=None, learned=None, say=None):
    """Train a run, epoch by epoch, until there is no progress.

    Parameters
    ----------
    run : skdeep.networks.run.Run
        Trained in place.
    data : Data
    plan : Plan
    history : History
        Continued. The epochs that a training has behind it count in the schedule, and draw their orders of samples.
    rng : numpy.random.RandomState
    begin_epoch : callable
        Called before each epoch; what it returns is called after it, and a true value stops the training.
    validation : Validation or None, default=None
    learned : callable or None, default=None
        What a scorer may ask for.
    say : callable or None, default=None
        Takes what there is to print.

    Returns
    -------
    converged : bool
        Whether the training ended before the last epoch.

    Raises
    ------
    ValueError
        If the loss or the parameters are no longer finite, and there is nothing to go back to.
    """
    say = say or (lambda text: None)
    hyper = hyperparameters(plan.optimiser, plan.objective)
    n_samples, n_steps = data.X.shape[0], -(-data.X.shape[0] // run.batch_size)
    order = np.arange(n_samples)
    held_out = validation and _HeldOut(validation, run, plan.loss, hyper, learned)
    stops_early = validation is not None and plan.stop_early
    if stops_early and history.best is None and history.best_score > -np.inf:
        history.best = _snapshot(run)
    for _ in range(history.n_before if plan.shuffle else 0):
        rng.shuffle(order)
    converged, history.n_iter = False, 0
    n_epochs = history.n_before + plan.max_iter
    for epoch in range(history.n_before, n_epochs):
        end_epoch = begin_epoch()
        if plan.shuffle:
            rng.shuffle(order)
        rates = factors(plan.schedule, epoch * n_steps, n_steps, n_epochs * n_steps)
        rates *= history.learning_rate / plan.optimiser.learning_rate
        steps = _pass(run, data, plan, order, hyper, rates, epoch=len(history.loss_curve))
        loss = float(steps.losses @ steps.weights / steps.weights.sum())
        finite = np.isfinite(loss) and np.isfinite(run.theta).all() and np.isfinite(run.statistics).all()
        history.n_iter += 1
        history.n_samples_seen += n_samples
        history.loss_curve.append(loss)
        history.lr_curve.append(float(rates[-1] * plan.optimiser.learning_rate))
        history.grad_norm_curve.append(np.sqrt(steps.squares / n_steps))
        say(f"Iteration {history.n_iter}, loss = {loss:.8f}")
        improved = _judge(plan, history, held_out)
        if validation is not None:
            say(f"Validation score: {history.validation_scores[-1]:f}")
        if not finite and not (plan.restore_best and history.best is not None):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                f"preprocessed. Training diverged in epoch {epoch + 1}, where the loss was {loss}: lower "
                "learning_rate_init or scale X, for example with StandardScaler."
            )
        if improved and stops_early:
            history.best = _snapshot(run)
        if plan.mode == "invscaling":
            history.learning_rate = plan.optimiser.learning_rate / (history.n_samples_seen + 1) ** plan.power_t
        idle = finite and _is_idle(plan, history, "Validation score" if stops_early else "Training loss", say)
        if end_epoch() or idle or not finite:
            converged = True
            break
    if not finite:
        warnings.warn(
            f"Training diverged in epoch {epoch + 1}; the weights of epoch {history.best_epoch}, whose validation "
            "score was best, are kept. Lower learning_rate_init or scale X.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if stops_early and plan.restore_best:
        run.theta[...], run.statistics[...] = history.best or _snapshot(run)
    return converged


def _pass(run, data, plan, order, hyper, rates, epoch):
    """One pass over the samples, or block by block over what becomes of them in this epoch."""
    if plan.augmentation is None:
        return run.train(data.X, data.Y, order, plan.loss, hyper, weights=data.weights, factors=rates, seed=plan.seed)
    n_batches, parts = max(1, _AUGMENTED // (run.batch_size * data.X.shape[1])), []
    for first in range(0, len(rates), n_batches):
        samples = order[first * run.batch_size : (first + n_batches) * run.batch_size]
        X, Y = plan.augmentation.apply(data.X, data.Y, samples, plan.seed, epoch)
        weights = None if data.weights is None else data.weights[samples]
        factors, places = rates[first : first + n_batches], np.arange(len(samples))
        parts.append(run.train(X, Y, places, plan.loss, hyper, weights=weights, factors=factors, seed=plan.seed))
    losses, weights = (np.concatenate([getattr(part, name) for part in parts]) for name in ("losses", "weights"))
    return Steps(losses, weights, sum(part.squares for part in parts))


class _HeldOut:
    """Validation data with a run of its own."""

    def __init__(self, validation, run, loss, hyper, learned):
        self.data, self.score = validation.data, validation.score
        self.run, self.loss, self.hyper, self.learned = run, loss, hyper, learned
        batch_size = min(PREDICTION_BATCH, self.data.X.shape[0])
        self.predictor = Run(run.network, run.theta, batch_size, training=False, statistics=run.statistics)

    def evaluate(self):
        """Score and mean loss."""
        self.predictor.set_parameters(self.run.theta, self.run.statistics)
        scores, loss = self.predictor.evaluate(
            self.data.X, self.data.Y, self.loss, self.hyper, weights=self.data.weights
        )
        finite = np.isfinite(scores).all()
        return float(self.score(scores, self.learned)) if finite else float("nan"), loss


def _judge(plan, history, held_out):
    """Take down what an epoch has brought, by its validation score or by its loss; whether it is the best."""
    loss, best_loss = history.loss_curve[-1], history.best_loss
    idle, best = loss > best_loss - plan.tol, loss < best_loss
    history.best_loss = loss if best else best_loss
    if held_out is not None:
        score, validation_loss = held_out.evaluate()
        history.validation_loss_curve.append(validation_loss)
        history.validation_scores.append(score)
        best = score > history.best_score
        if plan.stop_early:
            idle = score < history.best_score + plan.tol
        history.best_score = score if best else history.best_score
    history.no_improvement_count = history.no_improvement_count + 1 if idle else 0
    if best:
        history.best_epoch = len(history.loss_curve)
    return best


def _is_idle(plan, history, what, say):
    """Whether there was no progress for too long, for which the mode "adaptive" lowers the learning rate first."""
    if history.no_improvement_count <= plan.patience:
        return False
    reason = f"{what} did not improve more than tol={plan.tol:f} for {plan.patience} consecutive epochs."
    if plan.mode != "adaptive" or history.learning_rate <= SMALLEST_RATE:
        say(f"{reason} Stopping.")
        return True
    history.learning_rate /= 5
    history.no_improvement_count = 0
    say(f"{reason} Setting learning rate to {history.learning_rate:f}")
    return False


def _snapshot(run):
    return run.theta.copy(), run.statistics.copy()
