"""Nystroem's approximation of a kernel by its values at a few landmarks."""

import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import KERNEL_PARAMS, PAIRWISE_KERNEL_FUNCTIONS, pairwise_kernels
from sklearn.utils import check_array, check_random_state

from skdeep._sklearn import Interval, StrOptions, fitting
from skdeep.feature_map._base import FeatureMap
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.given import PrecomputedGram
from skdeep.kernels.gram import require_finite
from skdeep.kernels.names import from_name
from skdeep.solvers.landmarks import LandmarkFactor, candidates, multiply_rows
from skdeep.solvers.pivoted_cholesky import partial_factor


class NystroemFeatureMap(FeatureMap):
    """phi(x) = L^-1 k(Z, x) for landmarks Z with k(Z, Z) = L L^T, so that inner products approximate the kernel.

    The approximation k(x, Z) k(Z, Z)^-1 k(Z, y) is exact at the landmarks (Williams & Seeger, 2001). Parameters,
    attributes and, with the same `random_state`, landmarks are those of scikit-learn's `Nystroem`, with `landmarks` and
    kernel objects beyond it. Its features are these after a rotation, k(x, Z) k(Z, Z)^(-1/2): all inner products are
    the same. A triangular factor takes half the work, and the first features are those of the first landmarks alone.

    Parameters
    ----------
    kernel : str, callable or Kernel, default="rbf"
        Any of the names of scikit-learn's `pairwise_kernels`, with its meaning and the parameters below; a function
        of two samples, called pair by pair; an object of `skdeep.kernels`; or "precomputed", where X is the Gram
        matrix k(X, X) in `fit` and k(new samples, X) in `transform`.
    gamma : float or None, default=None
        Of a kernel by name; None is the kernel's own default.
    coef0 : float or None, default=None
        Of the polynomial and sigmoid kernels by name; None is the kernel's own default.
    degree : float or None, default=None
        Of the polynomial kernel by name; None is the kernel's own default.
    kernel_params : dict or None, default=None
        Further keywords of a kernel by name or of a callable.
    n_components : int, default=100
        Landmarks, at most n_samples.
    random_state : int, RandomState instance or None, default=None
        Of the choice of landmarks.
    n_jobs : int or None, default=None
        Of `pairwise_kernels`, which computes callables and some of the names; all else is parallel without it.
    landmarks : {"uniform", "rpcholesky", "kmeans"} or array-like of shape (n_landmarks, n_features), \
            default="uniform"
        "uniform" draws them from the samples, all alike. "rpcholesky" draws one after the other in proportion to
        what k(x, x) has left over from those before (Chen, Epperly, Tropp & Webber, 2025): a much smaller error
        where the spectrum decays; there are fewer than n_components where nothing is left. It draws among ten samples
        for each landmark where there are more and the kernel is not precomputed. "kmeans" takes the centres of
        clusters (Zhang, Tsang & Kwok, 2008). An array is taken as it is, and `n_components` ignored.

    Attributes
    ----------
    components_ : {ndarray, sparse matrix} of shape (n_landmarks, n_features)
        The landmarks, each the one that those before explain least; their rows of the Gram matrix where that is
        precomputed.
    component_indices_ : ndarray of shape (n_landmarks,) or None
        Their places in the training data; None where they are not from there.
    normalization_ : ndarray of shape (n_landmarks, n_landmarks)
        L^-1, with rows of zeros for landmarks that the others make redundant up to rounding. Where k(Z, Z) is not
        positive semidefinite, ``Q sign(l) |l|^(-1/2) Q^T`` of its eigenvalues l and eigenvectors Q.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    See Also
    --------
    MercerFeatureMap : The least error for the number of features, at a higher price.
    RandomFourierFeatureMap : Features that are drawn without data, of stationary kernels.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdeep import NystroemFeatureMap
    >>> X, y = load_digits(return_X_y=True)
    >>> nystroem = NystroemFeatureMap(gamma=0.001, n_components=200, landmarks="rpcholesky", random_state=0)
    >>> make_pipeline(nystroem, RidgeClassifier(alpha=0.01)).fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.95
    True
    """

    _parameter_constraints = {
        "kernel": [StrOptions({*PAIRWISE_KERNEL_FUNCTIONS, "precomputed"}), callable],
        "gamma": [Interval(Real, 0, None, closed="left"), None],
        "coef0": [Interval(Real, None, None, closed="neither"), None],
        "degree": [Interval(Real, 1, None, closed="left"), None],
        "kernel_params": [dict, None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "landmarks": [StrOptions({"uniform", "rpcholesky", "kmeans"}), "array-like"],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma=None,
        coef0=None,
        degree=None,
        kernel_params=None,
        n_components=100,
        random_state=None,
        n_jobs=None,
        landmarks="uniform",
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.coef0 = coef0
        self.degree = degree
        self.kernel_params = kernel_params
        self.n_components = n_components
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.landmarks = landmarks

    @fitting
    def fit(self, X, y=None):
        """Choose the landmarks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or the Gram matrix, where that is precomputed.
        y : Ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit.
        """
        X = self._training_data(X)
        kernel, rng = self._resolved_kernel(X), check_random_state(self.random_state)
        components, indices = self._chosen(X, kernel, rng)
        K = _dense(components[:, indices] if kernel is None else kernel.gram(components))
        require_finite(K, self.kernel)
        factor = LandmarkFactor(K)
        order, self._triangular = factor.order, not factor.indefinite
        N = factor.inverse() if self._triangular else _inverse_root(K[np.ix_(order, order)])
        self.normalization_, self.kernel_ = N.astype(X.dtype), kernel
        self.components_ = components[order]
        self.component_indices_ = None if indices is None else indices[order]
        self._n_features_out = components.shape[0]
        return self

    def _resolved_kernel(self, X):
        """What computes the Gram matrix of samples; None where it is precomputed."""
        parameters = {"gamma": self.gamma, "coef0": self.coef0, "degree": self.degree}
        parameters = {name: value for name, value in parameters.items() if value is not None}
        by_name = isinstance(self.kernel, str) and self.kernel != "precomputed"
        if parameters and not by_name:
            raise ValueError(
                "Don't pass gamma, coef0 or degree to NystroemFeatureMap with a kernel object, a callable or "
                f"a precomputed kernel, got {parameters}: they belong to kernels by name."
            )
        if self.kernel == "precomputed":
            if X.shape[0] != X.shape[1]:
                raise ValueError(f"kernel='precomputed' needs a square matrix in fit, got one of shape {X.shape}.")
            return None
        if isinstance(self.kernel, Kernel):
            return self.kernel._with_names(self._names)
        parameters = (self.kernel_params or {}) | parameters
        return (by_name and self._by_name(parameters, X)) or _Pairwise(self.kernel, self.n_jobs, parameters)

    def _by_name(self, parameters, X):
        """The kernel object of a name; None where that is scikit-learn's alone, or parameters are, as degree 2.5."""
        known = {name: value for name, value in parameters.items() if name in KERNEL_PARAMS[self.kernel]}
        try:
            kernel = from_name(self.kernel, n_features=X.shape[1], **known)
            kernel.gram(X[:1])  # which looks at its parameters
        except (ValueError, ZeroDivisionError):
            return None
        return kernel

    def _chosen(self, X, kernel, rng):
        """The landmarks and their places in X, or None if they are not from there."""
        if not isinstance(self.landmarks, str) or self.landmarks == "kmeans":
            if kernel is None:
                raise ValueError("With kernel='precomputed', landmarks must be 'uniform' or 'rpcholesky'.")
            landmarks = self._landmarks_anywhere(X, rng)
            return type(X)(landmarks) if sparse.issparse(X) else landmarks, None
        n_components = self._n_landmarks(X)
        if self.landmarks == "uniform":
            indices = rng.permutation(X.shape[0])[:n_components]
        else:
            among = np.arange(X.shape[0]) if kernel is None else candidates(X.shape[0], n_components, rng)
            K = X if kernel is None else kernel.gram(X[among])
            K = PrecomputedGram(K) if isinstance(K, np.ndarray) else K
            # Of all samples, where no function is called for each pair of them.
            require_finite(kernel.gram(X) if isinstance(kernel, Kernel) else K, self.kernel)
            indices = among[partial_factor(K, n_components, rng, self.kernel).pivots]
        return X[indices], indices

    def _n_landmarks(self, X):
        if self.n_components > X.shape[0]:
            warnings.warn(
                f"n_components={self.n_components} is more than there are samples: all {X.shape[0]} are landmarks, "
                "and the kernel is not approximated.",
                stacklevel=6,
            )
        return min(self.n_components, X.shape[0])

    def _landmarks_anywhere(self, X, rng):
        if isinstance(self.landmarks, str):
            return KMeans(self._n_landmarks(X), random_state=rng).fit(X).cluster_centers_
        landmarks = check_array(self.landmarks, dtype=X.dtype, order="C", input_name="landmarks")
        if landmarks.shape[1] != X.shape[1]:
            raise ValueError(f"landmarks have {landmarks.shape[1]} features, but X has {X.shape[1]}.")
        return landmarks

    def transform(self, X):
        """L^-1 k(Z, x), the features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or k(X, training data), of shape (n_samples, n_training_samples), where the kernel is precomputed.

        Returns
        -------
        phi : ndarray of shape (n_samples, n_landmarks)
            Of the dtype of the training data.
        """
        X = self._new_data(X, self.normalization_.dtype)
        precomputed = self.kernel_ is None
        K = _dense(X[:, self.component_indices_] if precomputed else self.kernel_.gram(X, self.components_))
        if not self._triangular:
            return K @ self.normalization_.T
        phi = np.ascontiguousarray(K)
        multiply_rows(self.normalization_, phi)
        return phi


@dataclass(frozen=True)
class _Pairwise:
    """A kernel that scikit-learn computes: its name, or a function that is called once for each pair."""

    metric: object
    n_jobs: int | None
    parameters: dict

    def gram(self, X, Y=None):
        """The Gram matrix, an array."""
        return pairwise_kernels(
            X, Y, metric=self.metric, n_jobs=self.n_jobs, filter_params=True, **self.parameters
        ).astype(X.dtype, copy=False)


def _dense(K):
    return K if isinstance(K, np.ndarray) else K.toarray()


def _inverse_root(K):
    """A symmetric N with N^2 = |K|^-1; of a kernel that is not positive semidefinite, N has the signs of K."""
    eigenvalues, Q = np.linalg.eigh(K.astype(np.float64))
    # What is below the rounding of the elements could be anything: counted as that large, it weighs too little.
    sizes = np.abs(eigenvalues)
    smallest = max(np.finfo(K.dtype).eps * sizes.max(), np.finfo(np.float64).tiny)
    return (Q * (np.sign(eigenvalues) / np.sqrt(np.maximum(sizes, smallest)))) @ Q.T
