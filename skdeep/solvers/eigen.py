"""One decomposition K = Q diag(l) Q' for any number of penalties: (K + alpha I)^-1 is then known for every alpha."""

from dataclasses import dataclass, replace

import numpy as np

from skdeep.solvers.background import in_background

# Rows of Q whose squares are held at a time.
BLOCK = 512


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues and eigenvectors of a symmetric matrix.

    Attributes
    ----------
    eigenvalues : array of shape (n_vectors,)
        Those that rounding made negative are 0.
    Q : array of shape (n, n_vectors)
        Eigenvectors in columns.
    complete : bool
        False where the matrix is 0 on what is orthogonal to Q and to `unpenalised`: the spectrum of a product of
        features, of which there are fewer than samples.
    unpenalised : array of shape (n,) or None
        A unit vector, orthogonal to Q, that the inverse sends to 0.
    smallest : float
        The smallest eigenvalue as it was computed.
    V : array of shape (n_features, n_vectors) or None
        The right singular vectors of the features.
    """

    eigenvalues: np.ndarray
    Q: np.ndarray
    complete: bool = True
    unpenalised: np.ndarray | None = None
    smallest: float = 0.0
    V: np.ndarray | None = None

    @property
    def tolerance(self):
        """What rounding can add to an eigenvalue."""
        largest = np.abs(self.eigenvalues).max(initial=0.0)
        return len(self.Q) * np.finfo(self.Q.dtype).eps * largest

    @property
    def indefinite(self):
        """Whether an eigenvalue is more negative than rounding explains."""
        return bool(self.smallest < -self.tolerance)

    def expanded(self, reduction):
        """The spectrum of a reduced system in weighted coordinates."""
        return replace(self, Q=reduction.expand(self.Q), unpenalised=reduction.unpenalised)

    def singular(self, alpha):
        """Whether K + alpha I is singular to working precision."""
        outside = not self.complete and np.min(alpha) <= self.tolerance
        return bool(outside or any(np.any(self._inverses(each) == 0) for each in np.atleast_1d(alpha)))

    def solve(self, Y, alpha):
        """(K + alpha I)^-1 Y; where that is singular, the least squares solution of least norm.

        Parameters
        ----------
        Y : array of shape (n, n_targets)
        alpha : float or array of shape (n_targets,)
            One penalty, or one for each target.
        """
        if np.ndim(alpha):
            return np.column_stack([self.solve(Y[:, [t]], each) for t, each in enumerate(alpha)])
        projected = self.Q.T @ Y
        C = self.Q @ (self._inverses(alpha)[:, None] * projected)
        if not self.complete and alpha > self.tolerance:
            C += self._rest(Y, projected) / Y.dtype.type(alpha)
        return C

    def feature_weights(self, Y, alpha):
        """phi' (K + alpha I)^-1 Y for the features phi, of which K is phi phi'; the same arguments as `solve`."""
        if np.ndim(alpha):
            return np.column_stack([self.feature_weights(Y[:, [t]], each) for t, each in enumerate(alpha)])
        factors = np.sqrt(self.eigenvalues) * self._inverses(alpha)
        return self.V @ (factors[:, None] * (self.Q.T @ Y))

    def _inverses(self, alpha):
        """The inverse eigenvalues of K + alpha I, 0 for those that are 0 to working precision."""
        shifted = self.eigenvalues + self.Q.dtype.type(alpha)
        negligible = np.abs(shifted) <= len(self.Q) * np.finfo(shifted.dtype).eps * np.abs(shifted).max(initial=0.0)
        return np.divide(1, shifted, out=np.zeros_like(shifted), where=~negligible)

    def _rest(self, Y, projected):
        """What of Y is orthogonal to Q and to the unpenalised vector."""
        rest = Y - self.Q @ projected
        if self.unpenalised is not None:
            rest -= self.unpenalised[:, None] * (self.unpenalised @ Y)
        return rest

    def inverse_diagonal(self, alphas):
        """The diagonals of (K + alpha I)^-1, array of shape (n, n_alphas), for penalties above 0."""
        inverses = 1 / (self.eigenvalues[:, None] + np.asarray(alphas, self.Q.dtype))
        diagonal = np.empty((len(self.Q), len(alphas)), self.Q.dtype)
        for start in range(0, len(self.Q), BLOCK):
            rows = slice(start, start + BLOCK)
            squares = self.Q[rows] ** 2
            diagonal[rows] = squares @ inverses
            if not self.complete:
                rest = 1 - squares.sum(axis=1)
                if self.unpenalised is not None:
                    rest -= self.unpenalised[rows] ** 2
                diagonal[rows] += np.maximum(rest, 0)[:, None] / np.asarray(alphas, self.Q.dtype)
        return diagonal

    def inverse_block(self, alpha, indices):
        """The rows and columns `indices` of (K + alpha I)^-1, for alpha above 0."""
        Q, alpha = self.Q[indices], self.Q.dtype.type(alpha)
        block = (Q / (self.eigenvalues + alpha)) @ Q.T
        if not self.complete:
            rest = np.eye(len(Q), dtype=Q.dtype) - Q @ Q.T
            if self.unpenalised is not None:
                rest -= np.outer(self.unpenalised[indices], self.unpenalised[indices])
            block += rest / alpha
        return block


def decompose(K, reduction):
    """The spectrum of the matrix that a `Reduction` makes of K, in weighted coordinates; K is overwritten."""
    return spectrum_of(reduction.matrix(K)).expanded(reduction)


def spectrum_of(K):
    """The spectrum of the symmetric matrix with the upper triangle of K."""
    eigenvalues, Q = in_background(np.linalg.eigh, K, UPLO="U")
    smallest = float(eigenvalues.min(initial=0.0))
    rounding = len(Q) * np.finfo(Q.dtype).eps * np.abs(eigenvalues).max(initial=0.0)
    eigenvalues[(eigenvalues < 0) & (eigenvalues >= -rounding)] = 0
    return Spectrum(eigenvalues, Q, smallest=smallest)


def decompose_features(phi, reduction):
    """The spectrum of phi phi' for the features that a `Reduction` makes of phi, which is overwritten.

    Parameters
    ----------
    phi : array of shape (n, n_features), C-contiguous
    reduction : Reduction

    Returns
    -------
    Spectrum
    """
    phi = reduction.features(phi)
    Q, roots, V = in_background(np.linalg.svd, phi, full_matrices=False)
    # A singular value that is rounding alone has a vector that need not be orthogonal to the unpenalised one.
    kept = roots > max(phi.shape) * np.finfo(phi.dtype).eps * roots.max(initial=0.0)
    unpenalised = reduction.unpenalised
    complete = np.count_nonzero(kept) == len(phi) - (unpenalised is not None)
    Q, V = np.ascontiguousarray(Q[:, kept]), np.ascontiguousarray(V[kept].T)
    return Spectrum(roots[kept] ** 2, Q, bool(complete), unpenalised, V=V)
