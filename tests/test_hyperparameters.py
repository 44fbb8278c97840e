"""Hyperparameters of the kernel by gradient: derivatives, scikit-learn's likelihood, what the search finds."""

import functools

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF as TheirRBF
from sklearn.gaussian_process.kernels import ConstantKernel

from skdeep import KernelRidgeDual, KernelRidgeDualCV
from skdeep.kernel_ridge._hyperparameters import Objective
from skdeep.kernel_ridge._problem import Problem
from skdeep.kernels import RBF, Linear, Polynomial
from skdeep.kernels.given import PrecomputedKernel
from tests.test_kernel_ridge_cv import table

CRITERIA = pytest.mark.parametrize("criterion", ["leave_one_out", "log_marginal_likelihood"])
WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
INTERCEPT = pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])


@CRITERIA
@WEIGHTS
@INTERCEPT
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize(
    "kernel",
    [RBF(1.3), RBF([0.7, 1.0, 3.0]), 2.0 * RBF(0.8) + 0.3 * Linear(), Polynomial(2, coef0=0.0, gamma=0.5)],
    ids=repr,
)
def test_gradient_is_that_of_differences(criterion, weighted, fit_intercept, n_targets, kernel):
    X, Y, weights, _ = table(n_targets, n=25)
    weights = weights if weighted else None
    objective = Objective(Problem(kernel, X, Y, None, weights, fit_intercept), criterion)
    theta = objective.theta(0.2)
    value, gradient = objective(theta)
    assert np.isfinite(value)
    numeric = approx_fprime(theta, lambda point: objective(point)[0], 1e-6)
    # Forward differences of step h err by h times the second derivative, of the order of the first on a log scale.
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5)


@WEIGHTS
def test_likelihood_is_that_of_scikit_learn(weighted):
    X, Y, weights, _ = table(2, n=25)
    alpha = 0.2
    noise = alpha / weights if weighted else alpha
    theirs = GaussianProcessRegressor(1.5 * TheirRBF(0.7), alpha=noise, optimizer=None).fit(X, Y)
    problem = Problem(1.5 * RBF(0.7), X, Y, None, weights if weighted else None)
    value, _ = Objective(problem, "log_marginal_likelihood")(np.log([1.5, 0.7, alpha]))
    # The density of sqrt(w) y is that of y over the product of the roots.
    jacobian = 0.5 * Y.shape[1] * np.log(weights).sum() if weighted else 0.0
    assert -value * Y.size + jacobian == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-10)


def test_leave_one_out_criterion_is_the_score():
    X, y, weights, _ = table()
    model = KernelRidgeDualCV([0.3], kernel=RBF(1.0), fit_intercept=True).fit(X, y, weights)
    problem = Problem(RBF(1.0), X, y[:, None], None, weights, True)
    value, _ = Objective(problem, "leave_one_out")(np.log([1.0, 0.3]))
    assert np.exp(value) * len(y) / weights.sum() == pytest.approx(-model.best_score_, rel=1e-10)


@CRITERIA
def test_search_ends_where_the_gradient_vanishes(criterion):
    X, y, _, _ = table(n=60)
    model = KernelRidgeDualCV(
        kernel=RBF([1.0, 1.0, 1.0]), criterion=criterion, optimizer="fmin_l_bfgs_b", bounds=(1e-3, 1e3)
    )
    model.fit(X, y)
    objective = Objective(Problem(model.kernel_, X, y[:, None], None), criterion)
    _, gradient = objective(objective.theta(model.alpha_))
    inside = np.abs(objective.theta(model.alpha_)) < np.log(1e3) - 1e-9
    assert inside.any()
    # The search stops where a step changes the value by less than 1e-9 or so of it.
    assert np.abs(gradient[inside]).max() < 1e-3
    # The third feature is noise: its length scale is far above the others.
    assert model.kernel_.length_scale[2] > 5 * max(model.kernel_.length_scale[:1])
    start = KernelRidgeDualCV(kernel=RBF(1.0)).fit(X, y)
    assert model.best_score_ > start.best_score_
    final = KernelRidgeDual(model.alpha_, kernel=model.kernel_).fit(X, y)
    np.testing.assert_allclose(model.predict(X), final.predict(X), rtol=1e-8)


