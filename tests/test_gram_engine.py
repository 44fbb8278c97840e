"""The tiles of the engine: sizes and tails, symmetry, threads, cancellation, NaN."""

import numba
import numpy as np
import pytest
import sklearn

from skdeep.engine import threads
from skdeep.kernels import RBF, Constant, Linear, Polynomial
from skdeep.kernels import sweep
from skdeep.kernels.gram import Gram
from skdeep.kernels.sweep import DIRECT_FEATURES, Sweep
from tests import _reference_kernels as reference

DTYPES = [np.float32, np.float64]
# Around the rows of a tile, the columns of a panel and the rows of a block.
SIZES = [1, 2, 7, 8, 9, 23, 24, 25, 47, 48, 49, 95, 96, 97, 193]
FEATURES = [1, 2, 3, 8, DIRECT_FEATURES - 1, DIRECT_FEATURES, DIRECT_FEATURES + 1, 100, 300]
COMPOSED = 2.0 * RBF(0.8) + Polynomial(3) * Linear() + RBF(1.5) ** 2


def samples(n_samples, n_features, dtype, seed=0):
    """Samples of norm about 1, so that kernels of every number of features have values near 1."""
    X = np.random.default_rng(seed).standard_normal((n_samples, n_features)) / np.sqrt(n_features)
    X = X.astype(dtype)
    X.flags.writeable = False
    return X


def numpy_gram(X, Y):
    """COMPOSED by NumPy in float64, distances by differences."""
    X, Y = X.astype(np.float64), Y.astype(np.float64)
    d2, xy = ((X[:, None] - Y) ** 2).sum(axis=-1), X @ Y.T
    return 2 * np.exp(-0.5 * d2 / 0.8**2) + (xy + 1) ** 3 * xy + np.exp(-0.5 * d2 / 1.5**2) ** 2


def tolerance(dtype, n_features):
    # Each of n_features operations rounds by eps at most, and the polynomial's slope is about 100.
    return 100 * np.finfo(dtype).eps * (10 + n_features)


