"""Choosing the penalty by held-out predictions in closed form: against refits, RidgeCV and GridSearchCV."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    check_cv,
)
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import KernelRidgeDual, KernelRidgeDualCV
from skdeep.kernels import RBF, Linear, Polynomial

ALPHAS = np.array([0.03, 0.3, 3.0])
KERNELS = pytest.mark.parametrize("kernel", [RBF(1.5), Linear(), Linear() + RBF(1.0)], ids=repr)
WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
INTERCEPT = pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
TARGETS = pytest.mark.parametrize("n_targets", [None, 3])


# One of the checks shifts a Gram matrix, which leaves it indefinite.
@pytest.mark.filterwarnings("ignore:The kernel is not positive semidefinite")
@parametrize_with_checks(
    [
        KernelRidgeDualCV(),
        KernelRidgeDualCV(kernel="rbf", cv=3, fit_intercept=True),
        KernelRidgeDualCV(kernel=RBF(), cv="gcv"),
        KernelRidgeDualCV(kernel="precomputed"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def table(n_targets=None, n=40, seed=0):
    """Samples, targets that depend on them, weights over two orders of magnitude, and groups of unequal size."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 3 + 0.3 * rng.normal(size=n)
    if n_targets:
        # Each with more noise than the one before.
        y = np.column_stack([y + 3 * t * rng.normal(size=n) for t in range(n_targets)])
    arrays = X, y, 10 ** rng.uniform(-1, 1, n), rng.integers(0, 5, n)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def refitted(model, alpha, X, y, weights, folds):
    """Held-out predictions by a model of `KernelRidgeDual` for every fold; NaN for samples in none."""
    predicted = np.full(y.shape, np.nan)
    for train, test in folds:
        parameters = {name: getattr(model, name) for name in ("kernel", "fit_intercept")}
        fold = KernelRidgeDual(alpha, solver="cholesky", **parameters)
        fold.fit(X[train], y[train], None if weights is None else weights[train])
        predicted[test] = fold.predict(X[test])
    return predicted


@KERNELS
@WEIGHTS
@INTERCEPT
@TARGETS
@pytest.mark.parametrize("cv", [None, 4, GroupKFold(5), LeaveOneOut()], ids=str)
def test_held_out_predictions_are_those_of_refits(kernel, weighted, fit_intercept, n_targets, cv):
    X, y, weights, groups = table(n_targets)
    weights = weights if weighted else None
    given = {"groups": groups} if isinstance(cv, GroupKFold) else {}
    model = KernelRidgeDualCV(ALPHAS, kernel=kernel, cv=cv, fit_intercept=fit_intercept, store_cv_results=True)
    model.fit(X, y, weights, **given)
    splitter = LeaveOneOut() if cv is None else check_cv(cv)
    folds = list(splitter.split(X, y, **given))
    errors = []
    for alpha, predicted in zip(ALPHAS, model.cv_predictions_, strict=True):
        expected = refitted(model, alpha, X, y, weights, folds)
        # Condition numbers stay below 1e5: 1e-8 is far above rounding, and far below any other definition.
        np.testing.assert_allclose(predicted, expected, atol=1e-8)
        squares = ((y - expected) ** 2).reshape(len(y), -1).mean(axis=1)
        parts = [np.arange(len(X))] if cv is None else [test for _, test in folds]
        w = np.ones(len(X)) if weights is None else weights
        errors.append(np.mean([np.average(squares[part], weights=w[part]) for part in parts]))
    np.testing.assert_allclose(model.cv_results_["mean_test_score"], np.negative(errors), rtol=1e-8)
    assert model.alpha_ == ALPHAS[np.argmin(errors)]
    assert model.best_score_ == pytest.approx(-min(errors), rel=1e-8)
    final = KernelRidgeDual(model.alpha_, kernel=kernel, fit_intercept=fit_intercept).fit(X, y, weights)
    np.testing.assert_allclose(model.predict(X), final.predict(X), atol=1e-8)


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-9])
@INTERCEPT
def test_small_penalties_lose_nothing_to_cancellation(scale, fit_intercept):
    # The form residual / (1 - H_ii) has no digit left here: H_ii is 1 - scale or so for a kernel of full rank.
    X, y, _, _ = table(n=12)
    model = KernelRidgeDualCV([scale], kernel=RBF(1.0), fit_intercept=fit_intercept, store_cv_results=True).fit(X, y)
    expected = refitted(model, scale, X, y, None, LeaveOneOut().split(X))
    np.testing.assert_allclose(model.cv_predictions_[0], expected, rtol=1e-7)


