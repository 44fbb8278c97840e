"""From the flat parameters of a convolutional network to its layers."""

from numbers import Integral, Real

from skdeep._sklearn import Interval, StrOptions, validate_parameter_constraints
from skdeep.networks.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    GlobalAvgPool2D,
    LocallyConnected2D,
    MaxPool2D,
    Residual,
)
from skdeep.networks.windows import pair
from skdeep.neural_network._base import for_each_layer, layer_sizes

_COUNT = Interval(Integral, 1, None, closed="left")
_PAIR = ["array-like", _COUNT]

# What one convolution may have; of a list, each has its own.
_EACH = {
    "kernel_size": _PAIR,
    "stride": _PAIR,
    "padding": ["array-like", StrOptions({"same", "valid"}), Interval(Integral, 0, None, closed="left")],
    "dilation": _PAIR,
    "groups": [_COUNT],
    "pool": [StrOptions({"max", "avg"}), None],
    "pool_size": _PAIR,
    "pool_stride": [*_PAIR, None],
    "conv_batch_norm": ["boolean"],
    "conv_dropout": [Interval(Real, 0, 1, closed="left")],
    "residual": ["boolean"],
    "locally_connected": ["boolean"],
}
CONSTRAINTS = {name: each if "array-like" in each else [*each, list] for name, each in _EACH.items()} | {
    "filters": _PAIR,
    "global_pool": [StrOptions({"max", "avg"}), None],
    "layers": [list, None],
    "image_shape": ["array-like", None],
    "data_format": [StrOptions({"NHWC", "NCHW"})],
    "augment": [dict, None],
}


def hidden_layers(net, shape):
    """The layers that an estimator's parameters describe, for images of shape (height, width, channels)."""
    layers, all_filters = [], layer_sizes(net.filters, "filters")
    sizes = layer_sizes(net.hidden_layer_sizes, "hidden_layer_sizes")
    n = len(all_filters)
    activations = for_each_layer(net.activation, n + len(sizes), "activation", "convolutions and hidden layers")
    for i, (filters, activation) in enumerate(zip(all_filters, activations[:n], strict=True)):
        for layer in _stage(net, i, n, filters, activation, shape):
            layers.append(layer)
            shape = layer.output_shape(shape)
    if net.global_pool == "avg":
        layers.append(GlobalAvgPool2D())
    elif net.global_pool == "max":
        layers.append(MaxPool2D(shape[:2]))
    rates = for_each_layer(net.dropout, len(sizes), "dropout")
    return layers + dense_layers(sizes, activations[n:], rates, net.batch_norm)


def dense_layers(sizes, activations, rates, batch_norm):
    """Dense layers, each with its normalisation before the activation and its dropout behind."""
    layers = []
    for units, activation, rate in zip(sizes, activations, rates, strict=True):
        layers += _normalised(Dense(units, activation=activation), batch_norm)
        if rate != 0:
            layers.append(Dropout(rate))
    return layers


def _stage(net, i, n, filters, activation, shape):
    """Convolution i of n, or its residual block, and what follows: pool and dropout."""
    own = lambda name: _for_layer(net, name, i, n)
    size, normalised = _clipped(own("kernel_size"), "kernel_size", shape), own("conv_batch_norm")
    kind = LocallyConnected2D if own("locally_connected") else Conv2D
    settings = dict(stride=own("stride"), padding=own("padding"))
    if kind is Conv2D:
        settings |= dict(dilation=own("dilation"), groups=own("groups"))
    layers = _normalised(kind(filters, size, activation=activation, **settings), normalised)
    if own("residual"):
        second = kind(filters, size, activation="identity", **settings | dict(stride=1))
        layers = [Residual(layers + _normalised(second, normalised), activation=activation)]
    for layer in layers:
        layer._validate_params()
        shape = layer.output_shape(shape)
    pool = own("pool")
    if pool is not None:
        pool_size = _clipped(own("pool_size"), "pool_size", shape)
        layers.append((MaxPool2D if pool == "max" else AvgPool2D)(pool_size, stride=own("pool_stride")))
    if own("conv_dropout") != 0:
        layers.append(Dropout(own("conv_dropout"), spatial=True))
    return layers


def _normalised(layer, wanted):
    """The layer, with a normalisation between it and its activation if that is wanted."""
    if not wanted:
        return [layer]
    following = BatchNorm(activation=layer.activation)
    return [layer.set_params(activation="identity"), following]


def _for_layer(net, name, i, n):
    """A parameter's value for convolution i of n: of a list its own, else the one for all."""
    value = getattr(net, name)
    if not isinstance(value, list):
        return value
    if len(value) != n:
        raise ValueError(f"{name}={value!r} must be one value, or a list of one for each of the {n} convolutions.")
    validate_parameter_constraints({name: _EACH[name]}, {name: value[i]}, caller_name=type(net).__name__)
    return value[i]


def _clipped(value, name, shape):
    """The size (height, width) of windows, no larger than the map."""
    return tuple(min(wanted, available) for wanted, available in zip(pair(value, name), shape[:2], strict=True))
