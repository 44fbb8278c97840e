"""The two ends of a network: from labels or values to targets, and from outputs to predictions."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import assert_all_finite, column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from skdeep._sklearn import fitting, is_first_partial_fit
from skdeep.engine import program
from skdeep.training.optimisers import STOCHASTIC


@dataclass(frozen=True)
class ClassOutputs:
    """Labels and the outputs of a network: one unit for two classes, one for each class or label of more.

    Attributes
    ----------
    binarizer : LabelBinarizer
        Knows the classes.
    squared : bool
        Whether the network's own outputs, of logistic units, are compared with the targets by the squared
        error, as in 1986; else its outputs are scores, and probabilities belong to the cross-entropy.
    smoothing : float
        What the targets give to all classes alike.
    mixed : bool
        Whether targets will be mixtures of classes.
    """

    binarizer: LabelBinarizer
    squared: bool
    smoothing: float
    mixed: bool

    default_metric = staticmethod(accuracy_score)

    @property
    def classes(self):
        return self.binarizer.classes_

    @property
    def kind(self):
        """ "binary", "multiclass" or "multilabel-indicator"."""
        return self.binarizer.y_type_

    @property
    def n_outputs(self):
        return len(self.classes) if self.kind.startswith("multi") else 1

    @property
    def out_activation(self):
        return "softmax" if self.kind == "multiclass" and not self.squared else "logistic"

    @property
    def activation(self):
        """That of the output layer."""
        return "logistic" if self.squared else "identity"

    @property
    def loss(self):
        if self.squared:
            return program.SQUARED_ERROR
        return program.SOFTMAX_CROSS_ENTROPY if self.kind == "multiclass" else program.LOGISTIC_CROSS_ENTROPY

    @property
    def loss_parameter(self):
        return self.smoothing if self._by_class else 0.0

    @property
    def _by_class(self):
        """Whether a target is the number of a class, the smallest thing that the softmax takes."""
        return self.out_activation == "softmax" and not self.mixed

    def encode(self, y, dtype):
        """Targets, array of shape (n_samples, n_outputs), or (n_samples, 1) if they are numbers of classes."""
        if self._by_class:
            return np.searchsorted(self.classes, y).astype(dtype)[:, None]
        if self.kind == "multiclass":
            Y = np.zeros((len(y), self.n_outputs), dtype)
            Y[np.arange(len(y)), np.searchsorted(self.classes, y)] = 1
        elif self.kind == "binary":
            # One class alone is not the positive one.
            Y = ((y == self.classes[-1]) & (len(self.classes) == 2)).astype(dtype)[:, None]
        else:
            Y = np.ascontiguousarray(self.binarizer.transform(y), dtype=dtype)
        if self.smoothing:
            Y *= 1 - self.smoothing
            Y += self.smoothing / (len(self.classes) if self.kind == "multiclass" else 2)
        return Y

    def strata(self, y):
        """What a split keeps the shares of: as in scikit-learn, two classes, but neither more nor several labels."""
        return (y == self.classes[-1])[:, None] if self.n_outputs == 1 else None

    def predict(self, scores):
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(scores))
        if self.kind == "multiclass":
            return self.classes[scores.argmax(axis=1)]
        positive = self.decide(scores) > 0
        return positive.astype(int) if self.kind.startswith("multilabel") else self.classes[positive.astype(int)]

    def decide(self, scores):
        """Scores whose sign, or whose order, is the decision."""
        scores = scores - 0.5 if self.squared else scores
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def probabilities(self, scores):
        if len(self.classes) == 1:
            return np.ones_like(scores)
        if self.kind == "multiclass" and not self.squared:
            with np.errstate(under="ignore"):
                return softmax(scores, axis=1)
        positive = scores if self.squared else expit(scores)
        if self.kind == "binary":
            return np.hstack([1 - positive, positive])
        if self.kind == "multiclass":
            # Units that are all off say nothing: every class is then as likely.
            positive = positive + np.finfo(positive.dtype).tiny
            return positive / positive.sum(axis=1, keepdims=True)
        return positive

    def log_probabilities(self, scores):
        """From the scores themselves: probabilities that would be rounded to zero keep their logarithm."""
        if self.squared or len(self.classes) == 1:
            with np.errstate(divide="ignore"):
                return np.log(self.probabilities(scores))
        if self.kind == "multiclass":
            with np.errstate(under="ignore"):
                return log_softmax(scores, axis=1)
        if self.kind == "binary":
            return np.hstack([log_expit(-scores), log_expit(scores)])
        # Labels that are certain tie at probability 1, and at its logarithm.
        return np.where(scores > 0, np.log(expit(np.maximum(scores, 0))), log_expit(scores))


@dataclass(frozen=True)
class ValueOutputs:
    """Values and the outputs of a network, one unit for each.

    Attributes
    ----------
    loss_name : str
    flat : bool
        Whether there was one target, without a column of its own.
    loss_parameter : float
        Threshold of the Huber loss, level of the quantile.
    """

    loss_name: str
    n_outputs: int
    flat: bool
    loss_parameter: float

    activation = "identity"
    binarizer = None
    default_metric = staticmethod(r2_score)

    @property
    def out_activation(self):
        return "exp" if self.loss_name == "poisson" else "identity"

    @property
    def loss(self):
        return getattr(program, self.loss_name.upper())

    def encode(self, y, dtype):
        with np.errstate(all="ignore"):
            Y = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
            assert_all_finite(Y, input_name="y")
        return Y

    def strata(self, y):
        return None

    def predict(self, scores):
        with np.errstate(over="ignore", under="ignore"):
            values = np.exp(scores) if self.loss_name == "poisson" else scores
        return values.ravel() if self.flat else values


def _is_stochastic(estimator):
    if estimator.solver in STOCHASTIC:
        return True
    raise AttributeError(
        f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
    )


class ClassifierOutputs(ClassifierMixin):
    """Predictions of a classifier; the subclass has `loss`, `class_weight` and `label_smoothing`."""

    _y_checks = {"multi_output": True}

    def _outputs_for(self, y, known):
        """The outputs of a network for y, where `known` is None or a LabelBinarizer; and y itself."""
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        binarizer = LabelBinarizer().fit(y) if known is None else known
        if known is None and y.dtype == object:  # of which LabelBinarizer makes text of one length
            binarizer.classes_ = binarizer.classes_.astype(object)
        mixed = "mixup" in (getattr(self, "augment", None) or {})
        return ClassOutputs(binarizer, self.loss == "squared_error", self.label_smoothing, mixed), y

    def _check_classes(self, y, outputs, *, exactly):
        n_labels = outputs.n_outputs if outputs.kind.startswith("multilabel") else None
        if n_labels != (y.shape[1] if y.ndim == 2 else None):
            raise ValueError(
                f"`y` of shape {y.shape} does not go with the {outputs.kind} targets of the last fit: classes and "
                "multilabel indicators cannot take each other's place, and the number of labels stays."
            )
        classes = outputs.classes if n_labels else unique_labels(y)
        if exactly and set(classes) != set(outputs.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {outputs.classes}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, outputs.classes)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {outputs.classes}. 'y' has {classes}."
            )

    def _class_weights(self, y):
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                if not (isinstance(weight, Real) and 0 <= weight < np.inf):
                    raise ValueError(f"class_weight must be finite and at least 0, got {weight!r} for {label!r}.")
        return None if self.class_weight is None else compute_sample_weight(self.class_weight, y)

    def _output_attributes(self, outputs):
        return {"classes_": outputs.classes}

    @available_if(_is_stochastic)
    @fitting
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Go once over the data, from where the last fit or partial_fit ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,) or None, default=None
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If y has labels that `classes` has not, or if the input does not fit.
        """
        known = None
        if is_first_partial_fit(self, classes):
            known = LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, known=known, incremental=True)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`; each row sums to 1, but where the labels are independent. Under
            `loss="squared_error"` the outputs of the logistic units, of more than two classes scaled to that sum.
        """
        scores = self._scores(X)
        return self._outputs.probabilities(scores)

    def predict_log_proba(self, X):
        """Logarithms of `predict_proba`, exact where the probabilities themselves are rounded to zero.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        logarithms : array of shape (n_samples, n_classes)
        """
        scores = self._scores(X)
        return self._outputs.log_probabilities(scores)

    def decision_function(self, X):
        """The network's outputs before softmax or logistic function; under `loss="squared_error"`, less one half.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : array of shape (n_samples,) for two classes, else (n_samples, n_classes)
        """
        scores = self._scores(X)
        return self._outputs.decide(scores)

    def predict(self, X):
        """The most probable class of each sample, or the probable labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : array of shape (n_samples,) or, of labels, (n_samples, n_classes)
        """
        scores = self._scores(X)
        return self._outputs.predict(scores)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class RegressorOutputs(MultiOutputMixin, RegressorMixin):
    """Predictions of a regressor; the subclass has `loss`, `huber_delta` and `quantile`."""

    _y_checks = {"multi_output": True, "y_numeric": True}

    def _outputs_for(self, y, known):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.size and y.min() < 0:
            raise ValueError(f'loss="poisson" needs y of at least 0, got {y.min()}.')
        parameter = {"huber": self.huber_delta, "quantile": self.quantile}.get(self.loss, 0.0)
        return ValueOutputs(self.loss, 1 if y.ndim == 1 else y.shape[1], y.ndim == 1, parameter), y

    def _check_classes(self, y, outputs, *, exactly):
        """Values need none."""

    def _class_weights(self, y):
        return None

    def _output_attributes(self, outputs):
        return {}

    @available_if(_is_stochastic)
    @fitting
    def partial_fit(self, X, y, sample_weight=None):
        """Go once over the data, from where the last fit or partial_fit ended.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input does not fit.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        """
        scores = self._scores(X)
        return self._outputs.predict(scores)