def test_intercept_of_centred_wide_data_at_a_small_penalty():
    # The constant is in the null space of K, and nearly all of G^-1 at small alpha: it must not cancel the rest.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 30))
    X -= X.mean(axis=0)
    y = X[:, 0] + 5
    model = KernelRidgeDualCV([1e-9], fit_intercept=True, store_cv_results=True).fit(X, y)
    expected = [
        RidgeCV([1e-9], gcv_mode="svd").fit(X[train], y[train]).predict(X[test])[0]
        for train, test in LeaveOneOut().split(X)
    ]
    np.testing.assert_allclose(model.cv_predictions_[0], expected, rtol=1e-6)


@WEIGHTS
@INTERCEPT
@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "r2"])
def test_leave_one_out_is_that_of_ridge_cv(weighted, fit_intercept, n_targets, scoring):
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:150]), y[:150]
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(y)) if weighted else None
    if n_targets:
        y = np.column_stack([y, np.roll(y, 3)])
    alphas = np.geomspace(0.1, 1000, 7)
    settings = {"fit_intercept": fit_intercept, "scoring": scoring}
    ours = KernelRidgeDualCV(alphas, kernel="linear", **settings).fit(X, y, weights)
    theirs = RidgeCV(alphas, **settings).fit(X, y, weights)
    assert ours.solver_ == "primal"
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    if scoring is not None or not weighted:
        assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-8)
    else:
        # RidgeCV divides the weighted sum by the number of samples, a weighted mean by the sum of weights.
        assert ours.best_score_ == pytest.approx(theirs.best_score_ * len(y) / weights.sum(), rel=1e-8)


@INTERCEPT
@pytest.mark.parametrize("scoring", [None, "r2", make_scorer(mean_absolute_error, greater_is_better=False)], ids=str)
@pytest.mark.parametrize("cv", [5, KFold(3, shuffle=True, random_state=0), "repeated"], ids=str)
def test_results_are_those_of_grid_search(fit_intercept, scoring, cv):
    X, y, _, _ = table(2)
    if cv == "repeated":
        cv = list(RepeatedKFold(n_repeats=2, n_splits=3, random_state=0).split(X))
    ours = KernelRidgeDualCV(ALPHAS, kernel=RBF(1.5), cv=cv, scoring=scoring, fit_intercept=fit_intercept).fit(X, y)
    scoring = scoring or "neg_mean_squared_error"
    base = KernelRidgeDual(kernel=RBF(1.5), fit_intercept=fit_intercept)
    theirs = GridSearchCV(base, {"alpha": ALPHAS}, cv=cv, scoring=scoring).fit(X, y)
    assert ours.cv_results_.keys() == {name for name in theirs.cv_results_ if not name.endswith("_time")}
    for name, values in ours.cv_results_.items():
        if name == "params":
            assert values == theirs.cv_results_[name]
        else:
            np.testing.assert_allclose(values, theirs.cv_results_[name].astype(float), rtol=1e-8, err_msg=name)
    assert {"alpha": ours.alpha_} == theirs.best_params_


@WEIGHTS
@INTERCEPT
@KERNELS
def test_generalised_cross_validation(kernel, weighted, fit_intercept):
    X, y, weights, _ = table(2)
    w = weights if weighted else np.ones(len(X))
    model = KernelRidgeDualCV(ALPHAS, kernel=kernel, cv="gcv", fit_intercept=fit_intercept)
    model.fit(X, y, weights if weighted else None)
    for alpha, score in zip(ALPHAS, model.cv_results_["mean_test_score"], strict=True):
        fits = KernelRidgeDual(alpha, kernel=kernel, fit_intercept=fit_intercept)
        # The trace of the matrix that takes the targets to the fitted values, from the fits to unit vectors.
        hat = fits.fit(X, np.eye(len(X)), w).predict(X)
        residual = y - fits.fit(X, y, w).predict(X)
        expected = np.average(residual**2, axis=0, weights=w) / (1 - np.trace(hat) / len(X)) ** 2
        assert score == pytest.approx(-expected.mean(), rel=1e-8)


