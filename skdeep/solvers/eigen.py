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

    def indefinite(self, alpha):
        """Whether an eigenvalue is more negative than the rounding of a Gram matrix, or K + alpha I has one."""
        # scikit-learn's thresholds: the kernel may have been computed with less precision than K has.
        ratio = 5e-3 if self.Q.dtype == np.float32 else 1e-5
        largest = np.abs(self.eigenvalues).max(initial=0.0)
        return bool(self.smallest < -ratio * largest or self.smallest + np.min(alpha) < -self.tolerance)

    def expanded(self, reduction):
        """The spectrum of a reduced system in weighted coordinates."""
        return replace(self, Q=reduction.expand(self.Q), unpenalised=reduction.unpenalised)

    def singular(self, alpha):
        """Whether K + alpha I is singular to working precision."""
        outside = not self.complete and np.min(alpha) <= self.tolerance
        return bool(outside or np.any(self._inverses(alpha) == 0))

    def solve(self, Y, alpha, *, least_norm=True):
        """(K + alpha I)^-1 Y; where that is singular, the least squares solution of least norm.

        Parameters
        ----------
        Y : array of shape (n, n_targets)
        alpha : float or array of shape (n_targets,)
            One penalty, or one for each target.
        least_norm : bool, default=True
            Whether what is 0 to working precision counts as 0. Without, and for alpha above 0, the coefficients are
            those whose quotients with `inverse_diagonal` are leave-one-out errors, however small alpha.
        """
        projected = self.Q.T @ Y
        C = self.Q @ (self._inverses(alpha, least_norm) * projected)
        if not self.complete:
            alpha = np.asarray(alpha, self.Q.dtype)
            solved = (alpha > self.tolerance) | (not least_norm)
            C += self._rest(Y, projected) * np.divide(1, alpha, out=np.zeros_like(alpha), where=solved)
        return C

    def feature_weights(self, Y, alpha):
        """phi' (K + alpha I)^-1 Y for the features phi, of which K is phi phi'; the same arguments as `solve`."""
        factors = np.sqrt(self.eigenvalues)[:, None] * self._inverses(alpha)
        return self.V @ (factors * (self.Q.T @ Y))

    def _inverses(self, alpha, least_norm=True):
        """The inverse eigenvalues of K + alpha I in a column for each alpha; 0 for what is 0 to working precision."""
        shifted = self.eigenvalues[:, None] + np.atleast_1d(np.asarray(alpha, self.Q.dtype))
        rounding = len(self.Q) * np.finfo(shifted.dtype).eps * np.abs(shifted).max(axis=0, initial=0.0)
        counts = (np.abs(shifted) > rounding) | (not least_norm)
        return np.divide(1, shifted, out=np.zeros_like(shifted), where=counts)

    def _rest(self, Y, projected):
        """What of Y is orthogonal to Q and to the unpenalised vector."""
        rest = Y - self.Q @ projected
        if self.unpenalised is not None:
            rest -= self.unpenalised[:, None] * (self.unpenalised @ Y)
        return rest

    def inverse_diagonal(self, alphas):
        """The diagonals of (K + alpha I)^-1, array of shape (n, n_alphas), for penalties above 0."""
        inverses = self._inverses(alphas, least_norm=False)
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
