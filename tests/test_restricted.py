"""Kernel ridge on landmarks: the dense restricted solution, sums in any order and division, and few digits lost."""

import pickle
import tracemalloc

import numpy as np
import pytest

from skdeep.kernels import RBF
from skdeep.solvers import restricted
from skdeep.solvers.restricted import RestrictedSums
from tests._operators import Dense, rbf


def exact(K, K_landmarks, alpha, Y, weights=None, fit_intercept=False):
    """Predictions at the samples, from weights in the eigenvectors of the landmarks' matrix, in float64."""
    K, Y = K.astype("float64"), Y.reshape(len(Y), -1)
    eigenvalues, Q = np.linalg.eigh(K_landmarks.astype("float64"))
    kept = eigenvalues > 1e-10 * eigenvalues[-1]
    features = K @ Q[:, kept] / np.sqrt(eigenvalues[kept])
    penalty = np.full(features.shape[1], alpha)
    if fit_intercept:
        features, penalty = np.column_stack([features, np.ones(len(K))]), np.append(penalty, 0.0)
    roots = np.ones(len(K)) if weights is None else np.sqrt(weights)
    # As least squares with rows for the penalty: no square of a condition number.
    A = np.vstack([roots[:, None] * features, np.diag(np.sqrt(penalty))])
    B = np.vstack([roots[:, None] * Y, np.zeros((len(penalty), Y.shape[1]))])
    return features @ np.linalg.lstsq(A, B)[0]


