"""The algebra of kernels: what a kernel is, and the operations that lead from kernels to kernels.

A kernel is a description. It holds hyperparameters and emits its formula into a tile program; pairing
samples, broadcasting and validation of data are done here, once for all.
"""

import copy
import functools
import inspect
import math
import operator
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array

from skdeep._sklearn import Composition, Interval, feature_names, float_dtypes
from skdeep.kernels.gradient import gradient
from skdeep.kernels.gram import Gram
from skdeep.kernels.program import Number


class Kernel(BaseEstimator):
    """A function k(x, y) whose Gram matrices are symmetric and positive semidefinite.

    Kernels are combined by `+`, `*` and `**`, with each other and with positive numbers. They are equal, and have
    equal hashes, where they are of the same structure and have the same hyperparameters.
    """

    # NumPy scalars and arrays on the left leave the operation to the kernel.
    __array_ufunc__ = None

    # The names of what derivatives are taken by, positive numbers or lists of them.
    _hyperparameters = ()
    # Whether every Gram matrix is positive semidefinite if those of the terms are.
    _keeps_validity = True
    # Whether the formula needs samples that are rows of numbers.
    _reads_numbers = True
    # The names of the features of data that are arrays.
    _names_of_arrays = None

    def _emit(self, tile):
        """The formula of the kernel, as an expression over the sources of `tile`, or as a number."""
        raise NotImplementedError

    def _terms(self):
        """The kernels that this one is made of, by the names that `get_params` puts before their parameters."""
        return {}

    def _explicit_map(self, n_features):
        """A finite phi with k(x, y) = phi(x) . phi(y), as (how many features, function of X), or None."""
        return None

    def __call__(self, X, Y=None):
        """The Gram matrix k(x_i, y_j).

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples_X, n_features)
            Float32 is kept if Y is float32 too, all else becomes float64. A DataFrame's columns can be chosen by
            name. Kernels that are made of `Custom` alone take any sequence of objects.
        Y : the same, of shape (n_samples_Y, n_features), or None, default=None
            None stands for X; the matrix is then exactly symmetric.

        Returns
        -------
        K : ndarray of shape (n_samples_X, n_samples_Y)

        Raises
        ------
        ValueError
            If the data hold NaN or infinity or do not fit each other, or if a hyperparameter is invalid.
        MemoryError
            If the matrix does not fit in memory.
        """
        return self.gram(X, Y).toarray()

    def diag(self, X):
        """The diagonal k(x_i, x_i) of the Gram matrix, array of shape (n_samples,)."""
        return self.gram(X).diagonal()

    def gram(self, X, Y=None):
        """The Gram matrix as a `Gram`, an operator that computes what is asked of it and stores nothing."""
        return Gram(self, *self._checked(X, Y))

    def gradient(self, X, Q):
        """<Q, dK / d log parameter> for every hyperparameter, in one sweep that stores no matrix.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
        Q : array-like of shape (n_samples, n_samples)
            The derivative of a function of the Gram matrix by its elements.

        Returns
        -------
        gradient : dict of str to float or ndarray
            The derivative of that function by the logarithm of each hyperparameter, named as in `get_params`; an
            array for a hyperparameter that is a list.

        Raises
        ------
        ValueError
            As for a Gram matrix, or if the shape of Q is not that of the matrix.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.kernels import RBF
        >>> k = 2 * RBF()
        >>> round(k.gradient([[0.0], [1.0]], np.ones((2, 2)))["scale"], 3)
        6.426
        """
        X, _, names = self._checked(X, None)
        return gradient(self, X, np.asarray(Q), names)

    @property
    def positive_semidefinite(self):
        """Whether every Gram matrix is positive semidefinite by construction; None where it is not known."""
        return True if self._keeps_validity and all(k.positive_semidefinite for k in self._terms().values()) else None

    def _checked(self, X, Y):
        """Valid samples of one dtype, and the names of their features."""
        self._validate_deeply()
        if not self._needs_numbers():
            return X, Y, None
        names = feature_names(X)
        names = self._names_of_arrays if names is None else names
        X = check_array(X, accept_sparse="csr", dtype=float_dtypes(X), order="C")
        if Y is None:
            return X, None, names
        Y = check_array(Y, accept_sparse="csr", dtype=float_dtypes(Y), order="C")
        if X.shape[1] != Y.shape[1]:
            raise ValueError(f"X has {X.shape[1]} features, but Y has {Y.shape[1]}.")
        dtype = np.result_type(X.dtype, Y.dtype)
        X, Y = X.astype(dtype, copy=False), Y.astype(dtype, copy=False)
        if sp.issparse(X) or sp.issparse(Y):
            X, Y = sp.csr_array(X), sp.csr_array(Y)
        return X, Y, names

    def _needs_numbers(self):
        terms = self._terms().values()
        return any(term._needs_numbers() for term in terms) if terms else self._reads_numbers

    def _validate_deeply(self):
        self._validate_params()
        for term in self._terms().values():
            term._validate_deeply()

    def _with_names(self, names):
        """A copy for which the features of arrays have these names, an array or None, as if they came from a table."""
        twin = clone(self)
        twin._names_of_arrays = names
        return twin

    def _tracked(self, prefix=""):
        """A copy whose hyperparameters are of the class `Number`, for its formula alone."""
        if self._untracked is not self:
            return self
        twin = copy.copy(self)
        for name in self._hyperparameters:
            value, key = getattr(self, name), prefix + name
            if isinstance(value, Real):
                setattr(twin, name, Number(float(value), (((key, None), float(value)),)))
            elif value is not None:
                entries = np.asarray(value, dtype=np.float64).tolist()
                setattr(twin, name, tuple(Number(v, (((key, i), v),)) for i, v in enumerate(entries)))
        twin._set_terms({name: term._tracked(f"{prefix}{name}__") for name, term in self._terms().items()})
        twin._tracked_from = self
        return twin

    @property
    def _untracked(self):
        """The kernel that a tracked one is a copy of, or itself."""
        return getattr(self, "_tracked_from", self)

    def _tracked_keys(self):
        """The keys of the hyperparameters of a tracked kernel; none of another."""
        for name in self._hyperparameters:
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                yield from (key for key, _ in getattr(number, "slopes", ()))
        for term in self._terms().values():
            yield from term._tracked_keys()

    def _set_terms(self, terms):
        for name, term in terms.items():
            setattr(self, name, term)

    def _structure(self):
        """What the kernel is, as nested tuples."""
        # Its attributes are its parameters. `get_params` inspects signatures, too slow where graphs hash kernels.
        parameters = [(name, _frozen(value)) for name, value in vars(self).items() if not name.startswith("_")]
        return type(self), tuple(sorted(parameters, key=operator.itemgetter(0)))

    def __eq__(self, other):
        return self._structure() == other._structure() if isinstance(other, Kernel) else NotImplemented

    def __hash__(self):
        return hash(self._structure())

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

    def exp(self):
        """The kernel exp(k(x, y)), a limit of polynomials with positive coefficients."""
        from skdeep.kernels.nodes import Exp

        return Exp(self)

    def polynomial(self, coefs):
        """The kernel sum_i coefs[i] k(x, y)^i.

        Parameters
        ----------
        coefs : array-like of shape (degree + 1,)
            Coefficients of at least 0, that of the constant first.
        """
        from skdeep.kernels.nodes import PolynomialOf

        return PolynomialOf(self, coefs)

    def rescale(self, function):
        """The kernel f(x) k(x, y) f(y).

        Parameters
        ----------
        function : callable or "unit norm"
            An array of rows (n_samples, n_features) -> an array (n_samples,); "unit norm" is ``1 / |x|``.
        """
        from skdeep.kernels.nodes import Rescaled

        return Rescaled(self, function)

    def on(self, columns):
        """The kernel of some features.

        Parameters
        ----------
        columns : int, str, list of either, slice or mask
            Within a kernel that is itself on columns, of these. Names need data with names.
        """
        from skdeep.kernels.nodes import OnColumns

        return OnColumns(self, columns)

    def normalize(self):
        """The kernel k(x, y) / sqrt(k(x, x) k(y, y)), the cosine of the angle between feature vectors."""
        from skdeep.kernels.nodes import Normalized

        return Normalized(self)

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


