"""Convolutional networks: the layers that parameters describe, and training as each of its parameters says."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.utils import shuffle

from skdeep import ConvNetClassifier, ConvNetRegressor
from skdeep.engine import program
from skdeep.networks import (
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
from skdeep.networks.initialisers import INITIALISERS
from skdeep.networks.network import Network
from skdeep.networks.run import Run
from skdeep.neural_network._architecture import hidden_layers
from skdeep.training.optimisers import SGD, Adam, GradientOnly, Objective, RMSprop, hyperparameters
from tests import _reference as reference

pytestmark = pytest.mark.usefixtures("serial")


def digits():
    """Images, their classes as numbers and as targets, a value of each and weights; read-only."""
    X, classes = load_digits(return_X_y=True)
    X, classes = X[:120] / 16, classes[:120]
    values = X[:, :32].sum(axis=1) / 10
    arrays = X, classes, np.eye(10)[classes], values, np.random.default_rng(0).uniform(0.1, 3, 120)
    for array in arrays:
        array.setflags(write=False)
    return arrays


X, CLASSES, ONE_HOT, VALUES, WEIGHTS = digits()
SETTINGS = {"kernel_size": 3, "hidden_layer_sizes": 10, "batch_size": 50, "learning_rate_init": 0.01, "random_state": 0}
CLASSIFIER = ConvNetClassifier(4, max_iter=3, alpha=0.0, **SETTINGS)
REGRESSOR = ConvNetRegressor(4, max_iter=3, alpha=0.0, **SETTINGS)
EVERY = pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR], ids=lambda estimator: type(estimator).__name__)


def target(estimator):
    return CLASSES if isinstance(estimator, ConvNetClassifier) else VALUES


def fitted(estimator, X=X, y=None, *, sample_weight=None, **settings):
    """A clone with other settings, fitted."""
    y = target(estimator) if y is None else y
    return clone(estimator).set_params(**settings).fit(X, y, sample_weight=sample_weight)


def over(cases):
    """Over pairs of an estimator's parameters and of what they should make of it."""
    names = [", ".join(f"{name}={value!r:.20}" for name, value in settings.items()) for settings, _ in cases]
    return pytest.mark.parametrize(("settings", "expected"), cases, ids=names)


# ------------------------------------------------------------------------------------------- layers

CONVOLUTION, POOL = Conv2D(4, (3, 3)), MaxPool2D((2, 2))
LINEAR = {"activation": "identity"}
NORMALISED, OUTPUT = BatchNorm(activation="relu"), Dense(10, **LINEAR)
ARCHITECTURES = [
    ({}, [CONVOLUTION, POOL, Conv2D(6, (3, 3)), POOL, Dense(8)]),
    (
        {"kernel_size": [(2, 5), 1], "stride": [1, (2, 1)], "padding": ["valid", (0, 1)], "pool": None},
        [Conv2D(4, (2, 5), padding="valid"), Conv2D(6, (1, 1), stride=(2, 1), padding=(0, 1)), Dense(8)],
    ),
    (
        {"dilation": [1, (2, 1)], "groups": [1, 2]},
        [CONVOLUTION, POOL, Conv2D(6, (3, 3), dilation=(2, 1), groups=2), POOL, Dense(8)],
    ),
    # Windows are no larger than the map.
    (
        {"pool": ["avg", "max"], "pool_size": [(3, 2), 9], "pool_stride": [2, None]},
        [CONVOLUTION, AvgPool2D((3, 2), stride=2), Conv2D(6, (3, 3)), MaxPool2D((3, 4)), Dense(8)],
    ),
    ({"filters": 4, "pool": None, "global_pool": "avg"}, [CONVOLUTION, GlobalAvgPool2D(), Dense(8)]),
    ({"filters": 4, "pool": None, "global_pool": "max"}, [CONVOLUTION, MaxPool2D((8, 8)), Dense(8)]),
    (
        {"conv_batch_norm": [True, False], "conv_dropout": [0.0, 0.3], "activation": ["tanh", "gelu", "elu"]},
        [
            Conv2D(4, (3, 3), **LINEAR),
            BatchNorm(activation="tanh"),
            POOL,
            Conv2D(6, (3, 3), activation="gelu"),
            POOL,
            Dropout(0.3, spatial=True),
            Dense(8, activation="elu"),
        ],
    ),
    (
        {"batch_norm": True, "dropout": [0.2, 0.0], "hidden_layer_sizes": (8, 5), "filters": ()},
        [
            Dense(8, **LINEAR),
            NORMALISED,
            Dropout(0.2),
            Dense(5, **LINEAR),
            NORMALISED,
        ],
    ),
    (
        {"residual": [False, True], "stride": [1, 2], "conv_batch_norm": [False, True], "pool": None},
        [
            CONVOLUTION,
            Residual(
                [
                    Conv2D(6, (3, 3), stride=2, **LINEAR),
                    NORMALISED,
                    Conv2D(6, (3, 3), **LINEAR),
                    BatchNorm(),
                ]
            ),
            Dense(8),
        ],
    ),
    (
        {"locally_connected": [False, True], "stride": (1, 2)},
        [
            Conv2D(4, (3, 3), stride=(1, 2)),
            POOL,
            LocallyConnected2D(6, (3, 2), stride=(1, 2)),
            MaxPool2D((2, 1)),
            Dense(8),
        ],
    ),
]


