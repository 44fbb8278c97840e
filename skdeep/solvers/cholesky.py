"""The direct solver: one factorisation for any number of right-hand sides."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, onenormest

from skdeep.engine import blas

# The factorisation goes by blocks of columns, and no call does more multiplications than fit a fraction of a
# second on one core: between two calls Ctrl-C is answered.
BLOCK = 512
LONGEST_CALL = 4e9


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Attributes
    ----------
    coefficients : array of the shape of Y
    singular : bool
        Whether the matrix was singular to working precision; the coefficients are then those of least norm.
    """

    coefficients: np.ndarray
    singular: bool


def solve(K, alpha, Y):
    """Solve (K + alpha I) C = Y by Cholesky factorisation, K being overwritten.

    Parameters
    ----------
    K : array of shape (n, n), C-contiguous
        Symmetric and positive semidefinite; overwritten, so that there is one copy of it.
    alpha : float
        At least 0.
    Y : array of shape (n,) or (n, n_targets), of K's dtype

    Returns
    -------
    Solution
        Where the matrix is singular, C solves the system in the least squares sense with the least
        norm, eigenvalues below n eps times the largest counting as zero.
    """
    n = len(K)
    K.flat[:: n + 1] += alpha
    diagonal, norm = K.diagonal().copy(), _norm_1(K)
    if factor(K) and norm * _norm_1_of_inverse(K) < 1 / np.finfo(K.dtype).eps:
        rows = np.array(Y.T, order="C", ndmin=2)
        solve_rows(K, rows)
        return Solution(np.ascontiguousarray(rows.T).reshape(Y.shape), singular=False)
    K.flat[:: n + 1] = diagonal  # the upper triangle is as it was
    eigenvalues, Q = _eigh(K)
    kept = eigenvalues > n * np.finfo(K.dtype).eps * eigenvalues[-1]
    scaled = (Q[:, kept].T @ Y).T / eigenvalues[kept]
    return Solution(Q[:, kept] @ scaled.T, singular=True)


def factor(K):
    """K = L L^T, L written over the lower triangle and the upper one left as it is; whether K is positive definite."""
    for cols in _blocks(len(K), BLOCK):
        before, block = slice(0, cols.start), K[cols, cols]
        blas.subtract_square(K[cols, before], block)
        if not blas.factor(block):
            return False
        n_rows = int(LONGEST_CALL / (BLOCK * cols.stop))
        for rows in _blocks(len(K), max(n_rows, 1), first=cols.stop):
            blas.subtract_product(K[rows, before], K[cols, before], K[rows, cols])
            blas.solve_rows(block, K[rows, cols])
    return True


def solve_rows(L, out):
    """Each row r of `out` becomes the x of L L^T x = r."""
    blocks = list(_blocks(len(L), BLOCK))
    for cols in blocks:
        before = slice(0, cols.start)
        blas.subtract_product(out[:, before], L[cols, before], out[:, cols])
        blas.solve_rows(L[cols, cols], out[:, cols])
    for cols in reversed(blocks):
        before = slice(0, cols.start)
        blas.solve_rows(L[cols, cols], out[:, cols], transposed=False)
        blas.subtract_product(out[:, cols], L[cols, before], out[:, before], transposed=False)


def _blocks(stop, size, first=0):
    return (slice(start, min(stop, start + size)) for start in range(first, stop, size))


def _norm_1(K):
    """The largest sum of absolute values of a row, without a copy of K."""
    return max(np.abs(K[rows]).sum(axis=1).max() for rows in _blocks(len(K), BLOCK))


def _norm_1_of_inverse(L):
    """An estimate of |(L L^T)^-1|_1 from a few solutions, never above it (Hager, 1984; Higham, 1988)."""

    def inverse(vector):
        rows = np.array(vector, dtype=L.dtype).reshape(1, -1)
        solve_rows(L, rows)
        return rows[0]

    return onenormest(LinearOperator(L.shape, matvec=inverse, rmatvec=inverse, dtype=L.dtype), t=1)


def _eigh(K):
    """Eigenvalues and eigenvectors of the matrix whose upper triangle is K's; on Ctrl-C they are computed in vain."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(np.linalg.eigh, K, UPLO="U").result()
    finally:
        pool.shutdown(wait=False)