def _frozen(value):
    """A hyperparameter as what can be compared and hashed."""
    value = _plain(value)
    if isinstance(value, slice):
        return slice, value.start, value.stop, value.step
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


class Constant(Kernel):
    """k(x, y) = value.

    Parameters
    ----------
    value : float, default=1.0
        At least 0.
    """

    _parameter_constraints = {"value": [Interval(Real, 0, None, closed="left")]}
    _hyperparameters = ("value",)
    _reads_numbers = False

    def __init__(self, value=1.0):
        self.value = value

    def _emit(self, tile):
        return self.value


class Scaled(Kernel):
    """scale * k(x, y).

    Parameters
    ----------
    scale : float
        Above 0.
    kernel : Kernel
    """

    _parameter_constraints = {"scale": [Interval(Real, 0, None, closed="neither")], "kernel": [Kernel]}
    _hyperparameters = ("scale",)
    _binding = 1

    def __init__(self, scale, kernel):
        self.scale = scale
        self.kernel = kernel

    def _terms(self):
        return {"kernel": self.kernel}

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
        return {"kernel": self.kernel}

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
        return dict(self.terms)

    def _set_terms(self, terms):
        self.terms = list(terms.items())

    def _well_formed(self):
        pairs = (isinstance(term, tuple) and len(term) == 2 and isinstance(term[1], Kernel) for term in self.terms)
        return isinstance(self.terms, list) and len(self.terms) > 0 and all(pairs)

    def _validate_deeply(self):
        if not self._well_formed():
            raise ValueError(f"{type(self).__name__} needs a list of (name, kernel) pairs, got {self.terms!r}.")
        self._validate_names([name for name, _ in self.terms])
        super()._validate_deeply()

    def _emit(self, tile):
        return functools.reduce(self._operation, (term._emit(tile) for term in self._terms().values()))

    def __repr__(self):
        if self._is_infix():
            first, *others = self._terms().values()
            return self._symbol.join([_text(first, self._binding), *(_text(k, self._binding + 1) for k in others)])
        return f"{type(self).__name__}({self.terms!r})"

    def _is_infix(self):
        # An operator names its terms itself, and an operand of its own kind melts into it.
        if not self._well_formed() or len(self.terms) < 2:
            return False
        taken = set()
        automatic = (name == _free(_name(kernel), taken) for name, kernel in self.terms)
        return all(automatic) and not any(type(kernel) is type(self) for kernel in self._terms().values())


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
