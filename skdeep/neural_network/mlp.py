"""Multilayer perceptrons trained by backpropagation."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from skdeep._sklearn import StrOptions
from skdeep.networks.layers import Dense
from skdeep.neural_network._base import NeuralNetwork, layer_sizes
from skdeep.neural_network._outputs import ClassifierOutputs, RegressorOutputs


class _Perceptron(NeuralNetwork):
    def _hidden_layers(self, shape):
        return [
            Dense(units, activation=self.activation)
            for units in layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        ]

    def _after_training(self, history):
        if not history.converged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )


class MLPBackpropClassifier(ClassifierOutputs, _Perceptron):
    """Multilayer perceptron classifier: layers a = f(x W + b), trained by backpropagation.

    The deltas of a layer follow from those of the next by the chain rule, delta = (delta W^T) f'(a)
    (Rumelhart, Hinton & Williams, 1986). Parameters, draws and shuffles are scikit-learn's.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence makes the model linear.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        The hidden units' function.
    solver : {"sgd", "adam"}, default="adam"
        Stochastic gradient descent with momentum, or Adam (Kingma & Ba, 2015).
    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha |W|^2 / 2``, divided by the batch's size.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch; "auto" is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights and of the order of samples.
    tol : float, default=0.0001
        Progress of the loss below which an epoch counts as idle.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    momentum : float, default=0.9
        Of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether "sgd" looks a step ahead (Nesterov, 1983).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the running means of "adam", in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of "adam".
    n_iter_no_change : int, default=10
        Idle epochs that are borne.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy; or the squared error between one-hot targets and logistic outputs, as in 1986.
    weight_init : {"xavier_uniform", "xavier_normal"}, default="xavier_uniform"
        Distribution of the initial weights, both with standard deviation
        sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio, 2010); as in scikit-learn, "xavier_uniform"
        draws the biases too, and logistic networks in a range narrower by sqrt(3).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    theta_ : ndarray of shape (n_parameters,)
        All weights and biases.
    coefs_, intercepts_ : list of ndarray
        Views of `theta_`: weights (inputs, outputs) and biases of each layer.
    loss_, best_loss_ : float
        Loss of the last epoch, and the lowest.
    loss_curve_ : list of float
        Loss of each epoch.
    n_iter_ : int
        Epochs that were run.
    n_layers_, n_outputs_, n_parameters_ : int
        Layers with input and output, outputs, and length of `theta_`.
    out_activation_ : str
        What turns the last layer's scores into probabilities.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import MLPBackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackpropClassifier((20,), learning_rate_init=0.01, max_iter=1000, random_state=0).fit(X, y)
    >>> float(net.score(X, y)) > 0.95
    True
    """

    _parameter_constraints = NeuralNetwork._parameter_constraints | {
        "loss": [StrOptions({"log_loss", "squared_error"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        loss="log_loss",
        weight_init="xavier_uniform",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.loss = loss
        self.weight_init = weight_init


class MLPBackpropRegressor(RegressorOutputs, _Perceptron):
    """Multilayer perceptron regressor: linear outputs, squared error ``|a - y|^2 / 2``.

    Several outputs are summed in the loss, of which the gradient is then the gradient. All else is
    as in `MLPBackpropClassifier`.

    Parameters
    ----------
    loss : {"squared_error"}, default="squared_error"
        Mean over the samples, sum over the outputs.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence makes the model linear.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        The hidden units' function.
    solver : {"sgd", "adam"}, default="adam"
        Stochastic gradient descent with momentum, or Adam.
    alpha : float, default=0.0001
        Strength of the L2 penalty.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch; "auto" is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights and of the order of samples.
    tol : float, default=0.0001
        Progress of the loss below which an epoch counts as idle.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    momentum : float, default=0.9
        Of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether "sgd" looks a step ahead.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the running means of "adam", in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of "adam".
    n_iter_no_change : int, default=10
        Idle epochs that are borne.
    weight_init : {"xavier_uniform", "xavier_normal"}, default="xavier_uniform"
        Distribution of the initial weights.

    Attributes
    ----------
    theta_ : ndarray of shape (n_parameters,)
        All weights and biases.
    coefs_, intercepts_ : list of ndarray
        Views of `theta_`: weights (inputs, outputs) and biases of each layer.
    loss_, best_loss_ : float
        Loss of the last epoch, and the lowest.
    loss_curve_ : list of float
        Loss of each epoch.
    n_iter_ : int
        Epochs that were run.
    n_layers_, n_outputs_, n_parameters_ : int
        Layers with input and output, outputs, and length of `theta_`.
    out_activation_ : str
        "identity".
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import MLPBackpropRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> net = MLPBackpropRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> float(net.score(X, np.sin(3 * X[:, 0]))) > 0.99
    True
    """

    _parameter_constraints = NeuralNetwork._parameter_constraints | {"loss": [StrOptions({"squared_error"})]}

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        weight_init="xavier_uniform",
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.weight_init = weight_init
