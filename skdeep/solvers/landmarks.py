"""Features of landmarks (Nystroem): phi(x) = L^-1 k(Z, x), whose inner products are k(x, Z) k(Z, Z)^-1 k(Z, y)."""

from math import ceil, sqrt

import numpy as np
from scipy.linalg.lapack import dpstrf, dtrtri

from skdeep.engine import threads, triangular
from skdeep.engine.target import aligned_zeros, lanes
from skdeep.engine.tiles import VECS

# Samples for each landmark among which pivots are drawn. What landmarks leave of the trace is then as it is with pivots
# among all samples, up to the spread between seeds: measured for 300 and 500 landmarks of 20 640 and 30 000 samples.
CANDIDATES = 10
# Rows that are multiplied by a triangle at a time, and stay in the second cache.
HEIGHT = 64


def candidates(n_samples, n_landmarks, rng):
    """The samples among which pivots for so many landmarks are drawn: all, or some of many at random; indices."""
    n_candidates = CANDIDATES * n_landmarks
    if n_candidates >= n_samples:
        return np.arange(n_samples)
    return np.sort(rng.choice(n_samples, n_candidates, replace=False))


class LandmarkFactor:
    """k(Z, Z) = L L^T for landmarks Z, by Cholesky factorisation with the largest pivot first.

    Landmarks that the others make redundant, up to rounding, are left out.

    Parameters
    ----------
    K : ndarray of shape (n_landmarks, n_landmarks), float32 or float64
        k(z_i, z_j).

    Attributes
    ----------
    order : ndarray of shape (n_landmarks,), int
        The landmarks in the order of their pivots, those that are left out behind.
    L : ndarray of shape (rank, rank), float64
        The factor for the first of them.
    indefinite : bool
        Whether K proved not positive semidefinite; the factor is then worth nothing.
    """

    def __init__(self, K):
        eps, K = float(np.finfo(K.dtype).eps), K.astype(np.float64)
        largest = np.abs(K.diagonal()).max()
        # What the others explain up to an eigenvalue of rounding errors is redundant.
        L, pivots, rank, _ = dpstrf(K, tol=eps * sqrt(len(K)) * largest, lower=1)
        self.order = pivots - 1
        self.L = np.ascontiguousarray(np.tril(L[:rank, :rank]))
        rest, others = L[rank:, :rank], self.order[rank:]
        residual = K[np.ix_(others, others)] - rest @ rest.T
        self.indefinite = bool(K.diagonal().min() < 0 or np.abs(residual).max(initial=0) > sqrt(eps) * largest)

    @property
    def kept(self):
        """The landmarks that take part, in the order of their pivots."""
        return self.order[: len(self.L)]

    def inverse(self):
        """L^-1, with rows and columns of zeros for what is left out, ndarray of shape (n_landmarks, n_landmarks)."""
        n, rank = len(self.order), len(self.L)
        inverse = np.zeros((n, n))
        inverse[:rank, :rank] = dtrtri(self.L, lower=1)[0]
        return inverse


def multiply_rows(L, K):
    """Each row r of K, a C-contiguous array of L's dtype, becomes L r; L is lower triangular."""
    n, width = len(L), VECS * lanes(L.dtype)
    panels = [_panel(L, column, width) for column in range(0, n, width)]
    workers, n_blocks = threads.n_workers(K.size * n), ceil(len(K) / HEIGHT)
    scratch = aligned_zeros(workers * HEIGHT * width * len(panels), L.dtype)
    arguments = np.concatenate([panel.ravel() for panel in panels]), n, K.reshape(-1), HEIGHT
    for first, stop in threads.launches(n_blocks, threads.first_launch(HEIGHT * n * n)):
        triangular.multiply_rows(*arguments, first, stop, scratch, np.zeros(1, np.int64), workers)


def _panel(L, column, width):
    """Columns of L^T, zeros beyond the last, without the rows that are zero in all of them."""
    part = L[column : column + width, : column + width].T
    return np.pad(part, ((0, 0), (0, width - part.shape[1])))
