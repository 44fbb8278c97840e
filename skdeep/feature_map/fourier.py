"""Random Fourier features of stationary kernels."""

from math import ceil
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skdeep._sklearn import Interval, StrOptions, fitting
from skdeep.engine import threads
from skdeep.engine.fourier import TILES, fourier_features
from skdeep.engine.target import aligned_zeros, lanes
from skdeep.engine.tiles import ROWS, VECS
from skdeep.feature_map._base import FeatureMap
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.names import resolved
from skdeep.kernels.spectral import draw_frequencies, spectral_terms

# Operations of a cosine and a sine.
OPERATIONS = 30


class RandomFourierFeatureMap(FeatureMap):
    """cos(w . x) and sin(w . x) at random frequencies w, so that inner products are a stationary kernel on average.

    A kernel k(x - y) is the mean of cos(w . (x - y)) over a law of frequencies, its Fourier transform (Bochner,
    1933); the features make that a mean over draws (Rahimi & Recht, 2007), whose error falls as 1 / sqrt(n_components).
    A cosine and a sine share a frequency. That makes ``|phi(x)|^2 = k(x, x)`` exact, and has less variance than as many
    cosines with random phases wherever k(2 d) < 2 k(d)^2, as for the RBF kernel at every distance d (Sutherland &
    Schneider, 2015). Of an odd number, the last is a cosine with random phase.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"} or Kernel, default="rbf"
        A name, with scikit-learn's meaning and the parameter below, or an object of `skdeep.kernels`: RBF, Laplacian,
        Matern, RationalQuadratic, Periodic, constants, and sums, products, powers, polynomials and positive multiples
        of these, on some of the features or normalized. The components are shared out among the terms of a sum by
        their weights; the frequencies of a product are sums of those of its factors.
    n_components : int, default=100
        Features; at least one for each term of the kernel.
    gamma : float or None, default=None
        Of a kernel by name; None stands for 1 / n_features.
    orthogonal : bool, default=True
        Whether frequencies of RBF, Matern and RationalQuadratic stand at right angles to each other, n_features at a
        time, which has less variance at the same cost (Yu, Suresh, Choromanski, Holtmann-Rice & Kumar, 2016).
    random_state : int, RandomState instance or None, default=None
        Of the draws.

    Attributes
    ----------
    kernel_ : Kernel
        The kernel that is approximated.
    random_weights_ : ndarray of shape (n_features, n_frequencies)
        Frequencies in columns, of X's dtype.
    random_offset_ : ndarray of shape (n_frequencies,)
        Phases, zero where there is a sine, too: of the first n_components - n_frequencies.
    amplitudes_ : ndarray of shape (n_frequencies,)
        The factor of the features of each frequency.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    See Also
    --------
    NystroemFeatureMap : For every kernel, and adapted to the data.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import RandomFourierFeatureMap
    >>> from skdeep.kernels import RBF
    >>> X = np.array([[0.0, 0.0], [1.0, 1.0]])
    >>> phi = RandomFourierFeatureMap(RBF(2.0), n_components=1000, random_state=0).fit_transform(X)
    >>> bool(abs(phi @ phi.T - RBF(2.0)(X)).max() < 0.05)
    True
    """

    _parameter_constraints = {
        "kernel": [StrOptions({"rbf", "laplacian"}), Kernel],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "orthogonal": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(self, kernel="rbf", n_components=100, *, gamma=None, orthogonal=True, random_state=None):
        self.kernel = kernel
        self.n_components = n_components
        self.gamma = gamma
        self.orthogonal = orthogonal
        self.random_state = random_state

    @fitting
    def fit(self, X, y=None):
        """Draw the frequencies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Only its number of features and its dtype matter.
        y : Ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the kernel is not stationary, or has more terms than there are components.
        """
        X = self._training_data(X)
        rng, names = check_random_state(self.random_state), self._names
        kernel = resolved(self.kernel, X.shape[1], names, gamma=self.gamma)
        kernel.gram(X[:1])  # which looks at its parameters
        terms = spectral_terms(kernel, np.arange(X.shape[1]), names)
        draws = [
            self._draw(*term, share, X.shape[1], rng)
            for term, share in zip(terms, _shares(terms, self.n_components), strict=True)
        ]
        weights, offset, amplitudes, paired = (np.concatenate(parts, axis=-1) for parts in zip(*draws, strict=True))
        # Frequencies with a sine come first, so that the sines are those of the first columns.
        order = np.argsort(~paired, kind="stable")
        self.random_weights_ = np.ascontiguousarray(weights[:, order], dtype=X.dtype)
        self.random_offset_, self.amplitudes_ = offset[order].astype(X.dtype), amplitudes[order].astype(X.dtype)
        self.kernel_, self._n_features_out = kernel, self.n_components
        return self

    def _draw(self, weight, factors, n_components, n_features, rng):
        """Frequencies, offsets, amplitudes, and which have a sine, for one term of the kernel."""
        n = (n_components + 1) // 2
        normals = _orthogonal_normals if self.orthogonal else _normals
        weights = np.zeros((n_features, n))
        for factor, columns in factors:
            np.add.at(weights, columns, draw_frequencies(factor, normals(len(columns), n, rng), rng))
        if not factors:  # a constant is its own feature
            return weights, np.zeros(n), np.full(n, np.sqrt(weight)), np.zeros(n, bool)
        paired = np.arange(n) < n_components // 2
        offset = np.where(paired, 0.0, rng.uniform(0, 2 * np.pi, n))
        return weights, offset, np.full(n, np.sqrt(2 * weight / n_components)), paired

    def transform(self, X):
        """The features: all cosines, then the sines.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        phi : ndarray of shape (n_samples, n_components)
            Of the dtype of the training data.
        """
        X = self._new_data(X, self.random_weights_.dtype)
        n_paired = self._n_features_out - len(self.random_offset_)
        return _features(X, self.random_weights_, self.random_offset_, self.amplitudes_, n_paired)


def _features(X, W, offset, amplitudes, n_paired):
    """The cosines of X W + offset, then the sines of the first n_paired columns, each column times its amplitude."""
    (n_samples, n_features), n_frequencies, width = X.shape, W.shape[1], VECS * lanes(W.dtype)
    n_columns = ceil(n_frequencies / width) * width
    if sparse.issparse(X):  # the engine sees no features, but their products
        x, weights, work = _padded(X @ W, max(n_samples, ROWS) * n_frequencies + width), np.empty(0, W.dtype), 0
    else:
        x = X.reshape(-1) if n_samples >= ROWS else _padded(X, ROWS * n_features)
        columns = np.pad(W, ((0, 0), (0, n_columns - n_frequencies)))
        panels = columns.reshape(n_features, -1, width).transpose(1, 0, 2)
        weights, work = _padded(panels, panels.size), 2 * n_features
    phi = np.empty((n_samples, n_frequencies + n_paired), W.dtype)
    work = (work + OPERATIONS) * n_frequencies  # of a sample
    workers = threads.n_workers(work * n_samples)
    arguments = x, weights, _padded(offset, n_columns), _padded(amplitudes, n_columns)
    sizes, scratch = (n_samples, n_features, n_frequencies, n_paired), aligned_zeros(workers * ROWS * width, W.dtype)
    first_launch = threads.first_launch(ROWS * TILES * work)
    for first, stop in threads.launches(ceil(n_samples / (ROWS * TILES * workers)), first_launch):
        tiles = first * TILES * workers, min(stop * TILES * workers, ceil(n_samples / ROWS))
        fourier_features(*arguments, *sizes, *tiles, scratch, phi.reshape(-1), workers)
    return phi


def _padded(numbers, size):
    """The numbers of an array, one after the other, and zeros behind, `size` in all."""
    padded = aligned_zeros(size, numbers.dtype)
    padded[: numbers.size] = numbers.reshape(-1)
    return padded


def _shares(terms, n_components):
    """Components of each term: one of a constant, of the others at least one and else in proportion to the weight."""
    constant = np.array([not factors for _, factors in terms])
    weights = np.where(constant, 0.0, [weight for weight, _ in terms])
    if n_components < len(terms):
        raise ValueError(
            f"n_components must be at least the number of terms of the kernel, {len(terms)}, got {n_components}."
        )
    wanted = (n_components - len(terms)) * weights / (weights.sum() or 1.0)
    shares = 1 + wanted.astype(int)
    missing = n_components - shares.sum()
    largest_remainders = np.argsort(np.where(constant, -1.0, wanted % 1), kind="stable")[::-1]
    shares[largest_remainders[:missing]] += 1
    return shares.tolist()


def _normals(n_features, n, rng):
    """Independent columns of standard normal law, ndarray of shape (n_features, n)."""
    return rng.standard_normal((n_features, n))


def _orthogonal_normals(n_features, n, rng):
    """Columns of standard normal law, n_features at a time at right angles to each other."""
    blocks = []
    for start in range(0, n, n_features):
        Q, R = np.linalg.qr(rng.standard_normal((n_features, min(n_features, n - start))))
        # Signs by R make Q uniform among all rotations (Mezzadri, 2007); lengths are those of normal vectors.
        lengths = np.sqrt(rng.chisquare(n_features, Q.shape[1]))
        blocks.append(Q * (np.sign(np.diagonal(R)) * lengths))
    return np.hstack(blocks)
