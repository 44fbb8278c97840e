"""Checkpoints: what a training leaves behind when its process is killed."""

import os
import pickle
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from uuid import uuid4

import joblib

from skdeep._sklearn import outside_of_fit
from skdeep.neural_network._base import NeuralNetwork


@dataclass(frozen=True)
class Checkpoint:
    """A callback that saves the network at the end of epochs and of fit, so that a training can go on elsewhere.

    ``joblib.load(path)`` is the network as if fit had stopped there: it predicts, and with `warm_start` it goes on
    for `max_iter` more epochs. The file is replaced as a whole: whenever the process is killed, it is a complete one.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists. A process that is killed while it writes leaves a hidden file beside it,
        whose name ends in ``.part`` and which may be deleted.
    every : int, default=1
        Epochs from one saving to the next.

    Notes
    -----
    A network that was saved within a fit goes on with that fit. On the same data its bits are those of a fit that was
    never stopped: with the moments, running statistics and curves go the learning rate, the order of the samples, the
    draws of dropout and augmentation, the part of X that early stopping has set aside and the best weights so far,
    whatever `random_state` is; and to `lr_schedule`, the epochs before and the `max_iter` to come are one progress
    from 0 to 1. But `n_iter_` counts the epochs of the last fit alone, and "lbfgs" begins anew from its weights. A
    network that was saved at the end of fit goes on as any does that is fitted again.

    A checkpoint is set on the network itself, in a pipeline on its last step, and saves nothing else. Clones share it
    as they share all callbacks: give it to no search, whose candidates would write over each other's file. The saved
    network has no callbacks.

    Like any pickle, the file runs code when it is loaded: load none that you do not trust, and load it with the
    versions of skdeep and scikit-learn that have saved it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import joblib
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import Checkpoint, ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> folder = TemporaryDirectory()
    >>> path = Path(folder.name) / "net.joblib"
    >>> net = ConvNetClassifier(8, kernel_size=3, max_iter=3, random_state=0)
    >>> net = net.set_callbacks(Checkpoint(path)).fit(X / 16, y)
    >>> saved = joblib.load(path)
    >>> bool((saved.predict(X / 16) == net.predict(X / 16)).all())
    True
    >>> len(saved.set_params(warm_start=True, max_iter=2).fit(X / 16, y).loss_curve_)
    5
    >>> folder.cleanup()
    """

    path: str | os.PathLike
    every: int = 1

    def __post_init__(self):
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"path must be a string or a path, got {self.path!r}.")
        if not isinstance(self.every, Integral) or isinstance(self.every, bool) or self.every < 1:
            raise ValueError(f"every must be an integer of at least 1, got {self.every!r}.")

    def setup(self, estimator, context):
        """Save the estimator as it is and throw that away: what would fail later stops the fit before it begins.

        Raises
        ------
        OSError
            If the file cannot be written.
        TypeError
            If the estimator is no network of skdeep, or cannot be pickled.
        """
        if not isinstance(estimator, NeuralNetwork):
            raise TypeError(
                f"Checkpoint saves networks of skdeep, got {type(estimator).__name__}: set it on the network itself, "
                "as in pipeline[-1].set_callbacks(Checkpoint(path))."
            )
        try:
            if Path(self.path).is_dir():
                raise IsADirectoryError("it is a folder")
            with self._written(estimator):
                pass
        except OSError as error:
            raise type(error)(
                f"Checkpoint cannot write {os.fspath(self.path)!r}: {error}. Choose a file in a folder that exists "
                "and may be written to."
            ) from error
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"Checkpoint cannot pickle {type(estimator).__name__}: {error}. Parameters such as lr_schedule and "
                "scoring must be functions that a module defines, no lambdas."
            ) from error

    def on_fit_task_begin(self, estimator, context):
        """Nothing to save yet."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        """Save the network; after the last epoch only with the end of the fit, from which no epochs remain."""
        if context.task_name == "epoch":
            n_epochs = context.task_id + 1
            if n_epochs % self.every or n_epochs == context.parent.max_subtasks:
                return
        with self._written(fitted_estimator) as part:
            os.replace(part, self.path)

    def teardown(self, estimator, context):
        """Nothing to tidy up."""

    @contextmanager
    def _written(self, network):
        """The path of a file with the network in it, beside its own; what is still there afterwards is removed."""
        path = Path(self.path)
        part = path.with_name(f".{path.name}.{uuid4().hex}.part")
        try:
            with open(part, "xb") as file:
                joblib.dump(outside_of_fit(network), file)
                file.flush()
                os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)
