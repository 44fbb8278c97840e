"""Weights, intercepts, penalties per target, given kernels, deviations: the same answers by every solver."""

import pickle
import tracemalloc

import numba
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF as TheirRBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel

from skdeep import KernelRidgeDual, KernelRidgeDualClassifier, KernelRidgeDualCV
from skdeep.engine import threads
from skdeep.kernel_ridge import _problem
from skdeep.kernels import RBF, Linear, Polynomial, Sigmoid
from tests.test_kernel_ridge_cv import table

SOLVERS = pytest.mark.parametrize("solver", ["cholesky", "eigh", "primal"])
WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
INTERCEPT = pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
TARGETS = pytest.mark.parametrize("n_targets", [None, 3])


def kernel_for(solver):
    return Polynomial(2) if solver == "primal" else RBF(1.5)


@SOLVERS
@WEIGHTS
@INTERCEPT
@TARGETS
def test_solution_is_stationary(solver, weighted, fit_intercept, n_targets):
    X, y, weights, _ = table(n_targets)
    kernel, weights = kernel_for(solver), weights if weighted else None
    model = KernelRidgeDual(0.3, kernel=kernel, solver=solver, fit_intercept=fit_intercept).fit(X, y, weights)
    assert model.solver_ == solver
    assert (model.n_iter_, model.error_bound_) == (1, None)
    K, a, b = kernel(X), model.dual_coef_.reshape(len(X), -1), model.intercept_
    w = np.ones((len(X), 1)) if weights is None else weights[:, None]
    gradient = K @ (w * (K @ a + b - y.reshape(len(X), -1)) + 0.3 * a)
    tolerance = 1e-11 * np.abs(K).sum(axis=1).max() ** 2 * np.abs(a).max()
    assert np.abs(gradient).max() < tolerance
    if fit_intercept:  # the derivative by b
        assert np.abs(a.sum(axis=0)).max() < 1e-10 * np.abs(a).sum()
    else:
        np.testing.assert_array_equal(b, 0)
    assert model.dual_coef_.shape == y.shape
    assert np.shape(model.intercept_) == y.shape[1:]


@SOLVERS
@INTERCEPT
def test_whole_weights_are_repeats_and_zero_is_left_out(solver, fit_intercept):
    X, y, _, _ = table(2)
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    repeated, kept = np.repeat(np.arange(len(X)), weights), weights > 0
    settings = {"kernel": kernel_for(solver), "solver": solver, "fit_intercept": fit_intercept}
    weighted = KernelRidgeDual(0.3, **settings).fit(X, y, weights)
    for rows, given in ((repeated, None), (kept, weights[kept])):
        other = KernelRidgeDual(0.3, **settings).fit(X[rows], y[rows], given)
        np.testing.assert_allclose(weighted.predict(X), other.predict(X), atol=1e-8)
        np.testing.assert_allclose(weighted.intercept_, other.intercept_, atol=1e-8)
    np.testing.assert_array_equal(weighted.dual_coef_[~kept], 0)


@WEIGHTS
@TARGETS
@pytest.mark.parametrize("kernel", ["rbf", "poly", "linear"])
def test_weights_are_those_of_scikit_learn(weighted, n_targets, kernel):
    X, y, weights, _ = table(n_targets)
    given = (weights if weighted else None,)
    theirs = KernelRidge(alpha=0.5, kernel=kernel).fit(X, y, *given)
    ours = KernelRidgeDual(alpha=0.5, kernel=kernel, solver="cholesky").fit(X, y, *given)
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=1e-9)


@WEIGHTS
@SOLVERS
def test_intercept_is_that_of_ridge(weighted, solver):
    X, y, weights, _ = table(2)
    given = (weights if weighted else None,)
    theirs = Ridge(0.7).fit(X, y, *given)
    ours = KernelRidgeDual(0.7, solver=solver, fit_intercept=True).fit(X, y, *given)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)


@SOLVERS
@INTERCEPT
def test_a_penalty_for_each_target(solver, fit_intercept):
    X, y, weights, _ = table(3)
    settings = {"kernel": kernel_for(solver), "fit_intercept": fit_intercept}
    alphas = [0.1, 1.0, 0.1]
    if solver == "cholesky":
        with pytest.raises(ValueError, match="solver='eigh'"):
            KernelRidgeDual(alphas, solver=solver, **settings).fit(X, y)
        return
    model = KernelRidgeDual(alphas, solver=solver, **settings).fit(X, y, weights)
    deviation = model.predict(X[:4], return_std=True)[1]
    assert deviation.shape == (4, 3)
    for t, alpha in enumerate(alphas):
        single = KernelRidgeDual(alpha, solver="cholesky", **settings).fit(X, y[:, t], weights)
        np.testing.assert_allclose(model.predict(X)[:, t], single.predict(X), atol=1e-9)
        np.testing.assert_allclose(deviation[:, t], single.predict(X[:4], return_std=True)[1], atol=1e-7)


