"""Winograd's convolutions: the short correlations exactly, and layers made of them as if they were direct."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdeep.engine import program
from skdeep.engine.short_correlations import (
    ALGORITHMS,
    FIVE,
    INPUTS,
    INPUTS_ADJOINT,
    LONG_FIVE,
    OUTPUTS,
    THREE,
    WEIGHTS,
    formula_of,
)
from skdeep.networks import BatchNorm, Conv2D, Dense, MaxPool2D, Residual, winograd
from skdeep.networks.compiler import compile_network
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.networks.winograd import Patches, Squares, Strips
from skdeep.training.optimisers import GradientOnly, hyperparameters
from tests.test_backpropagation import Problem, check_gradient
from tests.test_layers import check_forward

pytestmark = pytest.mark.usefixtures("serial")


KINDS = {
    "squares": lambda cut: isinstance(cut, Squares),
    "strips": lambda cut: isinstance(cut, Strips) and cut.number != LONG_FIVE,
    "long strips": lambda cut: isinstance(cut, Strips) and cut.number != FIVE,
}
candidates = winograd.candidates


def choose(monkeypatch, kind, gradient=True):
    """Let Winograd's algorithm be chosen, on patches of one kind, whatever it takes, or nowhere."""
    monkeypatch.setattr(Patches, "pays", lambda *_: (True, True, gradient))
    serve = KINDS.get(kind, lambda cut: False)
    monkeypatch.setattr(winograd, "candidates", lambda *args: list(filter(serve, candidates(*args))))


@pytest.fixture(params=KINDS)
def always(request, monkeypatch):
    choose(monkeypatch, request.param)


def convolutions(network, **options):
    ops = compile_network(network, np.dtype(np.float64), 17, **options).ops
    return ops[ops[:, program.KIND] == program.CONVOLUTION]


# ------------------------------------------------------------------------------------ short correlations

