"""Feature maps: their inner products are the kernel, exactly or as nearly as theory says."""

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics.pairwise import kernel_metrics, pairwise_kernels
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import (
    KernelRidgeDual,
    MercerFeatureMap,
    NystroemFeatureMap,
    PolynomialFeatureMap,
    RandomFourierFeatureMap,
)
from skdeep.engine import memory, threads
from skdeep.engine.fourier import TILES
from skdeep.engine.tiles import ROWS
from skdeep.feature_map.fourier import _features
from skdeep.kernels import RBF, Constant, Laplacian, Linear, Matern, Periodic, Polynomial, RationalQuadratic
from skdeep.kernels.gram import Gram
from skdeep.solvers.landmarks import candidates
from skdeep.solvers.pivoted_cholesky import pivoted_cholesky
from tests._drop_in import counts_of
from tests._names import spelled

FEW = "ignore:n_components=.* is more than there are samples:UserWarning"
MAPS = [MercerFeatureMap(), NystroemFeatureMap(), PolynomialFeatureMap(), RandomFourierFeatureMap()]
SMALL = [
    MercerFeatureMap(n_components=5),
    MercerFeatureMap(n_components=5, eigen_solver="rpcholesky", random_state=0),
    NystroemFeatureMap(n_components=20, random_state=0),
    NystroemFeatureMap(n_components=20, landmarks="kmeans", random_state=0),
    PolynomialFeatureMap(),
    RandomFourierFeatureMap(n_components=30, random_state=0),
]
each_map = pytest.mark.parametrize("feature_map", SMALL, ids=str)


@pytest.fixture(scope="module")
def data():
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)[:200]
    X.flags.writeable = y.flags.writeable = False
    return X, y[:200]


def table(load):
    return scale(load().data)


def trace_error(phi, kernel_trace):
    """The trace of K - phi phi^T."""
    return kernel_trace - np.einsum("ij,ij", phi, phi, dtype=np.float64)


# ------------------------------------------------------------------------------------------- every map


