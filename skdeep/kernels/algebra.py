"""The algebra of kernels: what a kernel is, and the operations that lead from kernels to kernels.

A kernel is a description. It holds hyperparameters and emits its formula into a tile program; pairing
samples, broadcasting and validation of data are done here, once for all.
"""

import functools
import inspect
import math
import operator
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from skdeep._sklearn import Composition, Interval, float_dtypes
from skdeep.kernels.gram import Gram


class Kernel(BaseEstimator):
    """A function k(x, y) whose Gram matrices are symmetric and positive semidefinite.

    Kernels are combined by `+`, `*` and `**`, with each other and with positive numbers.
    """

    # NumPy scalars on the left leave the operation to the kernel.
    __array_ufunc__ = None

    def _emit(self, tile):
        """The formula of the kernel, as an expression over the sources of `tile`, or as a number."""
        raise NotImplementedError

    def _terms(self):
        """The kernels that this one is made of."""
        return ()

    def _explicit_map(self, n_features):
        """A finite phi with k(x, y) = phi(x) . phi(y), as (how many features, function of X), or None."""
        return None

    def __call__(self, X, Y=None):
        """The Gram matrix k(x_i, y_j).

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            Float32 is kept if Y is float32 too, all else becomes float64.
        Y : array-like of shape (n_samples_Y, n_features) or None, default=None
            None stands for X; the matrix is then exactly symmetric.

        Returns
        -------
        K : array of shape (n_samples_X, n_samples_Y)

        Raises
        ------
        ValueError
            If the data hold NaN or infinity or do not fit each other, or if a hyperparameter is invalid.
        """
        return self.gram(X, Y).toarray()

    def diag(self, X):
        """The diagonal k(x_i, x_i) of the Gram matrix, array of shape (n_samples,)."""
        return self.gram(X).diagonal()

    def gram(self, X, Y=None):
        """The Gram matrix as a `Gram`, an operator that computes what is asked of it and stores nothing."""
        self._validate_deeply()
        X = check_array(X, dtype=float_dtypes(X), order="C")
        if Y is not None:
            Y = check_array(Y, dtype=float_dtypes(Y), order="C")
            if X.shape[1] != Y.shape[1]:
                raise ValueError(f"X has {X.shape[1]} features, but Y has {Y.shape[1]}.")
            dtype = np.result_type(X, Y)
            X, Y = X.astype(dtype, copy=False), Y.astype(dtype, copy=False)
        return Gram(self, X, Y)

    def _validate_deeply(self):
        self._validate_params()
        for term in self._terms():
            term._validate_deeply()

    def __add__(self, other):
        if isinstance(other, Kernel):
            return Sum._joined(self, other)
        if isinstance(other, Real):
            return Sum._joined(self, Constant(_non_negative(other, "added to"))) if other else self
        return NotImplemented

    def __radd__(self, other):
        if isinstance(other, Real):
            # The built-in sum starts from 0.
            return Sum._joined(Constant(_non_negative(other, "added to")), self) if other else self
        return NotImplemented

    def __mul__(self, other):
        if isinstance(other, Kernel):
            return Product._joined(self, other)
        if isinstance(other, Real):
            return Scaled(_positive(other), self)
        return NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent):
        if not isinstance(exponent, Integral) or exponent < 1:
            raise ValueError(
                f"The power of a kernel is a kernel for positive whole exponents, got {exponent!r}: "
                "only products of a kernel with itself are sure to be positive semidefinite."
            )
        return Power(self, exponent)

    def __sub__(self, other):
        raise TypeError(
            "The difference of two kernels is not positive semidefinite in general: kernels cannot subtract."
        )

    __rsub__ = __sub__

    def __neg__(self):
        raise TypeError("A negative multiple of a kernel is not positive semidefinite.")

    # How tightly the outermost operation of the representation binds: sum, product, power, call.
    _binding = 3

    def __repr__(self):
        defaults = inspect.signature(type(self)).parameters
        texts = {name: repr(_plain(getattr(self, name))) for name in defaults}
        changed = [f"{name}={text}" for name, text in texts.items() if text != repr(defaults[name].default)]
        return f"{type(self).__name__}({', '.join(changed)})"


def _text(kernel, binding):
    """The representation, in brackets where its surroundings bind tighter than it."""
    return f"({kernel!r})" if getattr(kernel, "_binding", 3) < binding else repr(kernel)


def _non_negative(number, how):
    if not 0 <= number < math.inf:
        raise ValueError(
            f"A number {how} a kernel must be finite and not negative, got {number!r}: the sum would not be a kernel."
        )
    return number


def _positive(number):
    if not 0 < number < math.inf:
        raise ValueError(
            f"A kernel can be multiplied by a finite positive number, got {number!r}: "
            "a negative multiple is not positive semidefinite."
        )
    return number


