"""The optimisation problem that an estimator hands to a solver, and the direct solvers."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from skdeep.engine import memory
from skdeep.kernels.gram import require_finite
from skdeep.solvers import cholesky, eigen
from skdeep.solvers.holdout import leave_one_out
from skdeep.solvers.reduction import Reduction
from skdeep.solvers.restricted import RestrictedSums

# An SVD of a matrix of n x m is worth its while, against a Cholesky factorisation of n x n, up to m = n / 4.
PRIMAL_SHARE = 4


@dataclass(frozen=True)
class Problem:
    """min over f and b of sum_i w_i |y_i - f(x_i) - b|^2 + alpha |f|^2.

    Attributes
    ----------
    kernel : object with `gram`
    X : array of shape (n, n_features)
    Y : array of shape (n, n_targets), of X's dtype
    alpha : float or array of shape (n_targets,)
    weights : array of shape (n,) or None
        Above 0.
    fit_intercept : bool
        Whether there is a b, or 0 in its place.
    leave_one_out : bool
        Whether the leave-one-out errors are wanted as well.
    memory_limit : int or None
        Bytes that a Gram matrix and what is computed from it may take; None stands for what is free.
    options : dict
        Further parameters of the estimator, for the solvers that have any.
    """

    kernel: object
    X: np.ndarray
    Y: np.ndarray
    alpha: float | np.ndarray
    weights: np.ndarray | None = None
    fit_intercept: bool = False
    leave_one_out: bool = False
    memory_limit: int | None = None
    options: dict = field(default_factory=dict)

    @property
    def n_features_mapped(self):
        """The number of features of the kernel's explicit map, infinite where there is none."""
        explicit = self.kernel._explicit_map(self.X.shape[1])
        return np.inf if explicit is None else explicit[0]

    @property
    def in_primal(self):
        """Whether the features are so few that they are less work than the Gram matrix."""
        return self.n_features_mapped * PRIMAL_SHARE <= self.X.shape[0]

    @property
    def semidefinite(self):
        """Whether the Gram matrix is known to be positive semidefinite."""
        return self.kernel.positive_semidefinite is True

    def reduction(self):
        return Reduction(self.X.shape[0], self.X.dtype, self.weights, self.fit_intercept)

    def gram(self):
        """The Gram matrix as an operator."""
        gram = self.kernel.gram(self.X)
        require_finite(gram, self.kernel)
        return gram

    def matrix_size(self, n_copies):
        """Bytes of so many Gram matrices."""
        return n_copies * self.X.shape[0] ** 2 * self.X.dtype.itemsize

    def matrix(self, n_copies):
        """The Gram matrix, if there is memory for so many of its size."""
        n = self.X.shape[0]
        self.check_memory(self.matrix_size(n_copies), f"The {n} x {n} Gram matrix")
        return self.gram().toarray()

    def features(self, n_copies):
        """phi(X), an array of its own, if there is memory for so many of its size."""
        n, (m, phi) = self.X.shape[0], self.kernel._explicit_map(self.X.shape[1])
        self.check_memory(n_copies * n * m * self.X.dtype.itemsize, f"The {n} x {m} matrix of features")
        mapped = phi(self.X)
        if sparse.issparse(mapped):
            return mapped.toarray()
        return mapped.copy() if mapped is self.X else mapped

    def has_room(self, needed):
        """Whether there is memory for so many bytes."""
        if self.memory_limit is None and needed <= memory.NEGLIGIBLE:
            return True
        return needed <= self._room()

    def check_memory(self, needed, what, remedy="solver='pcg' and solver='nystroem' store no Gram matrix."):
        """Raise MemoryError, before anything is allocated, where there is no room for what is needed."""
        if not self.has_room(needed):
            kind = "are free" if self.memory_limit is None else "are allowed by memory_limit"
            raise MemoryError(
                f"{what} and what is computed from it need {_size(needed)}, but {_size(self._room())} {kind}; {remedy}"
            )

    def check_spectrum(self):
        """Raise MemoryError where there is no room to decompose the Gram matrix, of which there is one copy."""
        n_copies = 4 if self.memory_limit is not None else 3  # what is free is so beside that copy
        remedy = "raise alpha, so that K + alpha I is not singular, or take solver='nystroem'."
        self.check_memory(self.matrix_size(n_copies), "The decomposition of a singular Gram matrix", remedy)

    def _room(self):
        return memory.available() if self.memory_limit is None else self.memory_limit