@pytest.mark.filterwarnings(FEW)
@parametrize_with_checks(
    [
        *MAPS,
        MercerFeatureMap(2.0 * RBF(2.0) + Linear(), n_components=3),
        MercerFeatureMap("poly", n_components=3, eigen_solver="rpcholesky"),
        NystroemFeatureMap("polynomial", degree=2, n_components=5),
        NystroemFeatureMap(RBF(2.0) + Linear(), n_components=5, landmarks="rpcholesky"),
        NystroemFeatureMap("sigmoid", n_components=5),
        NystroemFeatureMap(n_components=5, landmarks="kmeans"),
        PolynomialFeatureMap(3, coef0=0.0),
        RandomFourierFeatureMap(3.0 * RBF(2.0) * RBF(), n_components=7, orthogonal=False),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@each_map
def test_float32_stays_float32(feature_map, data):
    X, _ = data
    single, double = (clone(feature_map).fit(X.astype(dtype)) for dtype in (np.float32, np.float64))
    phi = single.transform(X.astype(np.float32))
    assert phi.dtype == np.float32
    # The same draws; inner products do not depend on how close eigenvalues turn the eigenvectors. Degree 2 polynomials
    # of this table reach 1e4.
    expected = double.transform(X) @ double.transform(X).T
    np.testing.assert_allclose(phi @ phi.T, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@each_map
def test_memory_layout_does_not_matter(feature_map, data):
    X, _ = data
    expected = clone(feature_map).fit_transform(X)
    for variant in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(">f8")):
        np.testing.assert_array_equal(clone(feature_map).fit_transform(variant), expected)


@each_map
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_is_as_dense(feature_map, container, data):
    X = np.where(np.abs(data[0]) < 0.7, 0.0, data[0])
    expected = clone(feature_map).fit_transform(X)
    phi = clone(feature_map).fit_transform(container(X))
    K, expected = phi @ phi.T, expected @ expected.T
    # Inner products, since near equal eigenvalues may turn the features; centres of clusters sum otherwise.
    K = K.toarray() if sparse.issparse(K) else K
    np.testing.assert_allclose(K, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("estimator", [MercerFeatureMap, NystroemFeatureMap, RandomFourierFeatureMap])
def test_kernels_choose_columns_by_name(estimator, data):
    frame = pd.DataFrame(data[0], columns=list("abcdefghij"))
    by_name, by_place = RBF(2.0).on(["c", "a"]) * RBF(3.0), RBF(2.0).on([2, 0]) * RBF(3.0)
    settings = {"n_components": 20, "random_state": 0}
    expected = estimator(by_place, **settings).fit_transform(data[0])
    np.testing.assert_array_equal(estimator(by_name, **settings).fit_transform(frame), expected)
    with pytest.raises(ValueError, match="chosen by name, but X has no names"):
        estimator(by_name, **settings).fit(data[0])


@each_map
@pytest.mark.filterwarnings(FEW)
def test_one_sample_of_one_feature(feature_map):
    feature_map = clone(feature_map)
    if isinstance(feature_map, NystroemFeatureMap):
        feature_map.set_params(n_components=1)
    phi = feature_map.fit_transform([[0.5]])
    assert phi.shape[0] == 1
    assert np.isfinite(phi).all()


@each_map
def test_names_and_frames(feature_map, data):
    X, _ = data
    phi = clone(feature_map).fit(X)
    names = phi.get_feature_names_out()
    frame = phi.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == list(names)
    assert len(set(names)) == len(names)


@each_map
def test_pickle_and_clone(feature_map, data):
    X, _ = data
    fitted = clone(feature_map).fit(X)
    expected = fitted.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), expected)
    np.testing.assert_array_equal(clone(fitted).fit(X).transform(X), expected)


@each_map
def test_later_changes_of_data_do_not_reach_the_fit(feature_map, data):
    X, _ = data
    mine = X.copy()
    fitted = clone(feature_map).fit(mine)
    expected = fitted.transform(X)
    mine[:] = 0
    np.testing.assert_array_equal(fitted.transform(X), expected)


@each_map
def test_failed_fit_changes_nothing(feature_map, data):
    X, _ = data
    fitted = clone(feature_map).fit(X)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(np.full((5, 3), np.nan))
    assert vars(fitted) == before


@each_map
def test_linear_models_on_features_score_as_on_digits(feature_map):
    X, y = load_digits(return_X_y=True)
    X = X[:600, 10:54] / 16
    settings = {} if isinstance(feature_map, PolynomialFeatureMap) else {"n_components": 60}
    pipeline = make_pipeline(clone(feature_map).set_params(**settings), RidgeClassifier(0.1))
    # The majority class has 0.1, linear models on the pixels about 0.9.
    assert cross_val_score(pipeline, X, y[:600], cv=3).mean() > 0.8


@pytest.mark.parametrize(
    "feature_map",
    [MercerFeatureMap(), NystroemFeatureMap(n_components=2), RandomFourierFeatureMap()],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kernel": "gaussian"}, "kernel"),
        ({"kernel": RBF(length_scale=[1.0, 2.0])}, "length_scale"),
        ({"kernel": RBF(length_scale=-1.0)}, "length_scale"),
        ({"n_components": 0}, "n_components"),
        ({"gamma": -1.0}, "gamma"),
    ],
    ids=str,
)
def test_invalid_parameters_are_named(feature_map, params, message, data):
    with pytest.raises(ValueError, match=message):
        clone(feature_map).set_params(**params).fit(data[0])


