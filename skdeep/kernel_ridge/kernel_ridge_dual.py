"""Kernel ridge regression in the dual."""

from copy import deepcopy
from dataclasses import replace
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep._sklearn import FitTasks, Interval, fitting
from skdeep.kernel_ridge._base import SOLVER_CONSTRAINTS, KernelRidgeBase, warn_of
from skdeep.kernel_ridge._large import added, from_sums
from skdeep.kernel_ridge._problem import Problem
from skdeep.kernel_ridge._solvers import solve
from skdeep.kernel_ridge._variance import latent_variance


def _sums_samples(estimator):
    """Whether what an estimator knows of its samples are sums over landmarks that do not depend on them."""
    if estimator.solver != "nystroem" or isinstance(estimator.landmarks, str):
        raise ValueError(
            "partial_fit and merge need solver='nystroem' and landmarks given as an array, got "
            f"solver={estimator.solver!r} and landmarks={estimator.landmarks!r}: all samples must be seen to solve by "
            "another solver, or to choose landmarks."
        )
    return True


class KernelRidgeDual(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, KernelRidgeBase):
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
    solver : {"auto", "cholesky", "eigh", "primal", "pcg", "nystroem"}, default="auto"
        - "cholesky": one factorisation, in one copy of the Gram matrix;
        - "eigh": one eigendecomposition, for any number of different alphas;
        - "primal": the singular values of the features of a kernel that has a finite map, as "linear"
          and "polynomial" have;
        - "pcg": the same minimum by conjugate gradients, with products with a Gram matrix that is never stored,
          until `error_bound_` is at most `tol`; preconditioned by a randomly pivoted Cholesky factor (Diaz, Epperly,
          Frangella, Tropp & Webber, 2023);
        - "nystroem": the minimum among f = sum_j c_j k(z_j, .) for a few landmarks z_j, from one pass over the
          samples;
        - "auto": "primal" where the map has at most n_samples / 4 features; else "eigh" for several
          alphas and "cholesky" for one, and "pcg" where there is no memory for their Gram matrix.
    tol : float, default=1e-3
        The `error_bound_` at which "pcg" stops.
    max_iter : int or None, default=None
        Iterations of "pcg", for each different alpha; None stands for 1000.
    n_components : int or None, default=None
        The number of landmarks of "nystroem", or the largest rank of the preconditioner of "pcg", each of which
        takes as much memory as a column of the Gram matrix; at most n_samples. None stands for 10 sqrt(n_samples).
    landmarks : {"rpcholesky", "uniform", "kmeans"} or array-like of shape (n_landmarks, n_features), \
            default="rpcholesky"
        The landmarks of "nystroem". "rpcholesky" draws samples one after the other in proportion to what k(x, x)
        has left over from those before (Chen, Epperly, Tropp & Webber, 2025), fewer than `n_components` where
        nothing is left, and among ten samples for each landmark where there are more. "uniform" draws all alike.
        "kmeans" takes centres of clusters (Zhang, Tsang & Kwok, 2008). An array is taken as it is, and `n_components`
        ignored.
    memory_limit : int or None, default=None
        Bytes that the Gram matrix and what is computed from it may take; None stands for what the machine has
        free when `fit` begins. For "pcg" and "nystroem", bytes that the preconditioner or the sums take. What a limit
        leaves beside the preconditioner is filled with rows of the matrix, which no iteration then computes anew, up
        to half of what is free.
    random_state : int, RandomState instance or None, default=None
        For "pcg" and "nystroem", which draw the preconditioner and the landmarks.
    verbose : bool, default=False
        Whether to print the solver that was chosen, and the error bound after each iteration of "pcg".

    Attributes
    ----------
    dual_coef_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        The coefficients c; 0 for samples of weight 0. Those of the landmarks under "nystroem". Float64 under "pcg" and
        "nystroem", otherwise of X's dtype.
    intercept_ : float or ndarray of shape (n_targets,)
        b, 0 without `fit_intercept`.
    X_fit_ : ndarray or sparse array of shape (n_samples, n_features)
        The training data, which predictions need; the Gram matrix where it was precomputed; the landmarks, of
        shape (n_landmarks, n_features), under "nystroem".
    kernel_ : Kernel
        The kernel that was used.
    solver_ : str
        The solver that really ran: "eigh" where "cholesky" met a singular matrix.
    n_iter_ : int
        Iterations; 1 for direct solvers.
    error_bound_ : float or None
        Under "pcg": f(x) + b is at most so many standard deviations of the target away from the exact one, for the
        largest target and over all x with k(x, x) up to the largest of the training data. Where X is float32
        predictions are rounded to it in the end, and residuals are computed in float64. None for the others.
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
        verbose=False,
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
        self.verbose = verbose

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
        tasks = FitTasks(self, "iteration", samples.X, samples.y, samples.weights)
        problem = self._problem(samples, samples.y, alpha, options=self._solver_options(tasks))
        solution = solve(problem, self.solver, self.verbose)
        warn_of(solution, stacklevel=4)
        self._store(samples, problem, solution, samples.y.shape[1:])
        self.n_iter_, self.error_bound_ = solution.n_iter, solution.error_bound
        self._alpha, self._weights = alpha, samples.weights
        self._intercept_fitted, self._places = self.fit_intercept, samples.places
        # Without landmarks that were given no samples can be added.
        self._sums = None if isinstance(self.landmarks, str) else solution.sums
        tasks.end()
        return self

    @available_if(_sums_samples)
    @fitting
    def partial_fit(self, X, y, sample_weight=None):
        """Add samples to those of earlier calls: the model is that of one `fit` to all of them.

        Only with solver="nystroem" and landmarks given as an array. What is kept of the samples are sums, whose size
        is that of the matrix of the landmarks. Kernel and landmarks stay those of the first call.

        Parameters
        ----------
        X : array-like or sparse array of shape (n_samples, n_features)
            Converted to the dtype of the first call.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : float or array-like of shape (n_samples,), default=None
            Weights of at least 0, not all of them 0.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input or a parameter does not fit; the model is as before.
        """
        if getattr(self, "_sums", None) is None:
            return self.fit(X, y, sample_weight)
        samples = self._validated(X, y, sample_weight, reset=False, multi_output=True, y_numeric=True)
        samples = replace(samples, X=samples.X.astype(self.X_fit_.dtype, copy=False))
        problem = replace(self._problem(samples, samples.y, self._alpha), kernel=self.kernel_)
        return self._solve_sums(added(deepcopy(self._sums), problem, self.X_fit_))

    @available_if(_sums_samples)
    @fitting
    def merge(self, other):
        """Add the samples of another model: the model is that of one `fit` to the samples of both.

        Only with solver="nystroem" and landmarks given as an array.

        Parameters
        ----------
        other : KernelRidgeDual
            Fitted with the same kernel, landmarks and number of targets. It stays as it is.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the two models do not fit together; the model is as before.
        """
        for model in (self, other):
            check_is_fitted(model)
            if getattr(model, "_sums", None) is None:
                raise ValueError("merge needs two models that were fitted to landmarks given as an array.")
        # The same matrix of the landmarks, which the sums look for, is not enough: moved ones have it, too.
        if self.kernel_ != other.kernel_ or not np.array_equal(_dense(self.X_fit_), _dense(other.X_fit_)):
            raise ValueError(
                f"merge needs the same kernel and the same landmarks, got {self.kernel_!r} and {other.kernel_!r}, and "
                f"landmarks of shapes {self.X_fit_.shape} and {other.X_fit_.shape}."
            )
        return self._solve_sums(deepcopy(self._sums).merge(other._sums))

    def _solve_sums(self, sums):
        """Assign what the sums lead to."""
        alpha = _penalties(self.alpha, self.dual_coef_)
        solution, shape = from_sums(sums, self.X_fit_, alpha, self.fit_intercept), self.dual_coef_.shape[1:]
        self.dual_coef_ = solution.coefficients.reshape(-1, *shape)
        self.intercept_ = solution.intercepts.reshape(shape)[()]
        self._alpha, self._sums = alpha, sums
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
        if self.solver_ == "nystroem":
            raise ValueError(
                "return_std=True needs all training samples, and solver='nystroem' keeps the landmarks alone: "
                "fit with another solver."
            )
        X_fit = self.X_fit_[self._places]
        problem = Problem(
            *(self.kernel_, X_fit, np.empty((X_fit.shape[0], 0), X_fit.dtype), self._alpha, self._weights),
            fit_intercept=self._intercept_fitted,
            memory_limit=self.memory_limit,
        )
        alphas, places = np.unique(self._alpha, return_inverse=True)
        deviations = np.sqrt([latent_variance(problem, X, alpha) for alpha in alphas])
        return deviations[places].T if np.ndim(self._alpha) else deviations[0]


def _dense(X):
    return X.toarray() if sparse.issparse(X) else X


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
