"""The solvers of linear systems: residuals, NumPy's own solutions, and what they leave untouched."""

import tracemalloc

import numpy as np
import pytest

from skdeep.solvers import cholesky

RTOL = {"float32": 2e-4, "float64": 1e-11}


def positive_definite(n, dtype, seed=0):
    A = np.random.default_rng(seed).normal(size=(n, n + 5))
    return (A @ A.T / n + 0.1 * np.eye(n)).astype(dtype)


@pytest.fixture(params=[16, 10**9], ids=["many-blocks", "one-block"])
def block(request, monkeypatch):
    """A block of 16 columns, taken a few rows at a time, shows the seams on small matrices."""
    monkeypatch.setattr(cholesky, "BLOCK", request.param)
    monkeypatch.setattr(cholesky, "LONGEST_CALL", 7 * 16 * 40)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100])
def test_factor(n, dtype, block):
    K = positive_definite(n, dtype)
    L = K.copy()
    assert cholesky.factor(L)
    np.testing.assert_allclose(np.tril(L), np.linalg.cholesky(K.astype("float64")), rtol=0, atol=RTOL[dtype])
    np.testing.assert_array_equal(np.triu(L, 1), np.triu(K, 1))


@pytest.mark.parametrize("at", [0, 15, 16, 39])
def test_factor_refuses_a_negative_eigenvalue(at, block):
    K = np.eye(40)
    K[at, at] = -1.0
    assert not cholesky.factor(K)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_targets", [1, 3, 20])
@pytest.mark.parametrize("n", [1, 2, 17, 100])
def test_solve(n, n_targets, dtype, block):
    K, Y = positive_definite(n, dtype), np.random.default_rng(1).normal(size=(n, n_targets)).astype(dtype)
    factorised = cholesky.Factorised(K.copy(), 0.5)
    assert factorised.spectrum is None
    C = factorised.solve(Y)
    assert C.shape == Y.shape
    assert C.dtype == dtype
    expected = np.linalg.solve(K + 0.5 * np.eye(n), Y.astype("float64"))
    np.testing.assert_allclose(C, expected, rtol=0, atol=RTOL[dtype] * np.abs(expected).max())


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize(("n", "rank"), [(1, 0), (40, 1), (40, 20), (40, 39)])
def test_singular_matrix_gives_the_solution_of_least_norm(n, rank, n_targets, block):
    rng = np.random.default_rng(0)
    A, Y = rng.normal(size=(n, rank)), rng.normal(size=(n, n_targets))
    K = A @ A.T
    factorised = cholesky.Factorised(K.copy(), 0.0)
    assert factorised.spectrum.singular(0.0)
    assert not factorised.spectrum.indefinite(0.0)
    expected = np.linalg.pinv(K, rcond=1e-10, hermitian=True) @ Y
    np.testing.assert_allclose(factorised.solve(Y), expected, rtol=0, atol=1e-9 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("smallest", [1e-3, 1e-9, 1e-14])
def test_condition_is_estimated_from_below_and_closely(smallest, block):
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    K = (Q * np.geomspace(smallest, 1, 50)) @ Q.T
    K = (K + K.T) / 2
    exact = np.linalg.norm(np.linalg.inv(K), 2)
    assert cholesky.factor(K)
    # After two steps what is left of other vectors is no more than half.
    assert exact / 2 < cholesky._norm_of_inverse(K, np.ones(50)) < exact * (1 + 1e-13 / smallest)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("semidefinite", [False, True])
def test_what_is_known_of_the_eigenvalues_saves_the_estimate(semidefinite, dtype, monkeypatch):
    A, y = np.random.default_rng(0).normal(size=(40, 5)).astype(dtype), np.ones((40, 1), dtype)
    K, estimate, estimated = A @ A.T, cholesky._norm_of_inverse, []
    monkeypatch.setattr(cholesky, "_norm_of_inverse", lambda L, units: estimated.append(L) or estimate(L, units))
    factorised = cholesky.Factorised(K.copy(), 0.5, semidefinite=semidefinite)
    assert factorised.spectrum is None
    assert len(estimated) == (not semidefinite)
    expected = np.linalg.solve(K.astype("float64") + 0.5 * np.eye(40), y)
    np.testing.assert_allclose(factorised.solve(y), expected, rtol=0, atol=RTOL[dtype] * np.abs(expected).max())
    # So small a penalty does not tell the eigenvalues that are 0 from rounding errors.
    small = np.finfo(dtype).eps * K.diagonal().max()
    assert cholesky.Factorised(K.copy(), small / 8, semidefinite=semidefinite).spectrum is not None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_of_rows_and_columns_do_not_make_a_matrix_singular(dtype, block):
    K, Y = positive_definite(40, dtype), np.random.default_rng(1).normal(size=(40, 2)).astype(dtype)
    units = np.geomspace(1e-6, 1e6, 40).astype(dtype)
    factorised = cholesky.Factorised(units[:, None] * K * units, 0.0)
    assert factorised.spectrum is None
    expected = np.linalg.solve(K.astype("float64"), Y)
    np.testing.assert_allclose(
        units[:, None] * factorised.solve(units[:, None] * Y),
        expected,
        rtol=0,
        atol=RTOL[dtype] * np.abs(expected).max(),
    )


def test_solves_through_the_real_block_in_one_copy():
    n = cholesky.BLOCK + 188
    K, y = positive_definite(n, "float64"), np.ones((n, 1))
    expected = np.linalg.solve(K + 0.5 * np.eye(n), y)
    tracemalloc.start()
    C = cholesky.Factorised(K, 0.5).solve(y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy tells tracemalloc what it allocates: absolute values of one block of rows, and vectors.
    assert peak < cholesky.BLOCK * y.nbytes + 50 * y.nbytes
    np.testing.assert_allclose(C, expected, rtol=0, atol=1e-12)