# ------------------------------------------------------------------------------------------ polynomial


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("coef0", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_polynomial_is_exact(degree, coef0, container, data):
    X = np.where(np.abs(data[0]) < 0.7, 0.0, data[0])
    phi = PolynomialFeatureMap(degree, coef0).fit_transform(container(X[:50]))
    assert sparse.issparse(phi) == sparse.issparse(container(X))
    K = phi @ phi.T
    expected = Polynomial(degree, coef0)(X[:50])
    # Terms of a sum cancel, up to the size of the diagonal.
    np.testing.assert_allclose(K.toarray() if sparse.issparse(K) else K, expected, atol=1e-13 * expected.max())


def test_quadratic_map_is_the_textbooks():
    # (1, sqrt2 x_1, sqrt2 x_2, x_1^2, sqrt2 x_1 x_2, x_2^2)
    phi = PolynomialFeatureMap().fit_transform([[3.0, 5.0]])
    r = np.sqrt(2)
    np.testing.assert_allclose(phi, [[1, 3 * r, 5 * r, 9, 15 * r, 25]], rtol=1e-15)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_ridge_on_the_polynomial_map_is_kernel_ridge(alpha, data):
    X, y = data
    primal = make_pipeline(PolynomialFeatureMap(2), Ridge(alpha, fit_intercept=False)).fit(X, y)
    dual = KernelRidgeDual(alpha, kernel=Polynomial(2), solver="cholesky").fit(X, y)
    np.testing.assert_allclose(primal.predict(X), dual.predict(X), atol=1e-7 * np.abs(y).max())


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_names_are_those_of_polynomial_features(degree):
    X, names = np.ones((1, 3)), ["a", "b", "c"]
    theirs = PolynomialFeatures(degree).fit(X)
    ours = PolynomialFeatureMap(degree).fit(X)
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    assert ours.get_feature_names_out(names).tolist() == theirs.get_feature_names_out(names).tolist()
    homogeneous = PolynomialFeatureMap(degree, coef0=0.0).fit(X)
    expected = PolynomialFeatures((degree, degree), include_bias=False).fit(X).get_feature_names_out(names)
    assert homogeneous.get_feature_names_out(names).tolist() == expected.tolist()
    assert homogeneous.n_output_features_ == len(expected)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_polynomial_by_blocks_is_the_same(container, data):
    X = container(data[0])
    feature_map = PolynomialFeatureMap().fit(X)
    whole = feature_map.transform(X)
    with config_context(working_memory=0.02):  # 20 kB are some 40 rows of 66 features
        blocks = feature_map.transform(X)
    assert type(blocks) is type(whole)
    np.testing.assert_array_equal(*((each.toarray() if sparse.issparse(each) else each) for each in (whole, blocks)))


def test_size_is_known_before_it_is_made(monkeypatch):
    X = np.ones((1000, 1000))
    feature_map = PolynomialFeatureMap(3, 0.5).fit(X)
    assert feature_map.n_output_features_ == 167_668_501  # C(1003, 3)
    # 1.3 TB, which no machine for these tests has.
    with pytest.raises(MemoryError, match=r"shape 1000 x 167668501 of float64, which need 13\d\d\.\d GB"):
        feature_map.transform(X)
    with pytest.raises(MemoryError, match=re.escape("use the kernel Polynomial(3, 0.5) of skdeep.kernels in Kernel")):
        feature_map.transform(X)


def test_limit_of_memory(monkeypatch):
    X = np.eye(200, 50)
    feature_map, n_features = PolynomialFeatureMap().fit(X), 1326  # C(52, 2)
    needed = 200 * n_features * 8
    monkeypatch.setattr(memory, "available", lambda: needed)  # and nothing for what is needed beside it
    with pytest.raises(MemoryError):
        feature_map.transform(X)
    # In a row of one number only 1, x and x^2 are not zero.
    assert feature_map.transform(sparse.csr_array(X)).nnz == 50 * 3 + 150
    monkeypatch.setattr(memory, "available", lambda: needed + 40 * n_features)
    assert feature_map.transform(X).shape == (200, n_features)
    monkeypatch.setattr(memory, "available", lambda: 40 * n_features)
    with pytest.raises(MemoryError, match="200 x 1326 of float64 with 300 elements"):
        feature_map.transform(sparse.csr_array(X))


# ---------------------------------------------------------------------------------------------- Mercer

KERNELS = {"rbf": RBF(3.0), "sum": 2.0 * RBF(2.0) + Linear(), "polynomial": Polynomial(2)}
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


@each_kernel
@pytest.mark.parametrize("n_components", [1, 9, 60])
def test_truncation_error_is_the_sum_of_the_dropped_eigenvalues(kernel, n_components, data):
    X, _ = data
    K = kernel(X)
    eigenvalues = np.linalg.eigvalsh(K)[::-1]
    mercer = MercerFeatureMap(kernel, n_components=n_components).fit(X)
    # The rounding of eigenvalues is relative to the largest one.
    tolerance = 1e-12 * eigenvalues[0]
    np.testing.assert_allclose(mercer.eigenvalues_ * len(X), eigenvalues[:n_components], atol=tolerance)
    psi = mercer.transform(X)
    dropped = eigenvalues[n_components:].sum()
    assert abs(trace_error(psi, np.trace(K)) - dropped) <= len(X) * tolerance


@each_kernel
@pytest.mark.parametrize("solver", ["dense", "arpack", "rpcholesky"])
def test_eigenfunctions_are_orthogonal_on_the_data(kernel, solver, data):
    X, _ = data
    mercer = MercerFeatureMap(kernel, n_components=8, eigen_solver=solver, random_state=0).fit(X)
    psi = mercer.transform(X)
    # (1 / n) sum_j psi_a(x_j) psi_b(x_j) = lambda_a for a = b, and 0 else.
    expected = np.diag(mercer.eigenvalues_)
    np.testing.assert_allclose(psi.T @ psi / len(X), expected, atol=1e-10 * mercer.eigenvalues_[0])


@each_kernel
def test_extension_to_new_samples(kernel, data):
    X, _ = data
    train, test = X[:150], X[150:]
    eigenvalues, U = np.linalg.eigh(kernel(train))
    l, U = eigenvalues[:-9:-1], U[:, :-9:-1]
    mercer = MercerFeatureMap(kernel, n_components=8).fit(train)
    psi = mercer.transform(test)
    expected = kernel(test, train) @ U / np.sqrt(l)
    signs = np.sign((psi * expected).sum(axis=0))
    np.testing.assert_allclose(psi, signs * expected, atol=1e-10 * np.abs(expected).max())
    # The eigenfunction's integral equation: (1 / n) sum_j k(x, x_j) psi(x_j) = lambda psi(x).
    integral = kernel(test, train) @ mercer.transform(train) / len(train)
    np.testing.assert_allclose(integral, mercer.eigenvalues_ * psi, atol=1e-10 * np.abs(integral).max())


@each_kernel
@pytest.mark.parametrize("solver", ["dense", "rpcholesky"])
def test_residual_is_what_the_features_miss(kernel, solver, data):
    X, _ = data
    mercer = MercerFeatureMap(kernel, n_components=8, eigen_solver=solver, random_state=0).fit(X[:150])
    residual, psi, K = mercer.residual(X), mercer.transform(X), kernel(X)
    assert residual.min() >= 0
    np.testing.assert_allclose(residual, np.diagonal(K) - (psi**2).sum(axis=1), atol=1e-12 * K.max())
    # At samples out of training, too, psi is a projection in the kernel's space, and Cauchy and Schwarz hold.
    bound = np.sqrt(np.outer(residual, residual))
    assert np.all(np.abs(K - psi @ psi.T) <= bound + 1e-9 * K.max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["dense", "rpcholesky"])
@pytest.mark.parametrize(
    ("kernel", "rank"),
    # C(d + p, p) for d = 4; without a constant C(d + p - 1, p); sums of kernels have the sum of their maps.
    [
        (Linear(), 4),
        (Polynomial(2), 15),
        (Polynomial(3), 35),
        (Polynomial(2, coef0=0.0), 10),
        (Linear() + Constant(), 5),
        (Linear() * Linear(), 10),
        (Constant(2.0), 1),
    ],
    ids=str,
)
def test_finite_rank_is_recognised(kernel, rank, solver, dtype, rng):
    X = rng.uniform(-1, 1, size=(120, 4)).astype(dtype)
    mercer = MercerFeatureMap(kernel, eigen_solver=solver, random_state=0).fit(X)
    assert mercer.n_components_ == len(mercer.eigenvalues_) == rank
    psi = mercer.transform(X)
    assert psi.shape == (120, rank)
    K = kernel(X.astype(np.float64))
    np.testing.assert_allclose(psi @ psi.T, K, atol=100 * np.finfo(dtype).eps * K.max())


def test_arpack_finds_what_lapack_finds(data):
    X, _ = data
    ours, theirs = (MercerFeatureMap(n_components=8, eigen_solver=each).fit(X) for each in ("arpack", "dense"))
    np.testing.assert_allclose(ours.eigenvalues_, theirs.eigenvalues_, rtol=1e-10)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-8)
    with pytest.raises(ValueError, match="finds fewer components than there are samples, 200: use 'dense'"):
        MercerFeatureMap(n_components=300, eigen_solver="arpack").fit(X)


