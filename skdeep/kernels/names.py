"""Kernels by the names and parameters that scikit-learn gives them."""

import functools
import math

from sklearn.metrics.pairwise import additive_chi2_kernel, chi2_kernel

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.leaves import RBF, Cosine, Custom, Laplacian, Linear, Polynomial, Sigmoid

NAMES = ("linear", "poly", "polynomial", "rbf", "laplacian", "sigmoid", "cosine", "chi2", "additive_chi2")


def from_name(name, *, gamma=None, degree=3, coef0=1, n_features=None):
    """A kernel by scikit-learn's name, with scikit-learn's parameters and defaults.

    Parameters
    ----------
    name : {"linear", "poly", "polynomial", "rbf", "laplacian", "sigmoid", "cosine", "chi2", "additive_chi2"}
    gamma : float or None, default=None
        Factor of x · y, of ``|x - y|^2`` or of the L1 distance; None stands for 1 / n_features, and 1 for "chi2".
    degree : int, default=3
        Of the polynomial.
    coef0 : float, default=1
        Constant of the polynomial and of the sigmoid.
    n_features : int or None, default=None
        Needed for gamma=None, where the kernel has a gamma.

    Returns
    -------
    kernel : Kernel
        The two of chi2 are scikit-learn's own functions in a `Custom` kernel.

    Raises
    ------
    ValueError
        If the name is unknown, or if gamma=None meets no n_features.

    Examples
    --------
    >>> from skdeep.kernels import from_name
    >>> from_name("rbf", gamma=0.125)
    RBF(length_scale=2.0)
    """
    if name not in NAMES:
        raise ValueError(f"The name of a kernel must be one of {', '.join(NAMES)}, got {name!r}.")
    if name in ("linear", "cosine"):
        return Linear() if name == "linear" else Cosine()
    if name == "additive_chi2":
        return Custom(additive_chi2_kernel)
    if name == "chi2":
        return Custom(functools.partial(chi2_kernel, gamma=1.0 if gamma is None else gamma))
    if gamma is None and n_features is None:
        raise ValueError("gamma=None stands for 1 / n_features: give one of them.")
    gamma = 1.0 / n_features if gamma is None else gamma
    if name == "rbf":
        return RBF(length_scale=math.sqrt(0.5 / gamma))
    if name == "laplacian":
        return Laplacian(length_scale=1.0 / gamma)
    return Sigmoid(gamma, coef0) if name == "sigmoid" else Polynomial(degree, coef0, gamma)


def resolved(kernel, n_features, names, **parameters):
    """The kernel object: a copy of the one given, for features with these names or None, or that of a kernel's name."""
    if isinstance(kernel, Kernel):
        return kernel._with_names(names)
    return from_name(kernel, n_features=n_features, **parameters)
