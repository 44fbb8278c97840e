"""Layers of maps forward, as predictions take them: against naive references over shapes, batches and precisions."""

import numpy as np
import pytest

from skdeep.networks import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LocallyConnected2D,
    MaxPool2D,
    Residual,
)
from skdeep.networks.initialisers import xavier_normal
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from tests import _reference as reference

pytestmark = pytest.mark.usefixtures("serial")


def network_with_parameters(layers, input_shape, rng):
    """A network with biases, scales and running statistics that are not those of a beginning."""
    network = Network(layers, input_shape)
    theta = network.initialise(xavier_normal, rng, np.float64)
    theta += 0.3 * rng.normal(size=theta.size)
    return network, theta, rng.uniform(0.5, 2, network.n_statistics)


def predictions(network, theta, statistics, X, batch_size):
    rows = X.reshape(len(X), -1)
    scores = Run(network, theta, batch_size, training=False, statistics=statistics).predict(rows)
    return scores.reshape(len(X), *network.output_shape)


def check_forward(layers, input_shape, rng, batches=(1, 17)):
    """What a network makes of samples is what the reference makes of them, in both precisions.

    And it makes the same bits of them whether few come together, channels in the lanes, or many.
    """
    network, theta, statistics = network_with_parameters(layers, input_shape, rng)
    X = rng.normal(size=(max(batches), *input_shape))
    for dtype in (np.float64, np.float32):
        numbers = [array.astype(dtype) for array in (theta, statistics, X)]
        theta_, statistics_, X_ = (array.astype(float) for array in numbers)
        parameters, moments = reference.parameters_of(network, theta_), reference.moments_of(network, statistics_)
        want = reference.forward(layers, *parameters, X_, moments)
        # Sums of up to some hundred products, through up to six layers, of numbers of about one.
        tolerance = 1000 * np.finfo(dtype).eps
        many = predictions(network, *numbers[:2], numbers[2], len(X))
        assert many.dtype == dtype
        np.testing.assert_allclose(many, want, rtol=tolerance, atol=tolerance)
        for n in batches:
            np.testing.assert_array_equal(predictions(network, *numbers[:2], numbers[2][:n], n), many[:n])


# ----------------------------------------------------------------------------------- shapes and batches

