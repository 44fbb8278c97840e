"""The one shim over scikit-learn's semi-private names, and what `fit` means for every estimator here."""

import copy
import functools
from numbers import Number

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils._plotting import _validate_style_kwargs as style_kwargs
from sklearn.utils.metaestimators import _BaseComposition as Composition
from sklearn.utils.multiclass import _check_partial_fit_first_call as is_first_partial_fit
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import _get_feature_names as feature_names

__all__ = [
    "Composition",
    "Interval",
    "Options",
    "StrOptions",
    "check_matplotlib_support",
    "check_method_params",
    "feature_names",
    "fitting",
    "float_dtypes",
    "is_first_partial_fit",
    "outside_of_fit",
    "refuse_dates_and_masks",
    "sample_weights",
    "style_kwargs",
    "validate_parameter_constraints",
    "validate_params",
]


def refuse_dates_and_masks(array, name):
    """Raise for what NumPy would take for numbers: dates, times, and elements behind a mask."""
    dtypes = np.atleast_1d(np.asarray(getattr(array, "dtypes", getattr(array, "dtype", None)), dtype=object))
    for dtype in dtypes:
        if getattr(dtype, "kind", None) in ("M", "m"):
            raise TypeError(
                f"{name} holds dates or times ({dtype}): convert them to numbers, in a unit of your choice."
            )
    if np.ma.is_masked(array):
        raise ValueError(f"{name} has masked elements: fill them in, or leave their samples out.")


def float_dtypes(X):
    """What to convert X to: float32 stays, in the machine's byte order, all else becomes float64."""
    refuse_dates_and_masks(X, "X")
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.newbyteorder("=") == np.float32:
        return np.float32
    return np.float64, np.float32


def sample_weights(weights, X):
    """Finite weights of at least 0, not all of them 0, of X's dtype; None stays None."""
    if weights is None:
        return None
    if isinstance(weights, Number):  # which scikit-learn does not look at
        weights = np.full(X.shape[0], weights)
    with np.errstate(over="ignore", under="ignore"):  # what float32 cannot hold is infinite, and refused
        return _check_sample_weight(weights, X, dtype=X.dtype, ensure_non_negative=True)


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


def outside_of_fit(estimator):
    """A copy of an estimator that a callback was given, without callbacks and without its place in the running fit."""
    copied = copy.copy(estimator)
    for name in ("_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"):
        vars(copied).pop(name, None)
    return copied
