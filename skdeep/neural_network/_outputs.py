"""The two ends of a network: from labels or values to targets, and from outputs to predictions."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skdeep.engine import program


@dataclass(frozen=True)
class Targets:
    """What a network is trained on.

    Attributes
    ----------
    Y : array of shape (n_samples, n_outputs), C-contiguous, of X's dtype
    loss : int
        The engine's loss code.
    activation : str
        That of the output layer; softmax and logistic probabilities belong to their losses.
    attributes : dict
        What the estimator learns from the targets.
    """

    Y: np.ndarray
    loss: int
    activation: str
    attributes: dict = field(default_factory=dict)


class ClassifierOutputs(ClassifierMixin):
    """One output for two classes, one for each class of more."""

    _y_checks = {"multi_output": True}

    def _encode(self, y, dtype):
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) > 2:
            Y = np.eye(len(classes), dtype=dtype)[codes]
        else:
            Y = codes[:, None].astype(dtype)
        if self.loss == "squared_error":
            loss, activation, out = program.SQUARED_ERROR, "logistic", "logistic"
        elif len(classes) > 2:
            loss, activation, out = program.SOFTMAX_CROSS_ENTROPY, "identity", "softmax"
        else:
            loss, activation, out = program.LOGISTIC_CROSS_ENTROPY, "identity", "logistic"
        return Targets(Y, loss, activation, {"classes_": classes, "out_activation_": out})

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`, each row summing to 1. Under `loss="squared_error"` the
            outputs of the logistic units, scaled to that sum.
        """
        scores = self._scores(X)
        if len(self.classes_) == 1:
            return np.ones_like(scores)
        if scores.shape[1] == 1:
            positive = scores if self.loss == "squared_error" else expit(scores)
            return np.hstack([1 - positive, positive])
        if self.loss == "squared_error":
            # Units that are all off say nothing: every class is then as likely.
            scores = scores + np.finfo(scores.dtype).tiny
            return scores / scores.sum(axis=1, keepdims=True)
        return softmax(scores, axis=1)

    def predict_log_proba(self, X):
        """Logarithms of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """The most probable class of each sample, array of shape (n_samples,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class RegressorOutputs(MultiOutputMixin, RegressorMixin):
    """One linear output for each target."""

    _y_checks = {"multi_output": True, "y_numeric": True}

    def _encode(self, y, dtype):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        Y = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
        return Targets(Y, program.SQUARED_ERROR, "identity", {"out_activation_": "identity", "_flat": y.ndim == 1})

    def predict(self, X):
        """Predicted values, array of shape (n_samples,) or (n_samples, n_outputs)."""
        scores = self._scores(X)
        return scores.ravel() if self._flat else scores
