"""Convolutional networks."""

from numbers import Integral, Real

from skdeep._sklearn import Interval, StrOptions
from skdeep.engine.activations import ACTIVATIONS
from skdeep.networks.layers import Conv2D, Dense, Dropout, MaxPool2D
from skdeep.networks.windows import pair
from skdeep.neural_network._base import NeuralNetwork, for_each_layer, layer_sizes
from skdeep.neural_network._docs import documented
from skdeep.neural_network._images import as_rows, image_shape
from skdeep.neural_network._outputs import ClassifierOutputs

_FORMATS = StrOptions({"NHWC", "NCHW"})


@documented(
    batch_size="128",
    max_iter="20",
    coefs="weights of convolutions (height, width, inputs, outputs) and of dense layers (inputs, outputs), and "
    "biases. Maps are flattened in the order height, width, channel.",
)
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
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus"}, default="relu"
        The units' function.
    %(training)s
    loss : {"log_loss", "squared_error"}, default="log_loss"
        Cross-entropy, or the squared error of logistic outputs.
    %(beyond)s
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of the samples are multiplied; "balanced" is n_samples /
        (n_classes * count).
    label_smoothing : float, default=0.0
        Share of each target that all classes get alike, in [0, 1).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    image_shape_in_ : (int, int, int)
        Height, width and channels of the images.
    %(learned)s

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
        "activation": [StrOptions(set(ACTIVATIONS))],
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
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
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=20,
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
        weight_decay=0.0,
        l1=0.0,
        clip_norm=None,
        label_smoothing=0.0,
        scoring=None,
        restore_best=True,
    ):
        self._store(locals())

    def _validate(self, X, y, *, reset):
        X, told = as_rows(X, self.data_format, self.image_shape)
        X, y, _ = super()._validate(X, y, reset=reset)
        return X, y, image_shape(X.shape[1], self.image_shape, told, self.data_format)

    def _rows(self, X):
        X, told = as_rows(X, self.data_format, self.image_shape)
        if told is not None and told != self.image_shape_in_:
            raise ValueError(
                f"X has images of (height, width, channels) {told}, but {type(self).__name__} was fitted on "
                f"{self.image_shape_in_}."
            )
        return super()._rows(X)

    def _learned(self, network, *args, **kwargs):
        return super()._learned(network, *args, **kwargs) | {"image_shape_in_": network.input_shape}

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
        for units, rate in zip(sizes, for_each_layer(self.dropout, len(sizes), "dropout"), strict=True):
            layers.append(Dense(units, activation=self.activation))
            if rate != 0:
                layers.append(Dropout(rate))
        return layers


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