def test_pivots_come_close_to_the_best_features():
    X = table(load_breast_cancer)
    errors = {}
    for solver in ("dense", "rpcholesky"):
        mercer = MercerFeatureMap(n_components=50, eigen_solver=solver, random_state=0).fit(X)
        errors[solver] = trace_error(mercer.transform(X), len(X))
    # No features are better than the dense ones. Twice as many pivots as components are proved to lose a constant
    # factor at most, from rank r / eps + ... on.
    assert errors["dense"] <= errors["rpcholesky"] <= 1.5 * errors["dense"]


def test_beyond_memory_the_matrix_is_not_stored(monkeypatch, data):
    X, _ = data
    monkeypatch.setattr(memory, "available", lambda: 4 * len(X) ** 2 * 8 - 1)
    monkeypatch.delattr(Gram, "toarray")
    mercer = MercerFeatureMap(n_components=12, random_state=0).fit(X)
    assert mercer.X_fit_.shape == (24, X.shape[1])
    assert mercer.transform(X).shape == (200, 12)


def test_signs_are_determined(data):
    X, _ = data
    coefficients = MercerFeatureMap(n_components=8).fit(X).coefficients_
    largest = np.abs(coefficients).argmax(axis=0)
    assert np.all(coefficients[largest, np.arange(8)] > 0)


