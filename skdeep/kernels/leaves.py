"""The leaves of the algebra: kernels given by a formula."""

import math
from numbers import Integral, Real

import numpy as np

from skdeep._sklearn import Interval, Options
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.inputs import Circle, unit_rows
from skdeep.kernels.polynomial import n_polynomial_features, polynomial_features
from skdeep.kernels.program import exp, log1p, tanh

POSITIVE = Interval(Real, 0, None, closed="neither")


class Linear(Kernel):
    """``k(x, y) = x · y``.

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
    """``k(x, y) = (gamma x · y + coef0) ^ degree``.

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
        "gamma": [POSITIVE],
    }
    _hyperparameters = ("coef0", "gamma")

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

    _parameter_constraints = {"length_scale": [POSITIVE, "array-like"]}
    _hyperparameters = ("length_scale",)

    def __init__(self, length_scale=1.0):
        self.length_scale = length_scale

    def _emit(self, tile):
        return exp(-0.5 * tile.squared_distance(self.length_scale))


class Laplacian(Kernel):
    """``k(x, y) = exp(-sum_i |x_i - y_i| / length_scale_i)``, the Laplace kernel of L1 distances.

    Parameters
    ----------
    length_scale : float or array-like of shape (n_features,), default=1.0
        As for `RBF`.

    Examples
    --------
    >>> from skdeep.kernels import Laplacian
    >>> Laplacian(2.0)([[0.0, 0.0]], [[1.0, 1.0]]).round(3)
    array([[0.368]])
    """

    _parameter_constraints = {"length_scale": [POSITIVE, "array-like"]}
    _hyperparameters = ("length_scale",)

    def __init__(self, length_scale=1.0):
        self.length_scale = length_scale

    def _emit(self, tile):
        return exp(-tile.absolute_distance(self.length_scale))


class Matern(Kernel):
    """The kernel of Matern (1960) of ``r = |x - y| / length_scale``, whose functions are nu - 1/2 times differentiable.

    It is exp(-r) for nu = 1/2, (1 + a) exp(-a) with a = sqrt(3) r for nu = 3/2, and (1 + a + a^2 / 3) exp(-a) with
    a = sqrt(5) r for nu = 5/2.

    Parameters
    ----------
    length_scale : float or array-like of shape (n_features,), default=1.0
        As for `RBF`.
    nu : {0.5, 1.5, 2.5}, default=1.5

    Examples
    --------
    >>> from skdeep.kernels import Matern
    >>> Matern(nu=2.5)([[0.0], [1.0]]).round(3)
    array([[1.   , 0.524],
           [0.524, 1.   ]])
    """

    _parameter_constraints = {"length_scale": [POSITIVE, "array-like"], "nu": [Options(Real, {0.5, 1.5, 2.5})]}
    _hyperparameters = ("length_scale",)

    def __init__(self, length_scale=1.0, nu=1.5):
        self.length_scale = length_scale
        self.nu = nu

    def _emit(self, tile):
        a = math.sqrt(2 * self.nu) * tile.distance(self.length_scale)
        factor = {0.5: 1.0, 1.5: 1.0 + a, 2.5: 1.0 + a + (1 / 3) * a * a}[self.nu]
        return factor * exp(-a)


class RationalQuadratic(Kernel):
    """``k(x, y) = (1 + |x - y|^2 / (2 alpha length_scale^2)) ^ -alpha``, a mixture of RBF kernels of all scales.

    Parameters
    ----------
    length_scale : float or array-like of shape (n_features,), default=1.0
        As for `RBF`.
    alpha : float, default=1.0
        Above 0; the larger, the fewer scales: the limit is `RBF`.

    Examples
    --------
    >>> from skdeep.kernels import RationalQuadratic
    >>> RationalQuadratic()([[0.0]], [[2.0]]).round(3)
    array([[0.333]])
    """

    _parameter_constraints = {"length_scale": [POSITIVE, "array-like"], "alpha": [POSITIVE]}
    _hyperparameters = ("length_scale", "alpha")

    def __init__(self, length_scale=1.0, alpha=1.0):
        self.length_scale = length_scale
        self.alpha = alpha

    def _emit(self, tile):
        return exp(-self.alpha * log1p(0.5 / self.alpha * tile.squared_distance(self.length_scale)))