def test_equal_penalties_are_one():
    X, y, _, _ = table(2)
    one = KernelRidgeDual(0.3, kernel=RBF()).fit(X, y)
    several = KernelRidgeDual([0.3, 0.3], kernel=RBF()).fit(X, y)
    assert one.solver_ == several.solver_ == "cholesky"
    np.testing.assert_array_equal(one.dual_coef_, several.dual_coef_)


@pytest.mark.parametrize("kernel", [Linear(), Polynomial(2), Polynomial(3, coef0=0.0, gamma=0.2)], ids=repr)
@pytest.mark.parametrize("alpha", [1e-6, 0.1, 100.0])
@WEIGHTS
@INTERCEPT
def test_primal_and_dual_predict_alike(kernel, alpha, weighted, fit_intercept):
    X, y, weights, _ = table(2, n=80)
    fits = [
        KernelRidgeDual(alpha, kernel=kernel, solver=solver, fit_intercept=fit_intercept)
        .fit(X, y, weights if weighted else None)
        .predict(X, return_std=True)
        for solver in ("primal", "eigh")
    ]
    # The dual loses eps times the condition of K + alpha I, of the order 1e5 / alpha here.
    for ours, theirs in zip(*fits, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11 / min(alpha, 1e-3))


@pytest.mark.parametrize(
    ("kernel", "n", "solver"),
    [("linear", 12, "primal"), ("linear", 11, "cholesky"), ("rbf", 80, "cholesky"), (Polynomial(2), 40, "primal")],
    ids=str,
)
def test_automatic_choice(kernel, n, solver):
    # Three features: 3 of the linear kernel, 10 monomials; the primal is worth it up to a quarter of the samples.
    X, y, _, _ = table(n=n)
    assert KernelRidgeDual(kernel=kernel).fit(X, y).solver_ == solver


@SOLVERS
@TARGETS
@INTERCEPT
def test_singular_system_without_penalty(solver, n_targets, fit_intercept):
    X, y, _, _ = table(n_targets)
    model = KernelRidgeDual(0.0, solver=solver, fit_intercept=fit_intercept)
    with pytest.warns(UserWarning, match="Singular matrix in solving dual problem") as record:
        model.fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert model.solver_ == ("primal" if solver == "primal" else "eigh")
    # Of all coefficients that minimise the error those of least norm, and of all f that of least norm.
    centred = X - X.mean(axis=0) if fit_intercept else X
    targets = y - y.mean(axis=0) if fit_intercept else y
    expected = np.linalg.pinv(centred @ centred.T, rcond=1e-10, hermitian=True) @ targets
    np.testing.assert_allclose(model.dual_coef_, expected, atol=1e-9)
    reference = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]) if fit_intercept else X, y)[0]
    fitted = X @ reference[:3] + (reference[3] if fit_intercept else 0)
    np.testing.assert_allclose(model.predict(X), fitted, atol=1e-8)


@WEIGHTS
@INTERCEPT
@pytest.mark.parametrize("kernel", [RBF(1.5), Linear()], ids=repr)
def test_deviation_is_that_of_the_gaussian_process(weighted, fit_intercept, kernel):
    X, y, weights, _ = table(2)
    new = np.random.default_rng(1).normal(size=(9, 3))
    model = KernelRidgeDual(0.3, kernel=kernel, fit_intercept=fit_intercept).fit(X, y, weights if weighted else None)
    predicted, deviation = model.predict(new, return_std=True)
    np.testing.assert_array_equal(predicted, model.predict(new))
    # An intercept of flat prior is the limit of a constant kernel of growing size.
    G = kernel(X) + 0.3 * np.diag(1 / weights if weighted else np.ones(len(X)))
    inverse, cross = np.linalg.inv(G), kernel(new, X)
    variance = kernel.diag(new) - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    if fit_intercept:
        variance += (1 - cross @ inverse.sum(axis=1)) ** 2 / inverse.sum()
    np.testing.assert_allclose(deviation, np.sqrt(variance), rtol=1e-7)


def test_deviation_is_that_of_scikit_learn_and_never_negative():
    X, y, _, _ = table()
    model = KernelRidgeDual(1e-9, kernel=RBF(1.5)).fit(X, y)
    theirs = GaussianProcessRegressor(TheirRBF(1.5), alpha=1e-9, optimizer=None).fit(X, y)
    new = np.vstack([X, X + 3])
    ours, expected = model.predict(new, return_std=True)[1], theirs.predict(new, return_std=True)[1]
    assert np.all(ours >= 0)
    np.testing.assert_allclose(ours**2, expected**2, atol=1e-9)


