"""Kernels made of one other: of its values, of its features, of its samples' length."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from skdeep._sklearn import StrOptions
from skdeep.kernels.algebra import Kernel, _plain, _text
from skdeep.kernels.gradient import gradient_diagonals
from skdeep.kernels.gram import Gram
from skdeep.kernels.inputs import inverse_norm
from skdeep.kernels.panels import n_samples
from skdeep.kernels.program import exp


class _Wrapper(Kernel):
    """A kernel made of `self.kernel` by a method of that."""

    _method = ""

    def _terms(self):
        return {"kernel": self.kernel}

    def __repr__(self):
        arguments = [repr(_plain(getattr(self, name))) for name in self.get_params(deep=False) if name != "kernel"]
        return f"{_text(self.kernel, 3)}.{self._method}({', '.join(arguments)})"


class Exp(_Wrapper):
    """exp(k(x, y)), a limit of polynomials with positive coefficients.

    Parameters
    ----------
    kernel : Kernel

    Examples
    --------
    >>> from skdeep.kernels import Linear
    >>> Linear().exp()([[0.0], [1.0]]).round(3)
    array([[1.   , 1.   ],
           [1.   , 2.718]])
    """

    _parameter_constraints = {"kernel": [Kernel]}
    _method = "exp"

    def __init__(self, kernel):
        self.kernel = kernel

    def _emit(self, tile):
        return exp(self.kernel._emit(tile))


class PolynomialOf(_Wrapper):
    """sum_i coefs[i] k(x, y)^i, sums of products of a kernel with itself.

    Parameters
    ----------
    kernel : Kernel
    coefs : array-like of shape (degree + 1,)
        Coefficients of at least 0, that of the constant first.

    Examples
    --------
    >>> from skdeep.kernels import Linear
    >>> Linear().polynomial([1.0, 2.0, 1.0])([[1.0, 2.0]], [[3.0, 4.0]])
    array([[144.]])
    """

    _parameter_constraints = {"kernel": [Kernel], "coefs": ["array-like"]}
    _hyperparameters = ("coefs",)
    _method = "polynomial"

    def __init__(self, kernel, coefs):
        self.kernel = kernel
        self.coefs = coefs

    def _validate_deeply(self):
        super()._validate_deeply()
        coefs = np.asarray(self.coefs)
        if coefs.ndim != 1 or len(coefs) == 0 or coefs.dtype.kind not in "fiu":
            raise ValueError(f"The coefs of a polynomial must be a list of numbers, got {self.coefs!r}.")
        if not np.all((coefs >= 0) & np.isfinite(coefs)):
            raise ValueError(
                "A polynomial of a kernel is a kernel for finite coefficients that are not negative, "
                f"got {self.coefs!r}."
            )

    def _emit(self, tile):
        base, total = self.kernel._emit(tile), 0.0
        for coefficient in reversed([c if isinstance(self.coefs, tuple) else float(c) for c in self.coefs]):
            total = total * base + coefficient
        return total


class Rescaled(_Wrapper):
    """f(x) k(x, y) f(y).

    Parameters
    ----------
    kernel : Kernel
    function : callable or "unit norm"
        f, an array of rows (n_samples, n_features) -> an array (n_samples,); "unit norm" is ``1 / |x|``, and 0 for 0.

    Examples
    --------
    >>> from skdeep.kernels import Linear
    >>> Linear().rescale("unit norm")([[3.0, 4.0]], [[0.0, 2.0]])
    array([[0.8]])
    """

    _parameter_constraints = {"kernel": [Kernel], "function": [callable, StrOptions({"unit norm"})]}
    _method = "rescale"

    def __init__(self, kernel, function):
        self.kernel = kernel
        self.function = function

    def _needs_numbers(self):
        return True

    def _emit(self, tile):
        return self.kernel._emit(tile) * tile.outer(inverse_norm if isinstance(self.function, str) else self.function)


class OnColumns(_Wrapper):
    """k of some features of x and of y.

    Parameters
    ----------
    kernel : Kernel
    columns : int, str, list of either, slice or mask
        Of the features that the surrounding kernel reads. Names need data with names.

    Examples
    --------
    >>> from skdeep.kernels import Linear
    >>> Linear().on([0, 2])([[1.0, 2.0, 3.0]])
    array([[10.]])
    """

    _parameter_constraints = {
        "kernel": [Kernel],
        "columns": [Integral, str, slice, "array-like"],
    }
    _method = "on"

    def __init__(self, kernel, columns):
        self.kernel = kernel
        self.columns = columns

    def _emit(self, tile):
        return self.kernel._emit(tile.on(self.columns))


class Normalized(_Wrapper):
    """k(x, y) / sqrt(k(x, x) k(y, y)), and 0 where a sample's k(x, x) is 0.

    Parameters
    ----------
    kernel : Kernel

    Examples
    --------
    >>> from skdeep.kernels import Polynomial
    >>> Polynomial(2).normalize()([[1.0, 2.0], [2.0, 1.0]]).round(3)
    array([[1.   , 0.694],
           [0.694, 1.   ]])
    """

    _parameter_constraints = {"kernel": [Kernel]}
    _method = "normalize"

    def __init__(self, kernel):
        self.kernel = kernel

    def _emit(self, tile):
        names = None if tile.feature_names is None else tuple(tile.feature_names)
        return self.kernel._emit(tile) * tile.outer(_InverseRoot(self.kernel, names))


@dataclass(frozen=True)
class _InverseRoot:
    """1 / sqrt(k(x, x)) of the rows, and 0 where k(x, x) is 0."""

    kernel: Kernel
    feature_names: tuple | None

    def __call__(self, X):
        values = Gram(self.kernel._untracked, X, feature_names=self.feature_names).diagonal()
        return np.divide(1.0, np.sqrt(values), out=np.zeros_like(values), where=values > 0)

    @property
    def keys(self):
        """What the values have derivatives by."""
        return tuple(self.kernel._tracked_keys())

    def slope(self, key):
        return _InverseRootSlope(self, key)


@dataclass(frozen=True)
class _InverseRootSlope:
    """The derivative of 1 / sqrt(k(x, x)) by the logarithm of a hyperparameter."""

    of: _InverseRoot
    key: tuple

    def __call__(self, X):
        slopes = gradient_diagonals(self.of.kernel, X, self.of.feature_names)
        return -0.5 * slopes[self.key] * self.of(X) ** 3 if self.key in slopes else np.zeros(n_samples(X))
