"""Conjugate gradients: solutions of the dense system, and a bound on predictions that holds wherever they stop."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.linalg import eigh

from skdeep.kernels import RBF
from skdeep.solvers import conjugate_gradients as module
from skdeep.solvers.conjugate_gradients import solve
from skdeep.solvers.pivoted_cholesky import pivoted_cholesky
from tests._operators import Dense, rbf


def exact(K, alpha, Y, weights=None, fit_intercept=False):
    """Coefficients and intercepts by a dense solver in float64; samples of weight 0 are left out."""
    Y = Y.reshape(len(K), -1)
    weights = np.ones(len(K)) if weights is None else weights
    kept = weights > 0
    n, ones = kept.sum(), np.ones((kept.sum(), 1))
    G = K[np.ix_(kept, kept)].astype("float64") + alpha * np.diag(1 / weights[kept])
    coefficients, intercept = np.zeros(Y.shape), np.zeros(Y.shape[1])
    if fit_intercept:
        solution = np.linalg.solve(np.block([[G, ones], [ones.T, np.zeros((1, 1))]]), np.pad(Y[kept], ((0, 1), (0, 0))))
        coefficients[kept], intercept = solution[:n], solution[n]
    else:
        coefficients[kept] = np.linalg.solve(G, Y[kept])
    return coefficients, intercept


def spreads(Y, weights):
    """Standard deviation of each target, or its root mean square where it is constant."""
    mean = np.average(Y, axis=0, weights=weights)
    deviation = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weights))
    return np.where(deviation > 1e-12, deviation, np.sqrt(np.average(Y**2, axis=0, weights=weights)))


# --------------------------------------------------------------------------------------------- solutions


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("targets", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_dense_solution(dtype, targets, weighted, fit_intercept, rng):
    n = 120
    K, Y = rbf(rng.normal(size=(n, 2)), dtype=dtype), 3 + rng.normal(size=(n, *targets))
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], n) if weighted else None
    solution = solve(
        Dense(K), 0.01, Y, sample_weight=weights, fit_intercept=fit_intercept, tol=1e-9, rank=20, random_state=0
    )
    assert solution.converged
    assert solution.error_bound <= 1e-9
    assert not solution.indefinite
    coefficients, intercept = exact(K, 0.01, Y, weights, fit_intercept)
    assert solution.coefficients.shape == Y.shape
    assert solution.intercept.shape == targets
    # |c_t - c| is at most the error in the norm of G over sqrt(alpha).
    np.testing.assert_allclose(solution.coefficients, coefficients.reshape(Y.shape), rtol=0, atol=1e-7)
    np.testing.assert_allclose(solution.intercept, intercept.reshape(targets), rtol=0, atol=1e-8)


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
def test_weights_are_repeated_rows(fit_intercept, rng):
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    times = rng.integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), times)
    options = {"fit_intercept": fit_intercept, "tol": 1e-9, "random_state": 0}
    weighted = solve(Dense(rbf(X)), 0.1, y, sample_weight=times, **options)
    plain = solve(Dense(rbf(X[repeated])), 0.1, y[repeated], **options)
    # All copies of a sample have the same coefficient.
    sums = np.bincount(repeated, plain.coefficients, minlength=60)
    np.testing.assert_allclose(weighted.coefficients, sums, rtol=0, atol=1e-7)
    np.testing.assert_allclose(weighted.intercept, plain.intercept, rtol=0, atol=1e-8)


def test_targets_do_not_touch_each_other(rng):
    K, Y = Dense(rbf(rng.normal(size=(80, 2)))), rng.normal(size=(80, 3)) * [1e-6, 1.0, 1e6]
    together = solve(K, 0.01, Y, tol=1e-8, rank=10, random_state=0)
    for target in range(3):
        alone = solve(K, 0.01, Y[:, target], tol=1e-8, rank=10, random_state=0)
        difference = np.abs(together.coefficients[:, target] - alone.coefficients).max()
        assert difference < 1e-6 * np.abs(alone.coefficients).max()


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_target(value, fit_intercept, rng):
    K, Y = rbf(rng.normal(size=(50, 2))), np.full(50, value)
    solution = solve(Dense(K), 0.01, Y, fit_intercept=fit_intercept, random_state=0)
    coefficients, intercept = exact(K, 0.01, Y, None, fit_intercept)
    assert solution.converged
    error = K @ (solution.coefficients - coefficients[:, 0]) + solution.intercept - intercept[0]
    assert np.abs(error).max() <= 1e-3 * value


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
def test_matrix_of_zeros(fit_intercept, rng):
    y = rng.normal(size=30)
    solution = solve(Dense(np.zeros((30, 30))), 0.5, y, fit_intercept=fit_intercept)
    assert solution.converged
    assert solution.intercept == pytest.approx(y.mean() if fit_intercept else 0, abs=1e-12)


def test_offset_of_the_targets_goes_into_the_intercept(rng):
    K, y = Dense(rbf(rng.normal(size=(60, 2)))), rng.normal(size=60)
    options = {"fit_intercept": True, "tol": 1e-8, "random_state": 0}
    near, far = solve(K, 0.01, y, **options), solve(K, 0.01, y + 1e6, **options)
    np.testing.assert_allclose(far.coefficients, near.coefficients, rtol=0, atol=1e-6)
    assert far.intercept - 1e6 == pytest.approx(near.intercept, abs=1e-7)


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan])
def test_alpha_that_is_not_positive_is_refused(alpha):
    with pytest.raises(ValueError, match=r"need alpha above 0.*Raise alpha, or solve the system directly"):
        solve(Dense(np.eye(3)), alpha, np.ones(3))


# --------------------------------------------------------------------------------------------- certificate


def random_problem(rng, dtype):
    """A Gram matrix of training samples and others, alpha, targets and weights; of all scales."""
    n, d, t = rng.integers(1, 40), rng.integers(1, 4), rng.integers(1, 4)
    X = rng.normal(size=(n + 20, d)) * rng.uniform(0.2, 3)
    distances, products = np.linalg.norm(X[:, None] - X, axis=-1), X @ X.T
    K = [np.exp(-(distances**2) / 2), (products + 1) ** 2, products + np.exp(-distances)][rng.integers(3)]
    K = (K * 10 ** rng.uniform(-2, 2)).astype(dtype)
    K = np.minimum(K, K.T)
    alpha = float(K.diagonal().max() * 10 ** rng.uniform(-4 if dtype == "float32" else -6, 1))
    weights = rng.choice([0.0, 1.0, 2.5], n) if rng.random() < 0.5 else np.ones(n)
    weights[rng.integers(n)] = 1.0
    return K, n, alpha, rng.normal(size=(n, t)) + rng.choice([0, 5]), weights


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_bound_is_never_violated(dtype, fit_intercept):
    stopped_early = 0
    for seed in range(500):
        rng = np.random.default_rng(seed)
        K, n, alpha, Y, weights = random_problem(rng, dtype)
        solution = solve(
            Dense(K[:n, :n]),
            alpha,
            Y,
            sample_weight=weights,
            fit_intercept=fit_intercept,
            rank=int(rng.integers(1, n + 1)),
            tol=10 ** rng.uniform(-8, 0),
            max_iter=int(rng.integers(0, 12)),
            random_state=seed,
        )
        assert not solution.indefinite
        coefficients, intercept = exact(K[:n, :n], alpha, Y, weights, fit_intercept)
        evaluated = K.diagonal() <= K.diagonal()[:n].max()
        ours, theirs = (
            K[evaluated, :n] @ c + b
            for c, b in ((solution.coefficients, solution.intercept), (coefficients, intercept))
        )
        units = spreads(Y, weights)
        # The exact solution and both predictions come with rounding errors of their own.
        rounding = 1e-11 * np.abs(Y).max() / units
        errors = np.abs(ours - theirs).max(axis=0) / units
        assert (errors <= solution.error_bound + rounding).all(), seed
        stopped_early += not solution.converged
    assert 50 < stopped_early < 450  # the bound was tried at all stages


@pytest.mark.parametrize(("dtype", "alphas"), [("float32", (1e-5, 1e-3)), ("float64", (1e-11, 1e-8, 1e-3))])
@pytest.mark.parametrize("target", ["noise", "smooth", "worst"])
def test_rounding_is_part_of_the_bound(target, dtype, alphas):
    # Where the preconditioner is all but the inverse, the bound is all but the error in the norm of G.
    n = 120
    for seed, alpha in itertools.product(range(6), alphas):
        rng = np.random.default_rng(seed)
        K, y = rbf(rng.normal(size=(n, 2)), length_scale=rng.uniform(0.3, 3), dtype=dtype), rng.normal(size=n)
        G = K.astype("float64") + alpha * np.eye(n)
        if target == "smooth":
            y = K @ y
        if target == "worst":  # the residual at which rounding in P takes most of r^T P^-1 r
            tolerance = (module.CONDITION - 1) * alpha
            F = pivoted_cholesky(Dense(K), n, tolerance=tolerance, random_state=seed).factor.astype("float64")
            y = G @ eigh(F @ F.T + alpha * np.eye(n), G, subset_by_index=[n - 1, n - 1])[1][:, 0]
        eigenvalues, Q = np.linalg.eigh(G)
        for max_iter in (0, 1, 3):
            solution = solve(Dense(K), alpha, y, rank=n, max_iter=max_iter, tol=1e-15, random_state=seed)
            r = Q.T @ (y - G @ solution.coefficients)
            assert np.sqrt(np.sum(r**2 / eigenvalues)) <= solution.error_bound * y.std()


def test_bound_is_of_use(rng):
    # The reference's figure: 9 to 29 times the largest error, and so not hundreds of times.
    X, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    K, ratios = rbf(X), []
    coefficients, _ = exact(K, 0.01, y)
    for max_iter in range(1, 8):
        solution = solve(Dense(K), 0.01, y, rank=40, max_iter=max_iter, tol=1e-12, random_state=0)
        error = np.abs(K @ (solution.coefficients - coefficients[:, 0])).max() / y.std()
        ratios.append(solution.error_bound / error)
    assert 1 <= min(ratios)
    assert np.median(ratios) < 100


def test_unit_of_the_bound_is_the_standard_deviation(rng):
    K, y = Dense(rbf(rng.normal(size=(60, 2)))), rng.normal(size=60)
    one, million = (solve(K, 0.01, scale * y, rank=5, max_iter=2, random_state=0).error_bound for scale in (1, 1e6))
    assert million == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tolerance_beyond_rounding_ends_without_success(dtype, rng):
    K = rbf(rng.normal(size=(100, 1)), length_scale=2.0, dtype=dtype)
    solution = solve(Dense(K), 1e-3, rng.normal(size=100), tol=1e-300, random_state=0)
    assert not solution.converged
    assert not solution.indefinite
    assert 0 < solution.error_bound < 1e-6
    assert solution.n_iterations < 200


# --------------------------------------------------------------------------------------------- iterations


def test_number_of_iterations_is_within_the_theorem(rng):
    # Conjugate gradients gain 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^t in the norm of G, c <= CONDITION.
    K, y, alpha = rbf(rng.normal(size=(300, 2))), rng.normal(size=300), 0.1
    solution = solve(Dense(K), alpha, y, tol=1e-6, random_state=0)
    assert solution.rank < 10 * np.sqrt(300)  # the trace was reached, and not the largest rank
    start = np.sqrt(y @ np.linalg.solve(K + alpha * np.eye(300), y))
    condition = module.CONDITION
    # The bound itself may be sqrt(c) times the error in the norm of G.
    gain = 2 * start * np.sqrt(condition) / (1e-6 * y.std())
    assert solution.n_iterations <= np.ceil(np.sqrt(condition) / 2 * np.log(gain))


def test_preconditioner_of_full_rank_leaves_nothing_to_do(rng):
    A = rng.normal(size=(80, 5))
    solution = solve(Dense(A @ A.T), 0.1, rng.normal(size=80), tol=1e-6, random_state=0)
    assert solution.rank == 5
    assert solution.n_iterations == 1


def test_max_iter(rng):
    K, y = Dense(rbf(rng.normal(size=(100, 2)))), rng.normal(size=100)
    solution = solve(K, 1e-4, y, rank=2, max_iter=3, random_state=0)
    assert solution.n_iterations == 3
    assert not solution.converged
    assert solution.error_bound > 1e-3


def test_callback_sees_each_iteration_and_may_end_it(rng):
    K, y, seen = Dense(rbf(rng.normal(size=(100, 2)))), rng.normal(size=100), []
    callback = lambda iteration, error_bound: seen.append((iteration, error_bound)) or iteration == 4
    solution = solve(K, 1e-4, y, rank=2, random_state=0, callback=callback)
    assert [iteration for iteration, _ in seen] == [1, 2, 3, 4]
    assert solution.n_iterations == 4
    assert solution.error_bound == pytest.approx(seen[-1][1], rel=1e-6)


def test_same_random_state_gives_the_same_bits(rng):
    K, y = Dense(rbf(rng.normal(size=(100, 2)))), rng.normal(size=100)
    first, second = (solve(K, 0.01, y, rank=10, random_state=5) for _ in range(2))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 20], ids=["by-curvature", "by-residual"])
def test_indefinite_matrix_is_reported(rank, dtype, rng):
    Q = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    K = ((Q * np.r_[-0.5, np.linspace(1, 2, 49)]) @ Q.T).astype(dtype)
    solution = solve(Dense((K + K.T) / 2), 0.01, rng.normal(size=50), tol=1e-8, rank=rank, random_state=0)
    assert solution.indefinite
    assert not solution.converged
    assert solution.error_bound == np.inf


def test_float32_elements_reach_what_float32_vectors_cannot(rng):
    n, alpha = 400, 1e-4
    K, y = rbf(rng.normal(size=(n, 3)), length_scale=2.0, dtype="float32"), rng.normal(size=n)
    solution = solve(Dense(K), alpha, y, tol=1e-5, random_state=0)
    coefficients, _ = exact(K, alpha, y)
    predictions = K.astype("float64") @ coefficients[:, 0]
    assert solution.converged
    assert np.abs(K @ solution.coefficients - predictions).max() <= 1e-5 * y.std()
    in_float32 = np.linalg.solve(K + np.float32(alpha) * np.eye(n, dtype="float32"), y.astype("float32"))
    assert np.abs(K.astype("float64") @ in_float32 - predictions).max() > 1e-4 * y.std()


def test_exact_residuals_make_up_for_products_in_float32(rng):
    X, alpha = rng.normal(size=(400, 2)), 1e-3
    y = np.sin(X[:, 0]) + 0.3 * rng.normal(size=400)
    single, double = (RBF().gram(X.astype(np.float32).astype(dtype)) for dtype in (np.float32, np.float64))
    options = {"rank": 60, "max_iter": 100, "tol": 1e-6, "random_state": 0}
    assert not solve(single, alpha, y, **options).converged
    refined = solve(single, alpha, y, exact=double, **options)
    assert refined.converged
    K = double.toarray()
    errors = K @ (refined.coefficients - exact(K, alpha, y)[0][:, 0])
    assert np.abs(errors).max() <= refined.error_bound * y.std()


def test_exact_residuals_are_computed_once(rng):
    X = rng.normal(size=(400, 2)).astype(np.float32)
    y = np.sin(X[:, 0]) + 0.3 * rng.normal(size=400)
    single, double = (RBF().gram(X.astype(dtype)) for dtype in (np.float32, np.float64))
    products, bounds = [], []

    class Counted(Dense):
        def __matmul__(self, V):
            products.append(V)
            return super().__matmul__(V)

    options = {"rank": 10, "random_state": 0, "exact": Counted(double.toarray())}
    solve(single, 0.1, y, tol=1e-3, callback=lambda count, bound: bounds.append(bound), **options)
    # Tolerances that residuals in float32 seem to meet, and true ones may miss by a little.
    for tol in bounds[3:]:
        products.clear()
        assert solve(single, 0.1, y, tol=tol * (1 + 1e-7), **options).converged
        assert len(products) == 1


def test_gram_operator_in_little_memory(rng):
    n = 2500
    X = rng.normal(size=(n, 2)).astype("float32")
    y = np.sin(X).sum(axis=1)
    gram = RBF().gram(X)
    gram @ y
    tracemalloc.start()
    solution = solve(gram, 0.1, y, tol=1e-3, rank=50, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.converged
    # A product holds CACHED_K bytes of float32 rows, and again as float64; K takes 25 MB in float32,
    # 50 MB in float64.
    assert peak < 3 * 2**23 + 4 * n * 50 * 4 + 40 * 8 * n < 8 * n**2 / 1.5
    coefficients, _ = exact(RBF()(X), 0.1, y)
    assert np.abs(gram @ (solution.coefficients - coefficients[:, 0])).max() <= 1e-3 * y.std()
