"""Convolutional networks."""

from numbers import Integral

from skdeep._sklearn import Interval, StrOptions
from skdeep.networks.layers import Conv2D, Dense, MaxPool2D, pair
from skdeep.neural_network._base import NeuralNetwork, layer_sizes
from skdeep.neural_network._images import as_rows, image_shape
from skdeep.neural_network._outputs import ClassifierOutputs

_FORMATS = StrOptions({"NHWC", "NCHW"})


class ConvNetClassifier(ClassifierOutputs, NeuralNetwork):
    """Convolutional network classifier: convolutions and pools, then dense layers; by default LeNet-5.

    Each convolution is followed by its activation and, if there is a pool, by that. Kernels and pools
    larger than the map that reaches them are clipped to it. LeCun, Bottou, Bengio & Haffner (1998).

    Parameters
    ----------
    filters : int or sequence of int, default=(6, 16)
        Output channels of each convolution.
    kernel_size : int, (int, int) or list, default=5
        Height and width of the filters. Here and in the next parameters a tuple is (height, width), a
        list has one entry for each convolution.
    stride : int, (int, int) or list, default=1
        Steps between the windows of a convolution.
    padding : {"same", "valid"}, int, (int, int) or list, default="same"
        Zeros around the maps.
    pool : {"max"} or None, default="max"
        What follows each convolution.
    pool_size : int, (int, int) or list, default=2
        Height and width of the pools.
    pool_stride : int, (int, int), list or None, default=None
        Steps between pools; None sets them side by side.
    hidden_layer_sizes : int or sequence of int, default=(120, 84)
        Units of the dense layers before the output.
    layers : list of Layer or None, default=None
        Objects of `skdeep.networks`, from the first layer to the last hidden one; they replace all
        parameters above.
    image_shape : (int, int), (int, int, int) or None, default=None
        Height, width and, in the order of `data_format`, channels of the images in a two-dimensional
        X. None: what X's own dimensions say; else a square, if the features make one, or one row.
    data_format : {"NHWC", "NCHW"}, default="NHWC"
        How X and `image_shape` are read, channels last or first. The results are the same numbers.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        The units' function.
    solver : {"sgd", "adam"}, default="adam"
        Stochastic gradient descent with momentum, or Adam.
    alpha : float, default=0.0001
        Strength of the L2 penalty.
    batch_size : int or "auto", default=128
        Samples of a minibatch; "auto" is min(200, n_samples).
    learning_rate_init : float, default=0.001
        Step size.
    max_iter : int, default=20
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
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy, or the squared error of logistic outputs.
    weight_init : {"xavier_uniform", "xavier_normal"}, default="xavier_uniform"
        Distribution of the initial weights.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    theta_ : ndarray of shape (n_parameters,)
        All weights and biases.
    coefs_, intercepts_ : list of ndarray
        Views of `theta_`: weights of convolutions (height, width, inputs, outputs) and of dense layers
        (inputs, outputs), and biases. Maps are flattened in the order height, width, channel.
    image_shape_in_ : (int, int, int)
        Height, width and channels of the images.
    loss_, best_loss_ : float
        Loss of the last epoch, and the lowest.
    loss_curve_ : list of float
        Loss of each epoch.
    n_iter_ : int
        Epochs that were run.
    n_layers_, n_outputs_, n_parameters_ : int
        Layers with parameters and the input, outputs, and length of `theta_`.
    out_activation_ : str
        What turns the last layer's scores into probabilities.
    n_features_in_ : int
        Numbers of an image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, only where all were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ConvNetClassifier((8, 16), kernel_size=3, random_state=0).fit(X / 16, y)
    >>> float(net.score(X / 16, y)) > 0.95
    True
    """

    _parameter_constraints = NeuralNetwork._parameter_constraints | {
        "filters": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": ["array-like", Interval(Integral, 1, None, closed="left")],
        "stride": ["array-like", Interval(Integral, 1, None, closed="left")],
        "padding": ["array-like", StrOptions({"same", "valid"}), Interval(Integral, 0, None, closed="left")],
        "pool": [StrOptions({"max"}), None],
        "pool_size": ["array-like", Interval(Integral, 1, None, closed="left")],
        "pool_stride": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "layers": [list, None],
        "image_shape": ["array-like", None],
        "data_format": [_FORMATS],
        "loss": [StrOptions({"log_loss", "squared_error"})],
    }

    def __init__(
        self,
        filters=(6, 16),
        *,
        kernel_size=5,
        stride=1,
        padding="same",
        pool="max",
        pool_size=2,
        pool_stride=None,
        hidden_layer_sizes=(120, 84),
        layers=None,
        image_shape=None,
        data_format="NHWC",
        activation="relu",
        solver="adam",
        alpha=0.0001,
        batch_size=128,
        learning_rate_init=0.001,
        max_iter=20,
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
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.pool = pool
        self.pool_size = pool_size
        self.pool_stride = pool_stride
        self.hidden_layer_sizes = hidden_layer_sizes
        self.layers = layers
        self.image_shape = image_shape
        self.data_format = data_format
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

    def _validate(self, X, y):
        X, told = as_rows(X, self.data_format, self.image_shape)
        X, y, _ = super()._validate(X, y)
        return X, y, image_shape(X.shape[1], self.image_shape, told, self.data_format)

    def _rows(self, X):
        X, told = as_rows(X, self.data_format, self.image_shape)
        if told is not None and told != self.image_shape_in_:
            raise ValueError(
                f"X has images of (height, width, channels) {told}, but {type(self).__name__} was fitted on "
                f"{self.image_shape_in_}."
            )
        return super()._rows(X)

    def _learned(self, network, run, targets, history):
        return super()._learned(network, run, targets, history) | {"image_shape_in_": network.input_shape}

    def _hidden_layers(self, shape):
        if self.layers is not None:
            return self.layers
        layers, all_filters = [], layer_sizes(self.filters, "filters")
        n = len(all_filters)
        for i, filters in enumerate(all_filters):
            convolution = Conv2D(
                filters,
                _clipped(self.kernel_size, i, n, "kernel_size", shape),
                stride=_for_layer(self.stride, i, n, "stride"),
                padding=_for_layer(self.padding, i, n, "padding"),
                activation=self.activation,
            )
            layers.append(convolution)
            shape = convolution.output_shape(shape)
            if self.pool is not None:
                size = _clipped(self.pool_size, i, n, "pool_size", shape)
                layers.append(MaxPool2D(size, stride=_for_layer(self.pool_stride, i, n, "pool_stride")))
                shape = layers[-1].output_shape(shape)
        sizes = layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        return layers + [Dense(units, activation=self.activation) for units in sizes]


def _for_layer(value, i, n, name):
    """The value for convolution i of n: of a list its own, else the one for all."""
    if not isinstance(value, list):
        return value
    if len(value) != n:
        raise ValueError(f"{name}={value!r} must be one value, or a list of one for each of the {n} convolutions.")
    return value[i]


def _clipped(value, i, n, name, shape):
    """The size (height, width) of the windows of convolution i, no larger than the map."""
    size = pair(_for_layer(value, i, n, name), name)
    return tuple(min(wanted, available) for wanted, available in zip(size, shape[:2], strict=True))
