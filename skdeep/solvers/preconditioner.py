"""The inverse of a partial Cholesky factorisation plus a multiple of the identity."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skdeep.engine import blas

# Bytes of the factor that are in float64 at a time.
BLOCK = 2**24


class Preconditioner:
    """P^-1 = (I - F (F^T F + alpha I)^-1 F^T) / alpha, by Woodbury, P = F F^T + alpha I.

    The differences lose alpha / |F|^2 of their digits, so that they are taken in float64 even where F is float32.

    Parameters
    ----------
    factor : ndarray of shape (n, rank), float32 or float64, columns contiguous
        F.
    alpha : float
        Above 0.

    Attributes
    ----------
    alpha : float
        What stands for alpha, raised to where the sums F^T F have digits left.
    loss : float
        By what factor it was raised: P^-1 may be larger by it than with `alpha` as it was asked for.
    rounding : float
        What rounding may take from r^T P^-1 r, in units of |r|^2.
    """

    def __init__(self, factor, alpha):
        self.rows = factor.T
        rank = len(self.rows)
        square = np.zeros((rank, rank))
        for _, F in self._blocks():
            blas.subtract_square(F, square)
        np.negative(square, out=square)
        trace, eps = square.trace(), np.finfo(np.float64).eps
        # With less than that the Cholesky factor below would be one of rounding errors.
        self.alpha = max(alpha, 4 * rank * eps * trace)
        square.flat[:: rank + 1] += self.alpha
        self.cholesky = cho_factor(square, lower=True, overwrite_a=True)
        self.rounding = eps * (4 + rank * trace / self.alpha) / self.alpha
        self.loss = self.alpha / alpha

    def solve(self, R):
        """P^-1 R."""
        Z, inner = np.array(R.T, order="C"), np.zeros((R.shape[1], len(self.rows)))
        for cols, F in self._blocks():
            blas.subtract_product(Z[:, cols], F, inner)
        inner = np.ascontiguousarray(cho_solve(self.cholesky, -inner.T).T)
        for cols, F in self._blocks():
            blas.subtract_product(inner, F, Z[:, cols], transposed=False)
        return np.ascontiguousarray(Z.T) / self.alpha

    def _blocks(self):
        rank, n = self.rows.shape
        width = max(BLOCK // (8 * max(rank, 1)), 1)
        for start in range(0, n, width):
            cols = slice(start, start + width)
            yield cols, self.rows[:, cols].astype(np.float64, copy=False)
