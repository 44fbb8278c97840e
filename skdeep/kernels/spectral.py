"""Stationary kernels as expectations of cosines: k(x, y) = E cos(w . (x - y)) (Bochner, 1933).

Each kernel has its own law of the frequency w. A sum of kernels mixes the laws of its terms; the frequency of a
product is the sum of one independent frequency for each factor.
"""

import functools
import itertools
import math

import numpy as np

from skdeep.kernels.algebra import Constant, Power, Product, Scaled, Sum
from skdeep.kernels.leaves import RBF, Laplacian, Matern, Periodic, RationalQuadratic
from skdeep.kernels.nodes import Normalized, OnColumns, PolynomialOf
from skdeep.kernels.program import _positions


def spectral_terms(kernel, columns, names=None):
    """A stationary kernel as a sum of multiples of products.

    Parameters
    ----------
    kernel : Kernel
    columns : ndarray of int
        The features that it reads.
    names : ndarray of str or None, default=None
        Names of all features, for kernels that choose columns by name.

    Returns
    -------
    terms : list of (float, tuple of (Kernel, ndarray of int))
        The weight and the factors with the features that they read; `draw_frequencies` knows each. A constant has no
        factors.

    Raises
    ------
    ValueError
        If a part of the kernel is not stationary.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.kernels import RBF
    >>> from skdeep.kernels.spectral import spectral_terms
    >>> terms = spectral_terms(3 * RBF(2.0) * (RBF() + 1), np.arange(2))
    >>> [(weight, [factor for factor, _ in factors]) for weight, factors in terms]
    [(3.0, [RBF(length_scale=2.0), RBF()]), (3.0, [RBF(length_scale=2.0)])]
    """
    of = functools.partial(spectral_terms, columns=columns, names=names)
    match kernel:
        case Constant():
            return [_constant(kernel.value)]
        case Scaled():
            return _product([[_constant(kernel.scale)], of(kernel.kernel)])
        case Sum():
            return [term for _, summand in kernel.terms for term in of(summand)]
        case Product():
            return _product([of(factor) for _, factor in kernel.terms])
        case Power():
            return _product([of(kernel.kernel)] * kernel.exponent)
        case PolynomialOf():
            powers = ([[_constant(c)]] + [of(kernel.kernel)] * i for i, c in enumerate(kernel.coefs))
            return [term for power in powers for term in _product(power)]
        case Normalized():
            terms = of(kernel.kernel)
            return _product([[_constant(1 / sum(weight for weight, _ in terms))], terms])
        case OnColumns():
            named = None if names is None else np.asarray(names)[columns]
            return spectral_terms(kernel.kernel, columns[_positions(kernel.columns, len(columns), named)], names)
    if draw_frequencies.dispatch(type(kernel)) is draw_frequencies.dispatch(object):
        raise ValueError(
            f"{kernel!r} has no random Fourier features: they exist for {_supported()}, for constants, and for sums, "
            "products, powers and positive multiples of these. NystroemFeatureMap takes every kernel."
        )
    return [(1.0, ((kernel, columns),))]


def _constant(value):
    return float(value), ()


def _product(sums):
    """The product of sums, multiplied out."""
    expanded = []
    for chosen in itertools.product(*sums):
        weights, factors = zip(*chosen, strict=True)
        expanded.append((math.prod(weights), tuple(itertools.chain(*factors))))
    return expanded


def _supported():
    return ", ".join(sorted(each.__name__ for each in draw_frequencies.registry if each is not object))


@functools.singledispatch
def draw_frequencies(kernel, normal, rng):
    """Independent frequencies of a kernel's spectral law.

    Parameters
    ----------
    kernel : Kernel
        One of those that are registered here.
    normal : ndarray of shape (n_features, n)
        Columns of standard normal law, whatever they are to each other.
    rng : RandomState

    Returns
    -------
    W : ndarray of shape (n_features, n)
        Frequencies in its columns.
    """
    raise NotImplementedError


@draw_frequencies.register
def _(kernel: RBF, normal, rng):
    return normal / _column(kernel.length_scale)


@draw_frequencies.register
def _(kernel: Laplacian, normal, rng):
    # A law of Cauchy for each feature.
    return rng.standard_cauchy(normal.shape) / _column(kernel.length_scale)


@draw_frequencies.register
def _(kernel: Matern, normal, rng):
    # Student's law of 2 nu degrees of freedom.
    return (
        normal * np.sqrt(2 * kernel.nu / rng.chisquare(2 * kernel.nu, normal.shape[1])) / _column(kernel.length_scale)
    )


@draw_frequencies.register
def _(kernel: RationalQuadratic, normal, rng):
    # A mixture of RBF kernels whose inverse squared length scales have a gamma law of mean 1.
    return normal * np.sqrt(rng.gamma(kernel.alpha, 1 / kernel.alpha, normal.shape[1])) / _column(kernel.length_scale)


@draw_frequencies.register
def _(kernel: Periodic, normal, rng):
    # A Fourier series: exp(z (cos t - 1)) is the characteristic function of the difference of two Poisson numbers.
    mean = np.broadcast_to(0.5 / _column(kernel.length_scale) ** 2, normal.shape)
    return 2 * math.pi / kernel.period * (rng.poisson(mean) - rng.poisson(mean))


def _column(length_scale):
    return np.asarray(length_scale, dtype=np.float64).reshape(-1, 1)
