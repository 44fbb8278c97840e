"""The tiles of the engine: sizes and tails, symmetry, threads, cancellation, NaN, sparse data, memory."""

import tracemalloc

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import event

from skdeep.engine import memory, threads
from skdeep.engine.tile_program import BLOCK, PANEL, TILE_ROWS
from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Custom,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Periodic,
    Polynomial,
    RationalQuadratic,
    Sigmoid,
    sweep,
)
from skdeep.kernels.gram import Gram, PartlyStoredGram
from skdeep.kernels.sweep import COPIES, DIRECT_FEATURES, OUTPUTS
from tests import _reference_kernels as reference
from tests._reference_kernels import samples

DTYPES = [np.float32, np.float64]
# Around the rows of a tile, the columns of a panel and the rows of a block.
SIZES = [1, 2, 7, 8, 9, 23, 24, 25, 47, 48, 49, 95, 96, 97, 193]
FEATURES = [1, 2, 3, 8, DIRECT_FEATURES - 1, DIRECT_FEATURES, DIRECT_FEATURES + 1, 100, 300]
COMPOSED = 2.0 * RBF(0.8) + Polynomial(3) * Linear() + RBF(1.5) ** 2


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


@pytest.mark.parametrize("n_workers", [2, 3, 16])
@pytest.mark.parametrize("n_rows", [1, TILE_ROWS, TILE_ROWS + 1, BLOCK, 2 * BLOCK - 1, 2 * BLOCK + 1])
def test_few_rows_are_shared_by_all_workers(n_rows, n_workers, monkeypatch):
    X = samples(300, 3, np.float64)
    one, V = Gram(COMPOSED, X).toarray()[:n_rows], samples(300, 2, np.float64, seed=2)
    product = (Gram(COMPOSED, X, X) @ V)[:n_rows]
    monkeypatch.setattr(threads, "n_workers", lambda work: n_workers)
    spans, run = [], sweep.engine.sweep
    at = list(run.body.__annotations__).index("height")
    monkeypatch.setattr(sweep.engine, "sweep", lambda *args: (spans.append(args[at : at + 3]), run(*args)))
    np.testing.assert_array_equal(Gram(COMPOSED, X).rows(np.arange(n_rows)), one)
    ((height, first, last),) = spans
    assert (first, last) == (0, -(-n_rows // height))
    if n_rows <= n_workers * BLOCK:  # no worker has more than its share of whole tiles
        assert height * -(-last // n_workers) == -(-n_rows // (TILE_ROWS * n_workers)) * TILE_ROWS
    else:
        assert height == BLOCK
    np.testing.assert_array_equal(Gram(COMPOSED, X[:n_rows], X) @ V, product)


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
            results.append((Gram(COMPOSED, X).toarray(), Gram(COMPOSED, X, X[:77]).toarray(), Gram(COMPOSED, X) @ V))
    finally:
        numba.set_num_threads(before)
    monkeypatch.setattr(threads, "n_workers", lambda work: 1)
    results.append((Gram(COMPOSED, X).toarray(), Gram(COMPOSED, X, X[:77]).toarray(), Gram(COMPOSED, X) @ V))
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(again, first)
    square, _, product = results[0]
    np.testing.assert_allclose(product, square @ V, rtol=1e-4, atol=1e-3)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 3, OUTPUTS - 1, OUTPUTS, OUTPUTS + 1])
def test_products_of_any_number_of_columns(n_outputs, dtype):
    X, Y = samples(193, 5, dtype), samples(97, 5, dtype, seed=1)
    V = samples(97, n_outputs, dtype, seed=2)
    K = Gram(COMPOSED, X, Y).toarray()
    np.testing.assert_allclose(Gram(COMPOSED, X, Y) @ V, K.astype(float) @ V, atol=97 * tolerance(dtype, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, PANEL, BLOCK - 1, BLOCK, BLOCK + 1, 20 * BLOCK + 7])
@pytest.mark.parametrize("n_copies", [2, 3, COPIES])
def test_a_product_by_half_the_tiles(n_copies, n, dtype, monkeypatch):
    X, V = samples(n, 7, dtype), samples(n, 2, dtype, seed=2)
    monkeypatch.setattr(sweep, "COPIES", n_copies)
    assert Gram(COMPOSED, X)._sweep.symmetric
    K = Gram(COMPOSED, X).toarray().astype(float)
    np.testing.assert_allclose(Gram(COMPOSED, X) @ V, K @ V, atol=n * tolerance(dtype, 1))


def test_a_product_stores_no_matrix():
    X = samples(4000, 3, np.float32)
    V = np.ones((4000, 1), np.float32)
    Gram(RBF(), X) @ V
    tracemalloc.start()
    Gram(RBF(), X) @ V
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000**2 * 4 / 20


@pytest.mark.parametrize("n_rows", [0, BLOCK, BLOCK + 5, 192, 193, 1000])
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_outputs", [3, OUTPUTS + 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_with_some_rows_in_memory(n_rows, layout, n_outputs, dtype, monkeypatch):
    monkeypatch.setattr(sweep, "COLUMNS", 60)
    K = Gram(COMPOSED, layout(samples(193, 5, dtype)))
    V = samples(193, n_outputs, np.float64, seed=2)
    partly = PartlyStoredGram(K, n_rows)
    np.testing.assert_allclose(partly @ V, K.toarray().astype(float) @ V, atol=193 * tolerance(dtype, 1))
    np.testing.assert_array_equal(partly.rows([0, 192]), K.rows([0, 192]))
    np.testing.assert_array_equal(partly.diagonal(), K.diagonal())


def test_product_with_another_shape():
    with pytest.raises(ValueError, match=r"shape \(4, 4\) cannot multiply an array of shape \(3, 2\)"):
        Gram(RBF(), samples(4, 2, np.float64)) @ np.ones((3, 2))


def test_constant_reads_no_data():
    K = Gram(Constant(2.5), np.zeros((50, 3)), np.zeros((3, 3))).toarray()
    np.testing.assert_array_equal(K, np.full((50, 3), 2.5))


# --------------------------------------------------------------------------------- random expressions


@settings(max_examples=40)
@given(st.data())
def test_random_expressions(data):
    n_features = data.draw(st.sampled_from([1, 2, 3, 8]))
    kernel = data.draw(reference.kernels(n_features))
    X, Y = samples(5, n_features, np.float32), samples(4, n_features, np.float32, seed=1)
    square, cross = reference.gram(kernel, X), reference.gram(kernel, X, Y)
    for dtype in DTYPES:
        x, y = X.astype(dtype), Y.astype(dtype)
        # Each of five operations on a path down the tree multiplies relative errors by 3 at most, powers by their
        # exponent; those of the leaf are some eps for each feature.
        atol = 3**5 * np.finfo(dtype).eps * (4 + n_features)
        K = kernel(x)
        np.testing.assert_allclose(K, square, rtol=0, atol=atol * reference.scale(kernel, X))
        np.testing.assert_allclose(kernel(x, y), cross, rtol=0, atol=atol * reference.scale(kernel, X, Y))
        np.testing.assert_allclose(kernel.diag(x), np.diagonal(K), rtol=atol)
        np.testing.assert_array_equal(K, K.T)
        # Closed expressions are positive semidefinite, up to the rounding of the elements.
        assert kernel.positive_semidefinite or reference.holds_functions(kernel)
        assert np.linalg.eigvalsh(K.astype(np.float64)).min() >= -atol * np.trace(K)


def test_another_expression_compiles_nothing(serial):
    X = samples(30, 3, np.float64)
    for dtype in DTYPES:
        # One dense kernel, whose rows, diagonal, product and gradient need every function of the engine once.
        first = RBF()
        first(X.astype(dtype))
        first.diag(X.astype(dtype))
        first.gradient(X.astype(dtype), np.ones((30, 30)))
    others = [
        2 * RBF([1.0, 2.0, 3.0]) + Laplacian() * Matern() ** 3 + Periodic().on([0, 2]).exp(),
        (ArcCosine(2, 2) + NeuralTangent(3)).normalize().polynomial([1.0, 0.0, 2.0]) * RationalQuadratic() + Sigmoid(),
        Custom(reference.overlap).rescale(reference.fading) + Cosine() + 1.0,
    ]
    with event.install_recorder("numba:compile") as recorder:
        for kernel in others:
            for dtype in DTYPES:
                Z = X.astype(dtype)
                kernel(Z, Z[:7])
                kernel.gram(Z).rows([3, 1])
                kernel.gram(Z) @ Z
                kernel.diag(Z)
                kernel.gradient(Z, np.ones((30, 30)))
        RBF()(sp.csr_array(X))
    assert not recorder.buffer


# -------------------------------------------------------------------------------------- cancellation


def smallest_eigenvalue(K):
    return np.linalg.eigvalsh(K.astype(np.float64)).min()


@pytest.mark.parametrize("n_features", [20, 100])
@pytest.mark.parametrize("kernel", [RBF(4.0), RBF(4.0) + Matern(8.0, 2.5)], ids=repr)
def test_single_precision_far_from_the_origin(kernel, n_features):
    # |x|^2 + |y|^2 - 2 x.y of such data has no correct digit: eigenvalues down to -1.
    X = (np.random.default_rng(0).standard_normal((300, n_features)) + 1000).astype(np.float32)
    assert smallest_eigenvalue(kernel(X)) > -1e-5 * 300


@pytest.mark.parametrize("n_features", [20, 100])
def test_single_precision_of_two_clusters(n_features):
    # No centre brings both to the origin: pairs that are near to each other need their differences.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, n_features)) + np.repeat([-1000.0, 1000.0], 150)[:, None]
    X = X.astype(np.float32)
    l = np.sqrt(n_features)
    K = RBF(l)(X)
    assert smallest_eigenvalue(K) > -1e-5 * 300
    # The data themselves are rounded to 6e-5; distances within a cluster are what float64 says of them.
    np.testing.assert_allclose(K, RBF(l)(X.astype(np.float64)), rtol=0, atol=tolerance(np.float32, n_features))


# -------------------------------------------------------------------------------------------- sparse

SPARSE_KERNELS = [
    Linear(),
    Polynomial(3),
    RBF(),
    RBF(np.linspace(0.5, 2, 6)),
    Matern(nu=2.5),
    RationalQuadratic(),
    Cosine(),
    Sigmoid(),
    ArcCosine(2, 2),
    NeuralTangent(2),
    Linear().rescale("unit norm"),
    (2 * RBF().on([0, 2, 5]) + Linear() ** 2).normalize(),
]


@pytest.fixture
def counts():
    """Mostly zeros, among them a whole row, and a row twice."""
    X = np.random.default_rng(0).poisson(0.4, (70, 6)).astype(np.float64) / 2
    X[11], X[12] = 0, X[13]
    return X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", SPARSE_KERNELS, ids=repr)
def test_sparse_data_give_the_dense_matrix(kernel, counts, dtype):
    X = counts.astype(dtype)
    Y = X[:23]
    dense, cross = kernel(X), kernel(X, Y)
    # Products are summed in another order; ArcCosine(2, 2) and powers reach hundreds.
    same = lambda K, of: np.testing.assert_allclose(K, of, rtol=0, atol=1e3 * np.finfo(dtype).eps * np.abs(of).max())
    for convert in (sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array):
        K = kernel(convert(X))
        assert K.dtype == dtype
        assert isinstance(K, np.ndarray)
        same(K, dense)
    np.testing.assert_array_equal(K, K.T)
    for x, y in ((sp.csr_array(X), sp.csc_array(Y)), (sp.csr_array(X), Y), (X, sp.csr_array(Y))):
        same(kernel(x, y), cross)
    operator = kernel.gram(sp.csr_array(X))
    same(operator.rows([4, 60, 11]), dense[[4, 60, 11]])
    same(operator.diagonal(), np.diagonal(dense))
    same(operator @ X, K @ X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [RBF(0.1), Matern(0.1), RationalQuadratic(0.1), RBF(np.full(6, 0.1))], ids=repr)
def test_distance_of_equal_sparse_samples_is_zero(kernel, counts, dtype):
    X = sp.csr_array(counts.astype(dtype) / 3)
    np.testing.assert_array_equal(np.diagonal(kernel(X)), 1)
    np.testing.assert_array_equal(kernel.diag(X), 1)
    assert kernel(X)[12, 13] == 1


@pytest.mark.parametrize("kernel", [Laplacian(), Periodic()], ids=repr)
def test_kernels_that_would_make_sparse_data_dense(kernel, counts):
    with pytest.raises(ValueError, match=r"sparse.*toarray\(\)"):
        kernel(sp.csr_array(counts))


# ---------------------------------------------------------------------------------- the lazy operator


@pytest.mark.parametrize("dtype", DTYPES)
def test_transposed(dtype):
    X, Y = samples(50, 3, dtype), samples(20, 3, dtype, seed=1)
    square, cross = Gram(COMPOSED, X), Gram(COMPOSED, X, Y)
    assert square.T is square
    assert cross.T.shape == (20, 50)
    np.testing.assert_array_equal(cross.T.toarray(), cross.toarray().T)
    np.testing.assert_allclose(cross.T @ X, cross.toarray().T @ X, atol=50 * tolerance(dtype, 3))


def test_product_with_a_vector_of_higher_precision():
    X, Y = samples(100, 3, np.float32), samples(5000, 3, np.float32, seed=1)
    v = np.random.default_rng(2).standard_normal(5000)
    product = Gram(RBF(), X, Y) @ v
    assert product.dtype == np.float64
    exact = RBF()(X, Y).astype(np.float64) @ v
    # The terms are at most |v_i|, and each is rounded as float32 is.
    np.testing.assert_allclose(product, exact, rtol=0, atol=np.finfo(np.float32).eps * np.abs(v).sum())
    assert (Gram(RBF(), X, Y) @ v.astype(np.float32)).dtype == np.float32
    assert (Gram(RBF(), X.astype(np.float64), Y) @ v.astype(np.float32)).dtype == np.float64


def test_a_matrix_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    X = samples(50_000, 2, np.float32)
    operator = RBF().gram(X)
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=r"shape \(50000, 50000\) in float32 takes 9.3 GiB, and 0.9 GiB are free"):
            operator.toarray()
        assert tracemalloc.get_traced_memory()[1] < 10**5
    finally:
        tracemalloc.stop()
    with pytest.raises(MemoryError, match="use products"):
        RBF()(X)
    assert RBF()(X[:5000]).shape == (5000, 5000)


def test_products_take_little_memory():
    X = samples(8000, 2, np.float32)
    v = np.ones(8000, np.float32)
    operator = RBF().gram(X)
    operator.rows([0])
    tracemalloc.start()
    try:
        operator @ v
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The matrix takes 256 MB.
    assert peak < 20e6


def test_empty_and_least_data():
    for X in (np.empty((0, 3)), np.empty((3, 0))):
        with pytest.raises(ValueError, match=r"Found array with 0 (sample|feature)\(s\)"):
            RBF()(X)
    assert Gram(RBF(), samples(3, 2, np.float64)).rows([]).shape == (0, 3)
    for kernel in (COMPOSED, NeuralTangent(2), Laplacian().normalize(), Periodic()):
        x, y = [[0.5]], [[-2.0]]
        np.testing.assert_allclose(kernel(x, y), [[reference.evaluate(kernel, x[0], y[0])]], rtol=1e-13)
        np.testing.assert_array_equal(kernel.gram(x) @ [2.0], 2 * kernel(x)[0])
