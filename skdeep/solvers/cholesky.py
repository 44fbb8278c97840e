"""The direct solver: one factorisation for any number of right-hand sides."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg


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
    """Solve (K + alpha I) C = Y by Cholesky factorisation, K and Y being overwritten.

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
    potrf, pocon, potrs = linalg.get_lapack_funcs(("potrf", "pocon", "potrs"), (K,))
    # K.T is K, in the order of memory in which LAPACK needs no copy; only its upper triangle is written.
    factor, info = potrf(K.T, lower=False, overwrite_a=True, clean=False)
    if info == 0 and pocon(factor, norm)[0] > np.finfo(K.dtype).eps:
        return Solution(potrs(factor, Y, lower=False)[0], singular=False)
    K.flat[:: n + 1] = diagonal
    eigenvalues, Q = linalg.eigh(K.T, lower=True, overwrite_a=True, check_finite=False)
    kept = eigenvalues > n * np.finfo(K.dtype).eps * eigenvalues[-1]
    scaled = (Q[:, kept].T @ Y).T / eigenvalues[kept]
    return Solution(Q[:, kept] @ scaled.T, singular=True)


def _norm_1(K, rows=256):
    """The largest sum of absolute values of a row, without a copy of K."""
    return max(np.abs(K[start : start + rows]).sum(axis=1).max() for start in range(0, len(K), rows))
