"""Layers: hyperparameters, the shapes that follow from them, and nothing else.

A layer knows no arrays. `output_shape` is where a layer that does not fit its input says so;
`parameter_shapes` gives the shapes of weights and bias with the fans that initialisers need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from skdeep._sklearn import Interval, StrOptions
from skdeep.engine.activations import ACTIVATIONS

_COUNT = Interval(Integral, 1, None, closed="left")
_PAIR = [_COUNT, "array-like"]
_ACTIVATION = [StrOptions(set(ACTIVATIONS))]
# A pool commutes with these, and is taken before them.
MONOTONE = [name for name, activation in ACTIVATIONS.items() if activation.monotone]


@dataclass(frozen=True)
class ParameterShapes:
    """Shapes of a layer's weights and bias, and the numbers of connections into and out of a unit."""

    weights: tuple[int, ...]
    bias: tuple[int, ...]
    fan_in: int
    fan_out: int


@dataclass(frozen=True)
class Windows:
    """A grid of windows over a padded map: where convolutions and pools look.

    Attributes
    ----------
    size, stride : (int, int)
        Height and width of a window, and the steps between windows, in pixels.
    before, after : (int, int)
        Rows and columns of zeros above and left of the map, and below and right of it.
    count : (int, int)
        Windows down and across.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    count: tuple[int, int]


def pair(value, name, least=1):
    """(value, value) for an int, else the pair of ints that it is."""
    values = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value, value)
    if len(values) != 2 or not all(isinstance(v, Integral) and v >= least for v in values):
        raise ValueError(f"{name} must be an integer of at least {least} or a pair of them, got {value!r}.")
    return values


def windows(shape, size, stride, padding="valid"):
    """Lay windows over a map of `shape` (height, width); a count below 1 says that none fits."""
    before, after, count = [], [], []
    for axis, (length, k, s) in enumerate(zip(shape, size, stride, strict=True)):
        if padding == "same":
            # One window for each step; an odd zero goes after the map.
            total = max((-(-length // s) - 1) * s + k - length, 0)
            ahead, behind = total // 2, total - total // 2
        else:
            ahead = behind = 0 if padding == "valid" else pair(padding, "padding", 0)[axis]
        before.append(ahead)
        after.append(behind)
        count.append((length + ahead + behind - k) // s + 1)
    return Windows(tuple(size), tuple(stride), tuple(before), tuple(after), tuple(count))


class Layer(BaseEstimator):
    """Hyperparameters of one layer."""

    def output_shape(self, input_shape):
        """Shape of the output for one sample: (height, width, channels) or (units,)."""
        raise NotImplementedError

    def parameter_shapes(self, input_shape):
        """Shapes and fans of the parameters, None for a layer without any."""
        return None

    def _windows(self, input_shape, size, stride, padding="valid"):
        if len(input_shape) != 3:
            raise ValueError(f"{self!r} needs maps (height, width, channels), its input has shape {input_shape}.")
        grid = windows(input_shape[:2], size, stride, padding)
        if min(grid.count) < 1:
            raise ValueError(
                f"{self!r} does not fit its input of {input_shape[0]} x {input_shape[1]} pixels: "
                f"a window of at most that size, or more padding, would."
            )
        return grid


class Conv2D(Layer):
    """Convolution with shared weights: z[i, j, k] = b[k] + sum over r, s, c of x[i u + r, j u + s, c] w[r, s, c, k].

    A correlation, as all networks call a convolution (LeCun et al., 1989); u is the stride.

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
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus"}, default="relu"
        Applied to the output.

    Examples
    --------
    >>> from skdeep.networks import Conv2D
    >>> Conv2D(20, 5, padding=1).output_shape((28, 28, 1))
    (26, 26, 20)
    """

    _parameter_constraints = {
        "filters": [_COUNT],
        "kernel_size": _PAIR,
        "stride": _PAIR,
        "padding": [StrOptions({"same", "valid"}), Interval(Integral, 0, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(MONOTONE))],
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
        height, width = self.grid(input_shape).size
        channels, area = input_shape[2], height * width
        return ParameterShapes(
            (height, width, channels, self.filters), (self.filters,), area * channels, area * self.filters
        )


class MaxPool2D(Layer):
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
        fan_in = 1
        for length in input_shape:
            fan_in *= length
        return ParameterShapes((fan_in, self.units), (self.units,), fan_in, self.units)


class BatchNorm(Layer):
    """Batch normalisation of units, z' = scale (z - mean) / sqrt(var + 1e-5) + shift, then the activation.

    Mean and variance are the batch's in training, whatever the samples' weights; in predictions they are
    running averages, to which a batch adds a tenth (Ioffe & Szegedy, 2015).

    Parameters
    ----------
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"}, \
            default="identity"
        Applied to the normalised numbers.

    Examples
    --------
    >>> from skdeep.networks import BatchNorm
    >>> BatchNorm().output_shape((10,))
    (10,)
    """

    _parameter_constraints = {"activation": _ACTIVATION}

    def __init__(self, *, activation="identity"):
        self.activation = activation

    def output_shape(self, input_shape):
        return _units(self, input_shape)

    def parameter_shapes(self, input_shape):
        shape = _units(self, input_shape)
        return ParameterShapes(shape, shape, *shape, *shape)


class Dropout(Layer):
    """In training, zeros with probability `rate`, and what is kept is divided by 1 - rate (Srivastava et al., 2014).

    Parameters
    ----------
    rate : float, default=0.5
        In [0, 1).

    Examples
    --------
    >>> from skdeep.networks import Dropout
    >>> Dropout(0.2).output_shape((10,))
    (10,)
    """

    _parameter_constraints = {"rate": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, rate=0.5):
        self.rate = rate

    def output_shape(self, input_shape):
        return _units(self, input_shape)


def _units(layer, input_shape):
    if len(input_shape) != 1:
        raise ValueError(f"{layer!r} needs units, its input has shape {input_shape}: let it follow a Dense layer.")
    return tuple(input_shape)
