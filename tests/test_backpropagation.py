"""Gradients of the engine in float64: against central differences, and against the delta rule in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from skdeep.engine import program
from skdeep.networks import (
    Activation,
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
from skdeep.networks.initialisers import xavier_normal
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.training.optimisers import GradientOnly, Objective, hyperparameters
from tests import _reference as reference

LOSSES = {
    "squared error": program.SQUARED_ERROR,
    "softmax cross-entropy": program.SOFTMAX_CROSS_ENTROPY,
    "logistic cross-entropy": program.LOGISTIC_CROSS_ENTROPY,
    "poisson": program.POISSON,
    "absolute error": program.ABSOLUTE_ERROR,
    "huber": program.HUBER,
    "quantile": program.QUANTILE,
}
# A chunk is 16 samples, a vector 2 to 8 of float64: one lane, a tail, whole chunks, and tails behind them.
BATCHES = [1, 7, 16, 17, 33]
STEP = 1e-5

pytestmark = pytest.mark.usefixtures("serial")


class Problem:
    """A network with parameters and one batch of data, whose loss and gradient the engine computes."""

    def __init__(self, layers, input_shape, loss="squared error", *, batch=17, seed=0, weighted=False, **penalties):
        rng = np.random.default_rng(seed)
        self.layers, self.loss, self.penalties = layers, loss, penalties
        self.network = Network(layers, input_shape)
        theta = self.network.initialise(xavier_normal, rng, np.float64)
        for bound in self.network.bound:
            if isinstance(bound.layer, BatchNorm):
                bound.weights.view(theta)[...] = rng.uniform(0.5, 2, bound.weights.shape)
        self.network.intercepts(theta)[-1][...] = 1.5  # ReLU outputs that are all off would have no gradient
        self.run = Run(self.network, theta, batch)
        self.X = rng.normal(size=(batch, *input_shape))
        if loss == "softmax cross-entropy":
            self.Y = np.eye(self.network.n_outputs)[rng.integers(self.network.n_outputs, size=batch)]
        elif loss == "logistic cross-entropy":
            self.Y = rng.integers(0, 2, (batch, self.network.n_outputs)).astype(float)
        elif loss == "poisson":
            self.Y = rng.integers(0, 4, (batch, self.network.n_outputs)).astype(float)
        else:
            self.Y = rng.normal(size=(batch, self.network.n_outputs))
        self.weights = rng.uniform(0.1, 3, batch) if weighted else None
        self.hyper = hyperparameters(
            GradientOnly(), Objective(**penalties, loss_parameter=reference.PARAMETERS.get(loss, 0.0))
        )
        self.rng = rng

    @property
    def parameters(self):
        return reference.parameters_of(self.network, self.run.theta)

    @property
    def data(self):
        return self.X, self.Y, self.loss

    def value(self):
        """The loss; the gradient is then in `run.grad`."""
        rows, order = self.X.reshape(len(self.X), -1), np.arange(len(self.X))
        self.run.n_updates = 0  # dropout depends on it
        return self.run.train(rows, self.Y, order, LOSSES[self.loss], self.hyper, weights=self.weights).losses[0]

    def pieces(self):
        """On which smooth piece of network, loss and penalty the parameters stand."""
        scores = reference.forward(self.layers, *self.parameters, self.X)
        return np.concatenate(
            [
                reference.pattern(self.layers, *self.parameters, self.X),
                reference.pieces_of_loss(self.loss, scores, self.Y).ravel(),
                np.sign(self.run.theta) if "l1" in self.penalties else np.zeros(1),
            ]
        )

    def beside(self, direction, size):
        """Loss and smooth piece of the network at theta + size * direction."""
        theta = self.run.theta.copy()
        self.run.theta += size * direction
        value, piece = self.value(), self.pieces()
        self.run.theta[...] = theta
        return value, piece

    def directions(self, n=40):
        """A random direction, then unit vectors of `n` random parameters."""
        size = self.network.n_parameters
        yield self.rng.choice([-1.0, 1.0], size) / np.sqrt(size)
        for i in self.rng.permutation(size)[:n]:
            yield np.eye(1, size, i)[0]


def check_gradient(problem):
    """|g - g~| < 1e-6 (|g| + |g~|) for every direction on whose segment no ReLU and no pool changes its piece."""
    value = problem.value()
    gradient = problem.run.grad.copy()
    want = reference.objective(
        problem.layers, *problem.parameters, *problem.data, weights=problem.weights, **problem.penalties
    )
    assert value == pytest.approx(want, rel=1e-12)
    check_slopes(problem, value, gradient)


def check_slopes(problem, value, gradient):
    slopes, differences, n_skipped = [], [], 0
    for direction in problem.directions():
        (above, piece), (below, other_piece) = problem.beside(direction, STEP), problem.beside(direction, -STEP)
        if np.array_equal(piece, other_piece):
            slopes.append(gradient @ direction)
            differences.append((above - below) / (2 * STEP))
        else:
            n_skipped += 1
    assert n_skipped <= len(slopes) / 4
    slopes, differences = np.array(slopes), np.array(differences)
    assert np.abs(slopes).max() > 1e-3  # there is something to compare
    # The two losses are rounded to an eps of themselves, which their difference is divided by the step.
    rounding = 8 * np.finfo(float).eps * max(1.0, value) / STEP
    assert np.all(np.abs(slopes - differences) < 1e-6 * (np.abs(slopes) + np.abs(differences)) + rounding)
    assert np.linalg.norm(slopes - differences) < 1e-6 * np.linalg.norm(np.abs(slopes) + np.abs(differences))


def output_activations(loss):
    # The others take raw scores.
    return reference.ACTIVATIONS if loss == "squared error" else ("identity",)


# ------------------------------------------------------------------------------ against differences


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_dense_layers(activation, loss, batch):
    for alpha in (0.0, 0.3):
        for output in output_activations(loss):
            layers = [Dense(9, activation=activation), Dense(5, activation=activation), Dense(3, activation=output)]
            check_gradient(Problem(layers, (6,), loss, batch=batch, alpha=alpha))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loss", ["squared error", "softmax cross-entropy", "logistic cross-entropy"])
@pytest.mark.parametrize("activation", reference.MONOTONE)
def test_convolution_pool_and_dense_layers(activation, loss, batch):
    layers = [
        Conv2D(3, 3, activation=activation),
        MaxPool2D(2),
        Conv2D(4, (2, 3), padding="valid", activation=activation),
        Dense(3, activation="identity"),
    ]
    for alpha in (0.0, 0.3):
        check_gradient(Problem(layers, (6, 7, 2), loss, batch=batch, alpha=alpha))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch", BATCHES)
def test_sample_weights_and_penalties(loss, batch):
    layers = [Dense(9, activation="tanh"), Dense(3, activation="identity")]
    check_gradient(Problem(layers, (6,), loss, batch=batch, weighted=True, alpha=0.2))
    check_gradient(Problem(layers, (6,), loss, batch=batch, weighted=True, l2=0.2, l1=0.05))


@pytest.mark.parametrize("batch", [2, 7, 16, 17, 33])
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_batch_normalisation(activation, batch):
    layers = [
        Dense(9, activation="identity"),
        BatchNorm(activation=activation),
        Dense(18, activation="tanh"),
        BatchNorm(),
        Dense(3, activation="identity"),
    ]
    check_gradient(Problem(layers, (6,), "softmax cross-entropy", batch=batch, alpha=0.1, weighted=True))
    check_gradient(Problem([BatchNorm(), *layers], (6,), batch=batch))


DROPOUTS = {
    "units": (
        [
            Dense(9, activation="gelu"),
            Dropout(0.3),
            Dense(20, activation="identity"),
            BatchNorm(activation="tanh"),
            Dropout(0.5),
        ],
        (6,),
    ),
    "maps": (
        [
            Dropout(0.2),
            Conv2D(7, 2, activation="gelu"),
            Dropout(0.3, spatial=True),
            Residual([Conv2D(7, 3, activation="tanh"), Dropout(0.4)], activation="identity"),
            Dropout(0.5),
            BatchNorm(activation="tanh"),
            Dropout(0.2, spatial=True),
            AvgPool2D(2),
        ],
        (4, 5, 3),
    ),
}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout(name, batch):
    # The masks are a function of seed, step and sample: the same for every theta, and the loss is smooth.
    layers, input_shape = DROPOUTS[name]
    problem = Problem([*layers, Dense(3, activation="identity")], input_shape, "softmax cross-entropy", batch=batch)
    problem.pieces = lambda: np.zeros(1)  # all functions are smooth
    value = problem.value()
    check_slopes(problem, value, problem.run.grad.copy())


@pytest.mark.parametrize("units", [(1,), (1, 1), (17, 1), (31, 33), (65, 8, 2)], ids=str)
def test_dense_widths(units):
    check_gradient(Problem([Dense(n, activation="tanh") for n in units], (19,), batch=9))


GEOMETRIES = {
    "valid": [Conv2D(4, 3, padding="valid")],
    "same with an even kernel": [Conv2D(4, (2, 4))],
    "1 x 1": [Conv2D(4, 1)],
    "1 x 1 with a stride": [Conv2D(4, 1, stride=2)],
    "as large as the map": [Conv2D(4, (8, 9), padding="valid")],
    "stride": [Conv2D(4, 3, stride=2)],
    "strides that leave a rest": [Conv2D(4, (2, 3), stride=(3, 2), padding="valid")],
    "stride beyond the kernel": [Conv2D(4, 2, stride=3, padding="valid")],
    "padding": [Conv2D(4, 3, padding=2)],
    "padding in a pair": [Conv2D(4, (3, 2), padding=(0, 3))],
    "padding beyond the kernel": [Conv2D(4, 2, padding=4)],
    "padding and stride": [Conv2D(4, 3, stride=(2, 3), padding=(2, 1))],
    "dilation": [Conv2D(4, 3, dilation=2)],
    "dilation, stride and padding": [Conv2D(3, (2, 3), dilation=(3, 2), stride=2, padding=(1, 3))],
    "groups": [Conv2D(6, (2, 3), groups=2)],
    "groups, dilation and pool": [Conv2D(10, 2, groups=2, dilation=2), MaxPool2D(3, stride=2)],
    "locally connected": [LocallyConnected2D(2, (2, 3))],
    "locally connected with a stride": [LocallyConnected2D(5, 3, stride=(2, 3), padding=(0, 2))],
    "pool": [Conv2D(4, 3), MaxPool2D(2)],
    "pool that leaves a rest": [Conv2D(4, 3), MaxPool2D((3, 2))],
    "overlapping pools": [Conv2D(4, 3), MaxPool2D(3, stride=2)],
    "overlapping in one direction": [Conv2D(4, 3), MaxPool2D((3, 2), stride=(1, 2))],
    "pools apart": [Conv2D(4, 3), MaxPool2D(2, stride=3)],
    "pool of one pixel": [Conv2D(4, 3), MaxPool2D(1)],
    "pool of one pixel with a stride": [Conv2D(4, 3), MaxPool2D(1, stride=2)],
    "one pool over all": [Conv2D(4, 3), MaxPool2D((8, 9))],
    "pool behind a strided convolution": [Conv2D(4, 3, stride=2, padding=1), MaxPool2D((2, 3), stride=1)],
    "pool behind a curve": [Conv2D(4, 3, activation="silu"), MaxPool2D(3, stride=2)],
    "maxima": [MaxPool2D((3, 2))],
    "overlapping maxima": [MaxPool2D(3, stride=(1, 2))],
    "maxima apart": [MaxPool2D((1, 2), stride=3)],
    "means": [AvgPool2D((2, 3))],
    "overlapping means": [AvgPool2D(3, stride=(2, 1))],
    "means apart": [AvgPool2D(2, stride=3)],
    "mean of all pixels": [GlobalAvgPool2D()],
    "units of means": [GlobalAvgPool2D(), BatchNorm(activation="silu"), Activation("tanh")],
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("place", ["first", "second"])
def test_geometry(geometry, place):
    # The first layer has no gradient by its input, a second one has.
    before = [Conv2D(4, 3, activation="tanh")] if place == "second" else []
    layers = [*before, *GEOMETRIES[geometry], Dense(2, activation="identity")]
    check_gradient(Problem(layers, (8, 9, 2), batch=9))


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activations_of_maps(activation):
    layers = [
        Activation(activation),
        Conv2D(4, 3, activation=activation),
        MaxPool2D(2, stride=1),
        LocallyConnected2D(3, 2, activation=activation),
        BatchNorm(activation=activation),
        Residual([Conv2D(3, 2, activation=activation)], activation=activation),
        Dense(2, activation="identity"),
    ]
    check_gradient(Problem(layers, (5, 4, 2), batch=9))


NORMALISED_CONVOLUTION = [Conv2D(3, 2, activation="identity"), BatchNorm(activation="gelu")]
# Where paths part and meet, and where all samples do.
BLOCKS = {
    "block": [Residual([Conv2D(2, 3), Conv2D(2, 2, activation="identity")])],
    "beside a convolution": [Residual([Conv2D(5, 3, stride=2), Conv2D(5, 2)], activation="silu")],
    "without a function": [Residual([Conv2D(2, 3, activation="tanh")], activation="identity")],
    "of a pool": [Residual([MaxPool2D(1, stride=2)], activation="gelu")],
    "of an activation": [Residual([Activation("silu")], activation="tanh")],
    "in a block": [Residual([Residual([Conv2D(2, 2)]), Residual([Conv2D(4, 2)])], activation="softplus")],
    "around a block": [Residual([Residual([Residual([Conv2D(2, 2)], activation="identity")], activation="identity")])],
    "in a row": [Residual([Conv2D(3, 3)]), Residual([Conv2D(3, 2)], activation="identity"), MaxPool2D(2)],
    "normalisation": [BatchNorm(activation="gelu")],
    "normalisation of a convolution": NORMALISED_CONVOLUTION,
    "normalisation of a pool": [*NORMALISED_CONVOLUTION, AvgPool2D(2), BatchNorm(), MaxPool2D(2, stride=1)],
    "normalisation with its pool": [*NORMALISED_CONVOLUTION[:1], BatchNorm(activation="relu"), MaxPool2D((2, 1))],
    "normalisation with a pool of saturated units": [BatchNorm(activation="tanh"), MaxPool2D((2, 5))],
    "normalisation beside a pool of some pixels": [BatchNorm(activation="relu"), MaxPool2D(2)],
    "pools of all pixels": [Activation("gelu"), MaxPool2D((2, 1)), Activation("gelu"), AvgPool2D((1, 5))],
    "normalisation in a block": [
        Residual([*NORMALISED_CONVOLUTION, *NORMALISED_CONVOLUTION], activation="identity"),
        BatchNorm(activation="relu"),
    ],
    "normalisation before layers of a block": [Residual([BatchNorm(activation="relu"), Conv2D(2, 2)])],
    "normalisation of maps and of units": [*NORMALISED_CONVOLUTION, Dense(5, activation="identity"), BatchNorm()],
}


@pytest.mark.parametrize("batch", [2, 33])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_and_normalisations_of_maps(name, batch):
    # At the network's input, where nobody asks for their gradient, and behind a layer that does.
    for before in ([], [Conv2D(2, 2, activation="tanh")]):
        layers = [*before, *BLOCKS[name], Dense(2, activation="identity")]
        check_gradient(Problem(layers, (4, 5, 2), batch=batch, weighted=True, alpha=0.1))


@pytest.mark.parametrize("n_outputs", [1, 3, 6, 7, 17])
@pytest.mark.parametrize("n_inputs", [1, 3, 6, 7, 17])
def test_channels(n_inputs, n_outputs):
    layers = [
        Conv2D(n_inputs, 2, activation="tanh"),
        Conv2D(n_outputs, 3, activation="tanh"),
        MaxPool2D(2),
        Dense(2, activation="identity"),
    ]
    check_gradient(Problem(layers, (4, 4, n_outputs), batch=5))


def test_three_convolutions():
    layers = [
        Conv2D(3, 3, activation="tanh"),
        MaxPool2D(2),
        Conv2D(5, 2, stride=(1, 2), padding=1),
        Conv2D(7, (1, 3), activation="logistic"),
        MaxPool2D(2, stride=1),
        Dense(6, activation="tanh"),
        Dense(3, activation="identity"),
    ]
    check_gradient(Problem(layers, (9, 8, 3), "softmax cross-entropy", batch=19, alpha=0.1))


# ------------------------------------------------------------------------- against the delta rule


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_delta_rule(activation, loss, batch):
    # The same sums in another order: a few hundred roundings of 1e-16 at most.
    for alpha in (0.0, 0.3):
        for output in output_activations(loss):
            layers = [Dense(33, activation=activation), Dense(8, activation=activation), Dense(4, activation=output)]
            problem = Problem(layers, (20,), loss, batch=batch, alpha=alpha)
            problem.value()
            want = reference.delta_rule(layers, *problem.parameters, *problem.data, alpha)
            np.testing.assert_allclose(problem.run.grad, want, rtol=1e-12, atol=1e-12 * np.abs(want).max())


# ------------------------------------------------------------------------------ batches and their order


@pytest.mark.parametrize(
    ("layers", "input_shape"),
    [
        ([], (60,)),
        ([Conv2D(5, 3), MaxPool2D(3, stride=2)], (6, 5, 2)),
        (
            [
                Residual([Conv2D(6, 2, stride=2, groups=2, activation="silu"), LocallyConnected2D(3, 2)]),
                Activation("gelu"),
                MaxPool2D(2, stride=1),
                AvgPool2D(2, stride=1),
            ],
            (6, 5, 2),
        ),
    ],
    ids=["dense", "maps", "blocks"],
)
def test_batches_do_not_touch_each_other(layers, input_shape):
    # Losses and last gradient of a pass are those of its batches alone, bit by bit: no lane, row or frame remembers.
    layers = [*layers, Dense(4, activation="tanh"), Dense(2, activation="identity")]
    problem = Problem(layers, input_shape, batch=33, alpha=0.1)
    rows, theta = problem.X.reshape(33, -1), problem.run.theta
    order = problem.rng.permutation(33)
    for size in (1, 3, 16, 20, 32):
        run = Run(problem.network, theta, size)
        losses = run.train(rows, problem.Y, order, program.SQUARED_ERROR, problem.hyper).losses
        for step, loss in enumerate(losses):
            batch = order[step * size : (step + 1) * size]
            alone = Run(problem.network, theta, size)
            assert alone.train(rows, problem.Y, batch, program.SQUARED_ERROR, problem.hyper).losses == [loss]
        np.testing.assert_array_equal(run.grad, alone.grad)
        np.testing.assert_array_equal(run.theta, theta)


def test_the_gradient_goes_to_the_first_of_equal_pixels():
    # A window whose four sums of two channels are equal: the weights' gradients are the first pixel's inputs.
    layers = [Conv2D(1, 1, activation="identity"), MaxPool2D(2), Dense(1, activation="identity")]
    problem = Problem(layers, (2, 2, 2), batch=1)
    problem.X = np.array([[[[1.0, 7.0], [2.0, 6.0]], [[3.0, 5.0], [4.0, 4.0]]]])
    problem.run.theta[...] = [1, 1, 0, 1, 0]
    problem.Y = np.array([[5.0]])
    assert problem.value() == 4.5
    np.testing.assert_array_equal(problem.run.grad, [3 * 1, 3 * 7, 3, 3 * 8, 3])


# ------------------------------------------------------------------------------ on integers: no rounding

# So few pixels, channels and taps that float32 holds every sum: at most 2 * 32 samples * 25 pixels * 36 taps * 200.
PIXELS, CHANNELS = st.integers(1, 5), st.integers(1, 4)
WINDOWS, STEPS = (st.tuples(each, each) for each in (st.integers(1, 3), st.integers(1, 2)))
PADDINGS = st.sampled_from(["same", "valid"]) | st.tuples(st.integers(0, 3), st.integers(0, 3))
# Means of two or four numbers are exact.
MEANS = st.sampled_from([1, 2, (1, 2), (2, 1), (4, 1), (1, 4)])


@st.composite
def convolutions(draw, channels, **fixed):
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    drawn = {"kernel_size": draw(WINDOWS), "dilation": draw(STEPS), "stride": draw(STEPS), "padding": draw(PADDINGS)}
    filters = groups * draw(st.integers(1, 3))
    return Conv2D(**{"filters": filters, "groups": groups, "activation": "identity"} | drawn | fixed)


@st.composite
def blocks(draw, channels):
    fixed = {"padding": "same", "groups": 1, "filters": draw(st.integers(1, 3))}
    layers = draw(convolutions(channels, **fixed)), draw(convolutions(fixed["filters"], stride=1, **fixed))
    return Residual(list(layers), activation="identity")


@st.composite
def linear_layers(draw):
    """A layer that is linear, or is so from piece to piece, and the shape of its input."""
    height, width, channels = draw(PIXELS), draw(PIXELS), draw(CHANNELS)
    fixed = {"stride": STEPS, "padding": PADDINGS, "activation": st.just("identity")}
    kinds = [
        convolutions(channels),
        st.builds(LocallyConnected2D, CHANNELS, WINDOWS, **fixed),
        st.builds(MaxPool2D, WINDOWS, stride=STEPS),
        st.builds(AvgPool2D, MEANS, stride=st.none() | STEPS),
        blocks(channels),
        st.just(Activation("relu")),
    ]
    if height * width in (1, 2, 4, 16):
        kinds.append(st.just(GlobalAvgPool2D()))
    layer = draw(st.one_of(kinds))
    try:
        layer.output_shape((height, width, channels))
    except ValueError:  # a window does not fit
        reject()
    return layer, (height, width, channels)


@settings(max_examples=200)
@given(
    linear_layers(), st.sampled_from([1, 2, 16, 32]), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32)
)
def test_backward_is_the_adjoint_of_forward(case, batch, dtype, seed):
    """<f(p + v) - f(p), z> = <v, f'(z)> for a step v of the input or of the weights that changes no linear piece."""
    (layer, (height, width, channels)), rng = case, np.random.default_rng(seed)
    # Local weights of one pixel spread one channel over many; their bias is a part of the maps that all samples share,
    # and so its gradient is that by the maps, summed over the samples.
    layers = [LocallyConnected2D(channels, 1, activation="identity"), layer]
    network = Network(layers, (height, width, 1))
    theta = rng.integers(-1, 2, network.n_parameters).astype(dtype)
    signs, maps = network.bound[0].weights, network.bound[0].bias
    signs.view(theta)[...] = rng.choice([-1, 1], signs.shape)
    maps.view(theta)[...] = 0
    # All numbers of a channel are 8 apart, from each other and from zero: steps of 2 leave maxima and signs alone.
    X = 8 * rng.permuted(np.tile(np.arange(1, height * width + 1), (batch, 1)), axis=1)
    z = rng.integers(-2, 3, (batch, *network.output_shape))

    def outputs(theta):
        parameters = reference.parameters_of(network, theta.astype(float))
        return reference.forward(layers, *parameters, X.reshape(batch, height, width, 1))

    rows, Y = X.astype(dtype), (outputs(theta) - z).reshape(batch, -1).astype(dtype)
    run = Run(network, theta, batch)
    got = Run(network, theta, batch, training=False).predict(rows)
    np.testing.assert_array_equal(got, outputs(theta).reshape(batch, -1))
    # The error of the outputs is z, and the mean over so many samples is exact.
    loss = run.train(rows, Y, np.arange(batch), program.SQUARED_ERROR, hyperparameters(GradientOnly())).losses[0]
    assert loss == 0.5 * (z**2).sum() / batch
    slots = [maps, *(slot for bound in network.bound[1:] for slot in (bound.weights, bound.bias))]
    for slot in filter(None, slots):
        step, other = rng.integers(-2, 3, slot.shape), theta.copy()
        slot.view(other)[...] += step
        change = ((outputs(other) - outputs(theta)) * z).sum()
        assert change == (slot.view(run.grad).astype(float) * batch * step).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_targets_may_be_the_numbers_of_their_classes(smoothing, dtype):
    network, rng = Network([Dense(5), Dense(3, activation="identity")], (4,)), np.random.default_rng(0)
    X, classes, weights = rng.normal(size=(33, 4)).astype(dtype), rng.integers(3, size=33), rng.random(33).astype(dtype)
    theta = network.initialise(xavier_normal, rng, dtype)
    results = []
    for Y, parameter in (
        (np.eye(3, dtype=dtype)[classes] * dtype(1 - smoothing) + dtype(smoothing / 3), 0.0),
        (classes.astype(dtype)[:, None], smoothing),
    ):
        run, hyper = Run(network, theta, 33), hyperparameters(GradientOnly(), Objective(loss_parameter=parameter))
        steps = run.train(X, Y, np.arange(33), program.SOFTMAX_CROSS_ENTROPY, hyper, weights=weights)
        results.append((steps.losses, run.grad, run.evaluate(X, Y, program.SOFTMAX_CROSS_ENTROPY, hyper)[1]))
    for dense, by_class in zip(*results, strict=True):
        np.testing.assert_array_equal(by_class, dense)
