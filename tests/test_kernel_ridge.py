"""Kernel ridge regression in the dual."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import KernelRidgeDual
from skdeep.kernels import RBF, Constant, Linear, Polynomial
from tests import _drop_in

DATA = Path(__file__).parents[1].parent / "shared" / "data"
COMPOSED = 2.0 * RBF(2.0) + Linear() * Polynomial(2) + 1.0


@parametrize_with_checks(
    [
        KernelRidgeDual(),
        KernelRidgeDual(kernel="rbf", gamma=0.3),
        KernelRidgeDual(kernel="poly", degree=2),
        KernelRidgeDual(0.1, kernel=2.0 * RBF(2.0) + Linear() * RBF(10.0) + 1.0),
        KernelRidgeDual(kernel=RBF()),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scikit_learns_own_tests_pass():
    counts = _drop_in.counts_of("sklearn.tests.test_kernel_ridge")
    assert counts.keys() == {"passed"}
    assert counts["passed"] >= 10


@pytest.fixture(scope="module")
def data():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def quadratic_map(X):
    """phi(x) = (1, sqrt2 x_i, sqrt2 x_i x_j, x_i^2), so that phi(x) . phi(y) = (x . y + 1)^2."""
    i, j = np.triu_indices(X.shape[1], 1)
    return np.hstack([np.ones((len(X), 1)), np.sqrt(2) * X, np.sqrt(2) * X[:, i] * X[:, j], X**2])


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_predicts_as_primal_ridge_on_the_feature_map(data, alpha):
    X, y = data
    train, test = slice(None, 300), slice(300, None)
    phi = quadratic_map(X[train])
    w = np.linalg.solve(phi.T @ phi + alpha * np.eye(phi.shape[1]), phi.T @ y[train])
    dual = KernelRidgeDual(alpha, kernel=Polynomial(2)).fit(X[train], y[train])
    np.testing.assert_allclose(dual.predict(X[test]), quadratic_map(X[test]) @ w, rtol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"kernel": "linear", "alpha": 0.1},
        {"kernel": "rbf"},
        {"kernel": "rbf", "gamma": 0.05},
        {"kernel": "poly", "degree": 2, "gamma": 0.2, "coef0": 0.5},
        {"kernel": "polynomial"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_equals_scikit_learn(data, params, n_targets):
    X, y = data
    if n_targets:
        y = np.column_stack([np.roll(y, shift) for shift in range(n_targets)])
    ours, theirs = KernelRidgeDual(**params).fit(X, y), KernelRidge(**params).fit(X, y)
    assert ours.dual_coef_.shape == theirs.dual_coef_.shape
    # Two ways of computing the same: the errors of K of relative size eps grow by its condition, below 1e5.
    scale = np.abs(y).max()
    np.testing.assert_allclose(ours.predict(X[::3]), theirs.predict(X[::3]), atol=1e-9 * scale)


def test_stationarity(data):
    # The dual objective is stationary: K (K c + alpha c - y) = 0, up to rounding of its terms.
    X, y = data
    model = KernelRidgeDual(0.3, kernel=COMPOSED).fit(X, y)
    K, c = COMPOSED(X), model.dual_coef_
    residual = K @ (K @ c + 0.3 * c - y)
    assert np.abs(residual).max() < 1e-9 * np.abs(K).sum(axis=1).max() * np.abs(y).max()


def test_float32_stays_float32(data):
    X, y = data
    single = KernelRidgeDual(kernel=RBF(3.0)).fit(X.astype(np.float32), y)
    double = KernelRidgeDual(kernel=RBF(3.0)).fit(X, y)
    predicted = single.predict(X.astype(np.float32))
    assert single.dual_coef_.dtype == predicted.dtype == np.float32
    # eps of float32 times the condition (n + alpha) / alpha of the system, in units of y.
    bound = np.finfo(np.float32).eps * len(X) * np.abs(y).max()
    np.testing.assert_allclose(predicted, double.predict(X), atol=bound)


@pytest.mark.parametrize(
    "variant",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(a.dtype.newbyteorder(">")),
        lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
    ],
    ids=["fortran", "strided", "reversed", "big-endian", "pandas"],
)
def test_memory_layout_does_not_matter(data, variant):
    X, y = data
    expected = KernelRidgeDual(kernel=COMPOSED).fit(X, y).predict(X)
    model = KernelRidgeDual(kernel=COMPOSED).fit(variant(X), variant(y))
    np.testing.assert_array_equal(model.predict(variant(X)), expected)


def test_grid_search_over_names_in_the_kernel(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), KernelRidgeDual(kernel=Linear() + 10.0 * RBF()))
    grid = {
        "kernelridgedual__kernel__rbf__kernel__length_scale": [1.0, 5.0],
        "kernelridgedual__kernel__rbf__scale": [10.0, 1000.0],
        "kernelridgedual__kernel__linear": [Linear(), Polynomial(2)],
        "kernelridgedual__alpha": [1.0, 30.0],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y - y.mean())
    chosen = search.best_estimator_[-1].kernel_.get_params()
    for name in ("rbf__kernel__length_scale", "rbf__scale"):
        assert chosen[name] == search.best_params_[f"kernelridgedual__kernel__{name}"]
    assert search.best_score_ > 0.45  # scikit-learn's Ridge has 0.48 on this table


def test_clone_and_pickle(data):
    X, y = data
    model = KernelRidgeDual(kernel=COMPOSED).fit(X, y)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "dual_coef_")
    np.testing.assert_array_equal(fresh.fit(X, y).dual_coef_, model.dual_coef_)


def test_later_changes_of_parameters_and_data_do_not_reach_the_fit(data):
    X, y = data
    mine, kernel = X.copy(), RBF(3.0)
    model = KernelRidgeDual(kernel=kernel).fit(mine, y)
    expected = model.predict(X)
    mine[:] = 0
    kernel.length_scale = 100.0
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("n_targets", [None, 2])
def test_singular_system_gives_least_norm_solution(n_targets):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    y = rng.normal(size=30 if n_targets is None else (30, n_targets))
    with pytest.warns(UserWarning, match="Singular matrix in solving dual problem") as record:
        model = KernelRidgeDual(0.0, kernel=Linear()).fit(X, y)
    assert len(record) == 1
    # The Gram matrix has rank 4: the least-norm solution is that of the pseudo-inverse.
    np.testing.assert_allclose(model.dual_coef_, np.linalg.pinv(X @ X.T, rcond=1e-10, hermitian=True) @ y, atol=1e-9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel": "sigmoids"}, "kernel"),
        ({"kernel": 3.0}, "kernel"),
        ({"alpha": [1.0, 2.0]}, "each of the 1 targets"),
        ({"alpha": [-1.0]}, "alpha"),
        ({"solver": "svd"}, "solver"),
        ({"solver": "primal", "kernel": "rbf"}, "finite feature map"),
        ({"alpha": -1.0}, "alpha"),
        ({"kernel": RBF(length_scale=0.0)}, "length_scale"),
        ({"kernel": RBF(length_scale=[1.0, 2.0])}, "length_scale"),
        ({"kernel": Constant(-1.0)}, "value"),
        ({"kernel": "poly", "degree": 2.5}, "degree"),
    ],
    ids=str,
)
def test_invalid_parameters_are_named(data, params, message):
    with pytest.raises(ValueError, match=message):
        KernelRidgeDual(**params).fit(*data)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_overflow_is_an_error(data, alpha):
    X, y = data
    with pytest.raises(ValueError, match="overflows float64"):
        KernelRidgeDual(alpha, kernel=Polynomial(3)).fit(1e120 * X, y)


def test_failed_fit_changes_nothing(data):
    X, y = data
    model = KernelRidgeDual(kernel=RBF(3.0)).fit(X, y)
    before = dict(vars(model))
    bad = X[:, :5].copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad, y)
    assert vars(model) == before
    unfitted = KernelRidgeDual(kernel=RBF(length_scale=[1.0, 2.0]))
    with pytest.raises(ValueError, match="length_scale"):
        unfitted.fit(X, y)
    assert not hasattr(unfitted, "n_features_in_")


@pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not beside the checkout")
def test_concrete_over_twenty_splits():
    """Published on these splits: probabilistic backpropagation 5.67, linear regression 10.31."""
    with np.load(DATA / "concrete.npz") as file:
        X, y = file["X"], file["y"].ravel()
    rng, errors = np.random.RandomState(1), []
    for _ in range(20):
        order = rng.choice(range(len(X)), len(X), replace=False)
        train, test = np.split(order, [round(0.9 * len(X))])
        scale, centre = y[train].std(), y[train].mean()
        pipeline = make_pipeline(StandardScaler(), KernelRidgeDual(kernel=RBF()))
        grid = {
            "kernelridgedual__alpha": [0.01, 0.03, 0.1],
            "kernelridgedual__kernel__length_scale": [1.0, 1.5, 2.2],
        }
        search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_mean_squared_error")
        search.fit(X[train], (y[train] - centre) / scale)
        error = search.predict(X[test]) * scale + centre - y[test]
        errors.append(np.sqrt(np.mean(error**2)))
    assert np.mean(errors) <= 5.9, errors