class Periodic(Kernel):
    """``k(x, y) = exp(-2 sum_i sin^2(pi (x_i - y_i) / period) / length_scale_i^2)``.

    It is the RBF kernel of the points (cos, sin) of 2 pi x_i / period on circles, so that it is valid for any
    number of features (MacKay, 1998).

    Parameters
    ----------
    length_scale : float or array-like of shape (n_features,), default=1.0
        Above 0; it has no unit.
    period : float, default=1.0
        Distance after which values repeat, in units of the features, above 0.

    Examples
    --------
    >>> from skdeep.kernels import Periodic
    >>> Periodic()([[0.0]], [[0.5], [1.0]]).round(3).T
    array([[0.135],
           [1.   ]])
    """

    _parameter_constraints = {"length_scale": [POSITIVE, "array-like"], "period": [POSITIVE]}
    _hyperparameters = ("length_scale", "period")

    def __init__(self, length_scale=1.0, period=1.0):
        self.length_scale = length_scale
        self.period = period

    def _emit(self, tile):
        return exp(-0.5 * tile.mapped(Circle(self.period)).squared_distance(self.length_scale))


class Cosine(Kernel):
    """``k(x, y) = x · y / (|x| |y|)``, and 0 where a sample is 0.

    Examples
    --------
    >>> from skdeep.kernels import Cosine
    >>> Cosine()([[3.0, 4.0]], [[0.0, 2.0]])
    array([[0.8]])
    """

    _parameter_constraints = {}

    def _emit(self, tile):
        return tile.mapped(unit_rows).dot()


class Sigmoid(Kernel):
    """``k(x, y) = tanh(gamma x · y + coef0)``, not positive semidefinite in general.

    Parameters
    ----------
    gamma : float or None, default=None
        Above 0; None stands for 1 / n_features.
    coef0 : float, default=1.0

    Examples
    --------
    >>> from skdeep.kernels import Sigmoid
    >>> Sigmoid().positive_semidefinite is None
    True
    """

    _parameter_constraints = {"gamma": [POSITIVE, None], "coef0": [Real]}
    _hyperparameters = ("gamma", "coef0")
    _keeps_validity = False

    def __init__(self, gamma=None, coef0=1.0):
        self.gamma = gamma
        self.coef0 = coef0

    def _emit(self, tile):
        gamma = 1.0 / tile.n_features if self.gamma is None else self.gamma
        return tanh(gamma * tile.dot() + self.coef0)


class Custom(Kernel):
    """k(x, y) = function(x, y), of numbers, strings, graphs or what else the function takes.

    That its Gram matrices are symmetric and positive semidefinite is up to the function: `check_kernel` tries it.

    Parameters
    ----------
    function : callable
        From two sets of samples, (X, Y), to the matrix of shape (n_samples_X, n_samples_Y); or from two samples to
        a number where not `vectorized`.
    vectorized : bool, default=True

    Examples
    --------
    >>> from skdeep.kernels import Custom
    >>> common_letters = Custom(lambda a, b: len(set(a) & set(b)), vectorized=False)
    >>> common_letters(["kernel", "ridge"], ["gram"])
    array([[1.],
           [2.]])
    """

    _parameter_constraints = {"function": [callable], "vectorized": ["boolean"]}
    _keeps_validity = False
    _reads_numbers = False

    def __init__(self, function, vectorized=True):
        self.function = function
        self.vectorized = vectorized

    def _emit(self, tile):
        return tile.given(self.function if self.vectorized else PairByPair(self.function))


class PairByPair:
    """The matrix of a function of one pair."""

    def __init__(self, function):
        self.function = function

    def __call__(self, X, Y):
        return np.array([[self.function(x, y) for y in Y] for x in X], dtype=np.float64).reshape(len(X), len(Y))

    def __eq__(self, other):
        return isinstance(other, PairByPair) and self.function == other.function

    def __hash__(self):
        return hash(self.function)