@pytest.fixture
def both_ways(monkeypatch):
    """Compute symmetric matrices by half the tiles and by all of them."""

    def compute(kernel, X):
        monkeypatch.setattr(sweep, "SYMMETRIC_WORK", 0)
        half = Gram(kernel, X).toarray()
        monkeypatch.setattr(sweep, "SYMMETRIC_WORK", np.inf)
        return half, Gram(kernel, X).toarray()

    return compute


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", SIZES)
def test_every_tail_of_rows_and_columns(n_rows, dtype):
    X = samples(n_rows, 5, dtype)
    for n_columns in SIZES:
        Y = samples(n_columns, 5, dtype, seed=1)
        np.testing.assert_allclose(Gram(COMPOSED, X, Y).toarray(), numpy_gram(X, Y), atol=tolerance(dtype, 5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", FEATURES)
def test_every_number_of_features(n_features, dtype):
    X, Y = samples(97, n_features, dtype), samples(49, n_features, dtype, seed=1)
    np.testing.assert_allclose(Gram(COMPOSED, X, Y).toarray(), numpy_gram(X, Y), atol=tolerance(dtype, n_features))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_samples", SIZES)
def test_nothing_is_written_outside(n_samples, dtype):
    X = samples(n_samples, 3, dtype)
    operator = Gram(COMPOSED, X)
    for symmetric in (False, True):
        guarded = np.full(n_samples**2 + 128, 7, dtype)
        operator._sweep.fill(guarded[64:-64].reshape(n_samples, n_samples), symmetric)
        assert (guarded[:64] == 7).all()
        assert (guarded[-64:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [3, DIRECT_FEATURES + 1])
@pytest.mark.parametrize("n_samples", SIZES)
def test_half_the_tiles_give_the_same_bits(n_samples, n_features, dtype, both_ways):
    half, full = both_ways(COMPOSED, samples(n_samples, n_features, dtype))
    np.testing.assert_array_equal(half, full)
    np.testing.assert_array_equal(full, full.T)


@pytest.mark.parametrize("n_features", [3, DIRECT_FEATURES + 1])
def test_every_element_is_written_when_symmetric(n_features):
    # Several chunks of panels, each followed by its mirror.
    X = samples(1000, n_features, np.float32)
    operator = Gram(RBF(), X)
    K = np.full((1000, 1000), np.nan, np.float32)
    operator._sweep.fill(K, symmetric=True)
    assert not np.isnan(K).any()
    np.testing.assert_array_equal(K, Gram(RBF(), X, X).toarray())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", FEATURES)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_distance_of_equal_samples_is_zero(n_features, dtype, offset):
    X = samples(60, n_features, dtype) + dtype(offset)
    X = np.concatenate([X, X])
    K = Gram(RBF(0.1), X, X.copy()).toarray()
    assert (np.diagonal(K) == 1).all()
    assert (np.diagonal(K, 60) == 1).all()
    assert K.max() == 1


@pytest.mark.parametrize("n_features", [3, DIRECT_FEATURES + 1])
def test_offset_of_the_data_costs_no_accuracy(n_features):
    # |x|^2 is 1e6 times the distances: without the centre, float32 would have no correct digit.
    centred = samples(50, n_features, np.float32)
    X = centred + np.float32(1000)
    expected = reference.gram(RBF(), X)
    np.testing.assert_allclose(Gram(RBF(), X).toarray(), expected, atol=tolerance(np.float32, 10))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [3, DIRECT_FEATURES + 1])
def test_threads_do_not_change_a_bit(n_features, dtype, monkeypatch):
    X = samples(500, n_features, dtype)
    V = samples(500, 2, dtype)
    results = []
    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", 0)
    before = numba.get_num_threads()
    try:
        for n_threads in sorted({1, min(2, numba.config.NUMBA_NUM_THREADS), numba.config.NUMBA_NUM_THREADS}):
            numba.set_num_threads(n_threads)
            results.append((Gram(COMPOSED, X).toarray(), Gram(COMPOSED, X, X[:77]).toarray()))
    finally:
        numba.set_num_threads(before)
    monkeypatch.setattr(threads, "n_workers", lambda work: 1)
    results.append((Gram(COMPOSED, X).toarray(), Gram(COMPOSED, X, X[:77]).toarray()))
    for square, cross in results[1:]:
        np.testing.assert_array_equal(square, results[0][0])
        np.testing.assert_array_equal(cross, results[0][1])
    np.testing.assert_allclose(Gram(COMPOSED, X) @ V, results[0][0] @ V, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_features", [3, DIRECT_FEATURES + 1])
@pytest.mark.parametrize("kernel", [Linear(), RBF(), Polynomial(3)], ids=repr)
def test_nan_and_overflow_stay_visible(kernel, n_features):
    X = samples(60, n_features, np.float64).copy()
    X[7, 1] = np.nan
    K = Gram(kernel, X).toarray()
    expected = np.zeros((60, 60), dtype=bool)
    # The centre of the data is NaN, too, where distances need one.
    expected[7] = expected[:, 7] = True
    assert np.isnan(K[expected]).all()
    assert np.isnan(K[~expected]).all() or not np.isnan(K[~expected]).any()
    with np.errstate(over="ignore"):
        assert np.isinf(Gram(Polynomial(3), np.full((1, 2), 1e150)).toarray()).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [2, DIRECT_FEATURES + 1])
def test_rows_diagonal_and_product_are_of_the_same_matrix(n_features, dtype):
    X, Y = samples(300, n_features, dtype), samples(120, n_features, dtype, seed=1)
    for operator in (Gram(COMPOSED, X), Gram(COMPOSED, X, Y)):
        K = operator.toarray()
        assert K.shape == operator.shape
        assert K.dtype == operator.dtype == dtype
        for indices in ([5, 299, 5, 0], slice(40, 260, 7), np.arange(300) % 3 == 0, 17, -1, []):
            np.testing.assert_array_equal(operator.rows(indices), np.atleast_2d(K[indices]).reshape(-1, K.shape[1]))
        np.testing.assert_allclose(operator.diagonal(), np.diagonal(K), atol=tolerance(dtype, n_features))
        V = samples(K.shape[1], 3, dtype, seed=2)
        # Of three million products at most 300 meet in one sum.
        for v in (V, V[:, 0]):
            np.testing.assert_allclose(operator @ v, K @ v, atol=300 * tolerance(dtype, 1))
    np.testing.assert_array_equal(Gram(RBF(), X).diagonal(), np.ones(300, dtype))


def test_product_keeps_to_the_working_memory(monkeypatch):
    heights = []
    fill = Sweep.fill_span
    monkeypatch.setattr(Sweep, "fill_span", lambda self, K, *args: heights.append(len(K)) or fill(self, K, *args))
    X = samples(1000, 3, np.float64)
    with sklearn.config_context(working_memory=1):
        product = Gram(RBF(), X) @ X
    assert max(heights) * 1000 * 8 <= 2**20
    monkeypatch.undo()
    np.testing.assert_allclose(product, RBF()(X) @ X, atol=1e-10)


def test_product_with_another_shape():
    with pytest.raises(ValueError, match=r"shape \(4, 4\) cannot multiply an array of shape \(3, 2\)"):
        Gram(RBF(), samples(4, 2, np.float64)) @ np.ones((3, 2))


def test_constant_reads_no_data():
    K = Gram(Constant(2.5), np.zeros((50, 3)), np.zeros((3, 3))).toarray()
    np.testing.assert_array_equal(K, np.full((50, 3), 2.5))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_expressions(seed, dtype):
    rng = np.random.default_rng(seed)
    n_features = int(rng.choice([1, 2, 3, 8, DIRECT_FEATURES + 1]))
    kernel = reference.random_kernel(rng, n_features)
    X, Y = samples(10, n_features, dtype, seed), samples(7, n_features, dtype, seed + 1000)
    for ours, naive in ((kernel(X), reference.gram(kernel, X)), (kernel(X, Y), reference.gram(kernel, X, Y))):
        # Powers of sums reach large values, whose relative error is that of their largest entry.
        np.testing.assert_allclose(ours, naive, atol=tolerance(dtype, n_features) * max(1, np.abs(naive).max()))
    np.testing.assert_array_equal(kernel(X), kernel(X).T)
    # Positive semidefinite up to the rounding of a matrix of this size.
    K = kernel(X).astype(np.float64)
    assert np.linalg.eigvalsh(K).min() >= -tolerance(dtype, n_features) * max(1, np.abs(K).max())