@over(ARCHITECTURES)
def test_parameters_describe_layers(settings, expected):
    net = ConvNetClassifier(**{"filters": (4, 6), "kernel_size": 3, "hidden_layer_sizes": 8} | settings)
    assert repr(hidden_layers(net, (8, 8, 1))) == repr(expected)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_activations_of_every_layer(data_format):
    # Each layer ends a network of its own, that of the first layers.
    layers = [
        MaxPool2D(1, stride=(1, 2)),
        Conv2D(4, 2, activation="identity"),
        BatchNorm(activation="silu"),
        MaxPool2D(3, stride=2),
        Dropout(0.2, spatial=True),
        Residual([Conv2D(6, 3, stride=2), BatchNorm()], activation="identity"),
        BatchNorm(activation="tanh"),
        GlobalAvgPool2D(),
        BatchNorm(activation="gelu"),
        Dense(5, activation="elu"),
    ]
    images = X.reshape(-1, 8, 8, 1) if data_format == "NHWC" else X.reshape(-1, 1, 8, 8)
    net = ConvNetClassifier(layers=layers, data_format=data_format, max_iter=2, random_state=0).fit(images, CLASSES)
    for i in range(len(layers)):
        first = net._network.up_to(i + 1)
        parameters, moments = reference.parameters_of(first, net.theta_), reference.moments_of(first, net._statistics)
        want = reference.forward(layers[: i + 1], *parameters, X.reshape(-1, 8, 8, 1), moments)
        np.testing.assert_allclose(net.transform(images, i), want.reshape(len(X), -1), rtol=1e-12, atol=1e-12)
        if want.ndim == 4:
            maps = net.feature_maps(images, i)
            maps = maps if data_format == "NHWC" else maps.transpose(0, 2, 3, 1)
            np.testing.assert_allclose(maps, want, rtol=1e-12, atol=1e-12)


# --------------------------------------------------------------------------- training, by the formulas

LAYERS, NO_PENALTY, ADAM = [CONVOLUTION, POOL, Dense(10), OUTPUT], Objective(), Adam(0.01)


def trained_by_formulas(
    layers=LAYERS,
    *,
    initialiser="xavier_uniform",
    seed=0,
    loss=program.SOFTMAX_CROSS_ENTROPY,
    targets=ONE_HOT,
    weights=None,
    objective=NO_PENALTY,
    optimiser=ADAM,
    rate=lambda step: 1.0,
    batch_size=50,
    n_epochs=3,
    shuffled=True,
):
    """theta after steps of the reference's optimisers along the engine's gradients, which have tests of their own.

    By default the steps of CLASSIFIER; `rate` is what the learning rate is multiplied by.
    """
    network, rng, order = Network(layers, (8, 8, 1)), np.random.RandomState(seed), np.arange(len(X))
    theta = network.initialise(INITIALISERS[initialiser], rng, np.float64)
    masks = rng.randint(2**31) if any(isinstance(layer, Dropout) for layer in layers) else 0
    is_weight, state, run = np.zeros_like(theta), [0.0, 0.0], Run(network, theta, batch_size)
    for array in network.coefs(is_weight):
        array[...] = 1
    hyper = hyperparameters(GradientOnly(), objective)
    for _ in range(n_epochs):
        order = shuffle(order, random_state=rng) if shuffled else order
        for start in range(0, len(X), batch_size):
            step, batch = run.n_updates, order[start : start + batch_size]
            run.theta[...] = theta
            run.train(X, targets, batch, loss, hyper, weights=weights, seed=masks)
            now = replace(optimiser, learning_rate=optimiser.learning_rate * rate(step))
            theta = reference.optimiser_step(now, theta, run.grad, state, step + 1, is_weight)
    return theta