def _size(n_bytes):
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.1f} {name}"
    return f"{n_bytes} bytes"


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Attributes
    ----------
    coefficients : array of shape (n, n_targets)
        Of f = sum_i c_i k(x_i, .), in the units of the problem; (n_landmarks, n_targets) where there are landmarks.
    intercepts : array of shape (n_targets,)
    solver : str
        What really ran.
    singular : bool
        Whether K + alpha I is singular to working precision, and the solution that of least norm.
    smallest : float or None
        A negative eigenvalue that rounding does not explain.
    feature_weights : array of shape (n_features_mapped, n_targets) or None
        f in the features of the kernel's explicit map.
    errors : array of shape (n, n_targets) or None
        y_i minus what a fit to all others predicts, where that was wanted.
    n_iter : int
        Iterations; a direct solver takes one.
    error_bound : float or None
        A bound on how far f is from the minimum, where the solver knows one.
    converged : bool
        Whether an iterative solver reached its tolerance.
    landmarks : array of shape (n_landmarks, n_features) or None
        What takes the place of the samples in f.
    sums : RestrictedSums or None
        From which the coefficients of the landmarks come.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    solver: str
    singular: bool = False
    smallest: float | None = None
    feature_weights: np.ndarray | None = None
    errors: np.ndarray | None = None
    n_iter: int = 1
    error_bound: float | None = None
    converged: bool = True
    landmarks: np.ndarray | None = None
    sums: RestrictedSums | None = None


def solve_by_cholesky(problem):
    """One factorisation, of one alpha, in the one copy of the Gram matrix."""
    if np.ndim(problem.alpha):
        raise ValueError("solver='cholesky' factors one alpha: for one per target use solver='eigh' or 'auto'.")
    reduction, K = problem.reduction(), problem.matrix(n_copies=1)
    reduced = reduction.matrix(K)
    factorised = cholesky.Factorised(
        reduced, problem.alpha, semidefinite=problem.semidefinite, before_spectrum=problem.check_spectrum
    )
    if factorised.spectrum is not None:
        return from_spectrum("eigh", factorised.spectrum.expanded(reduction), reduction, problem)
    C, errors = reduction.expand(factorised.solve(reduction.targets(problem.Y))), None
    if problem.leave_one_out:
        cholesky.invert(reduced)
        errors = reduction.residuals(leave_one_out(C, reduction.expand_inverse(K).diagonal()))
    return Solution(*reduction.solution(C, problem.Y), "cholesky", errors=errors)


def solve_by_eigh(problem):
    """One eigendecomposition, for any number of penalties."""
    return from_spectrum("eigh", *decomposed(problem), problem)


def solve_in_primal(problem):
    """The singular values of the features of the kernel's explicit map."""
    if problem.n_features_mapped == np.inf:
        raise ValueError(
            f"solver='primal' needs a kernel with a finite feature map, as Linear or Polynomial have; "
            f"{problem.kernel!r} has none that is known."
        )
    return from_spectrum("primal", *decomposed_features(problem), problem)


def decomposed(problem):
    """The spectrum of the Gram matrix, and the reduction that it was computed in."""
    reduction = problem.reduction()
    # The eigenvectors are one copy more, and LAPACK takes two for its work.
    return eigen.decompose(problem.matrix(n_copies=4), reduction), reduction


def decomposed_features(problem):
    """The same spectrum from the features of the kernel's explicit map."""
    reduction = problem.reduction()
    return eigen.decompose_features(problem.features(n_copies=4), reduction), reduction


def from_spectrum(name, spectrum, reduction, problem):
    """The `Solution` of a problem whose spectrum is known, by the solver of this name."""
    weighted, alpha = reduction.weighted(problem.Y), problem.alpha
    C = spectrum.solve(weighted, alpha)
    weights = None if spectrum.V is None else spectrum.feature_weights(weighted, alpha)
    errors = None
    if problem.leave_one_out:
        held = spectrum.solve(weighted, alpha, least_norm=False)
        errors = reduction.residuals(leave_one_out(held, spectrum.inverse_diagonal(np.atleast_1d(alpha))))
    return Solution(
        *reduction.solution(C, problem.Y, weights),
        name,
        singular=spectrum.singular(alpha),
        smallest=spectrum.smallest if spectrum.indefinite(alpha) else None,
        feature_weights=weights,
        errors=errors,
    )


def best_spectrum(problem):
    """The name of the solver that finds the spectrum with least work, the spectrum, and its reduction."""
    if problem.in_primal:
        return "primal", *decomposed_features(problem)
    return "eigh", *decomposed(problem)