def test_mercer_of_overflow_and_of_nothing(data):
    with pytest.raises(ValueError, match="overflows float64"):
        MercerFeatureMap(Polynomial(3)).fit(1e120 * data[0])
    with pytest.raises(ValueError, match="zero or not positive semidefinite"):
        MercerFeatureMap(Linear(), eigen_solver="rpcholesky").fit(np.zeros((5, 2)))
    assert MercerFeatureMap(Linear()).fit_transform(np.zeros((5, 2))).shape == (5, 0)


# -------------------------------------------------------------------------------------------- Nystroem


def test_scikit_learns_own_tests_pass():
    # Warnings are errors here, but not in those tests. Arrays of other libraries are theirs alone.
    options = "-o", "filterwarnings=default", "-k", "nystroem and not torch"
    counts = counts_of("sklearn.tests.test_kernel_approximation", *options)
    assert counts.keys() <= {"passed", "skipped"}
    assert counts["passed"] >= 30


def test_parameters_are_scikit_learns_and_more():
    mine, others = (list(inspect.signature(each).parameters.values()) for each in (NystroemFeatureMap, Nystroem))
    assert mine[: len(others)] == others
    assert [parameter.name for parameter in mine[len(others) :]] == ["landmarks"]
    assert mine[-1].kind is inspect.Parameter.KEYWORD_ONLY


def histogram_kernel(x, y, scale=1.0):
    return scale * np.minimum(x, y).sum()


@pytest.mark.parametrize(
    "params",
    [
        *({"kernel": name} for name in kernel_metrics()),
        {"gamma": 0.3},
        {"kernel": "laplacian", "gamma": 0.3},
        {"kernel": "poly", "degree": 2, "coef0": 0.5, "gamma": 0.1},
        {"kernel": "poly", "degree": 2.5},
        {"kernel": "poly", "coef0": -1.0},
        {"kernel": "sigmoid", "gamma": 0.01, "coef0": 0.5},
        {"kernel": "rbf", "kernel_params": {"gamma": 0.2}},
        {"kernel": "rbf", "gamma": 0},
        {"kernel": histogram_kernel},
        {"kernel": histogram_kernel, "kernel_params": {"scale": 2.0}},
    ],
    ids=spelled,
)
def test_equals_scikit_learn(params, rng):
    X, Y = rng.uniform(size=(40, 5)), rng.uniform(size=(15, 5))
    params = {"n_components": 12, "random_state": 3} | params
    ours, theirs = NystroemFeatureMap(**params).fit(X), Nystroem(**params).fit(X)
    # The same landmarks, in the order of the factorisation.
    np.testing.assert_array_equal(np.sort(ours.component_indices_), np.sort(theirs.component_indices_))
    np.testing.assert_array_equal(ours.components_, X[ours.component_indices_])
    # Eigenvalues near rounding are drawn otherwise, but inner products do not feel them: errors of K of 1e-15 are
    # divided by the root of what is cut off, 1e-15.
    phi, expected = ours.transform(Y), theirs.transform(Y)
    np.testing.assert_allclose(phi @ phi.T, expected @ expected.T, atol=1e-7 * np.abs(expected).max() ** 2)


def test_features_are_those_of_the_landmarks_before(data):
    X, _ = data
    nystroem = NystroemFeatureMap(RBF(3.0), n_components=40, random_state=0).fit(X)
    fewer = NystroemFeatureMap(RBF(3.0), landmarks=nystroem.components_[:15]).fit(X)
    np.testing.assert_array_equal(fewer.components_, nystroem.components_[:15])
    np.testing.assert_allclose(fewer.transform(X), nystroem.transform(X)[:, :15], atol=1e-12)
    N = nystroem.normalization_
    np.testing.assert_allclose(N @ RBF(3.0)(nystroem.components_) @ N.T, np.eye(40), atol=1e-9)


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_error_is_not_above_scikit_learns(load):
    X = table(load)
    for m in (10, 50):
        errors = np.array(
            [
                [
                    trace_error(each(n_components=m, random_state=seed).fit_transform(X), len(X))
                    for each in (NystroemFeatureMap, Nystroem)
                ]
                for seed in range(5)
            ]
        )
        ours, theirs = errors.mean(axis=0)
        assert ours <= theirs + 1e-9 * len(X)  # the same landmarks, and rounding


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("landmarks", ["rpcholesky", "kmeans"])
def test_chosen_landmarks_are_better_than_uniform_ones(load, landmarks):
    X = table(load)
    estimator = lambda seed, **params: NystroemFeatureMap(n_components=100, random_state=seed, **params)
    error = lambda **params: np.mean(
        [trace_error(estimator(seed, **params).fit_transform(X), len(X)) for seed in range(8)]
    )
    # Both proved and measured: by far where the spectrum decays, as for the four features of the irises.
    assert error(landmarks=landmarks) < (0.5 if load is load_iris else 0.95) * error()


