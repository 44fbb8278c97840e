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
    "FitTasks",
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


class FitTasks:
    """The steps of a fit as scikit-learn's callbacks see them.

    Parameters
    ----------
    estimator : estimator with CallbackSupportMixin
    name : str
        What a step is.
    X, y, sample_weight : arrays
        Of the fit; the weights may be None.
    learned : callable or None, default=None
        What makes a fitted estimator, as callbacks ask for it.
    n : int or None, default=None
        Steps at most; None where that is not known.
    """

    def __init__(self, estimator, name, X, y, sample_weight, learned=None, n=None):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._told = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._name, self._learned = name, learned
        self._fit = estimator._init_callback_context(max_subtasks=n)
        self._fit.call_on_fit_task_begin(**self._told)

    def begin(self):
        """Begin a step; the function that ends it and says whether a callback wants to stop."""
        step = self._fit.subcontext(task_name=self._name)
        step.call_on_fit_task_begin(**self._told)
        return functools.partial(step.call_on_fit_task_end, **self._told, reconstruction_attributes=self._learned)

    def end(self):
        """End the fit."""
        self._fit.call_on_fit_task_end(**self._told, reconstruction_attributes=self._learned)
