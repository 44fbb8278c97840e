"""Randomly pivoted Cholesky factorisation: K from a few of its rows and its diagonal."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dgemm, get_blas_funcs
from sklearn.utils import check_random_state

from skdeep.engine import blas

# Pivots proposed at a time: rows enough for matrix products, and few enough that most are accepted.
PROPOSALS = 128
# A residual of so many units in the last place of its diagonal element is zero: less is mostly rounding, and a
# pivot divides by it.
ROUNDING = 512


@dataclass(frozen=True)
class PartialCholesky:
    """An approximation K ~ F F^T from below, K - F F^T being positive semidefinite up to rounding.

    Attributes
    ----------
    factor : ndarray of shape (n, rank), of K's dtype, columns contiguous
        F; its columns vanish at earlier pivots.
    pivots : ndarray of shape (rank,), int
        The rows of K that were used, in their order.
    residual : ndarray of shape (n,), float64
        The diagonal of K - F F^T, never negative.
    traces : ndarray of shape (rank + 1,), float64
        The trace of the residual after 0, 1, ..., rank pivots.
    indefinite : bool
        Whether a diagonal element of the residual fell clearly below zero, which proves that K is not
        positive semidefinite; the factorisation stopped there.
    """

    factor: np.ndarray
    pivots: np.ndarray
    residual: np.ndarray
    traces: np.ndarray
    indefinite: bool


def pivoted_cholesky(K, max_rank, *, tolerance=0.0, random_state=None):
    """K ~ F F^T by Cholesky steps at pivots drawn in proportion to the diagonal of the residual.

    Parameters
    ----------
    K : operator of shape (n, n) with `dtype`, `diagonal()` and `rows(indices)`
        Symmetric and positive semidefinite.
    max_rank : int
        The number of pivots, at least 1; fewer are drawn where no residual is left, or no more than rounding.
    tolerance : float, default=0.0
        Stop at the first pivot that leaves a trace of the residual of at most so much.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    PartialCholesky

    Notes
    -----
    Of the matrices of rank r that pivots can lead to this is close to the best in expectation: the trace of the
    residual is at most 1 + e times the best of rank s once r >= s / e + s log(1 / (e h)), h being the
    relative error of the best (Chen, Epperly, Tropp & Webber, 2024). Pivots are proposed many at a time and
    accepted by the residual they have when their turn comes, which leaves the law as it is for one at a time
    (Epperly, Tropp & Webber, 2024).
    """
    rng, steps = check_random_state(random_state), _Steps(K, min(max_rank, K.shape[0]))
    while len(steps.pivots) < steps.max_rank and steps.traces[-1] > tolerance and not steps.indefinite:
        steps.advance(rng, tolerance)
    return steps.result()


def partial_factor(K, max_rank, rng, kernel):
    """The randomly pivoted Cholesky factor of the matrix K of a kernel; an error where there is none."""
    partial = pivoted_cholesky(K, max_rank, random_state=rng)
    if partial.indefinite or not len(partial.pivots):
        raise ValueError(
            f"Pivots for 'rpcholesky' cannot be drawn, since the kernel {kernel!r} is zero or not positive "
            "semidefinite on X: take another kernel, or another choice than 'rpcholesky'."
        )
    return partial


class _Steps:
    """A factorisation on its way: what PartialCholesky tells, with F^T in the first rows of an array."""

    def __init__(self, K, max_rank):
        diagonal, eps = K.diagonal().astype(np.float64), np.finfo(K.dtype).eps
        self.K, self.max_rank = K, max_rank
        self.zero, self.impossible = ROUNDING * eps * np.abs(diagonal), -np.sqrt(eps) * np.abs(diagonal).max()
        self.rows = np.empty((max_rank, len(diagonal)), K.dtype)  # what is never written takes no memory
        self.pivots, self.traces = [], []
        self._set_residual(diagonal)

    def advance(self, rng, tolerance):
        """Propose pivots, accept some, and take the steps that the rank and the tolerance leave room for."""
        rank = len(self.pivots)
        size = min(PROPOSALS, self.max_rank - rank)
        proposed = rng.choice(len(self.residual), size, p=self.residual / self.residual.sum())
        F, K_rows, zero = self.rows[:rank], self.K.rows(proposed), self.zero[proposed]
        old = np.take(F, proposed, axis=1)
        columns = old.T.astype(np.float64)
        schur = K_rows[:, proposed] - dgemm(1.0, columns, columns, trans_b=1)
        exhausted = proposed[schur.diagonal() <= zero]
        accepted, L = _accept(schur, rng.uniform(0, self.residual[proposed]), zero)
        new = np.take(K_rows, accepted, axis=0, out=self.rows[rank : rank + len(accepted)], mode="clip")
        blas.subtract_product(np.ascontiguousarray(old[:, accepted].T), F, new, transposed=False)
        solve = get_blas_funcs("trsm", (new,))  # in place: L^-1 new, which Fortran sees as new^T L^-T
        solve(1.0, L.astype(new.dtype), new.T, side=1, lower=1, trans_a=1, overwrite_b=1)
        left = self.traces[-1] - np.cumsum(np.einsum("ij,ij->i", new, new, dtype=np.float64))
        n_kept = min(np.count_nonzero(left > tolerance) + 1, len(accepted))
        self._append(proposed[accepted[:n_kept]], new[:n_kept], left[: n_kept - 1], exhausted)

    def _append(self, pivots, new, traces, exhausted):
        self.pivots.extend(pivots)
        self.traces.extend(traces)
        residual = self.residual - np.einsum("ij,ij->j", new, new, dtype=np.float64)
        residual[pivots] = residual[exhausted] = 0.0
        self._set_residual(residual)

    def _set_residual(self, residual):
        self.indefinite = bool(residual.min() < self.impossible)
        self.residual = np.where(residual > self.zero, residual, 0.0)
        # The sum replaces the last difference of the former, in which rounding errors gather.
        self.traces[len(self.pivots) :] = [self.residual.sum()]

    def result(self):
        # The array gives back what it did not need; the local names of `advance` that looked at it are gone.
        self.rows.resize((len(self.pivots), len(self.residual)), refcheck=False)
        pivots, traces = np.array(self.pivots, dtype=np.intp), np.array(self.traces)
        return PartialCholesky(self.rows.T, pivots, self.residual, traces, self.indefinite)


def _accept(schur, thresholds, zero):
    """The proposals whose residual, when their turn comes, is above threshold and zero; and their Cholesky factor.

    Proposal i came with probability d_i; with a threshold uniform in (0, d_i) it passes with probability
    h_ii / d_i, h being the Schur complement of those accepted before, and so with a law in proportion to h.
    """
    L, accepted = np.zeros_like(schur), []
    for i in range(len(schur)):
        if schur[i, i] > max(thresholds[i], zero[i]):
            column = schur[i:, i] / np.sqrt(schur[i, i])
            schur[i:, i:] -= np.outer(column, column)
            L[i:, len(accepted)] = column
            accepted.append(i)
    return accepted, L[accepted, : len(accepted)]