def test_pivots_among_some_of_many_samples():
    X = table(load_digits)[:, ::4]  # 1797 samples, ten for each landmark are 500
    maps = [NystroemFeatureMap(RBF(4.0), n_components=50, landmarks="rpcholesky", random_state=s) for s in range(8)]
    among_some = [trace_error(nystroem.fit_transform(X), len(X)) for nystroem in maps]
    uniform = [
        trace_error(clone(nystroem).set_params(landmarks="uniform").fit_transform(X), len(X)) for nystroem in maps
    ]
    K = RBF(4.0).gram(X)
    among_all = [pivoted_cholesky(K, 50, random_state=seed).traces[-1] for seed in range(8)]
    assert np.mean(among_some) < np.mean(uniform)
    # Neither better nor worse by more than these means vary.
    deviation = np.hypot(np.std(among_some), np.std(among_all)) / np.sqrt(8)
    assert abs(np.mean(among_some) - np.mean(among_all)) < 4 * deviation


def test_overflow_at_a_sample_that_is_no_candidate(data):
    X = data[0].copy()
    X[7] = 1e200
    for seed in range(5):
        nystroem = NystroemFeatureMap(Linear(), n_components=3, landmarks="rpcholesky", random_state=seed)
        with pytest.raises(ValueError, match="overflows float64"):
            nystroem.fit(X)


def test_candidates_for_landmarks():
    state = np.random.RandomState(0)
    np.testing.assert_array_equal(candidates(50, 5, state), np.arange(50))
    assert state.randint(10**9) == np.random.RandomState(0).randint(10**9)  # nothing was drawn
    some = candidates(51, 5, state)
    assert len(np.unique(some)) == 50
    assert np.all(np.diff(some) > 0)
    assert some[0] >= 0
    assert some[-1] <= 50


@each_kernel
def test_exact_at_the_landmarks_and_below_the_kernel_elsewhere(kernel, data):
    X, _ = data
    nystroem = NystroemFeatureMap(kernel, n_components=40, random_state=0).fit(X)
    phi, K = nystroem.transform(X), kernel(X)
    chosen = nystroem.component_indices_
    np.testing.assert_allclose((phi @ phi.T)[chosen], K[chosen], atol=1e-8 * K.max())
    # K minus its approximation is a Schur complement, and positive semidefinite.
    assert np.linalg.eigvalsh(K - phi @ phi.T)[0] >= -1e-8 * K.max()


def test_given_landmarks(data):
    X, _ = data
    given = X[[3, 50, 120]] + 0.1
    nystroem = NystroemFeatureMap(RBF(3.0), n_components=77, landmarks=given).fit(X)
    np.testing.assert_array_equal(np.unique(nystroem.components_, axis=0), np.unique(given, axis=0))
    assert nystroem.component_indices_ is None
    phi = nystroem.transform(given)
    np.testing.assert_allclose(phi @ phi.T, RBF(3.0)(given), atol=1e-12)
    with pytest.raises(ValueError, match="landmarks have 3 features, but X has 10"):
        NystroemFeatureMap(landmarks=given[:, :3]).fit(X)


def test_fewer_landmarks_where_nothing_is_left(rng):
    X = rng.normal(size=(30, 3))
    nystroem = NystroemFeatureMap(Linear(), n_components=20, landmarks="rpcholesky", random_state=0).fit(X)
    assert nystroem.components_.shape == (3, 3)
    assert len(nystroem.get_feature_names_out()) == 3
    phi = nystroem.transform(X)
    np.testing.assert_allclose(phi @ phi.T, X @ X.T, atol=1e-12)


@pytest.mark.parametrize("landmarks", ["uniform", "rpcholesky"])
def test_precomputed_is_the_kernel_itself(landmarks, data):
    X, _ = data
    kernel, settings = RBF(3.0), {"n_components": 25, "landmarks": landmarks, "random_state": 0}
    given = NystroemFeatureMap("precomputed", **settings).fit(kernel(X[:150]))
    computed = NystroemFeatureMap(kernel, **settings).fit(X[:150])
    np.testing.assert_array_equal(given.component_indices_, computed.component_indices_)
    np.testing.assert_allclose(given.transform(kernel(X, X[:150])), computed.transform(X), atol=1e-12)
    with pytest.raises(ValueError, match=r"needs a square matrix in fit, got one of shape \(200, 150\)"):
        given.fit(kernel(X, X[:150]))
    with pytest.raises(ValueError, match="landmarks must be 'uniform' or 'rpcholesky'"):
        given.set_params(landmarks="kmeans").fit(kernel(X))


