"""Randomly pivoted Cholesky: identities of the factor, the law of its pivots, the theorem on its error."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.stats import chisquare

from skdeep.kernels import RBF
from skdeep.solvers import pivoted_cholesky as module
from skdeep.solvers.pivoted_cholesky import pivoted_cholesky
from tests._operators import Dense, rbf

DTYPES = ["float32", "float64"]
# What the residuals of a matrix with diagonal 1 may be off by: a few hundred roundings.
ATOL = {"float32": 512 * 2**-23, "float64": 512 * 2**-52}


@pytest.fixture(params=[1, 7, 128], ids=lambda size: f"{size}-at-a-time")
def proposals(request, monkeypatch):
    monkeypatch.setattr(module, "PROPOSALS", request.param)


def residual_matrix(K, result):
    F = result.factor.astype("float64")
    return K.astype("float64") - F @ F.T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [1, 5, 40])
def test_residual(rank, dtype, proposals, rng):
    K = rbf(rng.normal(size=(100, 3)), dtype=dtype)
    result = pivoted_cholesky(Dense(K), rank, random_state=0)
    assert result.factor.shape == (100, rank)
    assert result.factor.dtype == dtype
    assert not result.indefinite
    assert len(set(result.pivots.tolist())) == rank
    E = residual_matrix(K, result)
    assert np.linalg.eigvalsh(E)[0] > -ATOL[dtype]
    np.testing.assert_allclose(result.residual, E.diagonal(), rtol=0, atol=ATOL[dtype])
    assert result.residual.min() >= 0
    # F F^T agrees with K in the rows of the pivots.
    np.testing.assert_allclose(E[result.pivots], 0, atol=ATOL[dtype])
    np.testing.assert_allclose(np.triu(result.factor[result.pivots], 1), 0, atol=np.sqrt(ATOL[dtype]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_traces_after_each_pivot(dtype, proposals, rng):
    K = rbf(rng.normal(size=(60, 2)), dtype=dtype)
    result = pivoted_cholesky(Dense(K), 20, random_state=0)
    F = result.factor.astype("float64")
    expected = [np.trace(K - F[:, :r] @ F[:, :r].T) for r in range(21)]
    np.testing.assert_allclose(result.traces, expected, rtol=0, atol=60 * ATOL[dtype])
    assert result.traces[-1] == result.residual.sum()


def test_stops_at_the_first_pivot_below_the_tolerance(proposals, rng):
    K = rbf(rng.normal(size=(60, 2)))
    result = pivoted_cholesky(Dense(K), 60, tolerance=3.0, random_state=0)
    assert result.traces[-1] <= 3.0 < result.traces[-2]
    np.testing.assert_allclose(result.residual, residual_matrix(K, result).diagonal(), rtol=0, atol=1e-13)


def test_tolerance_of_the_whole_trace_needs_no_pivot():
    result = pivoted_cholesky(Dense(np.eye(5)), 5, tolerance=5.0)
    assert result.factor.shape == (5, 0)
    assert result.traces.tolist() == [5.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [0, 1, 3, 30])
def test_matrix_of_low_rank_is_recovered_by_as_many_pivots(rank, dtype, proposals, rng):
    A = rng.normal(size=(80, rank))
    K = (A @ A.T).astype(dtype)
    result = pivoted_cholesky(Dense(K), 80, random_state=0)
    assert len(result.pivots) == rank
    np.testing.assert_allclose(residual_matrix(K, result), 0, atol=80 * ATOL[dtype])
    assert result.traces[-1] == 0


def test_is_exact_at_full_rank(proposals, rng):
    A = rng.normal(size=(50, 60))
    K = A @ A.T
    result = pivoted_cholesky(Dense(K), 50, random_state=0)
    assert sorted(result.pivots) == list(range(50))
    np.testing.assert_allclose(residual_matrix(K, result), 0, atol=1e-11)


def test_duplicates_and_samples_of_norm_zero_are_no_pivots_twice(proposals, rng):
    X = np.repeat(rng.normal(size=(10, 20)), 8, axis=0)
    X[:8] = 0.0
    result = pivoted_cholesky(Dense(X @ X.T), 80, random_state=0)
    assert sorted(result.pivots // 8) == list(range(1, 10))


def law(K, rank):
    """The probability of each sequence of pivots, one at a time (Chen, Epperly, Tropp & Webber, 2024)."""
    probabilities = {}
    for pivots in itertools.permutations(range(len(K)), rank):
        residual, probability = K.copy(), 1.0
        for pivot in pivots:
            probability *= residual[pivot, pivot] / residual.trace()
            residual -= np.outer(residual[pivot], residual[pivot]) / residual[pivot, pivot]
        probabilities[pivots] = probability
    return probabilities


@pytest.mark.parametrize("size", [1, 128])
def test_law_is_that_of_one_pivot_at_a_time(size, monkeypatch):
    monkeypatch.setattr(module, "PROPOSALS", size)
    # At this distance one pivot halves the residual of its neighbours, by which many proposals are refused.
    K = rbf(np.array([[0.0], [0.6], [1.2], [1.8], [2.4]]))
    expected = law(K, 3)
    assert sum(expected.values()) == pytest.approx(1)
    random_state = np.random.RandomState(0)
    n_draws, counts = 2500, dict.fromkeys(expected, 0)
    for _ in range(n_draws):
        counts[tuple(pivoted_cholesky(Dense(K), 3, random_state=random_state).pivots.tolist())] += 1
    # Cells of few counts are taken together, as the approximation by chi-square wants it.
    frequent = [pivots for pivots, probability in expected.items() if n_draws * probability >= 5]
    observed = [counts[pivots] for pivots in frequent]
    means = [n_draws * expected[pivots] for pivots in frequent]
    observed.append(n_draws - sum(observed))
    means.append(n_draws - sum(means))
    assert chisquare(observed, means).pvalue > 1e-3


def test_mean_error_is_within_the_theorem(rng):
    # Chen, Epperly, Tropp & Webber (2024), theorem 5.1.
    K = rbf(rng.normal(size=(150, 1)), length_scale=0.5)
    eigenvalues = np.linalg.eigvalsh(K)[::-1]
    s, slack = 4, 1.0
    tail = eigenvalues[s:].sum()
    rank = int(np.ceil(s / slack + s * np.log(1 / (slack * tail / eigenvalues.sum()))))
    traces = [pivoted_cholesky(Dense(K), rank, random_state=seed).traces[-1] for seed in range(50)]
    assert tail > 1  # so that the bound is one on numbers above rounding
    assert eigenvalues[rank:].sum() < np.mean(traces) < (1 + slack) * tail


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "K",
    [
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.array([[0.0, 1.0], [1.0, 5.0]]),
        np.array([[-1.0, 0.0], [0.0, 3.0]]),
        -np.eye(3),
    ],
    ids=["minor", "zero", "negative", "negative-definite"],
)
def test_indefinite_matrix_is_reported(K, dtype):
    result = pivoted_cholesky(Dense(K.astype(dtype)), len(K), random_state=0)
    assert result.indefinite
    assert result.residual.min() >= 0


@pytest.mark.parametrize("length_scale", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_is_not_taken_for_indefinite(dtype, length_scale, rng):
    # Most eigenvalues are below rounding; some are computed as negative.
    K = rbf(rng.normal(size=(300, 3)), length_scale=length_scale, dtype=dtype)
    result = pivoted_cholesky(Dense(K), 300, random_state=0)
    assert not result.indefinite
    np.testing.assert_allclose(residual_matrix(K, result), 0, atol=3 * ATOL[dtype])


def test_same_random_state_gives_the_same_factor(rng):
    K = rbf(rng.normal(size=(100, 3)))
    first, second, other = (pivoted_cholesky(Dense(K), 20, random_state=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.factor, second.factor)
    assert first.pivots.tolist() != other.pivots.tolist()


def test_reads_few_rows_and_keeps_little_memory(rng):
    n, rank = 3000, 60
    K = RBF().gram(rng.normal(size=(n, 2)).astype("float32"))
    pivoted_cholesky(K, 1)
    tracemalloc.start()
    result = pivoted_cholesky(K, rank, random_state=0)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The factor; of a block, rows of K, the accepted ones, and their products with the factor; and float64 vectors.
    assert peak < 4 * n * (rank + 4 * min(module.PROPOSALS, rank)) + 20 * 8 * n < 4 * n**2 / 8
    assert kept < 4 * n * len(result.pivots) + 5 * 8 * n


def test_rank_that_is_not_needed_takes_no_memory():
    n = 2000
    K = Dense(np.ones((n, n)))
    tracemalloc.start()
    result = pivoted_cholesky(K, n)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert result.factor.shape == (n, 1)
    assert kept < 10 * 8 * n
