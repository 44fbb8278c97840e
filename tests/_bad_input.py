"""Small networks of every kind, data for them, and what is asked of all that goes in."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier

from skdeep import ConvNetClassifier, ConvNetRegressor, MLPBackpropClassifier, MLPBackpropRegressor


def data():
    """Numbers that half precision holds, their classes and values, and weights; read-only."""
    rng = np.random.default_rng(0)
    X, weights = np.round(8 * rng.normal(size=(40, 9))) / 8, rng.integers(1, 9, 40) / 8
    arrays = X, np.arange(40) % 3, X[:, 0] - X[:, 1] * X[:, 2], weights
    for array in arrays:
        array.setflags(write=False)
    return arrays


X, CLASSES, VALUES, WEIGHTS = data()
LABELS = (X[:, :3] > 0).astype(int)
SETTINGS = {"hidden_layer_sizes": (5,), "max_iter": 3, "batch_size": 10, "learning_rate_init": 0.01, "random_state": 0}
CLASSIFIER, REGRESSOR = MLPBackpropClassifier(**SETTINGS), MLPBackpropRegressor(**SETTINGS)
CONVNET, CONVNET_REGRESSOR = (each(2, kernel_size=2, **SETTINGS) for each in (ConvNetClassifier, ConvNetRegressor))
ESTIMATORS = CLASSIFIER, REGRESSOR, CONVNET, CONVNET_REGRESSOR


def over(*estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=lambda estimator: type(estimator).__name__)


EVERY = over(*ESTIMATORS)
PERCEPTRONS, CONVNETS = over(CLASSIFIER, REGRESSOR), over(CONVNET, CONVNET_REGRESSOR)
CLASSIFIERS, REGRESSORS = over(CLASSIFIER, CONVNET), over(REGRESSOR, CONVNET_REGRESSOR)


def each_with(*settings):
    """Every estimator with those of the settings that it has."""
    cases = [(net, some) for some in settings for net in ESTIMATORS if set(some) <= set(net.get_params())]
    return pytest.mark.parametrize(
        ("estimator", "settings"), cases, ids=lambda case: str(case) if isinstance(case, dict) else type(case).__name__
    )


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform"]


def target(estimator):
    return CLASSES if is_classifier(estimator) else VALUES


def fitted(estimator, X=X, y=None, *args, **settings):
    """A clone with other settings, fitted."""
    y = target(estimator) if y is None else y
    return clone(estimator).set_params(**settings).fit(X, y, *args)


def outputs(net, X=X):
    """All that a fitted network says of X."""
    return [getattr(net, name)(X) for name in METHODS if hasattr(net, name)]


def finite(net, X=X):
    """Whether all numbers of a fitted network are."""
    return all(np.isfinite(array).all() for array in [net.theta_, *outputs(net, X)])


def finite_or_says_so(net, X, y):
    """Whether a fit gives finite numbers, or an error that says why not and leaves the estimator unfitted."""
    try:
        net.fit(X, y)
    except ValueError as error:
        return "diverged" in str(error) and not hasattr(net, "theta_")
    return finite(net, X)


def assert_same(net, other, X=X, X_other=X):
    """The same bits in all that two networks have learned and say."""
    np.testing.assert_array_equal(net.theta_, other.theta_)
    assert net.loss_curve_ == other.loss_curve_
    for ours, theirs in zip(outputs(net, X), outputs(other, X_other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def misaligned(array):
    """The same numbers, one byte beside where they belong."""
    view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


MEMORY = {
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder()),
    "Fortran": np.asfortranarray,
    "negative strides": lambda array: array[::-1].copy()[::-1],
    "broadcast rows": lambda array: np.broadcast_to(array[:1], array.shape),
    "broadcast columns": lambda array: np.broadcast_to(array[:, :1] if array.ndim > 1 else array, array.shape),
    "misaligned": misaligned,
    "misaligned columns": lambda array: misaligned(np.repeat(array, 2, axis=-1))[..., ::2],
    "list": lambda array: array.tolist(),
}
TYPES = ["float16", "float32", "longdouble", "int8", "uint8", "int32", "int64", "uint64", "bool", "object"]


def assert_same_as_plain(estimator, X, y, weights, dtype=np.float64, y_dtype=np.float64):
    """Fits and predictions of the arrays equal those of their plain copies."""
    plain = np.array(X, dtype, order="C"), np.array(y, y_dtype), np.array(weights, dtype)
    for settings in ({}, {"early_stopping": True}) if len(np.unique(plain[1])) > 2 else ({},):
        net, want = fitted(estimator, X, y, weights, **settings), fitted(estimator, *plain, **settings)
        assert net.theta_.dtype == want.theta_.dtype
        assert_same(net, want, X, plain[0])
