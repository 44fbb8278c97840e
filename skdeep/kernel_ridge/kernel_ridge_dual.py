"""Kernel ridge regression in the dual."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._sklearn import Interval, StrOptions, fitting, float_dtypes
from skdeep.kernels.algebra import Kernel
from skdeep.kernels.names import NAMES, from_name
from skdeep.solvers.cholesky import solve


class KernelRidgeDual(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Kernel ridge regression: f(x) = sum_i c_i k(x_i, x) with c = (K + alpha I)^-1 y.

    f minimises ``sum_i (y_i - f(x_i))^2 + alpha |f|^2`` in the space of the kernel (Saunders, Gammerman &
    Vovk, 1998). There is no intercept: centre y, or add `Constant` to the kernel.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0.
    kernel : {"linear", "poly", "polynomial", "rbf"} or Kernel, default="linear"
        A name, with scikit-learn's meaning and the parameters below, or an object of
        `skdeep.kernels`, whose parameters are searched as `kernel__...`.
    gamma : float or None, default=None
        Of a kernel by name; None stands for 1 / n_features.
    degree : int, default=3
        Of the polynomial kernel by name.
    coef0 : float, default=1
        Of the polynomial kernel by name.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        The coefficients c.
    X_fit_ : ndarray of shape (n_samples, n_features)
        The training data, which predictions need.
    kernel_ : Kernel
        The kernel that was used.
    n_features_in_ : int
        Features seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, only where all were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdeep import KernelRidgeDual
    >>> from skdeep.kernels import RBF, Linear
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = KernelRidgeDual(alpha=0.1, kernel=Linear() + RBF(length_scale=0.2)).fit(X, y)
    >>> model.dual_coef_.shape
    (442,)
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "kernel": [StrOptions(set(NAMES)), Kernel],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "degree": [Interval(Integral, 1, None, closed="left")],
        "coef0": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, alpha=1.0, *, kernel="linear", gamma=None, degree=3, coef0=1):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0

    @fitting
    def fit(self, X, y):
        """Solve for the dual coefficients.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit.
        MemoryError
            If there is no memory for the Gram matrix.
        """
        X, y = validate_data(self, X, y, dtype=float_dtypes(X), order="C", multi_output=True, y_numeric=True)
        kernel = self._resolved_kernel(X.shape[1])
        K = kernel(X)
        # |k(x, y)|^2 <= k(x, x) k(y, y): the diagonal speaks for the matrix.
        if not np.isfinite(K.diagonal()).all():
            raise ValueError(
                f"The kernel {kernel!r} overflows {K.dtype} on X; scale X, with StandardScaler for example."
            )
        solution = solve(K, self.alpha, y.astype(X.dtype, order="C"))
        if solution.singular:
            warnings.warn(
                "Singular matrix in solving dual problem. Using least-squares solution instead.", stacklevel=4
            )
        self.X_fit_, self.kernel_, self.dual_coef_ = X.copy(), kernel, solution.coefficients
        return self

    def _resolved_kernel(self, n_features):
        if isinstance(self.kernel, Kernel):
            return clone(self.kernel)
        return from_name(self.kernel, gamma=self.gamma, degree=self.degree, coef0=self.coef0, n_features=n_features)

    def predict(self, X):
        """Predicted values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_targets), of the dtype of the training data
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=float_dtypes(X), order="C", reset=False)
        return self.kernel_.gram(X.astype(self.X_fit_.dtype, copy=False), self.X_fit_) @ self.dual_coef_
