"""Stationary kernels as expectations of cosines: k(x, y) = E cos(w . (x - y)) (Bochner, 1933).

Each kernel has its own law of the frequency w. A sum of kernels mixes the laws of its terms; the frequency of a
product is the sum of one independent frequency for each factor.
"""

import functools
import itertools

import numpy as np

from skdeep.kernels.algebra import Constant, Power, Product, Scaled, Sum
from skdeep.kernels.leaves import RBF


def spectral_terms(kernel):
    """A stationary kernel as a sum of multiples of products.

    Parameters
    ----------
    kernel : Kernel

    Returns
    -------
    terms : list of (float, tuple of Kernel)
        Weight and factors, each of which `draw_frequencies` knows; a constant has none.

    Raises
    ------
    ValueError
        If a part of the kernel is not stationary.

    Examples
    --------
    >>> from skdeep.kernels import RBF
    >>> from skdeep.kernels.spectral import spectral_terms
    >>> spectral_terms(3 * RBF(2.0) * (RBF() + 1))
    [(3.0, (RBF(length_scale=2.0), RBF())), (3.0, (RBF(length_scale=2.0),))]
    """
    match kernel:
        case Constant():
            return [(float(kernel.value), ())]
        case Scaled():
            return _product([[(float(kernel.scale), ())], spectral_terms(kernel.kernel)])
        case Sum():
            return [term for _, summand in kernel.terms for term in spectral_terms(summand)]
        case Product():
            return _product([spectral_terms(factor) for _, factor in kernel.terms])
        case Power():
            return _product([spectral_terms(kernel.kernel)] * kernel.exponent)
    if draw_frequencies.dispatch(type(kernel)) is draw_frequencies.dispatch(object):
        raise ValueError(
            f"{kernel!r} has no random Fourier features: they exist for {_supported()}, for constants, and for sums, "
            "products, powers and positive multiples of these. NystroemFeatureMap takes every kernel."
        )
    return [(1.0, (kernel,))]


def _product(sums):
    """The product of sums, multiplied out."""
    expanded = []
    for chosen in itertools.product(*sums):
        weights, factors = zip(*chosen, strict=True)
        expanded.append((float(np.prod(weights)), tuple(itertools.chain(*factors))))
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


def _column(length_scale):
    return np.asarray(length_scale, dtype=np.float64).reshape(-1, 1)
