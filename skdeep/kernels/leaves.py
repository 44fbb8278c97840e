"""The leaves of the algebra: kernels given by a formula."""

from numbers import Integral, Real

from skdeep._sklearn import Interval
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.polynomial import n_polynomial_features, polynomial_features
from skdeep.kernels.program import exp


class Linear(Kernel):
    """k(x, y) = x . y.

    Examples
    --------
    >>> from skdeep.kernels import Linear
    >>> Linear()([[1.0, 2.0]], [[3.0, 4.0]])
    array([[11.]])
    """

    _parameter_constraints = {}

    def _explicit_map(self, n_features):
        return n_features, lambda X: X

    def _emit(self, tile):
        return tile.dot()


class Polynomial(Kernel):
    """k(x, y) = (gamma x . y + coef0) ^ degree.

    Parameters
    ----------
    degree : int, default=2
        At least 1.
    coef0 : float, default=1.0
        At least 0: a negative constant would not leave a kernel.
    gamma : float, default=1.0
        Above 0.

    Examples
    --------
    >>> from skdeep.kernels import Polynomial
    >>> Polynomial(2)([[1.0, 2.0]], [[3.0, 4.0]])
    array([[144.]])
    """

    _parameter_constraints = {
        "degree": [Interval(Integral, 1, None, closed="left")],
        "coef0": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, degree=2, coef0=1.0, gamma=1.0):
        self.degree = degree
        self.coef0 = coef0
        self.gamma = gamma

    def _explicit_map(self, n_features):
        n_monomials = n_polynomial_features(n_features, self.degree, lower_degrees=self.coef0 > 0)
        return n_monomials, lambda X: polynomial_features(X, self.degree, self.gamma, self.coef0)

    def _emit(self, tile):
        return (self.gamma * tile.dot() + self.coef0) ** self.degree


class RBF(Kernel):
    """``k(x, y) = exp(-|x - y|^2 / (2 length_scale^2))``, the Gaussian kernel.

    Parameters
    ----------
    length_scale : float or array-like of shape (n_features,), default=1.0
        Distance over which values remain alike, in units of the features; one number or one for each
        feature, above 0.

    Examples
    --------
    >>> from skdeep.kernels import RBF
    >>> RBF()([[0.0], [1.0]]).round(3)
    array([[1.   , 0.607],
           [0.607, 1.   ]])
    """

    _parameter_constraints = {"length_scale": [Interval(Real, 0, None, closed="neither"), "array-like"]}

    def __init__(self, length_scale=1.0):
        self.length_scale = length_scale

    def _emit(self, tile):
        return exp(-0.5 * tile.squared_distance(self.length_scale))
