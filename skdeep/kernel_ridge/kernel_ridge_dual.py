"""Kernel ridge regression in the dual."""

from numbers import Real

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from skdeep._sklearn import Interval, fitting
from skdeep.kernel_ridge._base import SOLVER_CONSTRAINTS, KernelRidgeBase, warn_of
from skdeep.kernel_ridge._problem import Problem, solve
from skdeep.kernel_ridge._variance import latent_variance


class KernelRidgeDual(MultiOutputMixin, RegressorMixin, KernelRidgeBase):
    """Kernel ridge regression: f(x) = sum_i c_i k(x_i, x) with c = (K + alpha I)^-1 y.

    f minimises ``sum_i w_i (y_i - f(x_i) - b)^2 + alpha |f|^2`` in the space of the kernel (Saunders, Gammerman &
    Vovk, 1998), with weights w_i of 1 and an intercept b of 0 where none are asked for. With the
    same parameters it is scikit-learn's `KernelRidge`.

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, at least 0; one number, or one for each target.
    kernel : str, Kernel or callable, default="linear"
        A name, with scikit-learn's meaning and the parameters below; "precomputed", for a Gram matrix in the
        place of X; an object of `skdeep.kernels`, whose parameters are searched as
        `kernel__...`; or a function of two samples, called once for each pair.
    gamma : float or None, default=None
        Of a kernel by name; None stands for its default.
    degree : int, default=3
        Of the polynomial kernel by name.
    coef0 : float, default=1
        Of the polynomial and sigmoid kernels by name.
    kernel_params : dict or None, default=None
        Further arguments of a callable.
    fit_intercept : bool, default=False
        Whether to fit an intercept, which is not penalised.
    solver : {"auto", "cholesky", "eigh", "primal"}, default="auto"
        - "cholesky": one factorisation, in one copy of the Gram matrix;
        - "eigh": one eigendecomposition, for any number of different alphas;
        - "primal": the singular values of the features of a kernel that has a finite map, as "linear"
          and "polynomial" have;
        - "auto": "primal" where the map has at most n_samples / 4 features, else "eigh" for several
          alphas and "cholesky" for one.
    tol : float, default=1e-3
        Accuracy at which an iterative solver stops.
    max_iter : int or None, default=None
        Iterations of an iterative solver; None stands for no limit of its own.
    n_components : int or None, default=None
        Landmarks, or rank of the preconditioner, of the solvers that have any.
    landmarks : {"rpcholesky", "uniform", "kmeans"} or array-like, default="rpcholesky"
        How landmarks are chosen, or the landmarks.
    memory_limit : int or None, default=None
        Bytes that the Gram matrix and what is computed from it may take; None stands for what the machine has
        free when `fit` begins.
    random_state : int, RandomState instance or None, default=None
        For the solvers that draw.

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        The coefficients c; 0 for samples of weight 0.
    intercept_ : float or ndarray of shape (n_targets,)
        b, 0 without `fit_intercept`.
    X_fit_ : ndarray or sparse array of shape (n_samples, n_features)
        The training data, which predictions need; the Gram matrix where it was precomputed.
    kernel_ : Kernel
        The kernel that was used.
    solver_ : str
        The solver that really ran: "eigh" where "cholesky" met a singular matrix.
    n_iter_ : int
        Iterations; 1 for direct solvers.
    error_bound_ : float or None
        Bound on the distance from the exact f, in standard deviations of the target; None for direct solvers.
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
    >>> mean, deviation = model.predict(X[:3], return_std=True)
    """

    _parameter_constraints = {
        **KernelRidgeBase._parameter_constraints,
        **SOLVER_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left"), "array-like"],
    }

    def __init__(
        self,
        alpha=1.0,
        *,
        kernel="linear",
        gamma=None,
        degree=3,
        coef0=1,
        kernel_params=None,
        fit_intercept=False,
        solver="auto",
        tol=1e-3,
        max_iter=None,
        n_components=None,
        landmarks="rpcholesky",
        memory_limit=None,
        random_state=None,
    ):
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_components = n_components
        self.landmarks = landmarks
        self.memory_limit = memory_limit
        self.random_state = random_state

    @fitting
    def fit(self, X, y, sample_weight=None):
        """Solve for the dual coefficients.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Converted to float64 unless it is float32, in which case all is float32. With
            kernel="precomputed", the symmetric Gram matrix of shape (n_samples, n_samples).
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights of at least 0: whole numbers are as good as repeated samples, and 0 as a sample left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit.
        MemoryError
            If there is no memory for the Gram matrix; nothing has been allocated then.
        """
        samples = self._validated(X, y, sample_weight, multi_output=True, y_numeric=True)
        alpha = _penalties(self.alpha, samples.y)
        problem = self._problem(samples, samples.y, alpha, options=self._solver_options())
        solution = solve(problem, self.solver)
        warn_of(solution, stacklevel=4)
        self._store(samples, problem, solution, samples.y.shape[1:])
        self.n_iter_, self.error_bound_ = solution.n_iter, solution.error_bound
        self._alpha, self._weights = alpha, samples.weights
        self._intercept_fitted, self._places = self.fit_intercept, samples.places
        return self

    def predict(self, X, return_std=False):
        """Predicted values.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            With kernel="precomputed", the kernel between these samples and those of `fit`.
        return_std : bool, default=False
            Whether to return the standard deviation of f(x), too: that of a Gaussian process with this kernel, given
            the training data with noise of variance alpha / weight, without the noise of a new
            value, and in the units in which the kernel is its variance. Nothing is
            kept in `fit` for it: the Gram matrix is factorised once more.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_targets), of the dtype of the training data
        deviation : array of shape (n_samples,), or (n_samples, n_targets) where each target has its alpha
            Only with return_std=True.
        """
        X = self._validated_query(X)
        predicted = self._decide(X)
        return (predicted, self._deviation(X)) if return_std else predicted

    def _deviation(self, X):
        X_fit = self.X_fit_[self._places]
        problem = Problem(
            *(self.kernel_, X_fit, np.empty((X_fit.shape[0], 0), X_fit.dtype), self._alpha, self._weights),
            fit_intercept=self._intercept_fitted,
            memory_limit=self.memory_limit,
        )
        alphas, places = np.unique(self._alpha, return_inverse=True)
        deviations = np.sqrt([latent_variance(problem, X, alpha) for alpha in alphas])
        return deviations[places].T if np.ndim(self._alpha) else deviations[0]


def _penalties(alpha, y):
    """One number, or an array of one for each target of `y` where they differ."""
    alphas = np.asarray(alpha, dtype=np.float64)
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    if alphas.ndim > 1 or alphas.size not in (1, n_targets):
        raise ValueError(
            f"alpha must be one number or one for each of the {n_targets} targets, got shape {alphas.shape}."
        )
    if not np.all((alphas >= 0) & (alphas < np.inf)):
        raise ValueError(f"Every alpha must be finite and at least 0, got {alpha!r}.")
    alphas = alphas.reshape(-1)
    return alphas if np.any(alphas != alphas[0]) else float(alphas[0])