def test_deviation_is_of_the_fit_whatever_the_parameters_are_now():
    X, y, weights, _ = table()
    weights = np.where(np.arange(len(X)) % 4 == 0, 0, weights)
    model = KernelRidgeDual(0.3, kernel=RBF(1.5), fit_intercept=True).fit(X, y, weights)
    before = model.predict(X, return_std=True)
    model.set_params(alpha=5.0, kernel="linear", fit_intercept=False)
    for old, new in zip(before, model.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("estimator", [KernelRidgeDual, KernelRidgeDualCV, KernelRidgeDualClassifier])
def test_precomputed(estimator):
    X, y, weights, _ = table()
    y = y > 3 if estimator is KernelRidgeDualClassifier else y
    weights = np.where(np.arange(len(X)) % 4 == 0, 0, weights)
    K = RBF(1.5)(X)
    K.setflags(write=False)
    copy = K.copy()
    ours = estimator(kernel="precomputed").fit(K, y, weights)
    np.testing.assert_array_equal(K, copy)
    direct = estimator(kernel=RBF(1.5)).fit(X, y, weights)
    np.testing.assert_allclose(ours.dual_coef_, direct.dual_coef_, rtol=1e-12)
    # BLAS adds in another order.
    predicted = ours.predict(RBF(1.5)(X[:7], X)).astype(float)
    np.testing.assert_allclose(predicted, direct.predict(X[:7]).astype(float), rtol=1e-10)
    assert ours.__sklearn_tags__().input_tags.pairwise
    assert not direct.__sklearn_tags__().input_tags.pairwise
    for bad, message in ((K[:, :9], "square"), (np.triu(K), "symmetric"), (sp.csr_array(K), "[Ss]parse")):
        with pytest.raises((ValueError, TypeError), match=message):
            estimator(kernel="precomputed").fit(bad, y)
    with pytest.raises(ValueError, match="features"):
        ours.predict(K[:, :9])


def test_precomputed_has_no_deviation():
    X, y, _, _ = table()
    with pytest.raises(ValueError, match="return_std"):
        KernelRidgeDual(kernel="precomputed").fit(RBF()(X), y).predict(RBF()(X), return_std=True)


@pytest.mark.parametrize("sparse", [False, True])
def test_callables_are_called_as_scikit_learn_calls_them(sparse):
    X, y, _, _ = table(n=12)
    X = sp.csr_array(X) if sparse else X

    def scaled_product(a, b, scale):
        return scale * float((a @ b.T).sum())

    settings = {"kernel": scaled_product, "kernel_params": {"scale": 2.0}}
    ours, theirs = KernelRidgeDual(**settings).fit(X, y), KernelRidge(**settings).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-10)


@pytest.mark.parametrize("optimizer", [None, "fmin_l_bfgs_b"])
def test_columns_by_name(optimizer):
    X, y, weights, _ = table()
    frame, weights = pd.DataFrame(X, columns=["a", "b", "c"]), np.where(weights < 1, 0, weights)
    named, numbered = RBF().on(["a", "c"]) + Linear().on("b"), RBF().on([0, 2]) + Linear().on(1)
    ours = KernelRidgeDualCV(kernel=named, optimizer=optimizer, bounds=(0.1, 10.0)).fit(frame, y, weights)
    theirs = KernelRidgeDualCV(kernel=numbered, optimizer=optimizer, bounds=(0.1, 10.0)).fit(X, y, weights)
    np.testing.assert_array_equal(ours.predict(frame), theirs.predict(X))
    single = KernelRidgeDual(kernel=named).fit(frame, y)
    restored = pickle.loads(pickle.dumps(single))
    np.testing.assert_array_equal(
        restored.predict(frame, return_std=True)[1], single.predict(frame, return_std=True)[1]
    )
    with pytest.raises(ValueError, match="by name"):
        KernelRidgeDual(kernel=named).fit(X, y)


def test_kernels_of_scikit_learns_gaussian_processes():
    X, y, _, _ = table()
    ours = KernelRidgeDual(kernel=TheirRBF(1.5)).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), KernelRidgeDual(kernel=RBF(1.5)).fit(X, y).predict(X), rtol=1e-10)


