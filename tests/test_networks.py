"""Layers and networks: what they promise, and that training is the same numbers however it is run."""

import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys
from scipy import sparse
from sklearn.base import clone

from skdeep.engine import program, threads
from skdeep.engine.target import lanes
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
    compiler,
    run,
)
from skdeep.networks.initialisers import xavier_uniform
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.training.optimisers import SGD, Adam, GradientOnly, Objective, RMSprop, hyperparameters
from tests import _reference as reference

# ------------------------------------------------------------------------------------------ layers

LAYERS = [
    Conv2D(4),
    Conv2D(1, 1, stride=2),
    Conv2D(3, (2, 5), stride=(1, 3), padding="valid", activation="tanh"),
    Conv2D(6, 4, stride=3, padding=(0, 2)),
    Conv2D(4, (3, 4), stride=2, padding=1, dilation=(4, 2), groups=2, activation="silu"),
    LocallyConnected2D(3),
    LocallyConnected2D(2, (2, 3), stride=(3, 2), padding=(1, 0), activation="gelu"),
    MaxPool2D(),
    MaxPool2D((3, 2), stride=(1, 2)),
    MaxPool2D(4, stride=5),
    AvgPool2D(),
    AvgPool2D((2, 3), stride=(3, 1)),
    GlobalAvgPool2D(),
    Flatten(),
    Activation("softplus"),
    BatchNorm(activation="elu"),
    Dropout(0.3),
    Dropout(spatial=True),
    Dense(7),
    Dense(1, activation="logistic"),
]
IMAGES = (9, 11, 2)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_have_the_shapes_that_they_tell(layer, rng):
    shapes = layer.parameter_shapes(IMAGES)
    parameters = ([], []) if shapes is None else ([rng.normal(size=shapes.weights)], [rng.normal(size=shapes.bias)])
    X = rng.normal(size=(3, *IMAGES))
    assert reference.forward([layer], *parameters, X).shape == (3, *layer.output_shape(IMAGES))
    if shapes is not None and not isinstance(layer, BatchNorm):
        *_, fan_in, fan_out = shapes.weights
        # Each pixel of a window connects the channels of a group.
        area, groups = math.prod(shapes.weights[-4:-2]), getattr(layer, "groups", 1)
        assert (shapes.fan_in, shapes.fan_out) == (area * fan_in, area * fan_out // groups)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_run_with_the_shapes_that_they_tell(layer, rng):
    X = rng.normal(size=(5, *IMAGES))
    for layers in ([layer, Dense(3)], [Conv2D(2, 3), layer, Dense(3)]):
        network = Network(layers, IMAGES)
        theta = network.initialise(xavier_uniform, np.random.RandomState(0), np.float64)
        got = Run(network, theta, 5, training=False).predict(X.reshape(5, -1))
        moments = reference.moments_of(network, network.initial_statistics(np.float64))
        want = reference.forward(layers, *reference.parameters_of(network, theta), X, moments)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)  # some hundred roundings of 1e-16
        for bound, following in zip(network.bound[:-1], network.bound[1:], strict=True):
            assert bound.output_shape == following.input_shape


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_layers_are_descriptions(layer):
    assert clone(layer).get_params() == layer.get_params()
    assert repr(eval(repr(layer))) == repr(layer)
    before = vars(layer).copy()
    layer.output_shape(IMAGES), layer.parameter_shapes(IMAGES)
    assert vars(layer) == before
    for name, value in layer.get_params().items():
        assert getattr(clone(layer).set_params(**{name: value}), name) is value


# ----------------------------------------------------------------------------------------- theta

LENET = [Conv2D(6), MaxPool2D(), Conv2D(16, padding="valid"), MaxPool2D(), Dense(120), Dense(84), Dense(10)]


def test_parameters_of_lenet():
    # LeCun et al. (1998), with complete connections between the two convolutions.
    network = Network(LENET, (28, 28, 1))
    assert network.n_parameters == 156 + 2416 + 48120 + 10164 + 850 == 61706
    assert network.n_outputs == 10
    assert [coef.shape for coef in network.coefs(np.zeros(61706))] == [
        (5, 5, 1, 6),
        (5, 5, 6, 16),
        (400, 120),
        (120, 84),
        (84, 10),
    ]