def _plain(value):
    """A number or a list of numbers that reads the same whether it came from NumPy or not."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


class Constant(Kernel):
    """k(x, y) = value.

    Parameters
    ----------
    value : float, default=1.0
        At least 0.
    """

    _parameter_constraints = {"value": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, value=1.0):
        self.value = value

    def _emit(self, tile):
        return float(self.value)


class Scaled(Kernel):
    """scale * k(x, y).

    Parameters
    ----------
    scale : float
        Above 0.
    kernel : Kernel
    """

    _parameter_constraints = {"scale": [Interval(Real, 0, None, closed="neither")], "kernel": [Kernel]}
    _binding = 1

    def __init__(self, scale, kernel):
        self.scale = scale
        self.kernel = kernel

    def _terms(self):
        return (self.kernel,)

    def _emit(self, tile):
        return self.scale * self.kernel._emit(tile)

    def __repr__(self):
        return f"{_plain(self.scale)!r} * {_text(self.kernel, 2)}"


class Power(Kernel):
    """k(x, y) ** exponent.

    Parameters
    ----------
    kernel : Kernel
    exponent : int
        At least 1.
    """

    _parameter_constraints = {"kernel": [Kernel], "exponent": [Interval(Integral, 1, None, closed="left")]}
    _binding = 2

    def __init__(self, kernel, exponent):
        self.kernel = kernel
        self.exponent = exponent

    def _terms(self):
        return (self.kernel,)

    def _emit(self, tile):
        return self.kernel._emit(tile) ** self.exponent

    def __repr__(self):
        return f"{_text(self.kernel, 3)} ** {_plain(self.exponent)!r}"


class _Named(Composition, Kernel):
    """Terms with names, joined by one operation."""

    _parameter_constraints = {"terms": [list]}

    def __init__(self, terms):
        self.terms = terms

    @classmethod
    def _joined(cls, left, right):
        """The terms of both; a name that is taken gets a number, and no name of a left operand changes."""
        sides = [side.terms if isinstance(side, cls) else [(_name(side), side)] for side in (left, right)]
        # A single kernel on the left of named terms is the newcomer.
        newcomers, residents = (0, 1) if isinstance(right, cls) and not isinstance(left, cls) else (1, 0)
        taken = {name for name, _ in sides[residents]}
        sides[newcomers] = [(_free(name, taken), kernel) for name, kernel in sides[newcomers]]
        return cls(sides[0] + sides[1])

    def get_params(self, deep=True):
        """Hyperparameters by name, those of the terms behind the term's name and two underscores."""
        return self._get_params("terms", deep=deep)

    def set_params(self, **params):
        """Set hyperparameters, or whole terms, by name."""
        return self._set_params("terms", **params)

    def _terms(self):
        return tuple(kernel for _, kernel in self.terms)

    def _well_formed(self):
        pairs = (isinstance(term, tuple) and len(term) == 2 and isinstance(term[1], Kernel) for term in self.terms)
        return isinstance(self.terms, list) and len(self.terms) > 0 and all(pairs)

    def _validate_deeply(self):
        if not self._well_formed():
            raise ValueError(f"{type(self).__name__} needs a list of (name, kernel) pairs, got {self.terms!r}.")
        self._validate_names([name for name, _ in self.terms])
        super()._validate_deeply()

    def _emit(self, tile):
        return functools.reduce(self._operation, (term._emit(tile) for term in self._terms()))

    def __repr__(self):
        if self._is_infix():
            return self._symbol.join(_text(kernel, self._binding + (i > 0)) for i, kernel in enumerate(self._terms()))
        return f"{type(self).__name__}({self.terms!r})"

    def _is_infix(self):
        # An operator names its terms itself, and an operand of its own kind melts into it.
        if not self._well_formed() or len(self.terms) < 2:
            return False
        taken = set()
        automatic = (name == _free(_name(kernel), taken) for name, kernel in self.terms)
        return all(automatic) and not any(type(kernel) is type(self) for kernel in self._terms())


def _name(kernel):
    """The automatic name of a term: its class, that of the scaled kernel for a multiple."""
    return _name(kernel.kernel) if isinstance(kernel, Scaled) else type(kernel).__name__.lower()


def _free(name, taken):
    """The name, or its first numbered form, that is not taken; it is from now on."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    taken.add(candidate)
    return candidate


class Sum(_Named):
    """k_1(x, y) + k_2(x, y) + ...

    Parameters
    ----------
    terms : list of (str, Kernel)
        The summands and their names.

    Examples
    --------
    >>> from skdeep.kernels import RBF, Linear
    >>> k = 2 * RBF() + Linear()
    >>> k.set_params(rbf__scale=3.0, rbf__kernel__length_scale=0.5)
    3.0 * RBF(length_scale=0.5) + Linear()
    """

    _operation, _symbol, _binding = staticmethod(operator.add), " + ", 0


class Product(_Named):
    """k_1(x, y) k_2(x, y) ..., a kernel by the theorem of Schur (1911).

    Parameters
    ----------
    terms : list of (str, Kernel)
        The factors and their names.

    Examples
    --------
    >>> from skdeep.kernels import RBF, Linear
    >>> Linear() * (RBF() + 1)
    Linear() * (RBF() + Constant(value=1))
    """

    _operation, _symbol, _binding = staticmethod(operator.mul), " * ", 1
