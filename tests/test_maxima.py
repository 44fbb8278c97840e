"""Gradients by the weights of a first convolution from the maxima of a pool alone, beside those from all outputs."""

import numpy as np
import pytest

from skdeep.engine import program
from skdeep.networks import Conv2D, Dense, MaxPool2D, convolution
from skdeep.networks.compiler import compile_network
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.training.optimisers import GradientOnly, hyperparameters
from tests.test_backpropagation import Problem, check_gradient

pytestmark = pytest.mark.usefixtures("serial")

# Filters of a whole number of tiles, and those whose last tiles begin where they end with the filter.
KERNELS = [(3, 3), (3, 5), (5, 3), (5, 5), (7, 7), (5, 9), (6, 8)]
POOLS = {
    "all": MaxPool2D(2),
    "overlapping": MaxPool2D(2, stride=1),
    "overlapping in one direction": MaxPool2D(2, stride=(2, 1)),
    "apart": MaxPool2D(2, stride=3),
}


def tiles_of(network, training=True):
    ops = compile_network(network, np.dtype(np.float64), 17, training=training).ops
    return ops[ops[:, program.KIND] == program.CONVOLUTION][:, program.MAXIMA_TILE]


def without_maxima(monkeypatch):
    monkeypatch.setattr(convolution, "_maxima_tile", lambda *_: -1)
    compile_network.cache_clear()


def check_against_all_outputs(layers, shape, batch, monkeypatch):
    results = []
    for chosen in (True, False):
        problem = Problem([*layers, Dense(2)], shape, batch=batch)
        assert (problem.run.program.ops[:, program.MAXIMA_TILE] >= 0).any() == chosen
        problem.value()
        results.append(problem.run.grad.copy())
        without_maxima(monkeypatch)
    got, want = results
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13 * np.abs(want).max())


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kernel_size", KERNELS, ids=str)
def test_central_differences(kernel_size, pool):
    check_gradient(Problem([Conv2D(3, kernel_size), POOLS[pool], Dense(2)], (7, 8, 2)))


@pytest.mark.parametrize("batch", [1, 17, 33])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize(("n_inputs", "n_outputs", "groups"), [(1, 1, 1), (1, 6, 1), (3, 7, 1), (6, 9, 3)])
def test_channels(n_inputs, n_outputs, groups, activation, batch, monkeypatch):
    layers = [Conv2D(n_outputs, 5, groups=groups, activation=activation), MaxPool2D(2)]
    check_against_all_outputs(layers, (9, 11, n_inputs), batch, monkeypatch)


@pytest.mark.parametrize("padding", ["valid", "same", 3])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kernel_size", KERNELS, ids=str)
def test_windows_of_large_maps(kernel_size, pool, padding, monkeypatch):
    """More windows than are summed at a time."""
    check_against_all_outputs([Conv2D(2, kernel_size, padding=padding), POOLS[pool]], (50, 57, 1), 3, monkeypatch)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_whole_numbers_come_out_exact(kernel_size, dtype, monkeypatch, rng):
    """Also where several outputs of a window are the largest, of which the first has the delta."""
    layers = [Conv2D(5, kernel_size), MaxPool2D(2), Dense(2, activation="identity")]
    network = Network(layers, (8, 7, 2))
    theta = rng.integers(-2, 3, network.n_parameters).astype(dtype)
    X, Y, gradients = rng.integers(0, 3, (32, 112)).astype(dtype), rng.integers(0, 2, (32, 2)).astype(dtype), []
    for _ in range(2):
        run = Run(network, theta, 32)
        run.train(X, Y, np.arange(32), program.SQUARED_ERROR, hyperparameters(GradientOnly()))
        gradients.append(run.grad.copy())
        without_maxima(monkeypatch)
    np.testing.assert_array_equal(*gradients)
    assert np.abs(gradients[0]).max() > 0


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        ([Conv2D(6, 5), MaxPool2D(2)], True),
        ([Conv2D(6, 3, padding="valid"), MaxPool2D(2, stride=1)], True),
        ([Conv2D(6, 5)], False),
        ([Conv2D(6, 5), MaxPool2D(3)], False),
        ([Conv2D(6, 5), MaxPool2D((1, 4))], False),
        ([Conv2D(6, 5, activation="silu"), MaxPool2D(2)], False),  # its slope does not follow from the output
        ([Conv2D(6, 5, stride=2), MaxPool2D(2)], False),
        ([Conv2D(6, 5, dilation=2), MaxPool2D(2)], False),
        ([Conv2D(6, 2), MaxPool2D(2)], False),  # smaller than a tile
        ([Conv2D(3, 5), Conv2D(6, 5), MaxPool2D(2)], False),  # not the first
    ],
    ids=str,
)
def test_chosen_for_a_first_convolution_with_a_pool(layers, chosen):
    network = Network([*layers, Dense(2)], (12, 12, 1))
    assert (tiles_of(network)[-1] >= 0) == chosen
    assert (tiles_of(network, training=False) == -1).all()
