"""The solvers that store no Gram matrix: conjugate gradients on all samples, and sums over samples for landmarks."""

from math import ceil, sqrt

import numpy as np
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import check_array, check_random_state

from skdeep.engine import memory
from skdeep.kernel_ridge._problem import Solution
from skdeep.kernels.given import PrecomputedKernel
from skdeep.kernels.gram import PartlyStoredGram, overflow, require_finite
from skdeep.solvers import conjugate_gradients, restricted
from skdeep.solvers.landmarks import candidates
from skdeep.solvers.pivoted_cholesky import partial_factor

# Iterations after which conjugate gradients give up: a good preconditioner needs some dozens.
MAX_ITER = 1000


def solve_by_pcg(problem):
    """Conjugate gradients, preconditioned by the factor of a few columns, for each alpha on its own."""
    _refuse_leave_one_out(problem, "pcg")
    options, (n, n_targets) = problem.options, problem.Y.shape
    rank = _size(problem)
    _check_factor(problem, rank, n, f"The preconditioner of rank {rank}")
    # What is summed in float32 would stop far from the minimum where alpha is small.
    single = problem.X.dtype == np.float32 and not isinstance(problem.kernel, PrecomputedKernel)
    exact = problem.kernel.gram(problem.X.astype(np.float64)) if single else None
    K, found = _partly_stored(problem, problem.gram(), rank), []
    coefficients, intercepts = np.empty((n, n_targets)), np.empty(n_targets)
    for alpha, targets in _targets_by_alpha(problem.alpha, n_targets):
        part = conjugate_gradients.solve(
            *(K, alpha, problem.Y[:, targets]),
            sample_weight=problem.weights,
            fit_intercept=problem.fit_intercept,
            rank=rank,
            tol=options["tol"],
            max_iter=options["max_iter"] or MAX_ITER,
            random_state=options["random_state"],
            exact=exact,
            callback=options.get("callback"),
        )
        if part.indefinite:
            raise _indefinite(problem, f"K + alpha I with alpha={alpha:.3g}")
        coefficients[:, targets], intercepts[targets] = part.coefficients, part.intercept
        found.append(part)
    return Solution(
        coefficients,
        intercepts,
        "pcg",
        n_iter=max(part.n_iterations for part in found),
        error_bound=max(part.error_bound for part in found),
        converged=all(part.converged for part in found),
    )


