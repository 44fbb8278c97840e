"""The derivatives of a network's outputs by its parameters, sample by sample, in the form that inner products need.

The derivative of an output by the weights of a dense layer is the outer product of the layer's inputs h and of the
output's derivatives d by what the layer adds up, by the bias it is d. Of two samples the inner product of these is

    (h . h' + 1) (d . d'),

so that no Jacobian is made. Normalisations and layers of maps have few parameters; by theirs the derivatives
themselves are made. All is as in predictions: without dropout, normalised by running statistics.
"""

from typing import NamedTuple

import numpy as np

from skdeep.engine import program
from skdeep.engine.activations import ACTIVATIONS, CODES
from skdeep.engine.normalisation import EPSILON
from skdeep.engine.pointwise import activations_and_slopes
from skdeep.engine.target import aligned_zeros, lanes
from skdeep.networks.layers import BatchNorm, Dense, Flatten
from skdeep.networks.network import Network
from skdeep.networks.run import Run, predict


class _Passed(NamedTuple):
    """What the way back through a layer on rows needs of the way forward."""

    bound: object
    inputs: np.ndarray  # of a normalisation, the normalised numbers
    slopes: np.ndarray | None  # None for ones


class Tangent:
    """The derivatives of a network's outputs by its parameters.

    Parameters
    ----------
    network : Network
        Its last layer is on rows.
    theta : array of shape (network.n_parameters,)
    statistics : array of shape (network.n_statistics,)

    Attributes
    ----------
    dense : list of int
        The places among the network's layers of those that are dense.
    normalisations : list of int
        Those of the normalisations on rows.
    has_maps : bool
        Whether layers on maps have parameters.

    Raises
    ------
    ValueError
        If the network normalises maps.
    """

    def __init__(self, network, theta, statistics):
        self._network, self._theta, self._statistics = network, theta, statistics
        ends = [network.bound[end] for end in network.ends]
        on_rows = [len(b.input_shape) == 1 or isinstance(b.layer, Dense | Flatten) for b in ends]
        self._first, self._on_rows = on_rows.index(True), dict(list(enumerate(ends))[on_rows.index(True) :])
        self._maps = network.up_to(self._first)
        if any(isinstance(bound.layer, BatchNorm) for bound in self._maps.bound):
            raise ValueError(
                "The tangent kernel of a network that normalises maps is not available: take the kernel of its "
                "features, or fit a network with conv_batch_norm=False."
            )
        self.dense = [i for i, bound in self._on_rows.items() if isinstance(bound.layer, Dense)]
        self.normalisations = [i for i, bound in self._on_rows.items() if isinstance(bound.layer, BatchNorm)]
        self.has_maps = self._maps.n_parameters > 0

    def inputs(self, place, X):
        """h: the inputs of a dense layer, of shape (n_samples, fan_in), sparse where X is."""
        return self._forward(X, place)[0]

    def deltas(self, place, X):
        """d: the derivatives of all outputs by what a dense layer adds up, of shape (n_samples, n_outputs * units)."""
        deltas, _ = self._backward(self._forward(X)[1], place)
        return deltas.reshape(X.shape[0], -1)

    def by_normalisation(self, place, X):
        """The derivatives of all outputs by the scales and the shifts of a normalisation, a row for each sample."""
        deltas, passed = self._backward(self._forward(X)[1], place)
        return np.concatenate([deltas * passed.inputs[:, None, :], deltas], axis=2).reshape(X.shape[0], -1)

    def by_maps(self, X):
        """The derivatives of all outputs by the parameters of the layers on maps, a row for each sample.

        One sample and one output at a time, each by a step of backpropagation. A unit behind the maps has for its
        weights the derivatives by these, so that its derivatives are those of the output.
        """
        deltas, _ = self._backward(self._forward(X)[1], self._first - 1)
        maps, theta, _ = self._maps.for_inference(self._theta[: self._maps.n_parameters], self._statistics[:0])
        probe = Network([*maps.layers, Dense(1, activation="identity")], maps.input_shape, maps.data_format)
        run = Run(probe, np.concatenate([theta, np.zeros(maps.n_outputs + 1, theta.dtype)]), 1)
        # Of the absolute error of a target below all outputs, the derivative by the unit is 1.
        target, order = np.full((1, 1), np.finfo(theta.dtype).min / 2, theta.dtype), np.zeros(1, np.int64)
        gradients = np.empty((*deltas.shape[:2], theta.size), theta.dtype)
        for i, k in np.ndindex(deltas.shape[:2]):
            run.theta[theta.size : -1] = deltas[i, k]
            run.train(X[i : i + 1], target, order, program.ABSOLUTE_ERROR, np.zeros(program.N_HYPERPARAMETERS))
            gradients[i, k] = run.grad[: theta.size]
        return gradients.reshape(len(X), -1)

    def _forward(self, X, stop=None):
        """The inputs of the layer at `stop`, or the outputs, and what the layers on rows before it leave behind."""
        A, passed = self._rows(X), []
        for place, bound in self._on_rows.items():
            if place == stop:
                break
            inputs = A
            if isinstance(bound.layer, Dense):
                A = A @ bound.weights.view(self._theta) + bound.bias.view(self._theta)
            elif isinstance(bound.layer, BatchNorm):
                mean, variance = bound.statistics.view(self._statistics)
                inputs = (A - mean) / np.sqrt(variance + A.dtype.type(EPSILON))
                A = inputs * bound.weights.view(self._theta) + bound.bias.view(self._theta)
            A, slopes = _activated(A, getattr(bound.layer, "activation", "identity"))
            passed.append(_Passed(bound, inputs, slopes))
        return A, passed

    def _backward(self, passed, stop):
        """The derivatives of each output by the numbers before the activation of the layer at `stop`.

        Returns
        -------
        deltas : array of shape (n_samples, n_outputs, n_units)
            For a layer that is not on rows, by its output.
        passed : _Passed or None
            What that layer has left behind.
        """
        n_samples, n_outputs = passed[-1].inputs.shape[0], self._network.n_outputs
        deltas = np.broadcast_to(np.eye(n_outputs, dtype=self._theta.dtype), (n_samples, n_outputs, n_outputs))
        for place, layer in reversed(list(zip(self._on_rows, passed, strict=True))):
            if layer.slopes is not None:
                deltas = deltas * layer.slopes[:, None, :]
            if place == stop:
                return deltas, layer
            bound = layer.bound
            if isinstance(bound.layer, Dense):
                deltas = deltas @ bound.weights.view(self._theta).T
            elif isinstance(bound.layer, BatchNorm):
                _, variance = bound.statistics.view(self._statistics)
                deltas = deltas * (bound.weights.view(self._theta) / np.sqrt(variance + deltas.dtype.type(EPSILON)))
        return deltas, None

    def _rows(self, X):
        """The input of the first layer on rows."""
        if len(self._network.input_shape) == 1:
            return X
        # A network that begins with a row still has to read images in its own order.
        layers = self._maps if self._first else Network([Flatten()], self._maps.input_shape, self._maps.data_format)
        theta, statistics = self._theta[: layers.n_parameters], self._statistics[: layers.n_statistics]
        return predict(layers, theta, statistics, X)


def _activated(Z, activation):
    """f(Z), and f'(Z) or None for ones."""
    if activation == "identity":
        return Z, None
    size = -(-Z.size // lanes(Z.dtype)) * lanes(Z.dtype)
    z, a, slopes = (aligned_zeros(size, Z.dtype) for _ in range(3))
    z[: Z.size] = Z.reshape(-1)
    activations_and_slopes(CODES[activation], int(ACTIVATIONS[activation].monotone), z, a, slopes)
    return a[: Z.size].reshape(Z.shape), slopes[: Z.size].reshape(Z.shape)