@pytest.mark.parametrize("cv", [None, "gcv", 4], ids=str)
@pytest.mark.parametrize("scoring", [None, "r2"])
@pytest.mark.parametrize("kernel", [RBF(1.0), Linear()], ids=repr)
def test_a_penalty_for_each_target(cv, scoring, kernel):
    if cv == "gcv" and scoring:
        pytest.skip("GCV is a squared error")
    X, y, weights, _ = table(3)
    settings = {"kernel": kernel, "cv": cv, "scoring": scoring, "fit_intercept": True}
    alphas = np.geomspace(0.03, 300, 5)
    model = KernelRidgeDualCV(alphas, alpha_per_target=True, **settings).fit(X, y, weights)
    assert len(np.unique(model.alpha_)) > 1
    for t in range(3):
        single = KernelRidgeDualCV(alphas, **settings).fit(X, y[:, t], weights)
        assert model.alpha_[t] == single.alpha_
        assert model.best_score_[t] == pytest.approx(single.best_score_, rel=1e-10)
        np.testing.assert_allclose(model.predict(X)[:, t], single.predict(X), rtol=1e-9)
        np.testing.assert_allclose(
            model.cv_results_["mean_test_score"][:, t], single.cv_results_["mean_test_score"], rtol=1e-10
        )


@pytest.mark.parametrize("cv", [None, "gcv", 4], ids=str)
@INTERCEPT
@KERNELS
def test_weight_zero_is_left_out(cv, fit_intercept, kernel):
    X, y, weights, _ = table()
    weights = weights.copy()
    # Of each of the four folds the same number is left, so that the folds of what is left are the same.
    weights[::5] = 0
    kept = weights > 0
    model = KernelRidgeDualCV(ALPHAS, kernel=kernel, cv=cv, fit_intercept=fit_intercept)
    with_zeros, without = clone(model).fit(X, y, weights), clone(model).fit(X[kept], y[kept], weights[kept])
    assert with_zeros.alpha_ == without.alpha_
    np.testing.assert_allclose(
        with_zeros.cv_results_["mean_test_score"], without.cv_results_["mean_test_score"], rtol=1e-10
    )
    np.testing.assert_allclose(with_zeros.predict(X), without.predict(X), atol=1e-9)
    np.testing.assert_array_equal(with_zeros.dual_coef_[~kept], 0)


@pytest.mark.parametrize("cv", [None, 4], ids=str)
def test_precomputed_is_the_kernel(cv):
    X, y, weights, _ = table(2)
    kernel, weights = RBF(1.5), np.where(np.arange(len(X)) % 7 == 0, 0, weights)
    settings = {"cv": cv, "fit_intercept": True, "store_cv_results": True}
    direct = KernelRidgeDualCV(ALPHAS, kernel=kernel, **settings).fit(X, y, weights)
    given = KernelRidgeDualCV(ALPHAS, kernel="precomputed", **settings).fit(kernel(X), y, weights)
    np.testing.assert_allclose(given.cv_predictions_, direct.cv_predictions_, rtol=1e-12)
    np.testing.assert_allclose(given.predict(kernel(X[:5], X)), direct.predict(X[:5]), rtol=1e-12)


def test_float32_stays_float32():
    X, y, _, _ = table(2)
    single = KernelRidgeDualCV(ALPHAS, kernel=RBF(1.5), fit_intercept=True, store_cv_results=True)
    double = clone(single).fit(X, y)
    single.fit(X.astype(np.float32), y)
    assert single.dual_coef_.dtype == single.cv_predictions_.dtype == single.predict(X[:2]).dtype == np.float32
    # eps of float32 times the condition n / alpha of the system, in units of y.
    bound = np.finfo(np.float32).eps * len(X) / ALPHAS.min() * np.abs(y).max()
    np.testing.assert_allclose(single.cv_predictions_, double.cv_predictions_, atol=bound)


