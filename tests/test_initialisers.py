"""Initial weights: the spread that their authors ask for."""

import numpy as np
import pytest

from skdeep.networks import Conv2D, Dense, LocallyConnected2D, MaxPool2D
from skdeep.networks.initialisers import INITIALISERS
from skdeep.networks.network import Network

LAYERS = [
    Conv2D(40, 5, padding="valid"),
    MaxPool2D(2),
    Conv2D(60, (3, 2)),
    Conv2D(80, 3, groups=4),
    LocallyConnected2D(30, 2),
    Dense(50),
    Dense(30),
]
# Connections into and out of a unit: the area of a filter times its channels.
FANS = [(25 * 3, 25 * 40), (6 * 40, 6 * 60), (9 * 15, 9 * 20), (4 * 80, 4 * 30), (4 * 4 * 30, 50), (50, 30)]


def drawn(name, dtype=np.float64, seed=0):
    network = Network(LAYERS, (12, 12, 3))
    return network, network.initialise(INITIALISERS[name], np.random.RandomState(seed), dtype)


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal"])
def test_xavier_spread(name):
    network, theta = drawn(name)
    for (fan_in, fan_out), weights in zip(FANS, network.coefs(theta), strict=True):
        sigma, n = np.sqrt(2 / (fan_in + fan_out)), weights.size
        # Standard errors of mean and standard deviation of n draws: sigma / sqrt(n) and, for kurtosis 3 or less,
        # at most sigma / sqrt(2 n). Four of them are passed by one seed in ten thousand.
        assert abs(weights.mean()) < 4 * sigma / np.sqrt(n)
        assert abs(weights.std() - sigma) < 4 * sigma / np.sqrt(2 * n)
        if name == "xavier_uniform":
            assert np.abs(weights).max() <= np.sqrt(3) * sigma
        else:
            # Normal draws go beyond what a uniform one of that spread could reach.
            assert np.abs(weights).max() > 2 * sigma


@pytest.mark.parametrize("name", INITIALISERS)
def test_precisions_start_alike(name):
    _, double = drawn(name)
    _, single = drawn(name, np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("name", sorted(set(INITIALISERS) - {"zeros"}))
def test_layers_and_seeds_differ(name):
    network, theta = drawn(name)
    _, other = drawn(name, seed=1)
    weights = np.concatenate([coef.ravel() for coef in network.coefs(theta)])
    assert np.unique(weights).size == weights.size
    assert not np.isin(weights, other[other != 0]).any()


@pytest.mark.parametrize(
    ("name", "variance"),
    [("he_normal", lambda n, m: 2 / n), ("he_uniform", lambda n, m: 2 / n), ("lecun_normal", lambda n, m: 1 / n)],
)
def test_spread_by_inputs(name, variance):
    network, theta = drawn(name)
    for (fan_in, fan_out), weights in zip(FANS, network.coefs(theta), strict=True):
        sigma, n = np.sqrt(variance(fan_in, fan_out)), weights.size
        assert abs(weights.std() - sigma) < 4 * sigma / np.sqrt(2 * n)
        assert abs(weights.mean()) < 4 * sigma / np.sqrt(n)


def test_small_normal_has_one_spread_for_all_layers():
    network, theta = drawn("small_normal")
    for weights in network.coefs(theta):
        assert abs(weights.std() - 0.01) < 4 * 0.01 / np.sqrt(2 * weights.size)


def test_orthogonal():
    # The map into the channels of a group, or into a place that shares no weights, is a matrix of its own.
    network, theta = drawn("orthogonal")
    for (fan_in, _), bound in zip(FANS, network.with_weights, strict=True):
        for weights in bound.weights.view(theta).reshape(-1, fan_in, bound.weights.shape[-1]):
            for matrix in np.split(weights, getattr(bound.layer, "groups", 1), axis=1):
                gram = matrix.T @ matrix if len(matrix) >= matrix.shape[1] else matrix @ matrix.T
                np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-13)


def test_zeros():
    assert not drawn("zeros")[1].any()


@pytest.mark.parametrize("name", sorted(set(INITIALISERS) - {"xavier_uniform"}))
def test_biases_begin_at_zero(name):
    network, theta = drawn(name)
    assert not any(bias.any() for bias in network.intercepts(theta))
