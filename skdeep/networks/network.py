"""A network: layers bound to an input shape, and the layout of their parameters in one flat vector."""

import math
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from skdeep.engine.normalisation import EPSILON
from skdeep.networks.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Fork,
    GlobalAvgPool2D,
    Join,
    LocallyConnected2D,
    Residual,
)

# Layers that connect units to units.
WITH_WEIGHTS = Conv2D | LocallyConnected2D | Dense


@dataclass(frozen=True)
class Slot:
    """Where one array of parameters lies in theta."""

    start: int
    shape: tuple[int, ...]
    fan_in: int
    fan_out: int

    @property
    def stop(self):
        return self.start + math.prod(self.shape)

    def view(self, theta):
        return theta[self.start : self.stop].reshape(self.shape)


@dataclass(frozen=True)
class BoundLayer:
    """A layer with the shapes that its place in a network gives it."""

    layer: object
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: Slot | None
    bias: Slot | None
    statistics: Slot | None  # where its running means and variances lie, in a vector of their own
    source: int  # the bound layer whose output it takes, -1 for the network's input
    second: int | None = None  # of a Join, the one that it adds


class Network:
    """Layers bound to an input shape.

    Parameters
    ----------
    layers : list of Layer
        From input to output.
    input_shape : (int,) or (int, int, int)
        Features, or height, width and channels, of one sample.
    data_format : {"NHWC", "NCHW"}, default="NHWC"
        The order of a sample's features if its shape is that of an image.

    Attributes
    ----------
    bound : list of BoundLayer
        In the order in which they run; a Residual is a Fork, its layers, its shortcut if that has weights, and a Join.
    ends : list of int
        For each of the layers, the place of its last bound layer.
    n_parameters : int
        Length of theta, which holds weights then bias, layer by layer.
    n_statistics : int
        Length of the vector of running statistics.
    kept : dict
        The run of the last prediction of few samples, by their number, unless it is running.
    """

    def __init__(self, layers, input_shape, data_format="NHWC"):
        self.layers, self.input_shape, self.data_format = list(layers), tuple(input_shape), data_format
        self.bound, self.ends, self.n_parameters, self.n_statistics = [], [], 0, 0
        self._for_inference, self._beginnings, self.kept = None, {}, {}
        shape = self.input_shape
        for layer in self.layers:
            shape = self._bind(layer, shape)
            self.ends.append(len(self.bound) - 1)
        self.output_shape, self.n_outputs = shape, math.prod(shape)

    def __getstate__(self):
        return self.__dict__ | {"_for_inference": None, "_beginnings": {}, "kept": {}}

    def _bind(self, layer, shape):
        """Append a layer to the network; the shape of its output."""
        layer._validate_params()
        if not isinstance(layer, Residual):
            return self._append(layer, shape, len(self.bound) - 1)
        layer._needs_maps(shape)
        fork, inner_shape = len(self.bound), self._append(Fork(), shape, len(self.bound) - 1)
        for inner in layer.layers:
            inner_shape = self._bind(inner, inner_shape)
        inner, shortcut = len(self.bound) - 1, layer.shortcut(shape)
        if shortcut is not None:
            self._append(shortcut, shape, fork)
        second = fork if shortcut is None else len(self.bound) - 1
        return self._append(Join(layer.activation), inner_shape, inner, second)

    def _append(self, layer, shape, source, second=None):
        output_shape, parameters = layer.output_shape(shape), layer.parameter_shapes(shape)
        weights = bias = statistics = None
        if parameters is not None:
            weights, bias = (self._slot(each, parameters) for each in (parameters.weights, parameters.bias))
        if isinstance(layer, BatchNorm):
            statistics = Slot(self.n_statistics, (2, *parameters.weights), 0, 0)
            self.n_statistics = statistics.stop
        self.bound.append(BoundLayer(layer, shape, output_shape, weights, bias, statistics, source, second))
        return output_shape

    def _slot(self, shape, parameters):
        slot = Slot(self.n_parameters, shape, parameters.fan_in, parameters.fan_out)
        self.n_parameters = slot.stop
        return slot

    @property
    def with_weights(self):
        """The layers that connect units to units."""
        return [bound for bound in self.bound if isinstance(bound.layer, WITH_WEIGHTS)]

    @property
    def activations(self):
        """For each layer with weights, the function of its outputs, which may be a later layer's."""
        names = []
        for bound in self.bound:
            activation = getattr(bound.layer, "activation", "identity")
            if isinstance(bound.layer, WITH_WEIGHTS):
                names.append(activation)
            elif names and names[-1] == "identity":
                names[-1] = activation
        return names

    def initialise(self, initialiser, rng, dtype):
        """Draw theta, weights then bias of each layer in turn; normalisations begin as the identity.

        `initialiser` is one for all layers, or a list of one for each that has weights.
        """
        theta = np.zeros(self.n_parameters, dtype)
        for bound in self.bound:
            if isinstance(bound.layer, BatchNorm):
                bound.weights.view(theta)[...] = 1
        layers = self.with_weights
        initialisers = initialiser if isinstance(initialiser, list) else [initialiser] * len(layers)
        for bound, draw in zip(layers, initialisers, strict=True):
            weights, bias = bound.weights, bound.bias
            weights.view(theta)[...] = draw(rng, weights.shape, weights.fan_in, weights.fan_out, dtype)
            # Of one dimension, by which initialisers know biases, even where each place has its own.
            shape = (math.prod(bias.shape),)
            theta[bias.start : bias.stop] = draw(rng, shape, bias.fan_in, bias.fan_out, dtype)
        return theta

    def initial_statistics(self, dtype):
        """Running means of zero and variances of one."""
        statistics = np.zeros(self.n_statistics, dtype)
        for bound in self.bound:
            if bound.statistics is not None:
                bound.statistics.view(statistics)[1] = 1
        return statistics

    @property
    def receptive_fields(self):
        """For each bound layer, how many pixels of the input, down and across, its output depends on at most."""
        fields, steps = {-1: (1, 1)}, {-1: (1, 1)}
        for i, bound in enumerate(self.bound):
            field, step = fields[bound.source], steps[bound.source]
            if len(bound.output_shape) == 1 or isinstance(bound.layer, GlobalAvgPool2D):
                field = self.input_shape[:2]
            elif hasattr(bound.layer, "grid"):
                grid = bound.layer.grid(bound.input_shape)
                field = tuple(f + (r - 1) * s for f, r, s in zip(field, grid.reach, step, strict=True))
                step = tuple(s * own for s, own in zip(step, grid.stride, strict=True))
            if bound.second is not None:
                field = tuple(map(max, field, fields[bound.second]))
            fields[i], steps[i] = tuple(map(min, field, self.input_shape[:2])), step
        del fields[-1]
        return list(fields.values())

    def up_to(self, n_layers):
        """The network of the first layers, whose parameters are the first of theta."""
        if n_layers not in self._beginnings:
            self._beginnings[n_layers] = Network(self.layers[:n_layers], self.input_shape, self.data_format)
        return self._beginnings[n_layers]

    def coefs(self, theta):
        """Views of theta: the weights of the layers that have any."""
        return [bound.weights.view(theta) for bound in self.with_weights]

    def intercepts(self, theta):
        """Views of theta: their biases."""
        return [bound.bias.view(theta) for bound in self.with_weights]

    def for_inference(self, theta, statistics):
        """What predictions need: no dropout, and normalisations folded into the weights before them.

        Returns
        -------
        network : Network
        theta : array of shape (network.n_parameters,)
        statistics : array of shape (network.n_statistics,)
            Of the normalisations that no linear layer stands before.
        """
        folded = _Folded(theta, statistics)
        layers = folded.fold(self.layers, iter(self.bound))
        join = lambda arrays, dtype: np.concatenate([np.zeros(0, dtype), *(array.ravel() for array in arrays)])
        if self._for_inference is None:
            self._for_inference = Network(layers, self.input_shape, self.data_format)
        return self._for_inference, join(folded.parameters, theta.dtype), join(folded.statistics, statistics.dtype)