def test_views_tile_theta():
    network = Network(LENET, (28, 28, 1))
    theta = np.zeros(network.n_parameters)
    for values in zip(network.coefs(theta), network.intercepts(theta), strict=True):
        for view in values:
            assert np.shares_memory(view, theta)
            view += 1
    np.testing.assert_array_equal(theta, 1)
    coefs, intercepts = network.coefs(np.arange(theta.size)), network.intercepts(np.arange(theta.size))
    flat = [view.ravel() for pair in zip(coefs, intercepts, strict=True) for view in pair]
    np.testing.assert_array_equal(np.concatenate(flat), np.arange(theta.size))


def test_parameters_of_a_block_are_its_layers_and_then_its_shortcuts():
    plain = Residual([Conv2D(8, 2, groups=4), BatchNorm()])
    inner = Residual([Conv2D(8, (1, 2), stride=(1, 2)), plain])
    network = Network([Residual([Conv2D(6, 3, stride=2), inner]), Dense(4)], (8, 8, 5))
    theta = np.arange(network.n_parameters)
    assert [coef.shape for coef in network.coefs(theta)] == [
        (3, 3, 5, 6),
        (1, 2, 6, 8),
        (2, 2, 2, 8),
        (1, 1, 6, 8),  # beside the inner block
        (1, 1, 5, 8),  # beside the outer one
        (4 * 2 * 8, 4),
    ]
    coefs, intercepts = reference.parameters_of(network, theta)
    flat = [view.ravel() for pair in zip(coefs, intercepts, strict=True) for view in pair]
    np.testing.assert_array_equal(np.concatenate(flat), theta)


# -------------------------------------------------------------------------------------- optimisers

