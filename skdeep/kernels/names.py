"""Kernels by the names and parameters that scikit-learn gives them."""

import math

from skdeep.kernels.leaves import RBF, Linear, Polynomial

NAMES = ("linear", "poly", "polynomial", "rbf")


def from_name(name, *, gamma=None, degree=3, coef0=1, n_features=None):
    """A kernel by scikit-learn's name, with scikit-learn's parameters and defaults.

    Parameters
    ----------
    name : {"linear", "poly", "polynomial", "rbf"}
    gamma : float or None, default=None
        Factor of x . y or of |x - y|^2; None stands for 1 / n_features.
    degree : int, default=3
        Of the polynomial.
    coef0 : float, default=1
        Constant of the polynomial.
    n_features : int or None, default=None
        Needed for gamma=None.

    Returns
    -------
    kernel : Kernel

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
    if name == "linear":
        return Linear()
    if name not in NAMES:
        raise ValueError(f"The name of a kernel must be one of {', '.join(NAMES)}, got {name!r}.")
    if gamma is None and n_features is None:
        raise ValueError("gamma=None stands for 1 / n_features: give one of them.")
    gamma = 1.0 / n_features if gamma is None else gamma
    if name == "rbf":
        return RBF(length_scale=math.sqrt(0.5 / gamma))
    return Polynomial(degree, coef0, gamma)
