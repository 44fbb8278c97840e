"""Weights and an unpenalised intercept, taken out of a system before it is solved and put back after."""

import numpy as np

from skdeep.engine import blas


class Reduction:
    """From ``min sum_i w_i (y_i - f_i - b)^2 + alpha |f|^2`` to (K + alpha I) C = Y without weights and without b.

    With S = diag(sqrt w) the weights go by S K S and S Y. The equations for b say that the coefficients are
    orthogonal to the vector s of the square roots of the weights; a Householder reflection sends s to the first
    axis, and the system for all other axes is free of b. Its matrix is positive semidefinite as K is,
    and nothing is subtracted that the intercept would have to be large to cancel.

    Coefficients and matrices in the coordinates behind S, before the reflection, are called weighted.

    Parameters
    ----------
    n : int
        Samples.
    dtype : dtype
    weights : array of shape (n,) or None
        Above 0.
    fit_intercept : bool

    Attributes
    ----------
    unpenalised : array of shape (n,) or None
        The unit vector along s where there is an intercept.
    coupling : array of shape (n,) or None
        The weighted K times that vector, once `matrix` or `features` has seen K.
    norm : float
        The length of s.
    """

    def __init__(self, n, dtype, weights, fit_intercept):
        self.root = None if weights is None else np.sqrt(weights).astype(dtype)
        self.unpenalised = self.coupling = self._mirror = self._mean_features = None
        if fit_intercept:
            s = np.ones(n, dtype) if self.root is None else self.root
            self.norm = np.linalg.norm(s)
            self.unpenalised = s / self.norm
            mirror = self.unpenalised.copy()
            mirror[0] += 1
            self._mirror = mirror / np.linalg.norm(mirror)

    def matrix(self, K):
        """The reduced system's matrix, written over K.

        Parameters
        ----------
        K : array of shape (n, n), C-contiguous
            Overwritten.

        Returns
        -------
        view of K of shape (n, n), or (n - 1, n - 1) where there is an intercept
        """
        if self.root is not None:
            K *= self.root[:, None]
            K *= self.root
        if self._mirror is None:
            return K
        self.coupling = K @ self.unpenalised
        self._reflect_matrix(K)
        return K[1:, 1:]

    def features(self, phi):
        """The weighted features, orthogonal to s where there is an intercept, written over those of shape (n, m)."""
        if self.root is not None:
            phi *= self.root[:, None]
        if self._mirror is not None:
            self._mean_features = self.unpenalised @ phi
            self.coupling = phi @ self._mean_features
            phi -= self.unpenalised[:, None] * self._mean_features
        return phi

    def weighted(self, Y):
        """S Y, a new array."""
        return Y.copy() if self.root is None else self.root[:, None] * Y

    def targets(self, Y):
        """The reduced system's right-hand sides for targets of shape (n, n_targets), a new array."""
        return self.reduce(self.weighted(Y))

    def reduce(self, V):
        """What columns in weighted coordinates are in the reduced system, less what is along s."""
        return V if self._mirror is None else np.ascontiguousarray(self._reflected(V)[1:])

    def expand(self, C):
        """What columns of the reduced system are in weighted coordinates."""
        if self._mirror is None:
            return C
        return self._reflected(np.concatenate([np.zeros((1, C.shape[1]), C.dtype), C]))

    def expand_inverse(self, K):
        """The inverse whose reduced form the view `matrix(K)` of K holds, in weighted coordinates, written over K."""
        if self._mirror is not None:
            K[0] = K[:, 0] = 0
            self._reflect_matrix(K)
        return K

    def solution(self, C, Y, feature_weights=None):
        """Coefficients and intercepts of the problem that was asked.

        Parameters
        ----------
        C : array of shape (n, n_targets)
            In weighted coordinates.
        Y : array of shape (n, n_targets)
            The targets.
        feature_weights : array of shape (n_features, n_targets) or None
            Those of the features, where there are any.

        Returns
        -------
        coefficients : array of shape (n, n_targets)
        intercepts : array of shape (n_targets,)
            0 where none was asked for.
        """
        coefficients = C if self.root is None else self.root[:, None] * C
        if self._mirror is None:
            return coefficients, np.zeros(Y.shape[1], Y.dtype)
        explained = self.coupling @ C if feature_weights is None else self._mean_features @ feature_weights
        return coefficients, (self.unpenalised @ self.weighted(Y) - explained) / self.norm

    def residuals(self, errors, indices=slice(None)):
        """Errors of the samples `indices` in units of the targets, from weighted ones."""
        return errors if self.root is None else errors / self.root[indices, None]

    def _reflected(self, V):
        return V - 2 * self._mirror[:, None] * (self._mirror @ V)

    def _reflect_matrix(self, K):
        """K becomes H K H for H = I - 2 v v', which takes K - v w' - w v' with w = 2 K v - 2 (v' K v) v."""
        v = self._mirror
        product = K @ v
        w = 2 * (product - (v @ product) * v)
        blas.subtract_product(np.column_stack([v, w]), np.column_stack([w, v]), K)