def _is_linear(layer):
    return isinstance(layer, WITH_WEIGHTS | BatchNorm) and layer.activation == "identity"


class _Folded:
    """Parameters and statistics of a network for inference, gathered layer by layer."""

    def __init__(self, theta, statistics):
        self._theta, self._statistics = theta, statistics
        self.parameters, self.statistics = [], []

    def fold(self, layers, bound_layers):
        """The layers for inference; `bound_layers` goes on with the first of them."""
        folded = []
        for layer in layers:
            bound = next(bound_layers)
            if isinstance(layer, Residual):
                inner = self.fold(layer.layers, bound_layers)
                bound = next(bound_layers)
                if not isinstance(bound.layer, Join):
                    self._keep(bound)
                    next(bound_layers)
                folded.append(Residual(inner, activation=layer.activation))
            elif isinstance(layer, BatchNorm) and folded and _is_linear(folded[-1]):
                folded[-1] = clone(folded[-1]).set_params(activation=layer.activation)
                self._scale_last(bound)
            elif not isinstance(layer, Dropout):
                self._keep(bound)
                folded.append(layer)
        return folded

    def _keep(self, bound):
        if bound.weights is not None:
            self.parameters += [bound.weights.view(self._theta), bound.bias.view(self._theta)]
        if bound.statistics is not None:
            self.statistics.append(bound.statistics.view(self._statistics))

    def _scale_last(self, bound):
        """Let the last layer's weights and bias normalise its output."""
        mean, variance = bound.statistics.view(self._statistics).astype(float)
        scale = bound.weights.view(self._theta) / np.sqrt(variance + EPSILON)
        shift = bound.bias.view(self._theta) - scale * mean
        weights, bias = self.parameters[-2:]
        self.parameters[-2:] = (array.astype(self._theta.dtype) for array in (weights * scale, bias * scale + shift))
