"""Weights and intercept taken out of a system, its spectrum, and hold-out in closed form: against dense algebra."""

import numpy as np
import pytest

from skdeep.solvers import cholesky, eigen
from skdeep.solvers.holdout import generalised_cross_validation, leave_one_out, leave_out
from skdeep.solvers.reduction import Reduction

RTOL = {"float32": 1e-3, "float64": 1e-9}
EVERY = [
    pytest.mark.parametrize("dtype", ["float32", "float64"]),
    pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"]),
    pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"]),
]


def in_all_combinations(test):
    for mark in EVERY:
        test = mark(test)
    return test


def system(n, dtype, weighted, rank=None):
    """Features of K = phi phi', K, two targets and weights."""
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(n, rank or n)).astype(dtype)
    phi /= np.sqrt(phi.shape[1])
    Y, weights = rng.normal(size=(n, 2)).astype(dtype) + 1, rng.uniform(0.2, 3.0, n).astype(dtype)
    return phi, phi @ phi.T, Y, weights if weighted else None


def bordered(K, Y, weights, alpha, fit_intercept):
    """Coefficients and intercepts by the equations as they are written down, in float64."""
    n, K, Y = len(K), K.astype("float64"), Y.astype("float64")
    G = K + alpha * np.diag(1 / (np.ones(n) if weights is None else weights.astype("float64")))
    if not fit_intercept:
        return np.linalg.solve(G, Y), np.zeros(Y.shape[1])
    matrix = np.block([[G, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    solution = np.linalg.solve(matrix, np.vstack([Y, np.zeros((1, Y.shape[1]))]))
    return solution[:n], solution[n]


def spectra(phi, K, weights, fit_intercept):
    """The spectrum of K and that of its features, each with the reduction that it was computed in."""
    for decompose, matrix in ((eigen.decompose, K), (eigen.decompose_features, phi)):
        reduction = Reduction(len(K), K.dtype, weights, fit_intercept)
        yield decompose(matrix.copy(), reduction), reduction


@in_all_combinations
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (2, 1), (20, 20), (20, 6), (20, 30)])
def test_solutions_solve_the_equations_as_written(n, rank, dtype, weighted, fit_intercept):
    phi, K, Y, weights = system(n, dtype, weighted, rank)
    alphas = np.array([0.3, 0.05])
    expected = [bordered(K, Y[:, [t]], weights, alpha, fit_intercept) for t, alpha in enumerate(alphas)]
    coefficients, intercepts = np.hstack([c for c, _ in expected]), np.hstack([b for _, b in expected])
    scale = max(1.0, np.abs(coefficients).max())
    for spectrum, reduction in spectra(phi, K, weights, fit_intercept):
        C = spectrum.solve(reduction.weighted(Y), alphas)
        assert C.dtype == dtype
        ours = reduction.solution(C, Y)
        np.testing.assert_allclose(ours[0], coefficients, atol=RTOL[dtype] * scale)
        np.testing.assert_allclose(ours[1], intercepts, atol=RTOL[dtype] * scale)
        if spectrum.V is not None:
            w = spectrum.feature_weights(reduction.weighted(Y), alphas)
            np.testing.assert_allclose(w, phi.T @ coefficients, atol=RTOL[dtype] * scale)
            np.testing.assert_allclose(reduction.solution(C, Y, w)[1], intercepts, atol=RTOL[dtype] * scale)
    reduction, work = Reduction(n, K.dtype, weights, fit_intercept), K.copy()
    reduced = reduction.matrix(work)
    assert np.shares_memory(reduced, work) or n == 1
    solved = cholesky.Factorised(reduced, 0.3).solve(reduction.targets(Y))
    ours = reduction.solution(reduction.expand(solved), Y)
    np.testing.assert_allclose(ours[0][:, 0], coefficients[:, 0], atol=RTOL[dtype] * scale)
    np.testing.assert_allclose(ours[1][0], intercepts[0], atol=RTOL[dtype] * scale)


@in_all_combinations
@pytest.mark.parametrize("rank", [20, 6])
def test_inverses(rank, dtype, weighted, fit_intercept):
    phi, K, _, weights = system(20, dtype, weighted, rank)
    alpha, rows = 0.3, np.array([3, 17, 4])
    # Solving for unit vectors gives the inverse: coefficients of targets that are 1 at one sample.
    root = np.ones(20) if weights is None else np.sqrt(weights.astype("float64"))
    P = bordered(K, np.eye(20), weights, alpha, fit_intercept)[0] / np.outer(root, root)
    tolerance = RTOL[dtype] / alpha
    for spectrum, _ in spectra(phi, K, weights, fit_intercept):
        np.testing.assert_allclose(spectrum.inverse_diagonal([alpha])[:, 0], np.diag(P), atol=tolerance)
        np.testing.assert_allclose(spectrum.inverse_block(alpha, rows), P[np.ix_(rows, rows)], atol=tolerance)
    reduction, work = Reduction(20, K.dtype, weights, fit_intercept), K.copy()
    reduced = reduction.matrix(work)
    reduced[np.diag_indices(len(reduced))] += alpha
    assert cholesky.factor(reduced)
    G = np.tril(reduced) @ np.tril(reduced).T
    assert cholesky.log_determinant(reduced) == pytest.approx(np.linalg.slogdet(G)[1], rel=10 * RTOL[dtype])
    cholesky.invert(reduced)
    np.testing.assert_array_equal(reduced, reduced.T)
    np.testing.assert_allclose(reduction.expand_inverse(work), P, atol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("fold", [[0], [5, 2], list(range(19))], ids=len)
def test_hold_out_is_that_of_solving_without(fold, weighted, fit_intercept):
    _, K, Y, weights = system(20, "float64", weighted)
    alpha, fold = 0.2, np.array(fold)
    rest = np.setdiff1d(np.arange(20), fold)
    C, b = bordered(K[np.ix_(rest, rest)], Y[rest], weights[rest] if weighted else None, alpha, fit_intercept)
    expected = Y[fold] - K[np.ix_(fold, rest)] @ C - b
    reduction = Reduction(20, K.dtype, weights, fit_intercept)
    spectrum = eigen.decompose(K.copy(), reduction)
    C = spectrum.solve(reduction.weighted(Y), alpha)
    errors = leave_out(C, spectrum.inverse_block(alpha, fold), fold)
    np.testing.assert_allclose(reduction.residuals(errors, fold), expected, atol=1e-9)
    if len(fold) == 1:
        every = reduction.residuals(leave_one_out(C, spectrum.inverse_diagonal([alpha])[:, 0]))
        np.testing.assert_allclose(every[fold], expected, atol=1e-9)


def test_generalised_cross_validation_does_not_depend_on_the_basis():
    # Golub, Heath & Wahba (1979) ask for this; leave-one-out does depend on it.
    _, K, Y, _ = system(20, "float64", False)
    R = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    values = []
    for matrix, targets in ((K, Y), (R @ K @ R.T, R @ Y)):
        spectrum = eigen.decompose((matrix + matrix.T) / 2, Reduction(20, K.dtype, None, False))
        trace = spectrum.inverse_diagonal([0.3]).sum()
        values.append(generalised_cross_validation(spectrum.solve(targets, 0.3), trace))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-10)


def test_the_reflection_keeps_the_spectrum_and_one_copy():
    _, K, _, weights = system(20, "float64", True)
    reduction, work = Reduction(20, K.dtype, weights, True), K.copy()
    reduced = reduction.matrix(work)
    assert reduced.base is work
    root = np.sqrt(weights)
    u = root / np.linalg.norm(root)
    projector = np.eye(20) - np.outer(u, u)
    projected = projector @ (root[:, None] * K * root) @ projector
    np.testing.assert_allclose(np.linalg.eigvalsh(reduced), np.linalg.eigvalsh(projected)[1:], atol=1e-12)


@pytest.mark.parametrize("smallest", [-1.0, -1e-3])
def test_a_negative_eigenvalue_is_seen_and_solved_with(smallest):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    K, Y = (Q * np.r_[smallest, np.linspace(0.1, 5, 19)]) @ Q.T, rng.normal(size=(20, 2))
    factorised = cholesky.Factorised((K + K.T) / 2, 1e-4)
    assert factorised.spectrum.indefinite(1e-4)
    assert factorised.spectrum.smallest == pytest.approx(smallest, rel=1e-9)
    np.testing.assert_allclose(factorised.solve(Y), np.linalg.solve(K + 1e-4 * np.eye(20), Y), rtol=1e-8)


def test_rounding_is_not_a_negative_eigenvalue():
    A = np.random.default_rng(0).normal(size=(50, 3))
    spectrum = cholesky.Factorised(A @ A.T, 0.0).spectrum
    assert not spectrum.indefinite(0.0)
    assert spectrum.singular(0.0)
    assert not spectrum.singular(1.0)
