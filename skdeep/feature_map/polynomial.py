"""The exact feature map of the polynomial kernel."""

from collections import Counter
from itertools import combinations_with_replacement
from math import comb
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skdeep._sklearn import Interval, fitting
from skdeep.engine import memory
from skdeep.feature_map._base import FeatureMap
from skdeep.kernels.polynomial import n_polynomial_features, polynomial_features


class PolynomialFeatureMap(FeatureMap):
    """phi(x) with phi(x) . phi(y) = (x . y + coef0)^degree, exactly.

    By the multinomial theorem the features are all monomials of x up to the degree, with the square roots of their
    weights in the kernel: for degree 2 and coef0 1 they are 1, sqrt2 x_i, x_i^2 and sqrt2 x_i x_j, i < j. A linear
    model on them is a polynomial, and with an L2 penalty it is the machine of the kernel `Polynomial(degree, coef0)`.

    Parameters
    ----------
    degree : int, default=2
        At least 1.
    coef0 : float, default=1.0
        At least 0; where it is 0 there are no monomials of lower degree.

    Attributes
    ----------
    n_output_features_ : int
        C(n_features + degree, degree), or C(n_features + degree - 1, degree) where coef0 is 0.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    See Also
    --------
    sklearn.preprocessing.PolynomialFeatures : The same monomials in the same order, without weights.
    skdeep.kernels.Polynomial : The kernel, at the cost of one inner product.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import PolynomialFeatureMap
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> phi = PolynomialFeatureMap().fit_transform(X)
    >>> (phi @ phi.T).round(6)
    array([[ 36., 144.],
           [144., 676.]])
    >>> PolynomialFeatureMap().fit(X).get_feature_names_out().tolist()
    ['1', 'x0', 'x1', 'x0^2', 'x0 x1', 'x1^2']
    """

    _parameter_constraints = {
        "degree": [Interval(Integral, 1, None, closed="left")],
        "coef0": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, degree=2, coef0=1.0):
        self.degree = degree
        self.coef0 = coef0

    @fitting
    def fit(self, X, y=None):
        """Count the features; nothing is learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        self : object
        """
        X = self._training_data(X)
        self.n_output_features_ = n_polynomial_features(X.shape[1], self.degree, lower_degrees=self.coef0 > 0)
        return self

    def transform(self, X):
        """The monomials with their weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        phi : ndarray of shape (n_samples, `n_output_features_`), or sparse matrix in CSR format where X is sparse
            Float32 where X is, else float64.

        Raises
        ------
        MemoryError
            If the result would not fit the memory that is free.
        """
        X = self._new_data(X)
        self._require_memory(X)
        blocks = gen_batches(X.shape[0], get_chunk_n_rows(self.n_output_features_ * X.dtype.itemsize))
        if sparse.issparse(X):
            return sparse.vstack([self._map(X[rows]) for rows in blocks], format="csr")
        phi = np.empty((X.shape[0], self.n_output_features_), X.dtype)
        for rows in blocks:
            phi[rows] = self._map(X[rows])
        return phi

    def _map(self, X):
        return polynomial_features(X, self.degree, coef0=self.coef0)

    def _require_memory(self, X):
        n_samples, n_columns = X.shape[0], self.n_output_features_
        # Beside the result there are tables of indices for each column.
        needed, size = 40 * n_columns, f"{n_samples} x {n_columns} of {X.dtype}"
        if sparse.issparse(X):
            # What is not zero in a row has all its monomials; blocks and their union exist at the same time.
            extra = self.degree if self.coef0 else self.degree - 1
            occupied, rows = np.unique(np.diff(X.indptr), return_counts=True)
            elements = sum(int(n) * comb(int(k) + extra, self.degree) for k, n in zip(occupied, rows, strict=True))
            needed, size = needed + 2 * (X.dtype.itemsize + 8) * elements, f"{size} with {elements} elements"
        else:
            needed += n_samples * n_columns * X.dtype.itemsize
        if needed > memory.available():
            raise MemoryError(
                f"PolynomialFeatureMap would make features of shape {size}, which need {needed / 1e9:.1f} GB, but "
                f"{memory.available() / 1e9:.1f} GB are free. A kernel machine has the same features implicitly: use "
                f"the kernel Polynomial({self.degree}, {self.coef0}) of skdeep.kernels in KernelRidgeDual, or its "
                "approximation in NystroemFeatureMap."
            )

    def get_feature_names_out(self, input_features=None):
        """The monomials by name, weights not shown: '1', 'x0', 'x1', 'x0^2', 'x0 x1', 'x1^2'.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features of X; None stands for those seen in fit, or x0, x1, ...

        Returns
        -------
        names : ndarray of str, shape (`n_output_features_`,)
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        powers = range(0 if self.coef0 else self.degree, self.degree + 1)
        monomials = (factors for power in powers for factors in combinations_with_replacement(range(len(names)), power))
        return np.array([_name(factors, names) for factors in monomials], dtype=object)


def _name(factors, names):
    """The product of the features at the places `factors`, in words."""
    exponents = Counter(factors).items()
    return " ".join(names[i] if n == 1 else f"{names[i]}^{n}" for i, n in exponents) or "1"