def test_likelihood_search_finds_what_scikit_learn_finds():
    X, y, _, _ = table(n=60)
    y = y - y.mean()
    theirs = GaussianProcessRegressor(ConstantKernel() * TheirRBF(), alpha=0.09).fit(X, y)
    settings = {"criterion": "log_marginal_likelihood", "optimizer": "fmin_l_bfgs_b"}
    ours = KernelRidgeDualCV(kernel=1.0 * RBF(), **settings).fit(X, y)
    # Here the noise is fitted, too: no worse than with the noise that the data were made with.
    problem = Problem(ours.kernel_, X, y[:, None], None)
    objective = Objective(problem, "log_marginal_likelihood")
    value, _ = objective(objective.theta(ours.alpha_))
    assert -value * len(y) >= theirs.log_marginal_likelihood_value_ - 1e-6


def test_restarts_never_end_worse():
    X, y, _, _ = table(n=40)
    scores = []
    for n_restarts in (0, 2):
        model = KernelRidgeDualCV(
            kernel=RBF(300.0), optimizer="fmin_l_bfgs_b", n_restarts_optimizer=n_restarts, random_state=0
        )
        scores.append(model.fit(X, y).best_score_)
    assert scores[1] >= scores[0] - 1e-9
    assert model.cv_results_["mean_test_score"].shape == (1,)


def test_an_optimizer_of_ones_own():
    X, y, _, _ = table(n=40)

    def two_steps(obj_func, initial_theta, bounds):
        value, gradient = obj_func(initial_theta)
        assert gradient.shape == initial_theta.shape == (3,)
        assert obj_func(initial_theta, eval_gradient=False) == value
        np.testing.assert_allclose(np.exp(bounds), [(0.1, 9.0)] * 3)
        found = minimize(obj_func, initial_theta, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 2})
        assert found.fun < value
        seen.append(found.x)
        return found.x, found.fun

    settings = {"kernel": 1.0 * RBF(1.0), "bounds": (0.1, 9.0)}
    seen = []
    model = KernelRidgeDualCV([0.5], optimizer=two_steps, **settings).fit(X, y)
    assert len(seen) == 1
    theta = Objective(Problem(model.kernel_, X, y[:, None], None), "leave_one_out").theta(model.alpha_)
    np.testing.assert_allclose(theta, seen[0])
    best = KernelRidgeDualCV([0.5], optimizer="fmin_l_bfgs_b", **settings).fit(X, y)
    assert best.best_score_ >= model.best_score_


def test_a_search_that_is_cut_short_says_so(monkeypatch):
    X, y, _, _ = table(n=40)
    short = functools.partial(minimize, options={"maxiter": 1})
    monkeypatch.setattr("skdeep.kernel_ridge._hyperparameters.minimize", short)
    with pytest.warns(ConvergenceWarning, match="stopped early") as caught:
        KernelRidgeDualCV(kernel=RBF([1.0, 2.0, 3.0]), optimizer="fmin_l_bfgs_b").fit(X, y)
    assert caught[0].filename == __file__


def test_bounds_hold():
    X, y, _, _ = table()
    model = KernelRidgeDualCV(kernel=RBF(1.0), optimizer="fmin_l_bfgs_b", bounds=(2.0, 3.0)).fit(X, y)
    assert 2.0 - 1e-9 <= model.kernel_.length_scale <= 3.0 + 1e-9
    assert 2.0 - 1e-9 <= model.alpha_ <= 3.0 + 1e-9


def test_float32_and_names():
    X, y, _, _ = table()
    model = KernelRidgeDualCV(kernel="rbf", optimizer="fmin_l_bfgs_b").fit(X.astype(np.float32), y)
    double = KernelRidgeDualCV(kernel="rbf", optimizer="fmin_l_bfgs_b").fit(X.astype(np.float32).astype(np.float64), y)
    assert model.dual_coef_.dtype == np.float32
    assert model.kernel_.length_scale == pytest.approx(double.kernel_.length_scale, rel=1e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bounds": (1.0, 0.1)}, "bounds"),
        ({"bounds": (0.0, 1.0)}, "bounds"),
        ({"criterion": "aic"}, "criterion"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"alpha_per_target": True}, "alpha_per_target"),
        ({"kernel": "precomputed"}, "derivatives"),
    ],
    ids=str,
)
def test_errors_name_the_parameter(params, message):
    X, Y, _, _ = table(2)
    X = RBF()(X) if params.get("kernel") == "precomputed" else X
    model = KernelRidgeDualCV(**{"kernel": RBF(), "optimizer": "fmin_l_bfgs_b", **params})
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


def test_precomputed_kernels_have_no_hyperparameters():
    assert not hasattr(PrecomputedKernel(), "gradient")
