"""Eigenfunctions of a kernel's integral operator on data."""

from numbers import Integral, Real

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse.linalg import eigsh
from sklearn.utils import check_random_state
from sklearn.utils.extmath import svd_flip

from skdeep._sklearn import Interval, StrOptions, fitting
from skdeep.engine import memory
from skdeep.feature_map._base import FeatureMap
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.gram import require_finite
from skdeep.kernels.names import NAMES, resolved
from skdeep.solvers.background import in_background
from skdeep.solvers.pivoted_cholesky import partial_factor


class MercerFeatureMap(FeatureMap):
    """psi_i(x) = sqrt(lambda_i) phi_i(x), with eigenvalues and eigenfunctions of the kernel's integral operator.

    The operator is f -> (1 / n) sum_j k(., x_j) f(x_j) over the training data (Mercer, 1909; Rosasco, Belkin & De Vito,
    2010). From l_i and u_i, eigenvalues and unit eigenvectors of the Gram matrix, follow lambda_i = l_i / n, and
    psi_i(x) = k(x, X) u_i / sqrt(l_i) at any x. Among all maps to so many features it has the least error on the
    training data: the trace of K - psi(X) psi(X)^T is the sum of the eigenvalues of K that were dropped.

    Parameters
    ----------
    kernel : str or Kernel, default="rbf"
        A name of `from_name`, with scikit-learn's meaning and the parameters below, or an object of `skdeep.kernels`.
    n_components : int, default=100
        Eigenfunctions to keep, those of the largest eigenvalues; fewer are kept where the data or the kernel have no
        more, see Notes.
    gamma : float or None, default=None
        Of a kernel by name; None stands for 1 / n_features.
    degree : int, default=3
        Of the polynomial kernel by name.
    coef0 : float, default=1
        Of the polynomial and sigmoid kernels by name.
    eigen_solver : {"auto", "dense", "arpack", "rpcholesky"}, default="auto"
        "dense" is LAPACK's on the whole Gram matrix, "arpack" iterates on it, for few components. "rpcholesky" takes
        the singular value decomposition of a randomly pivoted partial Cholesky factor (Chen, Epperly, Tropp & Webber,
        2025) of twice the rank: the matrix is never stored, and the eigenfunctions are approximate. "auto" is
        "rpcholesky" where the matrix would not fit the memory that is free, "arpack" for fewer than 10 components of
        more than 200 samples, else "dense".
    random_state : int, RandomState instance or None, default=None
        Of the start of "arpack" and the pivots of "rpcholesky".

    Attributes
    ----------
    eigenvalues_ : ndarray of shape (`n_components_`,)
        lambda_i, largest first; those of the Gram matrix are n_samples times as large.
    n_components_ : int
        Eigenfunctions that were kept.
    X_fit_ : {ndarray, sparse matrix} of shape (n_fit, n_features)
        The samples whose k(., x_j) span the eigenfunctions: the training data, or the pivots under "rpcholesky".
    coefficients_ : ndarray of shape (n_fit, `n_components_`)
        psi(x) = k(x, `X_fit_`) `coefficients_`.
    kernel_ : Kernel
        The kernel that was used.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    See Also
    --------
    sklearn.decomposition.KernelPCA : The same after centring in feature space.

    Notes
    -----
    Eigenvalues of K up to 10 eps times the trace of K, or 1e-12 times the largest, are not told from zero: the
    elements of K are rounded by a few eps sqrt(k(x, x) k(y, y)), a matrix of that trace at most. A kernel of finite
    rank therefore ends where theory says: of the polynomial kernel remain C(n_features + degree, degree) components.

    Of a function that is no kernel, such as the sigmoid, only the positive eigenvalues count, and "rpcholesky" refuses.

    The sign of each eigenfunction makes the largest of its coefficients, by absolute value, positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import MercerFeatureMap
    >>> from skdeep.kernels import Polynomial
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> mercer = MercerFeatureMap(Polynomial(2)).fit(X)
    >>> mercer.n_components_
    6
    >>> psi = mercer.transform(X)
    >>> np.allclose(psi @ psi.T, Polynomial(2)(X))
    True
    """

    _parameter_constraints = {
        "kernel": [StrOptions(set(NAMES)), Kernel],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "degree": [Interval(Integral, 1, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "eigen_solver": [StrOptions({"auto", "dense", "arpack", "rpcholesky"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        kernel="rbf",
        n_components=100,
        *,
        gamma=None,
        degree=3,
        coef0=1,
        eigen_solver="auto",
        random_state=None,
    ):
        self.kernel = kernel
        self.n_components = n_components
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.eigen_solver = eigen_solver
        self.random_state = random_state

    @fitting
    def fit(self, X, y=None):
        """Find eigenvalues and eigenfunctions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32.
        y : Ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit.
        MemoryError
            If there is no memory for the Gram matrix and `eigen_solver` needs it.
        """
        X = self._training_data(X)
        n_samples = X.shape[0]
        parameters = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        kernel = resolved(self.kernel, X.shape[1], self._names, **parameters)
        K, rng = kernel.gram(X), check_random_state(self.random_state)
        require_finite(K, kernel)
        n_components = min(self.n_components, n_samples)
        solve = _SOLVERS[self._resolved_solver(K, n_components)]
        eigenvalues, directions, fitted = solve(K, n_components, rng)
        cutoff = max(10 * np.finfo(X.dtype).eps * K.diagonal().sum(dtype=np.float64), 1e-12 * eigenvalues[0])
        kept = eigenvalues > cutoff
        directions, _ = svd_flip(directions[:, kept], None)
        self.kernel_, self.X_fit_ = kernel, X[fitted].copy()
        self.coefficients_, self.eigenvalues_ = directions / np.sqrt(eigenvalues[kept]), eigenvalues[kept] / n_samples
        self.n_components_ = self._n_features_out = len(self.eigenvalues_)
        return self

    def _resolved_solver(self, K, n_components):
        if self.eigen_solver != "auto":
            return self.eigen_solver
        n_samples = K.shape[0]
        # The matrix, its eigenvectors, and what LAPACK works in.
        if 4 * n_samples**2 * K.dtype.itemsize > memory.available():
            return "rpcholesky"
        return "arpack" if n_samples > 200 and n_components < 10 else "dense"

    def transform(self, X):
        """psi(x), the values of the scaled eigenfunctions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        psi : ndarray of shape (n_samples, `n_components_`)
            Of the dtype of the training data.
        """
        X = self._new_data(X, self.coefficients_.dtype)
        return self.kernel_.gram(X, self.X_fit_) @ self.coefficients_

    def residual(self, X):
        """``k(x, x) - |psi(x)|^2``, what the features miss of x: at least 0, at any x.

        It is the squared distance, in the kernel's space, of k(x, .) from the span of the kept eigenfunctions, and
        bounds the error of the kernel: ``|k(x, y) - psi(x) . psi(y)|^2`` is at most the product of the residuals.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        residual : ndarray of shape (n_samples,)
        """
        psi = self.transform(X)
        explained = np.einsum("ij,ij->i", psi, psi)
        return np.maximum(self.kernel_.diag(self._new_data(X, psi.dtype)) - explained, 0)


# Each solver returns the largest eigenvalues of K, largest first, directions b_i such that the eigenvector u_i is
# K[:, fitted] b_i / l_i, and the samples `fitted`.


def _dense(K, n_components, rng):
    eigenvalues, U = in_background(np.linalg.eigh, K.toarray())
    return eigenvalues[::-1][:n_components], U[:, ::-1][:, :n_components], slice(None)


def _arpack(K, n_components, rng):
    n = K.shape[0]
    if n_components >= n:
        raise ValueError(f"eigen_solver='arpack' finds fewer components than there are samples, {n}: use 'dense'.")
    start = rng.uniform(-1, 1, n).astype(K.dtype)
    eigenvalues, U = eigsh(K.toarray(), n_components, which="LA", v0=start)
    order = np.argsort(eigenvalues)[::-1]
    return eigenvalues[order], U[:, order], slice(None)


def _rpcholesky(K, n_components, rng):
    # K is near F F^T with F = K[:, fitted] L^-T, L the pivots' rows of F. From F = U S V^T come its eigenvalues S^2
    # and U = K[:, fitted] L^-T V / S.
    partial = partial_factor(K, 2 * n_components, rng, K.kernel)
    _, S, Vt = in_background(np.linalg.svd, partial.factor, full_matrices=False)
    L = partial.factor[partial.pivots]
    directions = solve_triangular(L, Vt[:n_components].T * S[:n_components], lower=True, trans="T", check_finite=False)
    return S[:n_components] ** 2, directions, partial.pivots


_SOLVERS = {"dense": _dense, "arpack": _arpack, "rpcholesky": _rpcholesky}