def test_callable_with_chosen_landmarks(rng):
    X = rng.uniform(size=(30, 4))
    K = pairwise_kernels(X, metric=histogram_kernel)
    nystroem = NystroemFeatureMap(histogram_kernel, n_components=10, landmarks="rpcholesky", random_state=0).fit(X)
    given = NystroemFeatureMap("precomputed", n_components=10, landmarks="rpcholesky", random_state=0).fit(K)
    np.testing.assert_array_equal(nystroem.component_indices_, given.component_indices_)


def test_more_landmarks_than_samples(data):
    X, _ = data
    with pytest.warns(UserWarning, match="n_components=300 is more than there are samples: all 200"):
        phi = NystroemFeatureMap(RBF(3.0), n_components=300).fit_transform(X)
    np.testing.assert_allclose(phi @ phi.T, RBF(3.0)(X), atol=1e-9)


@pytest.mark.parametrize("kernel", [RBF(), histogram_kernel, "precomputed"], ids=["object", "callable", "precomputed"])
@pytest.mark.parametrize("params", [{"gamma": 1.0}, {"degree": 2}, {"coef0": 1.0}], ids=str)
def test_parameters_of_names_alone(kernel, params, data):
    with pytest.raises(ValueError, match="Don't pass gamma, coef0 or degree to NystroemFeatureMap"):
        NystroemFeatureMap(kernel, **params).fit(data[0])


def test_pivots_need_a_kernel(data):
    with pytest.raises(ValueError, match="'additive_chi2' is zero or not positive semidefinite"):
        NystroemFeatureMap("additive_chi2", n_components=5, landmarks="rpcholesky").fit(np.abs(data[0]))


# ------------------------------------------------------------------------------------- random Fourier

STATIONARY = {
    "rbf": RBF(2.0),
    "scales": RBF(np.linspace(1.0, 4.0, 10)),
    "sum": 2.0 * RBF(2.0) + 0.5 * RBF(5.0) + 0.3,
    "product": RBF(2.0) * RBF(6.0),
    "power": (RBF(4.0) + 0.5) ** 2,
    "polynomial": RBF(4.0).polynomial([0.5, 0.0, 1.0]),
    "normalized": (RBF(4.0) + 2.0 * RBF(1.0)).normalize(),
    "columns": RBF(1.0).on([0, 2]) * RBF(2.0).on(slice(2, 6)) + RBF(1.0).on([1, 1]).on(slice(4, None)),
    "laplacian": Laplacian(8.0),
    "matern 1/2": Matern(4.0, nu=0.5),
    "matern 3/2": Matern(np.linspace(2.0, 6.0, 10), nu=1.5),
    "matern 5/2": Matern(3.0, nu=2.5),
    "rational quadratic": RationalQuadratic(2.0, alpha=0.7),
    "periodic": Periodic(3.0, period=2.5),
}
SUMS = "sum", "power", "polynomial", "normalized", "columns"  # an odd number of features may go to a term
each_stationary = pytest.mark.parametrize("kernel", STATIONARY.values(), ids=STATIONARY)


def fourier_error(X, kernel, n_components, seed, **params):
    phi = RandomFourierFeatureMap(kernel, n_components, random_state=seed, **params).fit_transform(X)
    return np.sqrt(np.mean((phi @ phi.T - kernel(X)) ** 2))


@each_stationary
@pytest.mark.parametrize("orthogonal", [True, False])
def test_inner_products_are_the_kernel_on_average(kernel, orthogonal, data):
    X, _ = data
    X, n_draws = X[:12], 100
    draws = np.empty((n_draws, 12, 12))
    for seed in range(n_draws):
        params = {"n_components": 41, "orthogonal": orthogonal, "random_state": seed}
        phi = RandomFourierFeatureMap(kernel, **params).fit_transform(X)
        draws[seed] = phi @ phi.T
    deviation = draws.std(axis=0) / np.sqrt(n_draws)
    # 78 different means, each within 5 standard errors: by chance one in 20 000 times.
    assert np.all(np.abs(draws.mean(axis=0) - kernel(X)) <= 5 * deviation + 1e-12)


