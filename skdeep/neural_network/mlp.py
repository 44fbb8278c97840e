"""Multilayer perceptrons trained by backpropagation."""

import warnings
from numbers import Real

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skdeep._sklearn import Interval, StrOptions
from skdeep.neural_network._architecture import dense_layers
from skdeep.neural_network._base import NeuralNetwork, for_each_layer, layer_sizes
from skdeep.neural_network._docs import documented
from skdeep.neural_network._outputs import ClassifierOutputs, RegressorOutputs


class _Perceptron(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralNetwork):
    """Dense layers on tables, dense or sparse."""

    _expects_convergence = True
    _x_checks = {"accept_sparse": ["csr", "csc"]}

    def _hidden_layers(self, shape):
        sizes = layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        activations = for_each_layer(self.activation, len(sizes), "activation")
        rates = for_each_layer(self.dropout, len(sizes), "dropout")
        return dense_layers(sizes, activations, rates, self.batch_norm)

    def _batch_size(self, n_samples):
        if self.batch_size != "auto" and self.batch_size > n_samples:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the {n_samples} samples. It is going to be clipped.",
                stacklevel=5,
            )
        return super()._batch_size(n_samples)

    def transform(self, X):
        """Activations of the last hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        activations : array of shape (n_samples, n_units)
            X itself where there is no hidden layer.
        """
        check_is_fitted(self)
        n_hidden = len(self._network.layers) - 1
        return self._activations(self._network.up_to(n_hidden), X) if n_hidden else self._rows(X)

    @property
    def _n_features_out(self):
        return self._network.bound[-1].input_shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@documented(batch_size='"auto"', max_iter="200", coefs="weights (inputs, outputs) and biases of each layer.")
class MLPBackpropClassifier(ClassifierOutputs, _Perceptron):
    """Multilayer perceptron classifier: layers a = f(x W + b), trained by backpropagation.

    The deltas of a layer follow from those of the next by the chain rule, delta = (delta W^T) f'(z)
    (Rumelhart, Hinton & Williams, 1986). Parameters, draws and shuffles are those of scikit-learn's
    `MLPClassifier`, which it can replace. It differs where that is wrong: Ctrl-C ends a fit and leaves the
    estimator as it was; a diverging fit is an error that does so, too; the loss of an epoch counts samples by
    their weights; `warm_start` keeps the optimiser's moments; `predict_log_proba` does not round probabilities
    before it takes their logarithm; early stopping does not warn of feature names.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence makes the model linear.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"} or \
            sequence, default="relu"
        The hidden units' function, one for all hidden layers or one for each.
    %(training)s
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy; or the squared error between one-hot targets and logistic outputs, as in 1986.
    %(beyond)s
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of the samples are multiplied; "balanced" is n_samples /
        (n_classes * count).
    label_smoothing : float, default=0.0
        Share of each target that all classes get alike, in [0, 1) (Szegedy et al., 2016).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    %(learned)s

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import MLPBackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackpropClassifier((20,), learning_rate_init=0.01, max_iter=1000, random_state=0).fit(X, y)
    >>> float(net.score(X, y)) > 0.95
    True
    """

    _parameter_constraints = _Perceptron._parameter_constraints | {
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="log_loss",
        weight_init="xavier_uniform",
        lr_schedule=None,
        class_weight=None,
        dropout=0.0,
        batch_norm=False,
        weight_decay=0.0,
        l1=0.0,
        clip_norm=None,
        label_smoothing=0.0,
        scoring=None,
        restore_best=True,
    ):
        self._store(locals())


@documented(batch_size='"auto"', max_iter="200", coefs="weights (inputs, outputs) and biases of each layer.")
class MLPBackpropRegressor(RegressorOutputs, _Perceptron):
    """Multilayer perceptron regressor: layers a = f(x W + b), trained by backpropagation.

    Parameters, draws and shuffles are those of scikit-learn's `MLPRegressor`, which it can replace. It differs
    where that is wrong, as `MLPBackpropClassifier` says, and here: several outputs are summed in the loss,
    whose gradient is then the gradient, while scikit-learn reports the mean and follows the gradient of the
    sum; and there is no `partial_fit` for "lbfgs".

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile"}, default="squared_error"
        Mean over the samples, sum over the outputs: ``e^2 / 2`` of the error e; half the Poisson deviance of the
        mean exp(output), for y of at least 0; ``|e|``; Huber's, ``e^2 / 2`` up to `huber_delta` and linear beyond;
        or the pinball loss, whose minimum is the `quantile`.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence makes the model linear.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"} or \
            sequence, default="relu"
        The hidden units' function, one for all hidden layers or one for each.
    %(training)s
    %(beyond)s
    huber_delta : float, default=1.0
        Error beyond which the Huber loss is linear, in units of y.
    quantile : float, default=0.5
        Level of the quantile loss, in (0, 1).

    Attributes
    ----------
    %(learned)s

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import MLPBackpropRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = MLPBackpropRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> float(net.score(X, np.sin(3 * X[:, 0]))) > 0.99
    True
    """

    _parameter_constraints = _Perceptron._parameter_constraints | {
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"})],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        weight_init="xavier_uniform",
        lr_schedule=None,
        dropout=0.0,
        batch_norm=False,
        weight_decay=0.0,
        l1=0.0,
        clip_norm=None,
        scoring=None,
        restore_best=True,
        huber_delta=1.0,
        quantile=0.5,
    ):
        self._store(locals())
