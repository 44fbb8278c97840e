"""The kernel's hyperparameters and the penalty by gradient descent: one factorisation and one sweep of tiles a step."""

import warnings
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.gradient import hyperparameters
from skdeep.solvers import cholesky
from skdeep.solvers.criteria import CRITERIA


class Objective:
    """A criterion as a function of theta, the logarithms of the kernel's hyperparameters and then of alpha.

    Hyperparameters that are 0 stay so.

    Parameters
    ----------
    problem : Problem
        Its kernel tells which hyperparameters there are.
    criterion : {"leave_one_out", "log_marginal_likelihood"}
    """

    def __init__(self, problem, criterion):
        self._problem, self._criterion = problem, CRITERIA[criterion]
        values = hyperparameters(problem.kernel)
        self._values = {name: value for name, value in values.items() if np.all(value > 0)}

    def theta(self, alpha):
        """The logarithms of the hyperparameters as they are, and of alpha."""
        return np.log(np.hstack([*self._values.values(), alpha]))

    def kernel(self, theta):
        """The kernel with these hyperparameters."""
        kernel, at = self._problem.kernel._with_names(self._problem.kernel._names_of_arrays), 0
        for name, value in self._values.items():
            new = np.exp(theta[at : at + value.size])
            kernel.set_params(**{name: new.tolist() if value.ndim else float(new[0])})
            at += value.size
        return kernel

    def __call__(self, theta, eval_gradient=True):
        """The criterion and, if asked, its gradient by theta; infinite where K + alpha I is not positive definite."""
        alpha, problem = np.exp(theta[-1]), replace(self._problem, kernel=self.kernel(theta))
        reduction, K = problem.reduction(), problem.matrix(n_copies=3)
        reduced, Y = reduction.matrix(K), reduction.targets(problem.Y)
        reduced[np.diag_indices(len(reduced))] += alpha
        if not cholesky.factor(reduced):
            return (np.inf, np.zeros_like(theta)) if eval_gradient else np.inf
        rows, log_determinant = np.array(Y.T, order="C"), cholesky.log_determinant(reduced)
        cholesky.solve_rows(reduced, rows)
        cholesky.invert(reduced)
        C, P = reduction.expand(np.ascontiguousarray(rows.T)), reduction.expand_inverse(K)
        value, M = self._criterion(C, P, reduction.expand(Y), log_determinant)
        if not eval_gradient:
            return float(value)
        by_alpha = alpha * np.trace(M)
        if reduction.root is not None:
            M *= reduction.root[:, None]
            M *= reduction.root
        slopes = problem.kernel.gradient(problem.X, M)
        return float(value), np.hstack([*(slopes[name] for name in self._values), by_alpha])


def fmin_l_bfgs_b(objective, theta, bounds):
    """Where scipy's L-BFGS-B ends, and the value there."""
    found = minimize(objective, theta, method="L-BFGS-B", jac=True, bounds=bounds)
    if found.status == 1:
        warnings.warn(f"L-BFGS-B stopped early: {found.message}", ConvergenceWarning, stacklevel=8)
    return found.x, found.fun


def fitted_hyperparameters(problem, optimizer, alpha, criterion, bounds, n_restarts, random_state):
    """The kernel and the penalty of the least value of a criterion that an optimizer finds.

    Parameters
    ----------
    problem : Problem
    optimizer : callable
        Of an objective, a starting point and bounds of shape (n, 2), to the best point and its value.
    alpha : float
        Where the first search starts, with the kernel's hyperparameters as they are.
    criterion : {"leave_one_out", "log_marginal_likelihood"}
    bounds : pair of float
        Of all hyperparameters and of alpha.
    n_restarts : int
        Further searches, from points that are drawn log-uniformly within the bounds.
    random_state : int, RandomState instance or None

    Returns
    -------
    kernel : Kernel
    alpha : float
    """
    if not isinstance(problem.kernel, Kernel):
        raise ValueError(f"optimizer needs a kernel that knows its derivatives, {problem.kernel!r} does not.")
    # The line search compares values whose differences float32 rounds away.
    problem = replace(problem, X=problem.X.astype(np.float64), Y=problem.Y.astype(np.float64))
    objective, rng = Objective(problem, criterion), check_random_state(random_state)
    low, high = np.log(bounds)
    first = objective.theta(alpha)
    starts = [np.clip(first, low, high), *rng.uniform(low, high, size=(n_restarts, len(first)))]
    limits = np.tile([low, high], (len(first), 1))
    theta, value = min((optimizer(objective, start, limits) for start in starts), key=lambda found: found[1])
    if not np.isfinite(value):
        raise ValueError(
            f"K + alpha I is singular for all that was tried within bounds={bounds!r}: raise the lower bound."
        )
    return objective.kernel(theta), float(np.exp(theta[-1]))
