"""A network: layers bound to an input shape, and the layout of their parameters in one flat vector."""

import math
from dataclasses import dataclass

import numpy as np

from skdeep.networks.layers import BatchNorm, Conv2D, Dense, MaxPool2D


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
    statistics: Slot | None = None  # where its running means and variances lie, in a vector of their own


class Network:
    """Layers bound to an input shape.

    Parameters
    ----------
    layers : list of Layer
        From input to output; maps first, dense layers last, the last one dense.
    input_shape : (int,) or (int, int, int)
        Features, or height, width and channels, of one sample.
    data_format : {"NHWC", "NCHW"}, default="NHWC"
        The order of a sample's features if its shape is that of an image.

    Attributes
    ----------
    bound : list of BoundLayer
    n_parameters : int
        Length of theta, which holds weights then bias, layer by layer.
    n_statistics : int
        Length of the vector of running statistics.
    """

    def __init__(self, layers, input_shape, data_format="NHWC"):
        self.input_shape, self.data_format = tuple(input_shape), data_format
        self.bound, self.n_parameters, self.n_statistics = [], 0, 0
        shape = self.input_shape
        for layer in layers:
            self._check(layer)
            output_shape, parameters = layer.output_shape(shape), layer.parameter_shapes(shape)
            slots = [None, None]
            if parameters is not None:
                slots = [self._slot(each, parameters) for each in (parameters.weights, parameters.bias)]
            statistics = None
            if isinstance(layer, BatchNorm):
                statistics = Slot(self.n_statistics, (2, *shape), *shape, *shape)
                self.n_statistics = statistics.stop
            self.bound.append(BoundLayer(layer, shape, output_shape, *slots, statistics))
            shape = output_shape
        if len(shape) != 1 or not self.with_weights:
            raise ValueError("The last layer of a network must be Dense, its units the outputs.")
        self.n_outputs = shape[0]

    def _check(self, layer):
        layer._validate_params()
        previous = self.bound[-1].layer if self.bound else None
        if isinstance(layer, MaxPool2D) and not isinstance(previous, Conv2D):
            raise ValueError(f"{layer!r} must follow a Conv2D, which it is fused with; here it follows {previous!r}.")
        if isinstance(layer, BatchNorm) and any(isinstance(bound.layer, Conv2D) for bound in self.bound):
            raise ValueError(f"{layer!r} cannot yet stand behind a Conv2D.")
        if isinstance(layer, Conv2D) and isinstance(previous, Dense):
            raise ValueError(f"{layer!r} needs maps and cannot follow {previous!r}.")

    def _slot(self, shape, parameters):
        slot = Slot(self.n_parameters, shape, parameters.fan_in, parameters.fan_out)
        self.n_parameters = slot.stop
        return slot

    @property
    def with_weights(self):
        """The layers that connect units to units."""
        return [bound for bound in self.bound if isinstance(bound.layer, Conv2D | Dense)]

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
            for slot in (bound.weights, bound.bias):
                slot.view(theta)[...] = draw(rng, slot.shape, slot.fan_in, slot.fan_out, dtype)
        return theta

    def initial_statistics(self, dtype):
        """Running means of zero and variances of one."""
        statistics = np.zeros(self.n_statistics, dtype)
        for bound in self.bound:
            if bound.statistics is not None:
                bound.statistics.view(statistics)[1] = 1
        return statistics

    def up_to(self, n_layers):
        """The network of the first layers, whose parameters are the first of theta."""
        return Network([bound.layer for bound in self.bound[:n_layers]], self.input_shape, self.data_format)

    def coefs(self, theta):
        """Views of theta: the weights of the layers that have any."""
        return [bound.weights.view(theta) for bound in self.with_weights]

    def intercepts(self, theta):
        """Views of theta: their biases."""
        return [bound.bias.view(theta) for bound in self.with_weights]
