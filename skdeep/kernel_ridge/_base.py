"""What the estimators of kernel ridge regression share: data, kernel, problem, solution, prediction."""

import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._sklearn import Interval, StrOptions, float_dtypes, sample_weights
from skdeep.kernel_ridge._problem import Problem
from skdeep.kernel_ridge._solvers import SOLVERS
from skdeep.kernels.given import given
from skdeep.kernels.names import NAMES


@dataclass(frozen=True)
class Samples:
    """The samples of a fit.

    Attributes
    ----------
    X, y, weights : arrays
        Those of weight above 0; weights may be None.
    places : array of int
        Which of all samples these are.
    X_all : array of shape (n_samples, n_features)
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    places: np.ndarray
    X_all: np.ndarray


# The parameters of estimators that let choose the solver.
SOLVER_CONSTRAINTS = {
    "solver": [StrOptions({"auto", *SOLVERS})],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    "n_components": [Interval(Integral, 1, None, closed="left"), None],
    "landmarks": [StrOptions({"rpcholesky", "uniform", "kmeans"}), "array-like"],
    "verbose": ["verbose"],
}


class KernelRidgeBase(BaseEstimator):
    """Kernel ridge regression of encoded targets; only its subclasses are estimators."""

    _parameter_constraints = {
        "kernel": [StrOptions({*NAMES, "precomputed"}), callable],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "degree": [Interval(Integral, 1, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "kernel_params": [dict, None],
        "fit_intercept": ["boolean"],
        "memory_limit": [Interval(Integral, 0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = isinstance(self.kernel, str) and self.kernel == "precomputed"
        tags.input_tags.sparse = not tags.input_tags.pairwise
        return tags

    def _validated(self, X, y, sample_weight, **checks):
        """The data as `Samples`; a sample of weight 0 is none."""
        pairwise = self.__sklearn_tags__().input_tags.pairwise
        accept_sparse = False if pairwise else "csr"
        X, y = validate_data(self, X, y, accept_sparse=accept_sparse, dtype=float_dtypes(X), order="C", **checks)
        if pairwise and X.shape[0] != X.shape[1]:
            raise ValueError(f"A precomputed kernel must be a square matrix in fit, got one of shape {X.shape}.")
        weights = self._reweighted(y, sample_weights(sample_weight, X))
        if weights is None or weights.all():
            return Samples(X, y, weights, np.arange(X.shape[0]), X)
        kept = np.flatnonzero(weights)
        return Samples(X[np.ix_(kept, kept)] if pairwise else X[kept], y[kept], weights[kept], kept, X)

    def _reweighted(self, y, weights):
        return weights

    def _solver_options(self, tasks):
        def tell(iteration, error_bound):  # when an iteration is over
            if self.verbose:
                print(f"Iteration {iteration}, error bound = {error_bound:.3g}")
            return tasks.begin()()

        names = "tol", "max_iter", "n_components", "landmarks", "random_state"
        return {"callback": tell} | {name: getattr(self, name) for name in names}

    def _problem(self, samples, y, alpha, **settings):
        """The problem for encoded targets `y` of shape (n_samples,) or (n_samples, n_targets)."""
        parameters = {name: getattr(self, name) for name in ("gamma", "degree", "coef0", "kernel_params")}
        kernel = given(self.kernel, samples.X.shape[1], getattr(self, "feature_names_in_", None), **parameters)
        with np.errstate(over="ignore"):
            Y = y.reshape(len(y), -1).astype(samples.X.dtype, order="C")
        if not np.isfinite(Y).all():
            raise ValueError(f"y overflows {Y.dtype}, the type of X: scale y, or give X in float64.")
        return Problem(
            *(kernel, samples.X, Y, alpha, samples.weights),
            fit_intercept=self.fit_intercept,
            memory_limit=self.memory_limit,
            **settings,
        )

    def _store(self, samples, problem, solution, shape):
        """Assign what predictions need, for targets of `shape` (n_targets,), or () for one without a dimension."""
        self.X_fit_, coefficients = solution.landmarks, solution.coefficients
        if self.X_fit_ is None:
            coefficients = np.zeros((samples.X_all.shape[0], problem.Y.shape[1]), solution.coefficients.dtype)
            coefficients[samples.places] = solution.coefficients
            # Whoever computed a Gram matrix has it still; other data may change under our hands.
            pairwise = self.__sklearn_tags__().input_tags.pairwise
            self.X_fit_ = samples.X_all if pairwise else samples.X_all.copy()
        self.kernel_, self.solver_ = problem.kernel, solution.solver
        self.dual_coef_ = coefficients.reshape(-1, *shape)
        self.intercept_ = solution.intercepts.reshape(shape)[()]
        self._feature_weights = None
        if solution.feature_weights is not None:
            self._feature_weights = solution.feature_weights.reshape(-1, *shape)

    def _validated_query(self, X):
        check_is_fitted(self)
        accept_sparse = "csr" if self.__sklearn_tags__().input_tags.sparse else False
        X = validate_data(self, X, accept_sparse=accept_sparse, dtype=float_dtypes(X), order="C", reset=False)
        return X.astype(self.X_fit_.dtype, copy=False)

    def _decide(self, X):
        """f(x) + b for validated samples, array of shape (n_samples,) or (n_samples, n_targets)."""
        if self._feature_weights is None:
            # Coefficients in float64 are so because sums of float32 would lose what they were computed to.
            query, X_fit = (array.astype(self.dual_coef_.dtype, copy=False) for array in (X, self.X_fit_))
            decisions = self.kernel_.gram(query, X_fit) @ self.dual_coef_ + self.intercept_
            return decisions.astype(X.dtype, copy=False)
        m, phi = self.kernel_._explicit_map(X.shape[1])
        batches = gen_batches(X.shape[0], get_chunk_n_rows(m * X.dtype.itemsize))
        return np.concatenate([phi(X[rows]) @ self._feature_weights for rows in batches]) + self.intercept_


def warn_of(solution, stacklevel):
    """One warning where the solution is not the one minimum that was asked for."""
    if not solution.converged:
        warnings.warn(
            f"Conjugate gradients stopped after {solution.n_iter} iterations, when the error bound was "
            f"{solution.error_bound:.2g} standard deviations of the target and not yet tol. Raise max_iter, "
            "n_components or tol; where more iterations bring nothing, raise alpha or give X in float64.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    if solution.smallest is not None:
        warnings.warn(
            "The kernel is not positive semidefinite on these data: its Gram matrix has the eigenvalue "
            f"{solution.smallest:.3g}. The coefficients solve the linear system, but minimise nothing.",
            stacklevel=stacklevel + 1,
        )
    elif solution.singular:
        warnings.warn(
            "Singular matrix in solving dual problem. Using least-squares solution instead.", stacklevel=stacklevel + 1
        )
