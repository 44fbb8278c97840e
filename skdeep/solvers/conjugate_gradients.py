"""Preconditioned conjugate gradients: kernel ridge from products with K, stopped by a bound on its predictions."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from skdeep.solvers.pivoted_cholesky import pivoted_cholesky
from skdeep.solvers.preconditioner import Preconditioner

# The preconditioner's rank grows until the condition number is proved to be below this. The proof takes the
# residual's trace for its largest eigenvalue, so that the condition number itself is many times lower.
CONDITION = 30
# Share of the tolerance that residuals carried along in float32 have to reach before exact ones are computed: these
# take longer than the iteration that may be one too many, and would be taken again after it.
MARGIN = 0.97


@dataclass(frozen=True)
class Solution:
    """What conjugate gradients found.

    Attributes
    ----------
    coefficients : ndarray of the shape of Y, float64
    intercept : float64 or ndarray of shape (n_targets,)
        0 where none was asked for.
    n_iterations : int
    error_bound : float
        sup |f_t(x) - f(x)| is at most this, in standard deviations of the target, for the largest target and over
        all x with k(x, x) up to the largest diagonal element of K. Where a target is constant its root mean square
        takes the place of its standard deviation.
    converged : bool
        Whether `error_bound` is at most the tolerance.
    indefinite : bool
        Whether K proved not positive semidefinite; no coefficients are worth anything then.
    rank : int
        The rank of the preconditioner.
    """

    coefficients: np.ndarray
    intercept: np.ndarray
    n_iterations: int
    error_bound: float
    converged: bool
    indefinite: bool
    rank: int


def solve(
    K,
    alpha,
    Y,
    *,
    sample_weight=None,
    fit_intercept=False,
    rank=None,
    tol=1e-3,
    max_iter=1000,
    random_state=None,
    exact=None,
    callback=None,
):
    """Minimise sum_i w_i (y_i - f(x_i))^2 + alpha |f|^2, f(x) = sum_i c_i k(x_i, x) + b, by products with K alone.

    Parameters
    ----------
    K : operator of shape (n, n) with `dtype`, `diagonal()`, `rows(indices)` and `@ V`
        Symmetric and positive semidefinite.
    alpha : float
        Above 0.
    Y : array of shape (n,) or (n, n_targets)
    sample_weight : array of shape (n,), default=None
        At least 0, and not all of them 0; None stands for ones.
    fit_intercept : bool, default=False
        Whether f has a constant b that is not penalised.
    rank : int, default=None
        The largest rank of the preconditioner, which takes so many rows of K; None stands for 10 sqrt(n).
    tol : float, default=1e-3
        Largest error of a prediction, in standard deviations of its target; see `Solution`.
    max_iter : int, default=1000
    random_state : int, RandomState instance or None, default=None
        Draws the preconditioner, by which the number of iterations varies.
    exact : operator as K, default=None
        The same matrix in float64, where K rounds its products to float32. Residuals are computed by it whenever the
        iteration believes to be done, and it goes on from there: what is found, and its bound, are as
        exact as with this operator alone. None stands for K.
    callback : callable, default=None
        Called with the number of iterations and the error bound after each; a true value ends the iteration.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If alpha is 0.

    Notes
    -----
    Let G = K + alpha W^-1 and P = F F^T + alpha W^-1, F F^T being K's randomly pivoted Cholesky approximation from
    below. Then P <= G, and the residual r of coefficients c_t bounds their error: |c_t - c|_G^2 = r^T G^-1 r is at
    most r^T P^-1 r, a number that conjugate gradients compute anyway. By Cauchy and Schwarz in the space of the
    kernel, |f_t(x) - f(x)| <= sqrt(k(x, x)) |c_t - c|_K, and K <= G. The preconditioner is that of Diaz, Epperly,
    Frangella, Tropp & Webber (2023). Vectors and sums are float64 whatever the dtype of K.
    """
    if not alpha > 0:
        raise ValueError(
            f"Conjugate gradients need alpha above 0, got {alpha!r}: their error bound divides by it. "
            "Raise alpha, or solve the system directly."
        )
    n = K.shape[0]
    weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    problem = _Problem(K, exact, alpha, np.asarray(Y, dtype=np.float64), weights, fit_intercept)
    factorisation = pivoted_cholesky(
        problem.K, rank or ceil(10 * sqrt(n)), tolerance=(CONDITION - 1) * alpha, random_state=random_state
    )
    preconditioner = Preconditioner(factorisation.factor, alpha)
    iteration = _Iteration(problem, preconditioner)
    indefinite = factorisation.indefinite or not iteration.run(tol, max_iter, callback)
    coefficients, intercept = problem.model(iteration.C, iteration.R)
    error_bound = np.inf if indefinite else float(iteration.bounds().max())
    return Solution(
        coefficients=coefficients,
        intercept=intercept,
        n_iterations=iteration.count,
        error_bound=error_bound,
        converged=error_bound <= tol,
        indefinite=indefinite,
        rank=len(factorisation.pivots),
    )


class _Problem:
    """The system in symmetric form: G = S K S + alpha I, S^2 the weights; G (S^-1 C) = S Y.

    The right-hand sides are the targets, from which their means are taken where there is an intercept,
    and then a last one, S 1, whose solution u gives the intercept: b = 1^T G^-1 y / 1^T G^-1 1.
    """

    def __init__(self, K, exact, alpha, Y, weights, fit_intercept):
        self.alpha, self.fit_intercept, self.one_target = alpha, fit_intercept, Y.ndim == 1
        self.roots, self.K = np.sqrt(weights), _Scaled(K, np.sqrt(weights))
        self._exact, self.margin = (self.K, 1.0) if exact is None else (_Scaled(exact, self.roots), MARGIN)
        Y = Y.reshape(len(Y), -1)
        mean = np.average(Y, axis=0, weights=weights)
        deviation, size = (np.sqrt(np.average(A**2, axis=0, weights=weights)) for A in (Y - mean, Y))
        self.unit = np.where(deviation > 1e-12 * size, deviation, size)
        self.mean = mean if fit_intercept else np.zeros_like(mean)
        self.B = self.roots[:, None] * (Y - self.mean)
        if fit_intercept:
            self.B = np.column_stack([self.B, self.roots])
        self.reach = sqrt(max(K.diagonal().max(), 0.0))

    def multiply(self, V):
        """G V."""
        return self.K @ V + self.alpha * V

    def residuals(self, C):
        """The right-hand sides less G C."""
        return self.B - (self._exact @ C + self.alpha * C)

    def model(self, C, R):
        """Coefficients and intercept in the shape of Y, from the solutions and their residuals."""
        intercept = self.mean
        if self.fit_intercept:
            shift, _ = self._shift(C, R)
            C, intercept = C[:, :-1] - C[:, -1:] * shift, self.mean + shift
        C = self.roots[:, None] * C
        return (C[:, 0], intercept[0]) if self.one_target else (C, intercept)

    def _shift(self, C, R):
        """Intercepts of the centred targets, and their denominator 1^T G^-1 1.

        With the residuals' share u^T r the products have errors of second order: 1^T v = 1^T v_t + u^T r_v.
        """
        u = C[:, -1]
        products = self.roots @ C + u @ R
        if not products[-1] > 0:  # before the first iteration
            return np.zeros(C.shape[1] - 1), 0.0
        return products[:-1] / products[-1], products[-1]

    def bounds(self, errors, C, R):
        """Largest errors of predictions in units of each target, from those of the solutions in the norm of G."""
        if not self.fit_intercept:
            return self._in_units(self.reach * errors)
        shift, denominator = self._shift(C, R)
        if denominator == 0:
            return np.full(len(shift), np.inf)
        # f = f_v - b f_u + b, and with the errors e in the norm of G, b is off by at most e_u (e_v + |b| e_u) / 1^T u,
        # in front of 1 - f_u, whose norm in the space of the kernel is that of u, at most 1^T u + e_u^2 when squared.
        e_v, e_u = errors[:-1] + np.abs(shift) * errors[-1], errors[-1]
        constant = 1 + self.reach * sqrt(denominator + e_u**2)
        return self._in_units(e_v * (self.reach + e_u / denominator * constant))

    def _in_units(self, values):
        return np.divide(values, self.unit, out=np.zeros_like(values), where=values > 0)


class _Scaled:
    """S K S for a diagonal S, as an operator."""

    def __init__(self, K, roots):
        self.K, self.roots, self.shape, self.dtype = K, roots, K.shape, K.dtype

    def diagonal(self):
        return self.roots**2 * self.K.diagonal()

    def rows(self, indices):
        rows = np.array(self.K.rows(indices))
        rows *= self.roots[indices, None]
        rows *= self.roots
        return rows

    def __matmul__(self, V):
        return self.roots[:, None] * (self.K @ (self.roots[:, None] * V))


class _Iteration:
    """Conjugate gradients for each right-hand side on its own, their products with K taken together.

    C are the solutions, R the residuals, D the directions, `rz` the products r^T P^-1 r.
    """

    def __init__(self, problem, preconditioner):
        self.problem, self.preconditioner, self.count = problem, preconditioner, 0
        diagonal, n = problem.K.diagonal(), problem.K.shape[0]
        trace, eps = diagonal.sum(), np.finfo(np.float64).eps
        # An element of F F^T is off by a few units in the last place of K's dtype and an n x n matrix of such errors
        # has a norm of sqrt(n) times one: P <= G + delta I. With G >= alpha I that is P <= (1 + delta / alpha) G.
        delta = 16 * float(np.finfo(problem.K.dtype).eps) * sqrt(n) * diagonal.max()
        self.factor = preconditioner.loss * (1 + delta / problem.alpha)
        # A product with G is off by |G| eps, and a residual r means an error of at most |r| / sqrt(alpha).
        self.product_rounding = eps * (trace + problem.alpha) / sqrt(problem.alpha)
        self.C = np.zeros_like(problem.B)
        self._restart(problem.B.copy())

    def _restart(self, R):
        """Begin anew from the residuals R, computed and not carried along."""
        self.R, self.D, self.is_true = R, self.preconditioner.solve(R), True
        self.rz = _column_products(R, self.D)

    def bounds(self):
        """The certificate of each target."""
        return self.problem.bounds(sum(self._errors()), self.C, self.R)

    def _errors(self):
        """Bounds on the errors of the solutions in the norm of G: by their residuals, and by the rounding of these."""
        squares = np.maximum(self.rz, 0) + self.preconditioner.rounding * _column_products(self.R, self.R)
        return np.sqrt(self.factor * squares), self.product_rounding * np.sqrt(_column_products(self.C, self.C))

    def run(self, tol, max_iter, callback):
        """Iterate until all bounds are at most `tol` or as rounding allows; False if G is not positive definite."""
        while True:
            active = self._active(tol if self.is_true else tol * self.problem.margin)
            if active.any() and self.count < max_iter:
                if not self._step(active):
                    return False
                self.count += 1
                if callback is not None and callback(self.count, float(self.bounds().max())):
                    max_iter = self.count
            elif self.is_true:
                return True
            else:  # residuals that were carried along may have drifted away from those of the solutions
                self._restart(self.problem.residuals(self.C))

    def _active(self, tol):
        """The columns to go on with: of targets above the tolerance, whose residuals are not yet of rounding errors."""
        targets = self.bounds() > tol
        columns = np.append(targets, targets.any()) if self.problem.fit_intercept else targets
        by_residual, by_rounding = self._errors()
        return columns & (by_residual > by_rounding) & (self.rz > 0)

    def _step(self, active):
        """One iteration of the active columns; whether all their directions have positive curvature."""
        D, rz = self.D[:, active], self.rz[active]
        product = self.problem.multiply(D)
        curvature = _column_products(D, product)
        if (curvature <= 0).any():
            return False
        length = rz / curvature
        self.C[:, active] += length * D
        R = self.R[:, active] - length * product
        Z = self.preconditioner.solve(R)
        self.R[:, active], self.rz[active] = R, _column_products(R, Z)
        self.D[:, active] = Z + self.rz[active] / rz * D
        self.is_true = False
        return True


def _column_products(A, B):
    return np.einsum("ij,ij->j", A, B)