RATE = 0.05
OPTIMISERS = {
    "SGD": SGD(RATE, momentum=0.0, nesterov=False),
    "momentum": SGD(RATE, momentum=0.9, nesterov=False),
    "Nesterov": SGD(RATE, momentum=0.7, nesterov=True),
    "Adam": Adam(RATE),
    "Adam with other decays": Adam(RATE, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    "AdamW": Adam(RATE, decay=0.3),
    "RMSprop": RMSprop(RATE, beta_2=0.9),
    "clipped": SGD(RATE, momentum=0.9, clip_norm=0.1),
    "clipped Adam": Adam(RATE, clip_norm=0.1),
}


@pytest.mark.parametrize("batch_size", [1, 5, 17, 40])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers(name, batch_size, rng):
    layers = [Dense(6, activation="tanh"), Dense(2, activation="identity")]
    network = Network(layers, (4,))
    theta = network.initialise(xavier_uniform, np.random.RandomState(0), np.float64)
    X, Y, alpha = rng.normal(size=(40, 4)), rng.normal(size=(40, 2)), 0.2
    clipping = OPTIMISERS[name].clip_norm > 0
    run, state, t = Run(network, theta, batch_size, clipping=clipping), [np.zeros_like(theta), np.zeros_like(theta)], 0
    is_weight = np.zeros_like(theta)
    for weights in network.coefs(is_weight):
        weights[...] = 1
    for _ in range(2):  # epochs: the state lives on between them
        order = rng.permutation(40)
        hyper = hyperparameters(OPTIMISERS[name], Objective(alpha))
        losses = run.train(X, Y, order, program.SQUARED_ERROR, hyper).losses
        for start, loss in zip(range(0, 40, batch_size), losses, strict=True):
            batch, t = order[start : start + batch_size], t + 1
            problem = network.coefs(theta), network.intercepts(theta), X[batch], Y[batch], "squared error", alpha
            assert loss == pytest.approx(reference.objective(layers, *problem), rel=1e-9)
            gradient = reference.delta_rule(layers, *problem)
            theta = reference.optimiser_step(OPTIMISERS[name], theta, gradient, state, t, is_weight)
    # Adam divides by the size of the gradient and so magnifies the rounding of small ones.
    np.testing.assert_allclose(run.theta, theta, rtol=1e-8, atol=1e-10)


# ------------------------------------------------------------------------------------ the same bits

NETWORKS = {
    "dense": ([Dense(37), Dense(11, activation="tanh"), Dense(3, activation="identity")], (30,)),
    "normalised": (
        [
            Dense(37, activation="identity"),
            BatchNorm(activation="silu"),
            Dropout(0.2),
            Dense(11, activation="gelu"),
            Dropout(0.4),
            Dense(5, activation="identity"),
            BatchNorm(activation="relu"),
            Dense(3, activation="identity"),
        ],
        (30,),
    ),
    "maps": (
        [Conv2D(7, 3), MaxPool2D(3, stride=2), Conv2D(5, 2), Dense(9), Dense(3, activation="identity")],
        (6, 5, 1),
    ),
    "blocks": (
        [
            BatchNorm(),
            Conv2D(6, 3, dilation=2, activation="identity"),
            BatchNorm(activation="gelu"),
            Dropout(0.05, spatial=True),
            Residual([Conv2D(6, 2, groups=2), BatchNorm(activation="silu"), Dropout(0.1)], activation="silu"),
            MaxPool2D(2, stride=1),
            Residual([LocallyConnected2D(5, 2, stride=2)]),
            AvgPool2D(2, stride=1),
            GlobalAvgPool2D(),
            Dense(20, activation="identity"),
            BatchNorm(activation="elu"),
            Dense(3, activation="identity"),
        ],
        (6, 5, 1),
    ),
}
SAME_BITS = pytest.mark.parametrize(
    ("network", "dtype"), [(name, dtype) for name in NETWORKS for dtype in (np.float32, np.float64)]
)


def trained(network, dtype, *, batch_size=33, n_epochs=2):
    """theta, losses and predictions after a training on 150 samples, whose last batch is short."""
    rng = np.random.default_rng(0)
    network = Network(*NETWORKS[network])
    X, Y = rng.normal(size=(150, 30)).astype(dtype), np.eye(3, dtype=dtype)[rng.integers(3, size=150)]
    run = Run(network, network.initialise(xavier_uniform, np.random.RandomState(0), dtype), batch_size)
    hyper, loss = hyperparameters(Adam(0.01), Objective(0.1)), program.SOFTMAX_CROSS_ENTROPY
    losses = [run.train(X, Y, rng.permutation(150), loss, hyper).losses for _ in range(n_epochs)]
    assert losses[-1].mean() < losses[0].mean()
    predictor = Run(network, run.theta, 40, training=False, statistics=run.statistics)
    return run.theta, np.concatenate(losses), predictor.predict(X)


def assert_same_bits(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


@SAME_BITS
def test_same_bits_for_any_number_of_workers(network, dtype, monkeypatch):
    monkeypatch.setattr(threads, "n_workers", lambda work: 1)
    serial = trained(network, dtype)
    for n_workers in (2, 3, 5):
        monkeypatch.setattr(threads, "n_workers", lambda work, n=n_workers: n)
        assert_same_bits(serial, trained(network, dtype))


@SAME_BITS
def test_same_bits_for_any_number_of_threads(network, dtype, monkeypatch):
    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", 0)
    results, before = [], numba.get_num_threads()
    try:
        for n_threads in range(1, min(4, numba.config.NUMBA_NUM_THREADS) + 1):
            numba.set_num_threads(n_threads)
            results.append(trained(network, dtype))
    finally:
        numba.set_num_threads(before)
    for result in results[1:]:
        assert_same_bits(results[0], result)


@SAME_BITS
def test_same_bits_for_any_cut_into_launches(network, dtype, monkeypatch):
    monkeypatch.setattr(threads, "LONGEST_LAUNCH", 1e9)
    long = trained(network, dtype)
    monkeypatch.setattr(threads, "LONGEST_LAUNCH", 1e-12)
    assert_same_bits(long, trained(network, dtype))
    # One step of ten chunks, cut into parts of two.
    whole = trained(network, dtype, batch_size=150)
    monkeypatch.setattr(run, "LARGE_STEP", 1)
    assert_same_bits(whole, trained(network, dtype, batch_size=150))
    monkeypatch.setattr(threads, "launches", lambda n, first=1: [(0, n // 3), (n // 3, n)] if n > 2 else [(0, n)])
    assert_same_bits(long, trained(network, dtype))


def dropout_gradient(layers, dtype, batch_size):
    """Of one step on 20 samples."""
    network, rng = Network([*layers, Dense(3, activation="identity")], (4, 4, 2)), np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 32)).astype(dtype), rng.normal(size=(20, 3)).astype(dtype)
    theta = network.initialise(xavier_uniform, np.random.RandomState(0), np.dtype(np.float64)).astype(dtype)
    run = Run(network, theta, batch_size)
    run.train(X, Y, np.arange(20), program.SQUARED_ERROR, hyperparameters(GradientOnly()), seed=3)
    return run.grad.copy()


@pytest.mark.parametrize(
    "layers",
    [[Dense(7), Dropout(0.3), Dropout(0.2)], [Conv2D(3, 2), Dropout(0.3), Conv2D(2, 2), Dropout(0.5, spatial=True)]],
    ids=["rows", "maps"],
)
def test_dropout_depends_on_no_layout(layers):
    """Samples and units alone are what masks are drawn for: not the width of vectors, nor the size of the batch."""
    want = dropout_gradient(layers, np.float64, 20)
    np.testing.assert_array_equal(dropout_gradient(layers, np.float64, 50), want)
    # Another mask would change single elements by far more than rounding.
    np.testing.assert_allclose(dropout_gradient(layers, np.float32, 20), want, atol=1e-5)


@SAME_BITS
def test_same_bits_whoever_shares_an_operation(network, dtype, monkeypatch, rng):
    # Of few samples, workers share the operations.
    monkeypatch.setattr(compiler, "SHARED_WEIGHTS", 1)
    theta, X = trained(network, dtype)[0], rng.normal(size=(50, 30)).astype(dtype)
    together = Run(Network(*NETWORKS[network]), theta, 50, training=False).predict(X)
    for n_workers in (1, 2, 3, 5):
        monkeypatch.setattr(threads, "n_workers", lambda work, n=n_workers: n)
        for size in (1, 3):
            got = Run(Network(*NETWORKS[network]), theta, size, training=False).predict(X)
            np.testing.assert_array_equal(got, together)


def test_lanes_are_channels_where_that_takes_fewer_vectors():
    def across(layers, batch_size, dtype=np.float32, training=False):
        network = Network([*layers, Dense(3)], (6, 5, 4))
        return set(compiler.compile_network(network, dtype, batch_size, training=training).ops[:-2, program.ACROSS])

    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        n = lanes(dtype)
        full = [Conv2D(n, 3), MaxPool2D(2)]
        assert across(full, 1, dtype) == across(full, n - 1, dtype) == {n}
        assert across(full, n, dtype) == across(full, n + 1, dtype) == across(full, 1, dtype, training=True) == {1}
        # n + 1 channels take two vectors, which is worth it for less than (n + 1) / 2 samples.
        assert across([Conv2D(n + 1, 3)], n // 2, dtype) == {n}
        assert across([Conv2D(n + 1, 3)], n // 2 + 1, dtype) == {1}
        assert across([Conv2D(4, 3, groups=4)], 1, dtype) == across([MaxPool2D(2)], 1, dtype) == {1}


@pytest.mark.usefixtures("serial")
@pytest.mark.parametrize("network", NETWORKS)
def test_kept_runs(network, rng):
    """A network keeps the run of few samples, for one thread at a time, as long as the parameters are the same."""
    description, X = Network(*NETWORKS[network]), rng.normal(size=(3, 30))
    first = trained(network, np.float64)[0]
    parameters = [(theta, description.initial_statistics(np.float64) + i) for i, theta in enumerate((first, 2 * first))]

    def made(theta, statistics):
        return Run(description, theta, 3, training=False, statistics=statistics).predict(X)

    def kept(theta, statistics):
        return run.predict(description, theta, statistics, X)

    wanted = [made(*each) for each in parameters]
    with ThreadPoolExecutor(4) as pool:
        for i, got in zip([0, 0, 1] * 20, pool.map(lambda i: kept(*parameters[i]), [0, 0, 1] * 20), strict=True):
            np.testing.assert_array_equal(got, wanted[i])
    theta, statistics = parameters[0]
    own = kept(theta, statistics)
    assert list(description.kept) == [3]
    again = description.kept[3]
    np.testing.assert_array_equal(kept(theta, statistics), own)
    assert description.kept[3] is again
    # Parameters may change in place, and be of another precision.
    for array in parameters[0]:
        array[...] = 1.5 * array + 0.1
        np.testing.assert_array_equal(kept(theta, statistics), made(theta, statistics))
    single, X = [array.astype(np.float32) for array in parameters[0]], X.astype(np.float32)
    np.testing.assert_array_equal(kept(*single), made(*single))


@SAME_BITS
def test_same_bits_beside_any_other_samples(network, dtype, rng):
    # A sample's outputs do not depend on the lane, the row or the batch in which it is predicted.
    description, (theta, _, _) = Network(*NETWORKS[network]), trained(network, dtype)
    X = rng.normal(size=(70, 30)).astype(dtype)
    together = Run(description, theta, 70, training=False).predict(X)
    for size in (1, 3, 8, 17, 64):
        np.testing.assert_array_equal(Run(description, theta, size, training=False).predict(X), together)
    alone = Run(description, theta, 1, training=False)
    np.testing.assert_array_equal(np.concatenate([alone.predict(X[i : i + 1]) for i in range(70)]), together)


@SAME_BITS
def test_training_state_belongs_to_the_run(network, dtype):
    assert_same_bits(trained(network, dtype), trained(network, dtype))
    for batch_size in (1, 2, 13, 16, 150):  # none fails, all learn
        trained(network, dtype, batch_size=batch_size)


# ---------------------------------------------------------------------------- dropout and normalisation


def passed(layers, X, *, seed=0, n_updates=0):
    """What layers before one unit of weight 1 for each of their outputs make of X in training: by the gradients."""
    network = Network([*layers, Dense(1, activation="identity")], X.shape[1:])
    theta = np.zeros(network.n_parameters)
    run = Run(network, theta, 1)
    rows = []
    for i in range(len(X)):
        run.n_updates = n_updates
        # The error is -1, the output's weights have the negative of what reaches them as their gradient.
        order, Y = np.array([i]), np.ones((len(X), 1))
        run.train(X.reshape(len(X), -1), Y, order, program.SQUARED_ERROR, GRADIENT_ONLY, seed=seed)
        rows.append(-run.grad[:-1].reshape(X.shape[1:]))
    return np.array(rows)


GRADIENT_ONLY = hyperparameters(GradientOnly())
# The layer, the shape of a sample, and which numbers of it are dropped one by one.
DROPOUTS = {
    "units": (Dropout(0.3), (50,), np.s_[:]),
    "pixels": (Dropout(0.3), (2, 5, 5), np.s_[:]),
    "channels": (Dropout(0.3, spatial=True), (2, 3, 50), np.s_[:, 0, 0]),
}
EVERY_DROPOUT = pytest.mark.parametrize("name", DROPOUTS)


@EVERY_DROPOUT
def test_dropout_drops_its_share_and_keeps_the_mean(name):
    layer, shape, single = DROPOUTS[name]
    kept = passed([layer], np.ones((200, *shape)))
    values = np.unique(kept)
    np.testing.assert_allclose(values, [0, 1 / 0.7], rtol=1e-9)
    if layer.spatial:
        assert (kept == kept[:, :1, :1]).all()
    on = kept[single].reshape(200, 50) != 0
    # 10 000 draws: five standard errors.
    assert abs(on.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / on.size)
    # Neither units nor samples go together: of independent pairs, a share of 0.49 is kept.
    for pairs in (on[:, ::2] & on[:, 1::2], on[::2] & on[1::2]):
        assert abs(pairs.mean() - 0.49) < 5 * np.sqrt(0.49 * 0.51 / pairs.size)


@EVERY_DROPOUT
def test_dropout_is_a_function_of_seed_step_and_sample(name):
    layer, shape, single = DROPOUTS[name]
    X, half = np.ones((20, *shape)), clone(layer).set_params(rate=0.5)
    one = passed([half], X)
    np.testing.assert_array_equal(one, passed([half], X))
    np.testing.assert_array_equal(one[:7], passed([half], X[:7]))
    for other in ({"seed": 1}, {"n_updates": 1}):
        # 1000 draws: six standard errors.
        assert abs((passed([half], X, **other) == one)[single].mean() - 0.5) < 0.1


def test_layers_of_dropout_have_masks_of_their_own():
    X = np.ones((200, 2, 5, 5))
    both = passed([Dropout(0.5), Dropout(0.5)], X)
    # 10 000 draws: five standard errors.
    assert abs((both != 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / X.size)
    np.testing.assert_allclose(np.unique(both), [0, 4], rtol=1e-9)


@pytest.mark.parametrize(
    ("layer", "shape"), [(Dense(5, activation="identity"), (4,)), (Conv2D(5, 2, activation="identity"), (3, 4, 2))]
)
def test_normalisation_predicts_with_running_statistics(layer, shape, rng):
    # Of maps, the moments of a channel are those of all its pixels.
    layers = [layer, BatchNorm(activation="tanh"), Dense(2, activation="identity")]
    network = Network(layers, shape)
    X, Y = rng.normal(size=(40, *shape)), rng.normal(size=(40, 2))
    run = Run(network, network.initialise(xavier_uniform, np.random.RandomState(0), np.float64), 20)
    mean, variance = np.zeros(5), np.ones(5)
    for _ in range(3):
        for batch in (np.arange(20), np.arange(20, 40)):
            first = [[arrays[0]] for arrays in reference.parameters_of(network, run.theta)]
            z = reference.forward([layer], *first, X[batch]).reshape(-1, 5)
            mean, variance = 0.9 * mean + 0.1 * z.mean(axis=0), 0.9 * variance + 0.1 * z.var(axis=0, ddof=1)
            run.train(X.reshape(40, -1), Y, batch, program.SQUARED_ERROR, hyperparameters(SGD(0.1)))
    np.testing.assert_allclose(run.statistics, np.append(mean, variance), rtol=1e-10)
    want = reference.forward(layers, *reference.parameters_of(network, run.theta), X, [(mean, variance)])
    predictor = Run(network, run.theta, 7, training=False, statistics=run.statistics)
    np.testing.assert_allclose(predictor.predict(X.reshape(40, -1)), want, rtol=1e-10)


# ----------------------------------------------------------------------------------------- sparse rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_are_dense_rows(dtype, rng):
    X = sparse.random(50, 30, density=0.2, random_state=0, dtype=dtype).tolil()
    X[3] = 0
    X = X.tocsr()
    twice = X.copy()
    # Entries that come twice count twice.
    twice.data = np.repeat(X.data / 2, 2)
    twice.indices, twice.indptr = np.repeat(X.indices, 2), 2 * X.indptr
    results = []
    for rows in (X.toarray(), X, twice):
        network = Network(*NETWORKS["dense"])
        run = Run(network, network.initialise(xavier_uniform, np.random.RandomState(0), dtype), 7)
        Y = np.eye(3, dtype=dtype)[np.arange(50) % 3]
        run.train(rows, Y, np.arange(50), program.SOFTMAX_CROSS_ENTROPY, hyperparameters(Adam(0.01)))
        results.append((run.theta.copy(), Run(network, run.theta, 9, training=False).predict(rows)))
    for result in results[1:]:
        assert_same_bits(results[0], result)


# ----------------------------------------------------------------------------------------- launches


def test_launches_cover_everything_once(monkeypatch):
    for longest in (1e-12, 0.2, 1e9):
        monkeypatch.setattr(threads, "LONGEST_LAUNCH", longest)
        for n in (0, 1, 2, 37):
            spans = list(threads.launches(n))
            assert [i for start, stop in spans for i in range(start, stop)] == list(range(n))
            assert all(start < stop for start, stop in spans)


def test_short_epochs_are_one_launch(monkeypatch, rng):
    network = Network([Dense(3)], (4,))
    X, Y = rng.normal(size=(640, 4)), rng.normal(size=(640, 3))
    calls, launches = [], threads.launches

    def counted(n, first):
        spans = list(launches(n, first))
        calls.append(len(spans))
        return spans

    def passes(n):
        run = Run(network, np.zeros(network.n_parameters), 64)
        for _ in range(n):
            run.train(X, Y, np.arange(640), program.SQUARED_ERROR, GRADIENT_ONLY)

    monkeypatch.setattr(threads, "launches", counted)
    passes(3)
    assert calls == [1, 1, 1]
    # Of a pass that may be long, the first launch feels its way.
    monkeypatch.setattr("skdeep.networks.run.SHORT_PASS", 0)
    passes(6)
    assert calls[3] > 1
    assert calls[-1] == 1


def test_predictions_of_nothing():
    network = Network([Dense(3)], (4,))
    run = Run(network, np.zeros(network.n_parameters), 1, training=False)
    assert run.predict(np.zeros((0, 4))).shape == (0, 3)


@SAME_BITS
def test_loops_keep_within_their_memory(network, dtype, monkeypatch, rng):
    """Training, prediction and validation write nothing beside the arrays that they are given."""
    own, margin, fences = run.aligned_zeros, 512, []

    def fenced(size, dtype):
        numbers = own(size + 2 * margin, dtype)
        fences.extend((numbers[:margin], numbers[margin + size :][:margin]))
        for fence in fences[-2:]:
            fence[...] = 7
        return numbers[margin : margin + size]

    monkeypatch.setattr(run, "aligned_zeros", fenced)
    network = Network(*NETWORKS[network])
    X, Y = rng.normal(size=(39, 30)).astype(dtype), rng.normal(size=(39, 3)).astype(dtype)
    theta = network.initialise(xavier_uniform, np.random.RandomState(0), dtype)
    hyper = hyperparameters(Adam(0.01), Objective(0.1))
    Run(network, theta, 17).train(X, Y, np.arange(39), program.SQUARED_ERROR, hyper)
    Run(network, theta, 17, training=False).evaluate(X, Y, program.SQUARED_ERROR, hyper)
    Run(network, theta, 2, training=False).predict(X)
    assert all((fence == 7).all() for fence in fences)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n_workers", [1, 2])
def test_steps_allocate_nothing(network, n_workers, monkeypatch):
    """More steps cost no more memory than loss, weight and factor of each, in Python or in numba's run time."""
    monkeypatch.setattr(threads, "n_workers", lambda work: n_workers)
    monkeypatch.setattr(threads, "launches", lambda n, first: [(0, n)])
    network = Network(*NETWORKS[network])
    X, Y = np.zeros((1600, 30)), np.zeros((1600, 3))
    run = Run(network, np.zeros(network.n_parameters), 16)
    hyper = hyperparameters(Adam(0.01), Objective(0.1))

    def costs(n_steps):
        order = np.arange(16 * n_steps)
        before = rtsys.get_allocation_stats().alloc
        tracemalloc.start()
        try:
            run.train(X, Y, order, program.SQUARED_ERROR, hyper)
            return tracemalloc.get_traced_memory()[1] - 24 * n_steps, rtsys.get_allocation_stats().alloc - before
        finally:
            tracemalloc.stop()

    counted = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        costs(1)  # compiles, and makes the workspaces
        (python, numba_run_time), (more_python, more_numba_run_time) = costs(1), costs(30)
    finally:
        if not counted:
            _nrt_python.memsys_disable_stats()
    assert more_python <= python + 256  # ints beyond the small ones, not 29 of anything
    assert more_numba_run_time == numba_run_time
