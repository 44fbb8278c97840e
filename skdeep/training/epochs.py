"""The loop over epochs."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.utils import shuffle


@dataclass
class History:
    """What a training left behind.

    Attributes
    ----------
    loss_curve : list of float
        Penalised mean loss over the samples of each epoch, taken before each step.
    converged : bool
        Whether the loss stopped falling, or a callback stopped the training, before the last epoch.
    """

    loss_curve: list = field(default_factory=list)
    converged: bool = False


def train(run, X, Y, loss, hyper, *, max_iter, in_random_order, rng, tol, patience, begin_epoch):
    """Train a run, epoch by epoch, until the loss stops falling.

    Parameters
    ----------
    run : skdeep.networks.run.Run
        Its theta is trained in place.
    X, Y : arrays of shapes (n_samples, n_features) and (n_samples, n_outputs)
    loss : int
        A loss code of the engine.
    hyper : float64 array
        The optimiser's hyperparameters.
    max_iter : int
        Epochs at most.
    in_random_order : bool
        Whether each epoch shuffles the samples.
    rng : numpy.random.RandomState
    tol : float
        An epoch that lowers the best loss by less counts as one without progress.
    patience : int
        Epochs without progress that are borne.
    begin_epoch : callable
        Called before each epoch; what it returns is called with the history after it, and a true value
        stops the training.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the loss or the parameters are no longer finite.
    """
    history, best, idle = History(), np.inf, 0
    order = np.arange(len(X))
    sizes = np.diff(np.append(np.arange(0, len(X), run.batch_size), len(X)))
    for epoch in range(max_iter):
        end_epoch = begin_epoch()
        if in_random_order:
            order = shuffle(order, random_state=rng)
        value = float(run.train(X, Y, order, loss, hyper) @ sizes / len(X))
        if not (np.isfinite(value) and np.isfinite(run.theta).all()):
            raise ValueError(
                f"Training diverged in epoch {epoch + 1}: the loss is {value} or a weight is not finite. "
                "Lower learning_rate_init or scale X, for example with StandardScaler."
            )
        history.loss_curve.append(value)
        idle = idle + 1 if value > best - tol else 0
        best = min(best, value)
        if end_epoch(history) or idle > patience:
            history.converged = True
            break
    return history