@pytest.mark.parametrize("cv", [TimeSeriesSplit(3), ShuffleSplit(3, test_size=0.3, train_size=0.3)], ids=str)
def test_folds_that_do_not_train_on_all_others_are_refused(cv):
    X, y, _, _ = table()
    with pytest.raises(ValueError, match="GridSearchCV"):
        KernelRidgeDualCV(cv=cv).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alphas": [1.0, 0.0]}, "above 0"),
        ({"alphas": []}, "above 0"),
        ({"alphas": -1.0}, "alphas"),
        ({"alphas": [[1.0]]}, "above 0"),
        ({"cv": "loo"}, "cv"),
        ({"cv": 41}, "n_splits=41"),
        ({"cv": "gcv", "scoring": "r2"}, "gcv"),
        ({"cv": "gcv", "store_cv_results": True}, "gcv"),
        ({"scoring": "r3"}, "scoring"),
        ({"memory_limit": 1000}, "memory_limit"),
    ],
    ids=str,
)
def test_errors_name_the_parameter(params, message):
    X, y, _, _ = table()
    model = KernelRidgeDualCV(**{"kernel": RBF(), **params})
    before = vars(model).copy()
    with pytest.raises((ValueError, MemoryError), match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_one_sample_of_positive_weight():
    X, y, _, _ = table()
    with pytest.raises(ValueError, match="n_samples=1"):
        KernelRidgeDualCV().fit(X, y, np.eye(len(X))[0])
    with pytest.raises(ValueError, match="leaves no sample"):
        KernelRidgeDualCV(cv=2).fit(X, y, np.eye(len(X))[0])


def test_metadata_needs_routing():
    X, y, _, groups = table()
    with pytest.raises(TypeError, match="enable_metadata_routing"):
        KernelRidgeDualCV(cv=GroupKFold(3)).fit(X, y, clusters=groups)


def test_metadata_are_routed():
    X, y, weights, groups = table()
    plain = KernelRidgeDualCV(ALPHAS, kernel=RBF(), cv=GroupKFold(3), scoring="r2").fit(X, y, weights, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = sklearn.metrics.get_scorer("r2").set_score_request(sample_weight=True)
        model = KernelRidgeDualCV(ALPHAS, kernel=RBF(), cv=GroupKFold(3), scoring=scorer)
        routed = model.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weights, groups=groups)
        unweighted = clone(model).set_params(
            scoring=sklearn.metrics.get_scorer("r2").set_score_request(sample_weight=False)
        )
        unweighted.fit(X, y, sample_weight=weights, groups=groups)
        default = KernelRidgeDualCV(ALPHAS, kernel=RBF(), cv=GroupKFold(3)).set_fit_request(sample_weight=True)
        default.fit(X, y, sample_weight=weights, groups=groups)
    np.testing.assert_array_equal(plain.cv_results_["mean_test_score"], routed.cv_results_["mean_test_score"])
    assert not np.array_equal(plain.cv_results_["mean_test_score"], unweighted.cv_results_["mean_test_score"])
    assert default.best_score_ < 0


def test_primal_and_dual_choose_alike():
    # The polynomial of degree 2 in 3 features has 10 monomials: enough samples make them less work than the dual.
    X, y, weights, _ = table(2, n=60)
    settings = {"cv": 5, "fit_intercept": True, "store_cv_results": True}
    primal = KernelRidgeDualCV(ALPHAS, kernel=Polynomial(2), **settings).fit(X, y, weights)
    dual = KernelRidgeDualCV(ALPHAS, kernel="precomputed", **settings).fit(Polynomial(2)(X), y, weights)
    assert (primal.solver_, dual.solver_) == ("primal", "eigh")
    np.testing.assert_allclose(primal.cv_predictions_, dual.cv_predictions_, rtol=1e-8)
    np.testing.assert_allclose(primal.dual_coef_, dual.dual_coef_, atol=1e-8)
