"""The direct solver: one factorisation for any number of right-hand sides."""

import numpy as np

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
        Symmetric; overwritten by the factor, so that there is one copy of it.
    alpha : float
        At least 0.
    semidefinite : bool, default=False
        Whether K is known to be positive semidefinite up to rounding, which bounds the condition of K + alpha I.
    before_spectrum : callable, default=None
        Called before eigenvalues are computed, which takes three copies of K more; what it raises is passed on.

    Attributes
    ----------
    spectrum : Spectrum or None
        The eigenvalues that had to be computed because the matrix is not positive definite.
    """

    def __init__(self, K, alpha, *, semidefinite=False, before_spectrum=None):
        self.spectrum, self._L, self._alpha = None, K, alpha
        diagonal = np.einsum("ii->i", K)
        original = diagonal.copy()
        diagonal += K.dtype.type(alpha)
        if not _factor_if_regular(K, alpha if semidefinite else 0.0):
            if before_spectrum is not None:
                before_spectrum()
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


def _factor_if_regular(K, smallest):
    """Factor K in place; whether it is positive definite to working precision.

    Up to rounding no eigenvalue is below `smallest`; 0 says nothing.

    The errors of a Cholesky factorisation do not depend on the units of rows and columns (Demmel, 1989): what counts
    is the condition of K with its diagonal scaled to 1, and weights of any ratio leave that as it is.
    """
    if not len(K):
        return True
    if not np.all(K.diagonal() > 0):
        return False
    eps, units = np.finfo(K.dtype).eps, np.sqrt(K.diagonal())
    # Scaled, no eigenvalue is above the trace, n, or below smallest / max k_ii, of which K's own rounding leaves some.
    if 4 * len(K) * eps * K.diagonal().max() < smallest:
        return factor(K)
    norm = _norm_1(K, units)
    return factor(K) and norm * _norm_of_inverse(K, units) < 1 / eps


def _norm_1(K, units):
    """The largest sum of absolute values of a row of K[i, j] / (units[i] units[j]), without a copy of K."""
    inverse = 1 / units
    # Not a product: NumPy's BLAS has threads of its own, and what they spin after it is SciPy's loss.
    sums = (np.einsum("ij,j->i", np.abs(K[rows]), inverse) for rows in _blocks(len(K), BLOCK))
    return (inverse * np.hstack(list(sums))).max()


def _norm_of_inverse(L, units):
    """An estimate of the norm |D (L L^T)^-1 D|, D = diag(units), never above it: two steps of the power method.

    Where a small eigenvalue makes the norm large, the first step leads from a random vector to its own.
    """
    vector = np.random.RandomState(0).standard_normal(len(L))
    for _ in range(2):
        rows = (units * vector / np.linalg.norm(vector)).astype(L.dtype).reshape(1, -1)
        solve_rows(L, rows)
        vector = units * rows[0]
    return np.linalg.norm(vector)