SHARES = len(X) / (10 * np.bincount(CLASSES))
# Parameters of CLASSIFIER and what they make of its training; there are nine steps, three to an epoch.
OF_CLASSIFIERS = [
    ({"solver": "sgd"}, {"optimiser": SGD(0.01)}),
    ({"solver": "sgd", "momentum": 0.5}, {"optimiser": SGD(0.01, momentum=0.5)}),
    ({"solver": "sgd", "nesterovs_momentum": False}, {"optimiser": SGD(0.01, nesterov=False)}),
    (
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
        {"optimiser": SGD(0.01), "rate": lambda step: (1 + len(X) * (step // 3)) ** -0.3},
    ),
    # With this tolerance every epoch but the first is idle, and two of them are too many.
    (
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e9, "n_iter_no_change": 1, "max_iter": 4},
        {"optimiser": SGD(0.01), "rate": lambda step: 1.0 if step < 9 else 0.2, "n_epochs": 4},
    ),
    (
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"optimiser": Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3)},
    ),
    ({"solver": "adamw", "weight_decay": 0.3}, {"optimiser": Adam(0.01, decay=0.3)}),
    ({"solver": "rmsprop", "beta_2": 0.9}, {"optimiser": RMSprop(0.01, beta_2=0.9)}),
    ({"learning_rate_init": 0.003}, {"optimiser": Adam(0.003)}),
    ({"lr_schedule": "cosine"}, {"rate": lambda step: 0.5 * (1 + np.cos(np.pi * step / 9))}),
    ({"lr_schedule": lambda progress: 1 / (1 + progress)}, {"rate": lambda step: 1 / (1 + step / 9)}),
    ({"clip_norm": 0.3}, {"optimiser": Adam(0.01, clip_norm=0.3)}),
    ({"alpha": 2.0}, {"objective": Objective(alpha=2.0)}),
    ({"weight_decay": 0.1}, {"objective": Objective(l2=0.1)}),
    ({"l1": 0.01}, {"objective": Objective(l1=0.01)}),
    ({"batch_size": 33}, {"batch_size": 33}),
    ({"batch_size": "auto"}, {"batch_size": len(X)}),
    ({"max_iter": 2}, {"n_epochs": 2}),
    ({"shuffle": False}, {"shuffled": False}),
    ({"random_state": 1}, {"seed": 1}),
    *(({"weight_init": name}, {"initialiser": name}) for name in INITIALISERS if name != "xavier_uniform"),
    (
        {"activation": ["gelu", "tanh"]},
        {"layers": [Conv2D(4, 3, activation="gelu"), POOL, Dense(10, activation="tanh"), OUTPUT]},
    ),
    ({"conv_batch_norm": True}, {"layers": [Conv2D(4, 3, **LINEAR), NORMALISED, POOL, Dense(10), OUTPUT]}),
    ({"batch_norm": True}, {"layers": [CONVOLUTION, POOL, Dense(10, **LINEAR), NORMALISED, OUTPUT]}),
    ({"conv_dropout": 0.3}, {"layers": [CONVOLUTION, POOL, Dropout(0.3, spatial=True), Dense(10), OUTPUT]}),
    ({"dropout": 0.5}, {"layers": [CONVOLUTION, POOL, Dense(10), Dropout(0.5), OUTPUT]}),
    (
        {"loss": "squared_error"},
        {"layers": [CONVOLUTION, POOL, Dense(10), Dense(10, activation="logistic")], "loss": program.SQUARED_ERROR},
    ),
    ({"label_smoothing": 0.3}, {"targets": 0.7 * ONE_HOT + 0.03}),
    ({"class_weight": "balanced"}, {"weights": SHARES[CLASSES]}),
    ({"class_weight": {3: 5.0, 7: 0.2}}, {"weights": np.array([1, 1, 1, 5, 1, 1, 1, 0.2, 1, 1])[CLASSES]}),
    ({"sample_weight": WEIGHTS}, {"weights": WEIGHTS}),
]
OF_REGRESSORS = [
    ({}, {"loss": program.SQUARED_ERROR}),
    ({"sample_weight": WEIGHTS}, {"loss": program.SQUARED_ERROR, "weights": WEIGHTS}),
    ({"loss": "poisson"}, {"loss": program.POISSON}),
    ({"loss": "absolute_error"}, {"loss": program.ABSOLUTE_ERROR}),
    ({"loss": "huber", "huber_delta": 0.2}, {"loss": program.HUBER, "objective": Objective(loss_parameter=0.2)}),
    ({"loss": "quantile", "quantile": 0.8}, {"loss": program.QUANTILE, "objective": Objective(loss_parameter=0.8)}),
]


def assert_close(theta, want):
    # The same gradients, but Adam divides by the size of small ones and so magnifies their rounding.
    np.testing.assert_allclose(theta, want, rtol=1e-8, atol=1e-10)


@over(OF_CLASSIFIERS)
def test_training_of_classifiers(settings, expected):
    theta, before = fitted(CLASSIFIER, **settings).theta_, fitted(CLASSIFIER).theta_
    assert_close(theta, trained_by_formulas(**expected))
    assert theta.shape != before.shape or np.abs(theta - before).max() > 1e-3