def predictions(K, solution):
    f = K.astype("float64") @ solution.coefficients + solution.intercept
    return f.reshape(len(K), -1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 7 samples at 20 landmarks."""
    monkeypatch.setattr(restricted, "BLOCK", 8 * 20 * 7)


@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("targets", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_dense_solution(dtype, targets, weighted, fit_intercept, small_blocks, rng):
    X, Y = rng.normal(size=(100, 3)), 2 + rng.normal(size=(100, *targets))
    weights = rng.choice([0.0, 0.5, 2.0], 100) if weighted else None
    K, K_landmarks = rbf(X, X[:20], dtype=dtype), rbf(X[:20], dtype=dtype)
    sums = RestrictedSums(K_landmarks).add(Dense(K), Y, weights)
    solution = sums.solve(0.01, fit_intercept=fit_intercept)
    assert solution.coefficients.shape == (20, *targets)
    assert solution.intercept.shape == targets
    expected = exact(K, K_landmarks, 0.01, Y, weights, fit_intercept)
    np.testing.assert_allclose(predictions(K, solution), expected, rtol=0, atol=1e-8)


def test_all_samples_as_landmarks_give_the_full_solution(rng):
    X, y = rng.normal(size=(60, 4)), rng.normal(size=60)
    K = rbf(X)
    solution = RestrictedSums(K).add(Dense(K), y).solve(0.1)
    np.testing.assert_allclose(K @ solution.coefficients, K @ np.linalg.solve(K + 0.1 * np.eye(60), y), atol=1e-9)


def test_weights_are_repeated_rows(rng):
    X, y, times = rng.normal(size=(60, 2)), rng.normal(size=60), rng.integers(0, 4, 60)
    K, K_landmarks = rbf(X, X[:10]), rbf(X[:10])
    weighted = RestrictedSums(K_landmarks).add(Dense(K), y, times).solve(0.1, fit_intercept=True)
    repeated = RestrictedSums(K_landmarks).add(Dense(np.repeat(K, times, axis=0)), np.repeat(y, times))
    plain = repeated.solve(0.1, fit_intercept=True)
    np.testing.assert_allclose(weighted.coefficients, plain.coefficients, rtol=1e-9)
    assert weighted.intercept == pytest.approx(plain.intercept, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_in_parts_equal_one_pass(dtype, rng):
    X, Y, weights = rng.normal(size=(300, 3)), 5 + rng.normal(size=(300, 2)), rng.uniform(0, 2, 300)
    K, K_landmarks = rbf(X, X[:30], dtype=dtype), rbf(X[:30], dtype=dtype)
    whole = RestrictedSums(K_landmarks).add(Dense(K), Y, weights)
    parts = []
    for part in np.array_split(rng.permutation(300), 5):
        # As another process would begin.
        parts.append(pickle.loads(pickle.dumps(RestrictedSums(K_landmarks))))
        for rows in np.array_split(part, 3):
            parts[-1].add(Dense(K[rows]), Y[rows], weights[rows])
    merged = RestrictedSums(K_landmarks)
    for i in (3, 0, 4, 1, 2):
        merged.merge(parts[i])
    assert merged.n_samples == whole.n_samples == 300
    for alpha in (1e-4, 1.0):
        ours, theirs = (predictions(K, sums.solve(alpha, fit_intercept=True)) for sums in (merged, whole))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_solving_leaves_the_sums_to_go_on_with(rng):
    X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    K, K_landmarks = rbf(X, X[:10]), rbf(X[:10])
    sums = RestrictedSums(K_landmarks).add(Dense(K[:50]), y[:50])
    first = sums.solve(0.1, fit_intercept=True).coefficients
    np.testing.assert_array_equal(sums.solve(0.1, fit_intercept=True).coefficients, first)
    sums.add(Dense(K[50:]), y[50:])
    expected = exact(K, K_landmarks, 0.1, y)
    np.testing.assert_allclose(predictions(K, sums.solve(0.1)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_redundant_landmarks_change_nothing(dtype, rng):
    X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    landmarks = X[[0, 1, 2, 0, 3, 2, 0]]
    K, K_landmarks = rbf(X, landmarks, dtype=dtype), rbf(landmarks, dtype=dtype)
    sums = RestrictedSums(K_landmarks)
    assert len(sums.kept) == 4
    assert not sums.indefinite
    solution = sums.add(Dense(K), y).solve(0.1)
    assert np.count_nonzero(solution.coefficients) == 4
    expected = exact(K[:, [0, 1, 2, 4]], K_landmarks[np.ix_([0, 1, 2, 4], [0, 1, 2, 4])], 0.1, y)
    np.testing.assert_allclose(predictions(K, solution), expected, rtol=0, atol=1e-9)


def test_linear_kernel_keeps_as_many_landmarks_as_features(rng):
    X, y = rng.normal(size=(100, 3)), rng.normal(size=100)
    sums = RestrictedSums(X[:40] @ X[:40].T).add(Dense(X @ X[:40].T), y)
    assert len(sums.kept) == 3
    ridge = X @ np.linalg.solve(X.T @ X + 0.1 * np.eye(3), X.T @ y)
    np.testing.assert_allclose(X @ X[:40].T @ sums.solve(0.1).coefficients, ridge, rtol=0, atol=1e-10)


def test_small_alpha_in_float32_where_normal_equations_fail(rng):
    n, m, alpha = 2000, 300, 1e-4
    X = rng.normal(size=(n, 8)).astype("float32")
    y = np.sin(2 * X).sum(axis=1).astype("float32") + 0.1 * rng.normal(size=n).astype("float32")
    K, K_landmarks = RBF(3.0)(X, X[:m]), RBF(3.0)(X[:m])
    # The truth: elements of float64, of which those of float32 are roundings.
    K_64, K_landmarks_64 = RBF(3.0)(X.astype("float64"), X[:m].astype("float64")), RBF(3.0)(X[:m].astype("float64"))
    truth = exact(K_64, K_landmarks_64, alpha, y.astype("float64"))[:, 0]
    ours = predictions(K, RestrictedSums(K_landmarks).add(Dense(K), y).solve(alpha))[:, 0]
    normal_equations = K @ np.linalg.solve(K.T @ K + np.float32(alpha) * K_landmarks, K.T @ y)
    ours_error, their_error = (np.sqrt(np.mean((f - truth) ** 2)) / y.std() for f in (ours, normal_equations))
    assert ours_error < 1e-3
    assert their_error > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alpha_below_rounding_still_gives_a_prediction(dtype, rng):
    # Two samples, three landmarks: the sums have rank 2 and alpha is lost beside them.
    X, y = rng.normal(size=(2, 3)), rng.normal(size=2)
    landmarks = rng.normal(size=(3, 3))
    K, K_landmarks = rbf(X, landmarks, dtype=dtype), rbf(landmarks, dtype=dtype)
    solution = RestrictedSums(K_landmarks).add(Dense(K), y).solve(1e-30)
    np.testing.assert_allclose(predictions(K, solution)[:, 0], y, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "K",
    [np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), -np.eye(2), np.diag([3.0, -1.0])],
    ids=["minor", "zero-diagonal", "negative", "one-negative"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_indefinite_landmarks_are_reported(dtype, K):
    assert RestrictedSums(K.astype(dtype)).indefinite


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length_scale", [0.1, 1.0, 10.0, 1000.0])
def test_rounding_is_not_taken_for_indefinite(length_scale, dtype, rng):
    K = rbf(rng.normal(size=(200, 3)), length_scale=length_scale, dtype=dtype)
    assert not RestrictedSums(K).indefinite


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan])
def test_alpha_that_is_not_positive_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha above 0.*Raise alpha"):
        RestrictedSums(np.eye(2)).add(Dense(np.eye(2)), np.ones(2)).solve(alpha)


def test_mistakes_are_sentences():
    sums = RestrictedSums(np.eye(2))
    with pytest.raises(ValueError, match="no samples to solve for"):
        sums.solve(1.0)
    sums.add(Dense(np.eye(2)), np.ones(2))
    with pytest.raises(ValueError, match="had 1 targets, but these have 2"):
        sums.add(Dense(np.eye(2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="same matrix of the same landmarks"):
        sums.merge(RestrictedSums(2 * np.eye(2)))
    assert sums.n_samples == 2


def test_memory_is_that_of_a_block(monkeypatch, rng):
    n, m = 6000, 100
    monkeypatch.setattr(restricted, "BLOCK", 8 * m * 200)
    X = rng.normal(size=(n, 2)).astype("float32")
    gram, y = RBF().gram(X, X[:m]), rng.normal(size=n)
    sums = RestrictedSums(RBF()(X[:m]))
    sums.add(RBF().gram(X[:10], X[:m]), y[:10])
    tracemalloc.start()
    sums.add(gram, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A block of float32 rows, of chosen columns, of float64 features; square sums; and a few vectors.
    assert peak < 4 * restricted.BLOCK + 8 * m**2 + 10 * 8 * n < 4 * n * m / 1.5