@SOLVERS
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix, sp.coo_array])
def test_sparse_data(solver, container):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)) * (rng.random((40, 5)) < 0.4)
    y, weights = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    settings = {"kernel": kernel_for(solver), "solver": solver, "fit_intercept": True}
    dense = KernelRidgeDual(**settings).fit(X, y, weights)
    sparse = KernelRidgeDual(**settings).fit(container(X), y, weights)
    assert sp.issparse(sparse.X_fit_)
    for query in (X, container(X)):
        for ours, theirs in zip(sparse.predict(query, return_std=True), dense.predict(X, return_std=True), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_indefinite_kernels_are_told():
    X, y, _, _ = table(n=30)
    K = Sigmoid(gamma=0.5, coef0=-1.0)(X)
    smallest = np.linalg.eigvalsh(K)[0]
    assert smallest < -0.1
    # A penalty above the negative eigenvalues leaves a positive definite system.
    KernelRidgeDual(-2 * smallest, kernel=Sigmoid(gamma=0.5, coef0=-1.0)).fit(X, y)
    with pytest.warns(UserWarning, match="not positive semidefinite") as record:
        model = KernelRidgeDual(0.01, kernel="sigmoid", gamma=0.5, coef0=-1.0).fit(X, y)
    assert len(record) == 1
    assert model.solver_ == "eigh"
    np.testing.assert_allclose((K + 0.01 * np.eye(len(K))) @ model.dual_coef_, y, atol=1e-9)


def test_one_and_two_threads_give_the_same_bits(monkeypatch):
    X, y, weights, _ = table(2, n=200)
    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", 0)
    results, before = [], numba.get_num_threads()
    try:
        for n_threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(n_threads)
            fits = [
                KernelRidgeDual(0.3, kernel=RBF() + Linear(), solver=solver, fit_intercept=True).fit(X, y, weights)
                for solver in ("cholesky", "eigh")
            ]
            fits.append(KernelRidgeDualCV(kernel=RBF(), cv=3).fit(X, y, weights))
            results.append([(fit.dual_coef_, fit.predict(X)) for fit in fits])
    finally:
        numba.set_num_threads(before)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize(
    ("estimator", "n_copies"),
    [
        (KernelRidgeDual(solver="cholesky"), 1),
        (KernelRidgeDual(solver="eigh"), 4),
        (KernelRidgeDualCV(), 4),
        (KernelRidgeDualClassifier(solver="cholesky"), 1),
    ],
    ids=repr,
)
def test_memory_is_looked_at_before_anything_is_allocated(estimator, n_copies, monkeypatch):
    X = np.random.default_rng(0).normal(size=(2000, 3))
    y = X[:, 0] > 0 if isinstance(estimator, KernelRidgeDualClassifier) else X[:, 0]
    needed = n_copies * 2000**2 * 8
    estimator.set_params(kernel=RBF())
    for limited in (True, False):
        if limited:
            estimator.set_params(memory_limit=needed - 1)
        else:
            estimator.set_params(memory_limit=None)
            monkeypatch.setattr(_problem.memory, "available", lambda: needed - 1)
        tracemalloc.start()
        with pytest.raises(MemoryError, match=r"2000 x 2000 .* MiB.*solver='pcg' and solver='nystroem'"):
            estimator.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2000**2 * 8 / 10
        assert not hasattr(estimator, "dual_coef_")


@pytest.mark.parametrize("limited", [True, False])
def test_memory_is_looked_at_before_a_singular_matrix_is_decomposed(limited, monkeypatch):
    X, n_bytes = np.ones((700, 2)), 700**2 * 8  # all samples are the same
    model = KernelRidgeDual(0.0, kernel=RBF(), solver="cholesky", memory_limit=4 * n_bytes - 1 if limited else None)
    if not limited:
        monkeypatch.setattr(_problem.memory, "available", lambda: 3 * n_bytes - 1)
        monkeypatch.setattr(_problem.memory, "NEGLIGIBLE", 0)
    with pytest.raises(MemoryError, match=r"decomposition of a singular Gram matrix .* raise alpha"):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "dual_coef_")


def test_cholesky_needs_one_copy_of_the_gram_matrix():
    n = 1500
    X = np.random.default_rng(0).normal(size=(n, 3))
    model = KernelRidgeDual(kernel=RBF(), fit_intercept=True, memory_limit=n * n * 8)
    model.fit(X[:9], X[:9, 0])  # compiled
    tracemalloc.start()
    model.fit(X, X[:, 0], np.linspace(0.5, 2, n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Beside the matrix there are blocks of 512 rows.
    assert peak < n * n * 8 + 2 * 512 * n * 8


def test_matches_scikit_learns_own_gram_matrix():
    X, y, _, _ = table()
    given = KernelRidgeDual(kernel="precomputed").fit(rbf_kernel(X, gamma=0.2), y)
    named = KernelRidgeDual(kernel="rbf", gamma=0.2).fit(X, y)
    np.testing.assert_allclose(given.dual_coef_, named.dual_coef_, rtol=1e-9)