@over(OF_REGRESSORS)
def test_training_of_regressors(settings, expected):
    layers = [CONVOLUTION, POOL, Dense(10), Dense(1, **LINEAR)]
    assert_close(fitted(REGRESSOR, **settings).theta_, trained_by_formulas(layers, targets=VALUES[:, None], **expected))


@EVERY
def test_several_outputs(estimator):
    # Two labels of each image, or two values, have an output each and one body.
    Y = np.column_stack([CLASSES % 2, CLASSES > 4])
    net = fitted(estimator, y=Y)
    loss = program.LOGISTIC_CROSS_ENTROPY if estimator is CLASSIFIER else program.SQUARED_ERROR
    layers = [CONVOLUTION, POOL, Dense(10), Dense(2, **LINEAR)]
    assert_close(net.theta_, trained_by_formulas(layers, targets=Y.astype(float), loss=loss))
    assert net.predict(X).shape == Y.shape


# ---------------------------------------------------------------------------------- training, its course


@EVERY
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
def test_partial_fits_and_warm_starts_are_one_long_fit(estimator, solver):
    settings = {"shuffle": False, "solver": solver, "conv_batch_norm": True, "batch_norm": True}
    whole = fitted(estimator, **settings, max_iter=4)
    steps = clone(estimator).set_params(**settings)
    for _ in range(4):
        steps.partial_fit(X, target(estimator), **({"classes": np.arange(10)} if estimator is CLASSIFIER else {}))
    in_two = fitted(estimator, **settings, max_iter=1, warm_start=True)
    in_two.set_params(max_iter=3).fit(X, target(estimator))
    for net in (steps, in_two):
        np.testing.assert_array_equal(net.theta_, whole.theta_)
        np.testing.assert_array_equal(net.predict(X), whole.predict(X))
        assert net.loss_curve_ == whole.loss_curve_
    assert (steps.n_iter_, in_two.n_iter_, whole.n_iter_) == (1, 3, 4)


@EVERY
@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping_by_data_and_scorer_of_ones_own(estimator, restore_best):
    y, scoring = target(estimator), "neg_log_loss" if estimator is CLASSIFIER else "neg_mean_absolute_error"
    X_val, y_val = X[80:].reshape(-1, 8, 8, 1), y[80:]
    net = clone(estimator).set_params(
        conv_batch_norm=True, early_stopping=True, scoring=scoring, restore_best=restore_best, learning_rate_init=0.1
    )
    net.set_params(max_iter=100, n_iter_no_change=3).fit(X[:80], y[:80], X_val=X_val, y_val=y_val)
    scores, score = net.validation_scores_, get_scorer(scoring)(net, X_val, y_val)
    assert net.n_iter_ == len(scores) < 100
    assert net.best_validation_score_ == max(scores) > scores[-1]
    assert net.best_epoch_ == np.argmax(scores) + 1
    assert score == pytest.approx(max(scores) if restore_best else scores[-1], rel=1e-12)


@EVERY
def test_early_stopping_by_a_part_of_the_data(estimator):
    net = fitted(estimator, early_stopping=True, validation_fraction=0.25)
    assert net.t_ == net.n_iter_ * 90
    assert len(net.validation_scores_) == net.n_iter_


@EVERY
def test_lbfgs_ends_at_a_minimum(estimator):
    net = fitted(estimator, solver="lbfgs", activation="tanh", pool="avg", alpha=1.0, tol=1e-3, max_iter=2000)
    Y = ONE_HOT if estimator is CLASSIFIER else VALUES[:, None]
    loss = program.SOFTMAX_CROSS_ENTROPY if estimator is CLASSIFIER else program.SQUARED_ERROR
    run = Run(net._network, net.theta_, len(X))
    assert run.train(X, Y, np.arange(len(X)), loss, hyperparameters(GradientOnly(), Objective(1.0))).losses == (
        pytest.approx(net.loss_, rel=1e-9)
    )
    assert np.abs(run.grad).max() <= 1e-3
    assert net.loss_ < fitted(estimator, activation="tanh", pool="avg", alpha=1.0, max_iter=20).loss_


@pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
def test_lbfgs_is_limited(limit):
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        net = fitted(CLASSIFIER, **{"solver": "lbfgs", "max_iter": 1000, limit: 4})
    assert 1 <= net.n_iter_ <= 4


@pytest.mark.parametrize("name", ["conv_dropout", "dropout", "conv_batch_norm", "batch_norm", "l1"])
def test_lbfgs_needs_a_smooth_function(name):
    with pytest.raises(ValueError, match=r"lbfgs.*minimises a smooth function.*take a solver of"):
        fitted(CLASSIFIER, solver="lbfgs", residual=True, **{name: 0.5 if name.endswith(("dropout", "l1")) else True})
