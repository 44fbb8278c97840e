"""Kernel ridge restricted to landmarks (Nystroem): sums over blocks of samples, and one small system in the end."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh
from scipy.linalg.blas import dgemm, dsyrk

from skdeep.engine import blas
from skdeep.solvers.landmarks import LandmarkFactor

# Bytes of features, in float64, that are in memory at a time.
BLOCK = 2**25


@dataclass(frozen=True)
class Solution:
    """What the sums lead to.

    Attributes
    ----------
    coefficients : ndarray of shape (n_landmarks,) or (n_landmarks, n_targets), float64
        Those of f(x) = sum_j c_j k(z_j, x) + intercept; 0 for a landmark that the others make redundant.
    intercept : float64 or ndarray of shape (n_targets,)
        0 where none was asked for.
    """

    coefficients: np.ndarray
    intercept: np.ndarray


class RestrictedSums:
    """What kernel ridge restricted to f(x) = sum_j c_j k(z_j, x) needs to know of any number of samples.

    The sums are taken over features phi(x) = L^-1 k(Z, x), L L^T = k(Z, Z), in which |f|^2 is the plain squared
    norm of the weights L^T c. So the condition number of k(Z, Z) comes in by its root, once, and not squared
    as in the normal equations for c, which lose most of a prediction in float32. Features and sums are float64
    whatever the dtype of the elements of K.

    Parameters
    ----------
    K : ndarray of shape (n_landmarks, n_landmarks), float32 or float64
        k(z_i, z_j). Landmarks that the others make redundant up to rounding are left out.

    Attributes
    ----------
    n_landmarks : int
    kept : ndarray of shape (rank,), int
        Landmarks that take part, in the order of their pivots.
    n_samples : int
        Samples that were added.
    n_targets : int or None
        Their targets; None before there are samples.
    indefinite : bool
        Whether k(Z, Z) proved not positive semidefinite; the sums are then worth nothing.

    Notes
    -----
    Sums are symmetric in their samples: blocks may come in any order, be added by several processes, each beginning
    with a copy of the same object, and be merged, all with the same result up to rounding.
    """

    def __init__(self, K):
        self.n_landmarks, factor = len(K), LandmarkFactor(K)
        self.kept, self.indefinite, self._L = factor.kept, factor.indefinite, factor.L
        self.n_samples, self._one_target, self._products = 0, None, None
        # Of the features with each other; of (1, features) with (1, targets).
        self._squares = np.zeros(self._L.shape, order="F")

    @property
    def n_targets(self):
        return None if self._products is None else self._products.shape[1] - 1

    @property
    def finite(self):
        """Whether no element of K was infinite or NaN."""
        return bool(np.isfinite(self._squares.trace()))

    def add(self, K, Y, sample_weight=None):
        """Add samples.

        Parameters
        ----------
        K : operator of shape (n_samples, n_landmarks) with `rows(slice)`
            k(x_i, z_j).
        Y : array of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array of shape (n_samples,), default=None

        Returns
        -------
        self : object
        """
        Y = np.asarray(Y, dtype=np.float64)
        weights = np.ones(len(Y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self._begin(Y.reshape(len(Y), -1).shape[1], Y.ndim == 1)
        targets, height = np.column_stack([np.ones(len(Y)), Y]), max(BLOCK // (8 * self.n_landmarks), 1)
        for start in range(0, len(Y), height):
            block = slice(start, start + height)
            features = np.take(K.rows(block), self.kept, axis=1).astype(np.float64)
            blas.solve_rows(self._L, features)
            roots = np.sqrt(weights[block])[:, None]
            if sample_weight is not None:
                features *= roots
            weighted = roots * targets[block]
            self._products[0] += (roots * weighted).sum(axis=0)
            self._products[1:] += dgemm(1.0, features.T, weighted.T, trans_b=1)
            self._squares = dsyrk(1.0, features.T, beta=1.0, c=self._squares, lower=1, overwrite_c=1)
        self.n_samples += len(Y)
        return self

    def _begin(self, n_targets, one_target):
        if self._products is None:
            self._products, self._one_target = np.zeros((1 + len(self.kept), 1 + n_targets)), one_target
        if self.n_targets != n_targets:
            raise ValueError(f"The samples before had {self.n_targets} targets, but these have {n_targets}.")

    def merge(self, other):
        """Add the samples that another object has seen.

        Parameters
        ----------
        other : RestrictedSums
            Of the same landmarks.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the landmarks or the numbers of targets differ.
        """
        if not (np.array_equal(self.kept, other.kept) and np.array_equal(self._L, other._L)):
            raise ValueError("Sums can be merged only where they begin with the same matrix of the same landmarks.")
        if other._products is not None:
            self._begin(other.n_targets, other._one_target)
            self._products += other._products
            self._squares += other._squares
            self.n_samples += other.n_samples
        return self

    def solve(self, alpha, *, fit_intercept=False):
        """Minimise sum_i w_i (y_i - f(x_i))^2 + alpha |f|^2 over the samples that were added.

        Parameters
        ----------
        alpha : float
            Above 0.
        fit_intercept : bool, default=False
            Whether f has a constant that is not penalised.

        Returns
        -------
        Solution

        Raises
        ------
        ValueError
            If alpha is 0, or no sample was added.
        """
        if not alpha > 0:
            raise ValueError(
                f"Kernel ridge on landmarks needs alpha above 0, got {alpha!r}: without it the system may be singular. "
                "Raise alpha."
            )
        if self.n_samples == 0:
            raise ValueError("There are no samples to solve for: add some first.")
        squares, products, totals = self._squares.copy(), self._products[1:, 1:], self._products[0]
        centre, mean = np.zeros(len(squares)), np.zeros(products.shape[1])
        if fit_intercept:
            centre, mean = self._products[1:, 0] / totals[0], totals[1:] / totals[0]
            squares -= np.outer(centre, centre) * totals[0]
            products = products - np.outer(centre, totals[1:])
        weights = _solve_shifted(squares, alpha, products)
        rows, intercept = np.ascontiguousarray(weights.T), mean - centre @ weights
        blas.solve_rows(self._L, rows, transposed=False)
        coefficients = np.zeros((self.n_landmarks, len(rows)))
        coefficients[self.kept] = rows.T
        return Solution(coefficients[:, 0], intercept[0]) if self._one_target else Solution(coefficients, intercept)


def _solve_shifted(S, alpha, B):
    """(S + alpha I)^-1 B for a positive semidefinite S in the lower triangle of a matrix."""
    shifted = S.copy()
    shifted.flat[:: len(S) + 1] += alpha
    try:
        return cho_solve(cho_factor(shifted, lower=True, overwrite_a=True), B)
    except LinAlgError:  # alpha is below the rounding errors of S
        eigenvalues, Q = eigh(S, lower=True)
        return Q @ ((Q.T @ B).T / (np.maximum(eigenvalues, 0) + alpha)).T
