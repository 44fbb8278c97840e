"""The direct solver: one factorisation for any number of right-hand sides."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, onenormest

from skdeep.engine import blas
from skdeep.solvers.background import in_background
from skdeep.solvers.eigen import spectrum_of

# The factorisation goes by blocks of columns, and no call does more multiplications than fit a fraction of a
# second on one core: between two calls Ctrl-C is answered.
BLOCK = 512
LONGEST_CALL = 4e9


class Factorised:
    """(K + alpha I)^-1, K being overwritten.

    Where the matrix is not positive definite to working precision, solutions are those of least squares with
    the least norm, eigenvalues below n eps times the largest counting as zero.

    Parameters
    ----------
    K : array of shape (n, n), rows contiguous
        Symmetric and positive semidefinite; overwritten by the factor, so that there is one copy of it.
    alpha : float
        At least 0.

    Attributes
    ----------
    spectrum : Spectrum or None
        The eigenvalues that had to be computed because the matrix is not positive definite.
    """

    def __init__(self, K, alpha):
        self.spectrum, self._L, self._alpha = None, K, alpha
        diagonal = np.einsum("ii->i", K)
        original = diagonal.copy()
        diagonal += K.dtype.type(alpha)
        norm = _norm_1(K)
        if not (factor(K) and norm * _norm_1_of_inverse(K) < 1 / np.finfo(K.dtype).eps):
            diagonal[:] = original  # the upper triangle is as it was
            self.spectrum = spectrum_of(K)

    def solve(self, Y):
        """(K + alpha I)^-1 Y for Y of shape (n, n_targets) and of K's dtype."""
        if self.spectrum is not None:
            return self.spectrum.solve(Y, self._alpha)
        rows = np.array(Y.T, order="C")
        solve_rows(self._L, rows)
        return np.ascontiguousarray(rows.T)


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


def log_determinant(L):
    """The logarithm of the determinant of L L^T."""
    return 2 * np.log(L.diagonal()).sum(dtype=np.float64)


def invert(L):
    """(L L^T)^-1, symmetric, written over L."""
    in_background(blas.invert, L)
    for rows in _blocks(len(L), BLOCK):
        block = L[rows, rows]
        block[:] = np.tril(block) + np.tril(block, -1).T
        L[rows, rows.stop :] = L[rows.stop :, rows].T


def _blocks(stop, size, first=0):
    return (slice(start, min(stop, start + size)) for start in range(first, stop, size))


def _norm_1(K):
    """The largest sum of absolute values of a row, without a copy of K."""
    return max((np.abs(K[rows]).sum(axis=1).max() for rows in _blocks(len(K), BLOCK)), default=0.0)


def _norm_1_of_inverse(L):
    """An estimate of |(L L^T)^-1|_1 from a few solutions, never above it (Hager, 1984; Higham, 1988)."""

    if len(L) == 0:
        return 0.0

    def inverse(vector):
        rows = np.array(vector, dtype=L.dtype).reshape(1, -1)
        solve_rows(L, rows)
        return rows[0]

    return onenormest(LinearOperator(L.shape, matvec=inverse, rmatvec=inverse, dtype=L.dtype), t=1)
