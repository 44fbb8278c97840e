"""The one shim over scikit-learn's semi-private names, and what `fit` means for every estimator here."""

import functools

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition as Composition

__all__ = ["Composition", "Interval", "StrOptions", "fitting", "float_dtypes"]


def float_dtypes(X):
    """What to convert X to: float32 stays, in the machine's byte order, all else becomes float64."""
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.newbyteorder("=") == np.float32:
        return np.float32
    return np.float64, np.float32


def fitting(fit):
    """Validate the parameters, run `fit`, and leave the estimator as it was if it fails or is interrupted."""
    fit = _fit_context(prefer_skip_nested_validation=True)(fit)

    @functools.wraps(fit)
    def all_or_nothing(estimator, *args, **kwargs):
        before = vars(estimator).copy()
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise

    return all_or_nothing