integers = st.integers(-1000, 1000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_short_correlations_are_exact(algorithm, data):
    x = data.draw(st.lists(integers, min_size=algorithm.n_inputs, max_size=algorithm.n_inputs))
    w = data.draw(st.lists(integers, min_size=algorithm.n_taps, max_size=algorithm.n_taps))
    # Halves of floating-point numbers of that size are exact.
    products = [a * b for a, b in zip(algorithm.weights(list(map(float, w))), algorithm.inputs(x), strict=True)]
    assert len(products) == algorithm.n_points
    np.testing.assert_array_equal(algorithm.outputs(products), np.correlate(x, w, "valid"))


@pytest.mark.parametrize(
    ("number", "n_taps", "n_outputs", "n_points"), [(THREE, 3, 2, 4), (FIVE, 5, 4, 11), (LONG_FIVE, 5, 10, 25)]
)
def test_numbers_of_products(number, n_taps, n_outputs, n_points):
    algorithm = ALGORITHMS[number]
    assert (algorithm.n_taps, algorithm.n_outputs, algorithm.n_points) == (n_taps, n_outputs, n_points)
    assert algorithm.n_inputs == n_outputs + n_taps - 1


@pytest.mark.parametrize("which", [INPUTS, WEIGHTS, OUTPUTS])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_adjoints(algorithm, which, data):
    """<f(x), y> = <x, f*(y)>, exactly."""
    formula, n_inputs, n_outputs = formula_of(algorithm, which)
    backwards, *sizes = formula_of(algorithm, which + INPUTS_ADJOINT)
    assert sizes == [n_outputs, n_inputs]
    x, y = (data.draw(st.lists(integers, min_size=n, max_size=n)) for n in (n_inputs, n_outputs))
    halves = [Half(number) for number in x], [Half(number) for number in y]
    forth, back = formula(halves[0]), backwards(halves[1])
    inner = lambda numbers, others: sum(a.number * b for a, b in zip(numbers, others, strict=True))
    assert inner(forth, y) == inner(back, x)


class Half:
    """A fraction that takes 0.5 for a fraction."""

    def __init__(self, number):
        self.number = Fraction(number)

    def __add__(self, other):
        return Half(self.number + other.number)

    def __sub__(self, other):
        return Half(self.number - other.number)

    def __mul__(self, factor):
        return Half(self.number * Fraction(factor))

    def __neg__(self):
        return Half(-self.number)


# ------------------------------------------------------------------------------------------------ layers

# One row, odd sizes, patches that reach beyond the outputs by every number, several strips; channels that leave a rest.
SHAPES = [(1, 2, 1), (1, 9, 2), (7, 3, 3), (6, 5, 17), (9, 8, 4), (13, 14, 2), (35, 4, 2)]
LAYERS = {
    "three taps": lambda c: [Conv2D(5, 3, activation="tanh")],
    "five taps": lambda c: [Conv2D(18, 5)],
    "more padding": lambda c: [Conv2D(3, 3, padding=(1, 4)), Conv2D(2, 5, padding=(6, 5), activation="gelu")],
    "groups": lambda c: [Conv2D(17 * c, 3, groups=c)],
    "maxima in patches": lambda c: [Conv2D(7, 5), MaxPool2D((1, 2), stride=(1, 2)), Conv2D(4, 3)],
    "maxima across patches": lambda c: [Conv2D(7, 3), MaxPool2D((1, 2), stride=1), Conv2D(4, 5)],
    "maxima apart": lambda c: [Conv2D(5, 5, activation="elu"), MaxPool2D(1, stride=3), Conv2D(4, 3)],
    "a row of three": lambda c: [Conv2D(4, 3), Conv2D(6, 5), Conv2D(3, 3, activation="silu")],
    "a block": lambda c: [Residual([Conv2D(7, 3), BatchNorm(activation="relu"), Conv2D(c, 5, activation="identity")])],
}


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_forward(name, shape, rng):
    check_forward(LAYERS[name](shape[2]), shape, rng, batches=(1, 3, 17, 33))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("n_outputs", [1, 7, 16, 18])
@pytest.mark.parametrize("n_inputs", [1, 7, 16, 17])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_channels(kernel_size, n_inputs, n_outputs):
    check_gradient(Problem([Conv2D(n_inputs, 1), Conv2D(n_outputs, kernel_size), Dense(2)], (5, 6, 1)))


@pytest.mark.parametrize(("batch", "gradient"), [(1, True), (17, True), (33, True), (17, False)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind, gradient, name, shape, batch, monkeypatch):
    layers = [Conv2D(shape[2], 1), *LAYERS[name](shape[2]), Dense(2)]
    got, want = (gradients_by(monkeypatch, layers, shape, batch, chosen, gradient) for chosen in (kind, None))
    # Sums of up to 33 x 182 products.
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12 * np.abs(want).max())


def gradients_by(monkeypatch, layers, shape, batch, kind, gradient):
    choose(monkeypatch, kind, gradient)
    problem = Problem(layers, shape, batch=batch)
    operations = problem.run.program.ops
    assert (operations[:, program.WINOGRAD_BACKWARD] == 1).any() == any(
        winograd.candidates(bound.layer.grid(bound.input_shape), bound.input_shape)
        for bound in problem.network.bound[1:]
        if isinstance(bound.layer, Conv2D)
    )
    for intercepts in problem.network.intercepts(problem.run.theta):
        intercepts += 0.1  # what sees only zeros would stand where ReLU has its edge, and rounding would decide
    problem.value()
    return problem.run.grad.copy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_come_out_exact(kind, kernel_size, dtype, monkeypatch, rng):
    """Outputs and gradients of small integers are those of direct convolutions, bit for bit."""
    layers = [Conv2D(n, kernel_size, activation="identity") for n in (5, 6)] + [Dense(2, activation="identity")]
    network = Network(layers, (6, 7, 3))
    theta = rng.integers(-2, 3, network.n_parameters).astype(dtype)
    # A power of two, so that the mean is exact; few ones, so that every sum is below 2^24.
    X, Y = (rng.random((32, n)) < 0.1 for n in (126, 2))
    X, Y, results = X.astype(dtype), Y.astype(dtype), []
    for chosen in (kind, None):
        choose(monkeypatch, chosen)
        compile_network.cache_clear()
        run = Run(network, theta, 32)
        assert (run.program.ops[:, program.ALGORITHM] >= 0).sum() == (2 if chosen else 0)
        run.train(X, Y, np.arange(32), program.SQUARED_ERROR, hyperparameters(GradientOnly()))
        results.append([run.grad.copy(), Run(network, theta, 32, training=False).predict(X)])
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert np.abs(results[0][0]).max() > 0


# ------------------------------------------------------------------------------------------------ choice


@pytest.mark.parametrize(
    ("layer", "n_inputs", "chosen"),
    [
        (Conv2D(64, 3), 64, (THREE, False)),
        (Conv2D(50, 5, padding="valid"), 20, (FIVE, False)),
        (Conv2D(16, 5, padding=1), 8, (LONG_FIVE, True)),
        (Conv2D(32, (3, 5)), 16, (FIVE, True)),
        (Conv2D(6, 5), 1, None),  # the transforms of one channel
        (Conv2D(64, 3, stride=2), 64, None),
        (Conv2D(64, 3, dilation=2), 64, None),
        (Conv2D(64, (5, 2)), 64, None),
        (Conv2D(64, 1), 64, None),
        (Conv2D(64, 3, groups=64), 64, None),
    ],
    ids=str,
)
def test_chosen_where_it_takes_less_time(layer, n_inputs, chosen):
    """The short correlation, and whether along strips; the same for predictions."""
    network = Network([Conv2D(n_inputs, 1), layer, Dense(2)], (12, 12, 1))
    for training in (True, False):
        operations = convolutions(network, training=training)[1:]
        assert (operations[:, program.WINOGRAD_FORWARD] == (1 if chosen else -1)).all()
        if chosen:
            strips = operations[:, program.PATCH_ROWS] > 0
            assert (operations[:, program.ALGORITHM] == chosen[0]).all()
            assert (strips == chosen[1]).all()
        if training:
            columns = [program.WINOGRAD_BACKWARD, program.WINOGRAD_GRADIENT]
            assert (operations[:, columns] == (1 if chosen else -1)).all()
