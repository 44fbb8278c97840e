"""The explicit map of the polynomial kernel, by the multinomial theorem."""

import math
from itertools import combinations_with_replacement

import numpy as np
from scipy import sparse


def n_polynomial_features(n_features, degree, *, lower_degrees=True):
    """The number of monomials of the degree, with those of `lower_degrees` or without."""
    return math.comb(n_features + degree, degree) if lower_degrees else math.comb(n_features + degree - 1, degree)


def polynomial_exponents(n_features, degree, *, lower_degrees=True):
    """The exponents of the monomials, in the order of `polynomial_features`.

    Parameters
    ----------
    n_features, degree : int
        At least 1 and 0.
    lower_degrees : bool, default=True
        False for the monomials of exactly this degree, which are all there are where coef0 is 0.

    Returns
    -------
    exponents : ndarray of shape (n_monomials, n_features), int64
        The constant first, x_1, ..., x_d, then the products by degree, as in scikit-learn's
        `PolynomialFeatures`.

    Examples
    --------
    >>> from skdeep.kernels.polynomial import polynomial_exponents
    >>> polynomial_exponents(2, 2).tolist()
    [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]
    """
    n_monomials = n_polynomial_features(n_features, degree, lower_degrees=lower_degrees)
    exponents = np.zeros((n_monomials, n_features), np.int64)
    row = 0
    for power in range(0 if lower_degrees else degree, degree + 1):
        for factors in combinations_with_replacement(range(n_features), power):
            np.add.at(exponents[row], list(factors), 1)
            row += 1
    return exponents


def polynomial_features(X, degree, gamma=1.0, coef0=1.0):
    """phi(x), the monomials of x weighted so that phi(x) . phi(y) = (gamma x . y + coef0)^degree.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features), float32 or float64
    degree : int
        At least 1.
    gamma : float, default=1.0
        Above 0.
    coef0 : float, default=1.0
        At least 0; where it is 0 there are no monomials of lower degree.

    Returns
    -------
    features : ndarray, or sparse matrix in CSR format, of shape (n_samples, n_monomials)
        Of X's dtype. The monomial x^a carries the square root of the multinomial coefficient
        ``degree! / ((degree - |a|)! a_1! ... a_d!)`` times coef0^(degree - |a|) gamma^|a|; the order is that of
        `polynomial_exponents`.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.kernels.polynomial import polynomial_features
    >>> polynomial_features(np.array([[1.0, 2.0]]), 2).round(3)
    array([[1.   , 1.414, 2.828, 1.   , 2.828, 4.   ]])
    """
    if sparse.issparse(X):
        X, multiply, stack = X.tocsr(), _multiply_sparse, _stack_sparse
        monomials = sparse.csr_array(np.ones((X.shape[0], 1), X.dtype))
    else:
        multiply, stack = np.multiply, np.hstack
        monomials = np.ones((X.shape[0], 1), X.dtype)
    # A level holds x^a / sqrt(a!) for |a| = power; one more factor x_i divides by the root of its new exponent.
    first, run = np.array([X.shape[1]]), np.array([0])
    levels = []
    for power in range(degree + 1):
        if power:
            first, run, rest = _one_more_factor(first, run, X.shape[1])
            scale = (1 / np.sqrt(run)).astype(X.dtype)
            monomials = multiply(multiply(X[:, first], monomials[:, rest]), scale)
        if coef0 or power == degree:
            factor = (
                math.sqrt(math.perm(degree, power)) * math.sqrt(coef0) ** (degree - power) * math.sqrt(gamma) ** power
            )
            levels.append(monomials * X.dtype.type(factor))
    return stack(levels)


def _one_more_factor(first, run, n_features):
    """The next degree's monomials x_i m, i not after the first factor of m, in lexicographic order.

    Returns the first factor of each, how often it occurs, and the place of m among the monomials before.
    """
    first_after, rest = [], []
    for feature in range(n_features):
        places = np.flatnonzero(first >= feature)
        rest.append(places)
        first_after.append(np.full(len(places), feature))
    first_after, rest = np.concatenate(first_after), np.concatenate(rest)
    return first_after, np.where(first[rest] == first_after, run[rest], 0) + 1, rest


def _multiply_sparse(A, B):
    return A.multiply(B).tocsr()


def _stack_sparse(levels):
    return sparse.hstack(levels, format="csr")