# One pixel, one row, one column, odd sizes; channels that leave a rest in every register tile.
SHAPES = [(1, 1, 1), (1, 9, 2), (7, 1, 3), (5, 6, 7), (4, 3, 17)]
# Lanes are samples, up to 16 of them to a vector and to a chunk, or channels of one of few samples.
BATCHES = [1, 3, 17, 33]
# Layers for an input of h x w pixels and c channels.
LAYERS = {
    "convolution": lambda h, w, c: [Conv2D(5, (2, 3), activation="tanh")],
    "stride": lambda h, w, c: [Conv2D(7, (4, 1), stride=(2, 3))],
    "padding": lambda h, w, c: [Conv2D(3, (2, 1), padding=(1, 4))],
    "window of all pixels": lambda h, w, c: [Conv2D(6, (h, w), padding="valid")],
    "dilation": lambda h, w, c: [Conv2D(6, (2, 3), dilation=(3, 2))],
    "dilation, stride and padding": lambda h, w, c: [Conv2D(17, 3, stride=(1, 2), padding=2, dilation=2)],
    "a group for each channel": lambda h, w, c: [Conv2D(2 * c, 3, groups=c)],
    "three groups": lambda h, w, c: [Conv2D(6, 1), Conv2D(15, (3, 2), dilation=(1, 2), groups=3)],
    "locally connected": lambda h, w, c: [LocallyConnected2D(5, (2, 3), activation="elu")],
    "locally connected with a stride": lambda h, w, c: [LocallyConnected2D(2, 3, stride=(1, 2), padding=(1, 2))],
    "maxima": lambda h, w, c: [MaxPool2D((min(h, 2), min(w, 3)))],
    "maxima of windows that overlap": lambda h, w, c: [MaxPool2D((min(h, 3), min(w, 2)), stride=1)],
    "maxima of windows apart": lambda h, w, c: [MaxPool2D(1, stride=(3, 2))],
    "maxima of a convolution": lambda h, w, c: [Conv2D(3, 2, dilation=2), MaxPool2D((min(h, 3), 1), stride=2)],
    "maxima of groups": lambda h, w, c: [Conv2D(3 * c, 2, groups=c), MaxPool2D((min(h, 2), min(w, 2)), stride=1)],
    "maxima before a convolution": lambda h, w, c: [MaxPool2D((min(h, 2), min(w, 2))), Conv2D(5, (2, 3))],
    "maxima behind a curve": lambda h, w, c: [Conv2D(7, 2, activation="gelu"), MaxPool2D((min(h, 2), min(w, 2)))],
    "means": lambda h, w, c: [AvgPool2D((min(h, 2), min(w, 3)))],
    "means of windows that overlap": lambda h, w, c: [AvgPool2D((min(h, 3), min(w, 3)), stride=(2, 1))],
    "means of all pixels": lambda h, w, c: [GlobalAvgPool2D()],
    "units of means": lambda h, w, c: [GlobalAvgPool2D(), BatchNorm(activation="silu"), Dropout(), Activation("elu")],
    "normalisation": lambda h, w, c: [BatchNorm(activation="silu")],
    "normalisation of a convolution": lambda h, w, c: [Conv2D(4, 2, activation="identity"), BatchNorm(), BatchNorm()],
    "maxima of a normalisation": lambda h, w, c: [BatchNorm(activation="relu"), MaxPool2D((h, 1))],
    "activation": lambda h, w, c: [Activation("gelu")],
    "dropout": lambda h, w, c: [Dropout(0.5, spatial=True), Dropout(0.3)],
    "flattened": lambda h, w, c: [Flatten(), Activation("tanh"), Dense(5)],
    "dense in the middle": lambda h, w, c: [Dense(9, activation="tanh"), BatchNorm(), Dropout(0.2), Dense(4)],
    "block": lambda h, w, c: [Residual([Conv2D(c, (3, 2), activation="identity")])],
    "block beside a convolution": lambda h, w, c: [
        Residual([Conv2D(7, 3, stride=2), BatchNorm(), Conv2D(5, 2, activation="silu")], activation="gelu")
    ],
    "block of pools": lambda h, w, c: [Residual([MaxPool2D(1, stride=2), Activation("silu")], activation="identity")],
    "block of dropout": lambda h, w, c: [Residual([Dropout(0.3)], activation="tanh")],
    "block in a block": lambda h, w, c: [
        Residual([Residual([Conv2D(c, 2)], activation="identity"), BatchNorm(activation="tanh"), Conv2D(c, 1)])
    ],
    "blocks in a row": lambda h, w, c: [
        Residual([Conv2D(4, 3, activation="identity"), BatchNorm()], activation="silu"),
        Residual([BatchNorm(activation="relu"), Conv2D(4, 3), Dropout(), LocallyConnected2D(4, 3)]),
    ],
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_shapes_and_batches(name, shape, rng):
    check_forward(LAYERS[name](*shape), shape, rng, BATCHES)


@pytest.mark.parametrize("name", LAYERS)
def test_between_convolutions(name, rng):
    # Before and behind stand maps with margins: those that a reader of another shape has asked for.
    layers = [Conv2D(7, (2, 4), activation="tanh"), *LAYERS[name](5, 4, 7)]
    last = Conv2D(3, (4, 3), dilation=2, activation="softplus")
    is_map = len(Network(layers, (5, 4, 2)).output_shape) == 3
    check_forward([*layers, last if is_map else Dense(3, activation="softplus")], (5, 4, 2), rng)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activations(activation, rng):
    layers = [
        Activation(activation),
        Conv2D(5, 2, activation=activation),
        Residual([LocallyConnected2D(5, 2, activation=activation)], activation=activation),
        BatchNorm(activation=activation),
        Dense(3, activation=activation),
    ]
    check_forward(layers, (5, 3, 2), rng)


# ------------------------------------------------------------------------------- what layers have in common


def test_dilated_filters_are_filters_with_zeros_between(rng):
    X, W = rng.integers(-3, 4, (3, 9, 8, 2)).astype(float), rng.integers(-3, 4, (3, 2, 2, 5))
    spread = np.zeros((5, 4, 2, 5))
    spread[::2, ::3] = W
    dilated, dense = Conv2D(5, (3, 2), dilation=(2, 3), stride=2), Conv2D(5, (5, 4), stride=2)
    theta, filled = (np.append(weights.ravel(), np.zeros(5)) for weights in (W, spread))
    got, want = (
        predictions(Network([layer], (9, 8, 2)), parameters, None, X, 3)
        for layer, parameters in ((dilated, theta), (dense, filled))
    )
    np.testing.assert_array_equal(got, want)


def test_groups_are_convolutions_side_by_side(rng):
    X, W = rng.integers(-3, 4, (3, 5, 4, 6)).astype(float), rng.integers(-3, 4, (3, 2, 2, 9))
    theta_of = lambda weights: np.append(weights.ravel(), np.zeros(weights.shape[-1]))
    together = predictions(Network([Conv2D(9, (3, 2), groups=3)], (5, 4, 6)), theta_of(W), None, X, 3)
    parts = [
        predictions(Network([Conv2D(3, (3, 2))], (5, 4, 2)), theta_of(weights), None, np.ascontiguousarray(x), 3)
        for x, weights in zip(np.split(X, 3, axis=-1), np.split(W, 3, axis=-1), strict=True)
    ]
    np.testing.assert_array_equal(together, np.concatenate(parts, axis=-1))


def test_equal_filters_everywhere_are_a_convolution(rng):
    shared, local = (kind(4, (3, 2), stride=(1, 2), padding=1) for kind in (Conv2D, LocallyConnected2D))
    X, W, b = rng.integers(-3, 4, (3, 5, 6, 2)).astype(float), rng.integers(-3, 4, (3, 2, 2, 4)), rng.integers(-3, 4, 4)
    places = shared.output_shape((5, 6, 2))[:2]
    everywhere = np.concatenate([np.broadcast_to(each, (*places, *each.shape)).ravel() for each in (W, b)])
    np.testing.assert_array_equal(
        predictions(Network([local], (5, 6, 2)), everywhere.astype(float), None, X, 3),
        predictions(Network([shared], (5, 6, 2)), np.append(W.ravel(), b).astype(float), None, X, 3),
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_block_of_silent_layers_is_its_shortcut(stride, activation, rng):
    # The weights of the shortcut, if it has any, come last.
    X = rng.normal(size=(17, 5, 4, 3))
    block = Residual([Conv2D(3, 3, stride=stride), Conv2D(3, 2, activation="identity")], activation=activation)
    network = Network([block], (5, 4, 3))
    theta, x = np.zeros(network.n_parameters), X[:, ::stride, ::stride]
    if stride > 1:
        W, b = rng.normal(size=(3, 3)), rng.normal(size=3)
        theta[-12:] = np.append(W, b)
        x = x @ W + b
    want = reference.ACTIVATIONS[activation](x)
    np.testing.assert_allclose(predictions(network, theta, None, X, 17), want, rtol=1e-13, atol=1e-13)


IDENTITY = {"activation": "identity"}
BEFORE_NORMALISATION = {
    # Linear maps take a normalisation into their weights.
    "convolution": ([Conv2D(6, 3, **IDENTITY)], True),
    "groups": ([Conv2D(6, 3, groups=2, dilation=2, **IDENTITY)], True),
    "locally connected": ([LocallyConnected2D(3, 2, **IDENTITY)], True),
    "dense": ([Dense(7, **IDENTITY)], True),
    "normalisation": ([Conv2D(3, 2), BatchNorm()], True),
    "dropout": ([Conv2D(3, 2, **IDENTITY), Dropout(0.4, spatial=True)], True),
    # Others do not.
    "nothing": ([], False),
    "activation": ([Conv2D(3, 2)], False),
    "maxima": ([Conv2D(3, 2, **IDENTITY), MaxPool2D(2)], False),
    "means": ([Conv2D(3, 2, **IDENTITY), AvgPool2D(2)], False),
    "means of all pixels": ([Conv2D(3, 2, **IDENTITY), GlobalAvgPool2D()], False),
    "flattened": ([Conv2D(3, 2, **IDENTITY), Flatten()], False),
    "block": ([Residual([Conv2D(4, 3, **IDENTITY)], **IDENTITY)], False),
}


PLACES = {
    "at the end": lambda layers: layers,
    "in a block": lambda layers: [Residual([*layers, Conv2D(4, 2)])],
    "before maxima": lambda layers: [*layers, MaxPool2D(2)],
}
PLACES_OF = [
    (before, place)
    for before in BEFORE_NORMALISATION
    # Units have neither blocks nor pools.
    for place in (["at the end"] if before in ("dense", "means of all pixels", "flattened") else PLACES)
]


@pytest.mark.parametrize(("before", "place"), PLACES_OF)
def test_normalisations_are_folded_where_that_is_exact(before, place, rng):
    layers, is_folded = BEFORE_NORMALISATION[before]
    layers = PLACES[place]([*layers, BatchNorm(activation="silu")])
    network = Network(layers, (5, 6, 4))
    theta, statistics = np.ones(network.n_parameters), network.initial_statistics(np.float64)
    folded, _, left = network.for_inference(theta, statistics)
    n_normalisations = lambda network: sum(isinstance(bound.layer, BatchNorm) for bound in network.bound)
    assert n_normalisations(folded) == n_normalisations(network) - is_folded
    assert left.size == folded.n_statistics
    # The reference folds nothing.
    check_forward(layers, (5, 6, 4), rng)
