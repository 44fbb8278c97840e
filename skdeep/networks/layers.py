"""Layers: hyperparameters, the shapes that follow from them, and nothing else.

A layer knows no arrays. `output_shape` is where a layer that does not fit its input says so;
`parameter_shapes` gives the shapes of weights and bias with the fans that initialisers need.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

from sklearn.base import BaseEstimator

from skdeep._sklearn import Interval, StrOptions
from skdeep.engine.activations import ACTIVATIONS
from skdeep.networks.windows import pair, windows

_COUNT = Interval(Integral, 1, None, closed="left")
_PAIR = [_COUNT, "array-like"]
_PADDING = [StrOptions({"same", "valid"}), Interval(Integral, 0, None, closed="left"), "array-like"]
_ACTIVATION = [StrOptions(set(ACTIVATIONS))]


@dataclass(frozen=True)
class ParameterShapes:
    """Shapes of a layer's weights and bias, and the numbers of connections into and out of a unit."""

    weights: tuple[int, ...]
    bias: tuple[int, ...]
    fan_in: int
    fan_out: int


class Layer(BaseEstimator):
    """Hyperparameters of one layer."""

    def output_shape(self, input_shape):
        """Shape of the output for one sample: (height, width, channels) or (units,)."""
        raise NotImplementedError

    def parameter_shapes(self, input_shape):
        """Shapes and fans of the parameters, None for a layer without any."""
        return None

    def multiply_adds(self, input_shape):
        """Products that one sample's output is made of, by the weights."""
        parameters = self.parameter_shapes(input_shape)
        return 0 if parameters is None else math.prod(parameters.weights)

    def _needs_maps(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(
                f"{self!r} needs maps (height, width, channels), its input has shape {input_shape}: let it stand "
                "before the first Flatten, GlobalAvgPool2D or Dense layer."
            )

    def _windows(self, input_shape, size, stride, padding="valid", dilation=(1, 1)):
        self._needs_maps(input_shape)
        grid = windows(input_shape[:2], size, stride, padding, dilation)
        if min(grid.count) < 1:
            raise ValueError(
                f"{self!r} does not fit its input of {input_shape[0]} x {input_shape[1]} pixels: "
                f"a window of at most that size, or more padding, would."
            )
        return grid


# ------------------------------------------------------------------------------- layers with weights


class Conv2D(Layer):
    """Convolution: z[i, j, k] = b[k] + sum over r, s, c of x[i u + r d, j u + s d, c] w[r, s, c, k].

    A correlation with shared weights, as all networks call a convolution (LeCun et al., 1989); u is the stride,
    d the dilation.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : int or (int, int), default=5
        Height and width of the filters, in pixels.
    stride : int or (int, int), default=1
        Steps between the windows.
    padding : {"same", "valid"}, int or (int, int), default="same"
        Zeros around the map: none, as many on each side, or as many as give one output for each step.
    dilation : int or (int, int), default=1
        Steps between the pixels of a window.
    groups : int, default=1
        Parts in which input and output channels are divided, each connected within itself only.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="relu"
        Applied to the output.

    Examples
    --------
    >>> from skdeep.networks import Conv2D
    >>> Conv2D(20, 5, padding=1).output_shape((28, 28, 1))
    (26, 26, 20)
    >>> Conv2D(16, 3, groups=4).parameter_shapes((14, 14, 8)).weights
    (3, 3, 2, 16)
    """

    _parameter_constraints = {
        "filters": [_COUNT],
        "kernel_size": _PAIR,
        "stride": _PAIR,
        "padding": _PADDING,
        "dilation": _PAIR,
        "groups": [_COUNT],
        "activation": _ACTIVATION,
    }

    def __init__(self, filters, kernel_size=5, *, stride=1, padding="same", dilation=1, groups=1, activation="relu"):
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.activation = activation

    def grid(self, input_shape):
        """The windows of the filters over the input."""
        size, stride = pair(self.kernel_size, "kernel_size"), pair(self.stride, "stride")
        return self._windows(input_shape, size, stride, self.padding, pair(self.dilation, "dilation"))

    def output_shape(self, input_shape):
        grid = self.grid(input_shape)
        if input_shape[2] % self.groups or self.filters % self.groups:
            raise ValueError(
                f"{self!r} cannot divide its input of {input_shape[2]} channels and its {self.filters} filters into "
                f"{self.groups} groups: groups={math.gcd(input_shape[2], self.filters)} would fit both."
            )
        return (*grid.count, self.filters)

    def parameter_shapes(self, input_shape):
        area, channels = math.prod(self.grid(input_shape).size), input_shape[2] // self.groups
        shape = (*self.grid(input_shape).size, channels, self.filters)
        return ParameterShapes(shape, (self.filters,), area * channels, area * self.filters // self.groups)

    def multiply_adds(self, input_shape):
        return math.prod(self.grid(input_shape).count) * super().multiply_adds(input_shape)


class LocallyConnected2D(Layer):
    """A convolution without shared weights: each place of the output has filters of its own.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : int or (int, int), default=5
        Height and width of the filters, in pixels.
    stride : int or (int, int), default=1
        Steps between the windows.
    padding : {"same", "valid"}, int or (int, int), default="same"
        Zeros around the map, as of `Conv2D`.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="relu"
        Applied to the output.

    Examples
    --------
    >>> from skdeep.networks import LocallyConnected2D
    >>> LocallyConnected2D(6, 3, padding="valid").parameter_shapes((8, 8, 1)).weights
    (6, 6, 3, 3, 1, 6)
    """

    _parameter_constraints = {
        "filters": [_COUNT],
        "kernel_size": _PAIR,
        "stride": _PAIR,
        "padding": _PADDING,
        "activation": _ACTIVATION,
    }

    def __init__(self, filters, kernel_size=5, *, stride=1, padding="same", activation="relu"):
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.activation = activation

    def grid(self, input_shape):
        """The windows of the filters over the input."""
        size, stride = pair(self.kernel_size, "kernel_size"), pair(self.stride, "stride")
        return self._windows(input_shape, size, stride, self.padding)

    def output_shape(self, input_shape):
        return (*self.grid(input_shape).count, self.filters)

    def parameter_shapes(self, input_shape):
        grid, channels = self.grid(input_shape), input_shape[2]
        area = math.prod(grid.size)
        shape = (*grid.count, *grid.size, channels, self.filters)
        return ParameterShapes(shape, (*grid.count, self.filters), area * channels, area * self.filters)


class Dense(Layer):
    """Every unit connected to every input: a = f(x W + b). Maps are flattened in the order height, width, channel.

    Parameters
    ----------
    units : int
        Outputs.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="relu"
        The function f.

    Examples
    --------
    >>> from skdeep.networks import Dense
    >>> Dense(10).parameter_shapes((5, 5, 16)).weights
    (400, 10)
    """

    _parameter_constraints = {"units": [_COUNT], "activation": _ACTIVATION}

    def __init__(self, units, *, activation="relu"):
        self.units = units
        self.activation = activation

    def output_shape(self, input_shape):
        return (self.units,)

    def parameter_shapes(self, input_shape):
        fan_in = math.prod(input_shape)
        return ParameterShapes((fan_in, self.units), (self.units,), fan_in, self.units)


# --------------------------------------------------------------------------------------------- pools


class _Pool2D(Layer):
    """Windows over each channel."""

    _parameter_constraints = {"pool_size": _PAIR, "stride": [*_PAIR, None]}

    def __init__(self, pool_size=2, *, stride=None):
        self.pool_size = pool_size
        self.stride = stride

    def grid(self, input_shape):
        """The windows over the input."""
        size = pair(self.pool_size, "pool_size")
        return self._windows(input_shape, size, size if self.stride is None else pair(self.stride, "stride"))

    def output_shape(self, input_shape):
        return (*self.grid(input_shape).count, input_shape[2])


class MaxPool2D(_Pool2D):
    """The maximum over each window of each channel.

    Parameters
    ----------
    pool_size : int or (int, int), default=2
        Height and width of the windows, in pixels.
    stride : int, (int, int) or None, default=None
        Steps between the windows, None for windows side by side. What does not fill a window is left out.

    Examples
    --------
    >>> from skdeep.networks import MaxPool2D
    >>> MaxPool2D(2).output_shape((5, 4, 6))
    (2, 2, 6)
    """


class AvgPool2D(_Pool2D):
    """The mean over each window of each channel.

    Parameters
    ----------
    pool_size : int or (int, int), default=2
        Height and width of the windows, in pixels.
    stride : int, (int, int) or None, default=None
        Steps between the windows, None for windows side by side. What does not fill a window is left out.

    Examples
    --------
    >>> from skdeep.networks import AvgPool2D
    >>> AvgPool2D(3, stride=2).output_shape((7, 7, 6))
    (3, 3, 6)
    """


class GlobalAvgPool2D(Layer):
    """The mean of each channel: maps become units, one for each channel (Lin, Chen & Yan, 2014).

    Examples
    --------
    >>> from skdeep.networks import GlobalAvgPool2D
    >>> GlobalAvgPool2D().output_shape((7, 7, 64))
    (64,)
    """

    _parameter_constraints = {}

    def grid(self, input_shape):
        """The one window over the input."""
        return self._windows(input_shape, input_shape[:2], input_shape[:2])

    def output_shape(self, input_shape):
        self._needs_maps(input_shape)
        return input_shape[2:]


class Flatten(Layer):
    """Units from maps, in the order height, width, channel; `Dense` does so by itself.

    Examples
    --------
    >>> from skdeep.networks import Flatten
    >>> Flatten().output_shape((5, 5, 16))
    (400,)
    """

    _parameter_constraints = {}

    def output_shape(self, input_shape):
        return (math.prod(input_shape),)


# ------------------------------------------------------------------------------ layers of one shape


class _Pointwise(Layer):
    """A layer whose output has the shape of its input."""

    def output_shape(self, input_shape):
        return tuple(input_shape)


class Activation(_Pointwise):
    """A function of each number.

    Parameters
    ----------
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="relu"
        The function.

    Examples
    --------
    >>> from skdeep.networks import Activation
    >>> Activation("tanh").output_shape((5, 5, 16))
    (5, 5, 16)
    """

    _parameter_constraints = {"activation": _ACTIVATION}

    def __init__(self, activation="relu"):
        self.activation = activation


class BatchNorm(_Pointwise):
    """Batch normalisation, z' = scale (z - mean) / sqrt(var + 1e-5) + shift, then the activation.

    Of units, each has a scale and a shift; of maps, each channel, whose statistics are taken over its pixels too.
    Mean and variance are the batch's in training, whatever the samples' weights; in predictions they are
    running averages, to which a batch adds a tenth (Ioffe & Szegedy, 2015). There a normalisation right behind a
    layer with weights and without an activation costs nothing: it is folded into the weights.

    Parameters
    ----------
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="identity"
        Applied to the normalised numbers.

    Examples
    --------
    >>> from skdeep.networks import BatchNorm
    >>> BatchNorm().parameter_shapes((5, 5, 16)).weights
    (16,)
    """

    _parameter_constraints = {"activation": _ACTIVATION}

    def __init__(self, *, activation="identity"):
        self.activation = activation

    def parameter_shapes(self, input_shape):
        shape = tuple(input_shape[-1:])
        return ParameterShapes(shape, shape, *shape, *shape)

    def multiply_adds(self, input_shape):
        return math.prod(input_shape)


class Dropout(_Pointwise):
    """In training, zeros with probability `rate`, and what is kept is divided by 1 - rate (Srivastava et al., 2014).

    Parameters
    ----------
    rate : float, default=0.5
        In [0, 1).
    spatial : bool, default=False
        Whether a channel of a sample is dropped as a whole (Tompson et al., 2015); for maps only.

    Examples
    --------
    >>> from skdeep.networks import Dropout
    >>> Dropout(0.2).output_shape((10,))
    (10,)
    """

    _parameter_constraints = {"rate": [Interval(Real, 0, 1, closed="left")], "spatial": ["boolean"]}

    def __init__(self, rate=0.5, *, spatial=False):
        self.rate = rate
        self.spatial = spatial

    def output_shape(self, input_shape):
        if self.spatial:
            self._needs_maps(input_shape)
        return tuple(input_shape)


# ------------------------------------------------------------------------------------------ residuals


class Residual(Layer):
    """Layers beside a shortcut: a = f(x + g(x)) (He, Zhang, Ren & Sun, 2016).

    Where the layers change the shape, the shortcut is a convolution of 1 x 1 pixels, whose weights come after
    those of the layers.

    Parameters
    ----------
    layers : list of Layer
        The function g, of maps; the last of them has no activation, as a rule.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="relu"
        The function f.

    Examples
    --------
    >>> from skdeep.networks import Conv2D, Residual
    >>> Residual([Conv2D(16, 3, stride=2), Conv2D(16, 3, activation="identity")]).output_shape((28, 28, 8))
    (14, 14, 16)
    """

    _parameter_constraints = {"layers": [list, tuple], "activation": _ACTIVATION}

    def __init__(self, layers, *, activation="relu"):
        self.layers = layers
        self.activation = activation

    def _validate_params(self):
        super()._validate_params()
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"{self!r} must have objects of skdeep.networks as layers, got {layer!r}.")

    def output_shape(self, input_shape):
        self._needs_maps(input_shape)
        shape = tuple(input_shape)
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def shortcut(self, input_shape):
        """The convolution beside the layers, None where x can be added as it is.

        Raises
        ------
        ValueError
            If no stride brings x to the shape of the layers' output.
        """
        shape = self.output_shape(input_shape)
        if shape == tuple(input_shape):
            return None
        if len(shape) == 3:
            stride = tuple(-(-before // after) for before, after in zip(input_shape, shape[:2], strict=False))
            layer = Conv2D(shape[2], 1, stride=stride, padding="valid", activation="identity")
            if layer.output_shape(input_shape) == shape:
                return layer
        raise ValueError(
            f"{self!r} cannot add its input of shape {tuple(input_shape)} to an output of shape {shape}: its layers "
            'should keep height and width, with padding="same", or divide them by a stride.'
        )


class Fork(_Pointwise):
    """Where the path of a `Residual` parts; it stands in a network, not in a user's list."""

    _parameter_constraints = {}


class Join(_Pointwise):
    """Where the paths of a `Residual` meet: a = f(x + y)."""

    _parameter_constraints = {"activation": _ACTIVATION}

    def __init__(self, activation):
        self.activation = activation
