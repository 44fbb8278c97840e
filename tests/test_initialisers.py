"""Initial weights: the spread that Glorot and Bengio ask for, and scikit-learn's own draws."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from skdeep import MLPBackpropClassifier, MLPBackpropRegressor
from skdeep.networks import Conv2D, Dense, MaxPool2D
from skdeep.networks.initialisers import INITIALISERS
from skdeep.networks.network import Network

LAYERS = [Conv2D(40, 5, padding="valid"), MaxPool2D(2), Conv2D(60, (3, 2)), Dense(50), Dense(30)]
# Connections into and out of a unit: the area of a filter times its channels.
FANS = [(25 * 3, 25 * 40), (6 * 40, 6 * 60), (4 * 4 * 60, 50), (50, 30)]


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


@pytest.mark.parametrize("name", INITIALISERS)
def test_layers_and_seeds_differ(name):
    network, theta = drawn(name)
    _, other = drawn(name, seed=1)
    weights = np.concatenate([coef.ravel() for coef in network.coefs(theta)])
    assert np.unique(weights).size == weights.size
    assert not np.isin(weights, other).any()


# ------------------------------------------------------------------------------------- scikit-learn


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


SETTINGS = pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "batch_size": 33, "shuffle": False},
        {"solver": "sgd", "activation": "logistic", "learning_rate_init": 0.1, "alpha": 1.0},
        {"solver": "adam"},
        {"solver": "adam", "activation": "tanh", "batch_size": 50, "beta_1": 0.8, "epsilon": 1e-6},
        {"solver": "adam", "activation": "identity", "hidden_layer_sizes": (), "alpha": 0.5},
        {"solver": "adam", "activation": "logistic", "hidden_layer_sizes": (20, 10)},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)


def check_same_training(ours, theirs, X, y, **settings):
    """Draws, shuffles and steps are scikit-learn's: after three epochs, only roundings tell the weights apart."""
    settings = {"hidden_layer_sizes": (30,), "max_iter": 3, "random_state": 7} | settings
    ours, theirs = fitted(ours(**settings), X, y), fitted(theirs(**settings), X, y)
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose([ours.loss_, ours.best_loss_], [theirs.loss_, theirs.best_loss_], rtol=1e-6)
    return ours, theirs


@SETTINGS
@pytest.mark.parametrize("n_classes", [10, 2])
def test_classifier_trains_as_scikit_learns(settings, n_classes):
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    X, y = X[:500] / 16, y[:500]
    ours, theirs = check_same_training(MLPBackpropClassifier, MLPClassifier, X, y, **settings)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-6, atol=1e-6)


@SETTINGS
def test_regressor_trains_as_scikit_learns(settings):
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    ours, theirs = check_same_training(MLPBackpropRegressor, MLPRegressor, X, y, **settings)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-8)


def test_training_stops_where_scikit_learns_does():
    X, y = load_digits(n_class=3, return_X_y=True)
    settings = {"max_iter": 300, "tol": 1e-3, "n_iter_no_change": 5, "learning_rate_init": 0.01}
    ours, _ = check_same_training(MLPBackpropClassifier, MLPClassifier, X[:100] / 16, y[:100], **settings)
    assert 3 < ours.n_iter_ < 300