@each_stationary
def test_error_falls_as_the_root_of_the_number_of_features(kernel, data):
    X, _ = data
    sizes = np.array([64, 256, 1024, 4096])
    errors = [np.mean([fourier_error(X[:40], kernel, m, seed) for seed in range(8)]) for m in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # -1/2; the mean of 8 draws of such an error scatters by some percent over a factor of 64.
    assert -0.57 < slope < -0.43


@pytest.mark.parametrize("name", [name for name in STATIONARY if name not in SUMS])
def test_pairs_make_the_diagonal_exact(name, data):
    X, kernel = data[0], STATIONARY[name]
    phi = RandomFourierFeatureMap(kernel, n_components=200, random_state=0).fit_transform(X)
    np.testing.assert_allclose((phi**2).sum(axis=1), kernel.diag(X), rtol=1e-12)


def test_orthogonal_frequencies_have_less_error(data):
    X, _ = data
    mean = lambda **params: np.mean([fourier_error(X[:80], RBF(4.0), 40, seed, **params) for seed in range(30)])
    # Yu et al. (2016) prove it for distances of the order of the length scale.
    assert mean(orthogonal=True) < 0.9 * mean(orthogonal=False)


def test_orthogonal_frequencies_stand_at_right_angles(data):
    X, _ = data
    W = RandomFourierFeatureMap(RBF(), n_components=50, random_state=0).fit(X).random_weights_
    for block in (W[:, :10], W[:, 10:20], W[:, 20:]):
        products = block.T @ block
        np.testing.assert_allclose(products, np.diag(np.diagonal(products)), atol=1e-13)


def test_error_is_not_above_scikit_learns_at_equal_size(data):
    X, _ = data
    gamma, K = 0.02, pairwise_kernels(data[0][:80], metric="rbf", gamma=0.02)
    errors = {RandomFourierFeatureMap: [], RBFSampler: []}
    for estimator, found in errors.items():
        for seed in range(20):
            phi = estimator(gamma=gamma, n_components=100, random_state=seed).fit_transform(X[:80])
            found.append(np.sqrt(np.mean((phi @ phi.T - K) ** 2)))
    # Sutherland & Schneider (2015): with pairs the variance is less everywhere.
    assert np.mean(errors[RandomFourierFeatureMap]) < 0.8 * np.mean(errors[RBFSampler])


def test_components_are_shared_out_by_weight(data):
    X, _ = data
    kernel = 3.0 * RBF(1.0) + RBF(100.0) + 0.25
    fourier = RandomFourierFeatureMap(kernel, n_components=83, random_state=0).fit(X)
    # 80 features beyond one for each term, 60 and 20 of them by weights 3 to 1.
    squares = np.unique(np.round(fourier.amplitudes_**2, 12), return_counts=True)
    np.testing.assert_allclose(squares[0], sorted([2 / 21, 6 / 61, 0.25]))
    assert sorted(squares[1]) == [1, 11, 31]  # frequencies, most of them with a cosine and a sine


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [1, ROWS - 1, ROWS, ROWS + 1, 2 * TILES * ROWS + 5])
@pytest.mark.parametrize(("n_frequencies", "n_paired"), [(1, 0), (1, 1), (7, 5), (16, 16), (33, 17), (40, 0)])
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_workers", [1, 2])
def test_cosines_and_sines(n_workers, as_given, n_frequencies, n_paired, n_samples, dtype, rng, monkeypatch):
    monkeypatch.setattr(threads, "n_workers", lambda work: n_workers)
    X, W = rng.normal(size=(n_samples, 3)).astype(dtype), rng.normal(size=(3, n_frequencies)).astype(dtype)
    offset, amplitudes = rng.normal(size=(2, n_frequencies)).astype(dtype)
    features = _features(as_given(X), W, offset, amplitudes, n_paired)
    angles = X.astype(float) @ W + offset
    expected = np.hstack([amplitudes * np.cos(angles), (amplitudes * np.sin(angles))[:, :n_paired]])
    assert features.dtype == dtype
    np.testing.assert_allclose(features, expected, rtol=0, atol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_few_components(n_components, data):
    phi = RandomFourierFeatureMap(n_components=n_components, random_state=0).fit_transform(data[0])
    assert phi.shape == (200, n_components)


@pytest.mark.parametrize("kernel", [Linear(), Polynomial(2), RBF() + Linear(), RBF() * Polynomial(2)], ids=str)
def test_what_is_not_stationary_is_refused(kernel, data):
    with pytest.raises(ValueError, match=r"(Linear|Polynomial)\(\) has no random Fourier features.*RBF"):
        RandomFourierFeatureMap(kernel).fit(data[0])


def test_fewer_components_than_terms(data):
    with pytest.raises(ValueError, match="n_components must be at least the number of terms of the kernel, 3, got 2"):
        RandomFourierFeatureMap(RBF() + RBF(2.0) + 1, n_components=2).fit(data[0])
