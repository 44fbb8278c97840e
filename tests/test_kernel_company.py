"""Kernels in the company of scikit-learn: pairwise functions, estimators that take kernels, Gaussian processes."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import KernelPCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as theirs
from sklearn.gaussian_process.tests import test_gpr, test_kernels
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Periodic,
    Polynomial,
    RationalQuadratic,
    Sigmoid,
    as_gaussian_process_kernel,
)

# ------------------------------------------------------------------------- estimators that take kernels


@pytest.fixture
def flowers():
    X, y = load_iris(return_X_y=True)
    return X, y


def counting(kernel):
    """The kernel, and how often it is called."""
    calls = []

    class Counting(type(kernel)):
        def __call__(self, X, Y=None):
            calls.append(1)
            return super().__call__(X, Y)

    return Counting(**kernel.get_params(deep=False)), calls


def test_pairwise_kernels_call_once_for_all_pairs(flowers):
    X, _ = flowers
    kernel, calls = counting(RBF(2.0))
    np.testing.assert_array_equal(pairwise_kernels(X, metric=kernel), kernel(X))
    np.testing.assert_array_equal(pairwise_kernels(X, X[:9], metric=kernel), kernel(X, X[:9]))
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (lambda kernel, **gamma: SVC(kernel=kernel, **gamma), "decision_function"),
        (lambda kernel, **gamma: KernelPCA(3, kernel=kernel, **gamma), "transform"),
        (lambda kernel, **gamma: Nystroem(kernel=kernel, n_components=40, random_state=0, **gamma), "transform"),
        (lambda kernel, **gamma: KernelRidge(kernel=kernel, **gamma), "predict"),
    ],
    ids=["SVC", "KernelPCA", "Nystroem", "KernelRidge"],
)
def test_estimators_take_kernels(model, method, flowers):
    X, y = flowers
    kernel, calls = counting(RBF(2.0))
    ours, named = model(kernel).fit(X, y), model("rbf", gamma=1 / 8).fit(X, y)
    # Their own solutions are good to this.
    np.testing.assert_allclose(getattr(ours, method)(X), getattr(named, method)(X), rtol=1e-4, atol=1e-4)
    assert len(calls) < 5


def test_parameters_are_searched(flowers):
    X, y = flowers
    grid = {"kernel__rbf__length_scale": [0.01, 2.0], "kernel__linear__kernel": [Linear(), Polynomial()]}
    search = GridSearchCV(SVC(kernel=RBF() + 0.1 * Linear()), grid, cv=3).fit(X, y)
    assert search.best_params_["kernel__rbf__length_scale"] == 2.0
    assert len(search.cv_results_["params"]) == 4
    # A larger sum has the same names.
    GridSearchCV(SVC(kernel=RBF() + 0.1 * Linear() + RBF(5.0)), grid, cv=3).fit(X, y)


# --------------------------------------------------------------------------------- Gaussian processes


@pytest.fixture
def progression():
    X, y = load_diabetes(return_X_y=True)
    return X[:80, :3] * 20, (y[:80] - y[:80].mean()) / y[:80].std()


PEERS = [
    (RBF(1.5), theirs.RBF(1.5)),
    (RBF([1.0, 2.0, 3.0]), theirs.RBF([1.0, 2.0, 3.0])),
    (2.0 * Matern(1.5, 2.5), theirs.ConstantKernel(2.0) * theirs.Matern(1.5, nu=2.5)),
    (RationalQuadratic(1.5, 0.7), theirs.RationalQuadratic(1.5, 0.7)),
    (
        1.5 * RBF(2.0) + 0.5 * Linear() + Constant(0.3),
        1.5 * theirs.RBF(2.0)
        + theirs.ConstantKernel(0.5) * theirs.DotProduct(0.0, "fixed")
        + theirs.ConstantKernel(0.3),
    ),
]


@pytest.mark.parametrize(("ours", "peer"), PEERS, ids=lambda k: repr(k))
def test_the_same_likelihood_and_gradient(ours, peer, progression):
    X, y = progression
    adapter = as_gaussian_process_kernel(ours)
    one, other = (GaussianProcessRegressor(k, alpha=0.3, optimizer=None).fit(X, y) for k in (adapter, peer))
    value, gradient = one.log_marginal_likelihood(one.kernel_.theta, eval_gradient=True)
    expected, expected_gradient = other.log_marginal_likelihood(other.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(expected, rel=1e-10)
    # Hyperparameters are in the order of the expression on both sides.
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("ours", "peer"), PEERS, ids=lambda k: repr(k))
def test_the_same_optimum(ours, peer, progression):
    X, y = progression
    bounds = (1e-2, 1e3)
    for hyperparameter in peer.hyperparameters:
        if not hyperparameter.fixed:
            peer = clone(peer).set_params(**{f"{hyperparameter.name}_bounds": bounds})
    one = GaussianProcessRegressor(as_gaussian_process_kernel(ours, bounds), alpha=0.3).fit(X, y)
    other = GaussianProcessRegressor(peer, alpha=0.3).fit(X, y)
    # L-BFGS stops where the likelihood changes by 1e-9 of itself.
    assert one.log_marginal_likelihood_value_ == pytest.approx(other.log_marginal_likelihood_value_, rel=1e-5)
    assert one.log_marginal_likelihood_value_ > one.log_marginal_likelihood(as_gaussian_process_kernel(ours).theta)
    np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-2)
    assert ours == one.kernel.kernel  # the kernel that was given is as it was


def test_bounds():
    k = 2.0 * RBF([1.0, 2.0]) + Polynomial(2, 0.0)
    everything = as_gaussian_process_kernel(k)
    # What is 0 has no logarithm, and cannot move.
    assert {h.name for h in everything.hyperparameters if h.fixed} == {"kernel__polynomial__coef0"}
    np.testing.assert_allclose(everything.theta, np.log([2.0, 1.0, 2.0, 1.0]))
    np.testing.assert_allclose(everything.bounds, np.log([[1e-5, 1e5]] * 4))
    assert as_gaussian_process_kernel(k, "fixed").theta.size == 0
    some = as_gaussian_process_kernel(k, {"rbf__kernel__length_scale": (0.5, 4.0), "polynomial__gamma": "fixed"})
    np.testing.assert_allclose(some.bounds, np.log([[1e-5, 1e5], [0.5, 4.0], [0.5, 4.0]]))
    assert some.clone_with_theta(np.log([3.0, 0.7, 0.8])).kernel == 3.0 * RBF([0.7, 0.8]) + Polynomial(2, 0.0)
    assert some.kernel == k


def test_bounds_are_kept(progression):
    X, y = progression
    kernel = as_gaussian_process_kernel(2.0 * RBF(1.0), {"scale": "fixed", "kernel__length_scale": (0.9, 1.1)})
    model = GaussianProcessRegressor(kernel, alpha=0.3).fit(X, y)
    assert model.kernel_.kernel.scale == 2.0
    assert 0.9 <= model.kernel_.kernel.kernel.length_scale <= 1.1


def test_gradient_of_two_sets_is_refused():
    with pytest.raises(ValueError, match="leave Y out"):
        as_gaussian_process_kernel(RBF())(np.ones((2, 1)), np.ones((3, 1)), eval_gradient=True)


# ---------------------------------------------------------------- scikit-learn's tests of its own kernels

# Of their X, two features.
ADAPTERS = [
    as_gaussian_process_kernel(kernel, bounds)
    for kernel, bounds in [
        (RBF(2.0), (1e-5, 1e5)),
        (RBF(), (0.5, 2.0)),
        (Constant(10.0), (1e-5, 1e5)),
        (2.0 * RBF(0.33), {"kernel__length_scale": "fixed"}),
        (2.0 * RBF(0.5), (1e-5, 1e5)),
        (2.0 * RBF([0.5, 2.0]), (1e-5, 1e5)),
        (2.0 * Matern(0.33), {"kernel__length_scale": "fixed"}),
        (2.0 * Matern(0.5, 0.5), (1e-5, 1e5)),
        (2.0 * Matern(1.5, 1.5), (1e-5, 1e5)),
        (2.0 * Matern(2.5, 2.5), (1e-5, 1e5)),
        (2.0 * Matern([0.5, 2.0], 0.5), (1e-5, 1e5)),
        (3.0 * Matern([2.0, 0.5], 1.5), (1e-5, 1e5)),
        (4.0 * Matern([0.5, 0.5], 2.5), (1e-5, 1e5)),
        (RationalQuadratic(0.5, 1.5), (1e-5, 1e5)),
        (RationalQuadratic([0.5, 1.0], 1.5), (1e-5, 1e5)),
        (Periodic(0.5, 1.5), (1e-5, 1e5)),
        (Linear() + 4.0, (1e-5, 1e5)),
        ((Linear() + 4.0) ** 2, (1e-5, 1e5)),
        (Polynomial(3, 1.0, 0.5), (1e-5, 1e5)),
        (Laplacian(1.0), (1e-5, 1e5)),
        (Sigmoid(1.0), (1e-5, 1e5)),
        (Cosine(), (1e-5, 1e5)),
        (ArcCosine() * RBF() + NeuralTangent(), (1e-5, 1e5)),
        ((2.0 * RBF().on(0)).exp().normalize(), (1e-5, 1e5)),
    ]
]
OF_KERNELS = [
    "test_kernel_gradient",
    "test_auto_vs_cross",
    "test_kernel_diag",
    "test_kernel_input_type",
    "test_kernel_clone",
    "test_kernel_clone_after_set_params",
    "test_kernel_versus_pairwise",
    "test_set_get_params",
    "test_repr_kernels",
]
OF_OTHERS = {
    "test_kernel_theta": "every constructor is asked for arguments that end in _bounds",
    "test_kernel_operator_commutative": "of their operators; ours are tested with the algebra",
    "test_kernel_anisotropic": "of their operators and of k2, their name of an operand",
    "test_kernel_stationary": "an expression does not say whether it is stationary",
    "test_compound_kernel_input_type": "of their CompoundKernel and WhiteKernel",
    "test_matern_kernel": "of values of nu that have no closed form",
    "test_rational_quadratic_kernel": "of the refusal of a length scale for each feature, which ours has",
}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@pytest.mark.parametrize("name", OF_KERNELS)
def test_suite_of_scikit_learn(name, adapter):
    getattr(test_kernels, name)(adapter)


def test_no_test_of_scikit_learn_is_forgotten():
    names = {name for name in dir(test_kernels) if name.startswith("test_")}
    assert names == {*OF_KERNELS, *OF_OTHERS}


# The kernels of their tests of the regressor, of one feature.
OF_REGRESSORS = [
    as_gaussian_process_kernel(RBF()),
    as_gaussian_process_kernel(RBF(), (1e-3, 1e3)),
    as_gaussian_process_kernel(1.0 * RBF(), {"scale": (1e-2, 1e2), "kernel__length_scale": (1e-3, 1e3)}),
    as_gaussian_process_kernel(1.0 * RBF() + 1e-5, {"rbf__scale": (1e-2, 1e2), "constant__value": (1e-5, 1e2)}),
    as_gaussian_process_kernel(0.1 * RBF() + 1e-5, {"rbf__scale": (1e-2, 1e2), "constant__value": (1e-5, 1e2)}),
]


@pytest.mark.parametrize("adapter", OF_REGRESSORS, ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        "test_gpr_interpolation",
        "test_lml_improving",
        "test_lml_precomputed",
        "test_lml_without_cloning_kernel",
        "test_converged_to_local_maximum",
        "test_solution_inside_bounds",
        "test_prior",
        "test_y_normalization",
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # theirs meet their bounds, too
def test_regressors_of_scikit_learn(name, adapter):
    getattr(test_gpr, name)(clone(adapter))