def _partly_stored(problem, K, rank):
    """The Gram matrix with as many rows in memory as `memory_limit` leaves room for beside the preconditioner."""
    if problem.memory_limit is None or isinstance(problem.kernel, PrecomputedKernel):
        return K
    # A limit may be beyond what is free, of which the iteration itself needs some, too.
    room = min(problem.memory_limit, memory.available() // 2)
    return PartlyStoredGram(K, max(room // (K.shape[0] * K.dtype.itemsize) - rank, 0))


def solve_on_landmarks(problem):
    """The minimum among f = sum_j c_j k(z_j, .) for landmarks z_j, from one pass over the samples."""
    _refuse_leave_one_out(problem, "nystroem")
    if isinstance(problem.kernel, PrecomputedKernel):
        raise ValueError(
            "solver='nystroem' computes the kernel between samples and landmarks, which kernel='precomputed' cannot: "
            "use solver='pcg', or give the kernel itself."
        )
    landmarks = _landmarks(problem)
    sums = added(_no_sums(problem, landmarks), problem, landmarks)
    return from_sums(sums, landmarks, problem.alpha, problem.fit_intercept)


def added(sums, problem, landmarks):
    """The sums over landmarks, to which the samples of a problem have been added."""
    sums.add(problem.kernel.gram(problem.X, landmarks), problem.Y, problem.weights)
    if not sums.finite:
        raise overflow(problem.kernel, problem.X.dtype)
    return sums


def from_sums(sums, landmarks, alpha, fit_intercept):
    """The `Solution` that sums over landmarks lead to, for one penalty or one for each target."""
    n_targets = sums.n_targets
    coefficients, intercepts = np.empty((landmarks.shape[0], n_targets)), np.empty(n_targets)
    for value, targets in _targets_by_alpha(alpha, n_targets):
        found = sums.solve(value, fit_intercept=fit_intercept)
        coefficients[:, targets], intercepts[targets] = found.coefficients[:, targets], found.intercept[targets]
    return Solution(coefficients, intercepts, "nystroem", landmarks=landmarks, sums=sums)


def _no_sums(problem, landmarks):
    """Sums over no samples yet."""
    m = landmarks.shape[0]
    # k(Z, Z), its factor, the sums and two copies of them while they are solved, and the features of some samples.
    needed = 8 * 5 * m**2 + 2 * restricted.BLOCK
    problem.check_memory(needed, f"The sums over {m} landmarks", "take fewer, by n_components or landmarks.")
    K = problem.kernel.gram(landmarks)
    require_finite(K, problem.kernel)
    sums = restricted.RestrictedSums(K.toarray())
    if sums.indefinite:
        raise _indefinite(problem, "its matrix of the landmarks")
    if not len(sums.kept):
        raise ValueError(f"solver='nystroem' needs a landmark z with k(z, z) > 0, but {problem.kernel!r} has none.")
    return sums


def _landmarks(problem):
    """The landmarks that were given, or as many as are wanted from among the samples or their clusters' centres."""
    X, how = problem.X, problem.options["landmarks"]
    if not isinstance(how, str):
        return _given(how, X)
    m, rng = _size(problem), check_random_state(problem.options["random_state"])
    if how == "uniform":
        return X[rng.permutation(X.shape[0])[:m]]
    if how == "kmeans":
        centres = MiniBatchKMeans(m, random_state=rng).fit(X, sample_weight=problem.weights).cluster_centers_
        return type(X)(centres) if sparse.issparse(X) else np.ascontiguousarray(centres)
    X = X[candidates(X.shape[0], m, rng)]
    _check_factor(problem, m, X.shape[0], f"The choice of {m} landmarks by 'rpcholesky'")
    problem.gram()  # whatever candidates are drawn, overflow at any sample is an error
    return X[partial_factor(problem.kernel.gram(X), m, rng, problem.kernel).pivots]


def _given(landmarks, X):
    sparse_X = sparse.issparse(X)
    accept_sparse = "csr" if sparse_X else False
    landmarks = check_array(landmarks, accept_sparse=accept_sparse, dtype=X.dtype, order="C", input_name="landmarks")
    if landmarks.shape[1] != X.shape[1]:
        raise ValueError(f"landmarks have {landmarks.shape[1]} features, but X has {X.shape[1]}.")
    return type(X)(landmarks) if sparse_X else landmarks.copy()


def _size(problem):
    """The number of landmarks, or the largest rank of the preconditioner."""
    n = problem.X.shape[0]
    return min(problem.options["n_components"] or ceil(10 * sqrt(n)), n)


def _check_factor(problem, rank, n, what):
    n_bytes = rank * n * problem.X.dtype.itemsize
    problem.check_memory(n_bytes, what, "lower n_components.")


def _targets_by_alpha(alpha, n_targets):
    """Pairs of an alpha and the indices of the targets that have it."""
    alphas = np.broadcast_to(alpha, n_targets)
    return [(float(value), np.flatnonzero(alphas == value)) for value in np.unique(alphas)]


def _refuse_leave_one_out(problem, solver):
    if problem.leave_one_out:
        raise ValueError(
            f"solver={solver!r} cannot tell leave-one-out decisions: use solver='cholesky', 'eigh' or 'primal'."
        )


def _indefinite(problem, matrix):
    """The error that a matrix proved not positive definite."""
    single = " Or alpha is too small for float32: raise it, or give X in float64."
    return ValueError(
        f"The kernel {problem.kernel!r} is not positive semidefinite on these data: {matrix} has a negative "
        "eigenvalue. Take another kernel, or solver='eigh', which solves the linear system nevertheless."
        + (single if problem.X.dtype == np.float32 else "")
    )
