"""Bad and strange input of kernel ridge regression: a sentence that names it, or the answer of the plain equivalent."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

from skdeep import KernelRidgeDual, KernelRidgeDualClassifier, KernelRidgeDualCV
from skdeep.kernel_ridge import _problem
from skdeep.kernels import RBF, Linear, Polynomial
from tests._bad_input import MEMORY, TYPES, data

X, CLASSES, VALUES, WEIGHTS = data()
ESTIMATORS = KernelRidgeDual(kernel=RBF(2.0)), KernelRidgeDualCV(kernel=RBF(2.0)), KernelRidgeDualClassifier()
EVERY = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
REGRESSORS = pytest.mark.parametrize("estimator", ESTIMATORS[:2], ids=lambda estimator: type(estimator).__name__)


def target(estimator):
    return CLASSES if is_classifier(estimator) else VALUES


def outcome(model, X):
    """What a fitted model says of X."""
    return model.decision_function(X) if is_classifier(model) else model.predict(X)


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_arrays_that_are_not_finite_are_named(estimator, name, bad):
    arrays = {"X": X.copy(), "y": target(estimator).astype(float), "sample_weight": WEIGHTS.copy()}
    arrays[name].reshape(-1)[3] = bad
    label = {"X": "Input X", "y": "Input y|Unknown label type", "sample_weight": "sample_weight"}[name]
    with pytest.raises(ValueError, match=label):
        clone(estimator).fit(**arrays)


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_of_what_is_not_finite(estimator, bad):
    model = clone(estimator).fit(X, target(estimator))
    query = X.copy()
    query[0, 0] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        model.predict(query)


@EVERY
def test_nan_that_was_not_looked_for_ends(estimator):
    query = X.copy()
    query[0, 0] = np.nan
    with sklearn.config_context(assume_finite=True):
        model = clone(estimator).fit(X, target(estimator))
        assert np.isnan(outcome(model, query)[0]).all()
        assert np.isfinite(outcome(model, query)[1:]).all()


@EVERY
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((X[:, 0], None), "Expected 2D array"),
        ((X[:, :, None], None), "dim 3|Expected 2D"),
        ((X[:0], VALUES[:0]), r"0 sample\(s\)"),
        ((X[:, :0], None), r"0 feature\(s\)"),
        ((X[:-1], None), "inconsistent numbers of samples"),
        ((X + 1j, None), "Complex data not supported"),
        ((np.array([["a"] * 9] * 40), None), "could not convert|dtype"),
    ],
    ids=["1-D", "3-D", "no samples", "no features", "lengths", "complex", "strings"],
)
def test_arrays_that_are_no_samples(estimator, arrays, message):
    given, y = arrays
    with pytest.raises(ValueError, match=message):
        clone(estimator).fit(given, target(estimator) if y is None else y)


@EVERY
def test_unfitted_and_other_features(estimator):
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)
    model = clone(estimator).fit(X, target(estimator))
    with pytest.raises(ValueError, match="expecting 9 features"):
        model.predict(X[:, :5])
    table = pd.DataFrame(X, columns=list("abcdefghi"))
    model = clone(estimator).fit(table, target(estimator))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table.rename(columns={"a": "z"}))


@EVERY
def test_dates_and_masks(estimator):
    with pytest.raises(TypeError, match="dates"):
        clone(estimator).fit(np.zeros(X.shape, "datetime64[s]"), target(estimator))
    with pytest.raises(ValueError, match="masked"):
        clone(estimator).fit(np.ma.masked_array(X, X > 1), target(estimator))
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    with pytest.raises(TypeError, match=r"np\.matrix"):
        clone(estimator).fit(matrix, target(estimator))


@EVERY
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "zero"),
        (-WEIGHTS, "Negative values"),
        (WEIGHTS[:-1], "shape"),
        (WEIGHTS[:, None], "1D"),
        (np.full(40, np.nan), "NaN"),
        (-1.0, "Negative values"),
    ],
    ids=["zero", "negative", "length", "2-D", "NaN", "negative scalar"],
)
def test_weights_that_are_none(estimator, weights, message):
    with pytest.raises(ValueError, match=message):
        clone(estimator).fit(X, target(estimator), weights)


@EVERY
def test_other_forms_of_weights(estimator):
    y = target(estimator)
    weights = np.arange(40) % 3
    expected = outcome(clone(estimator).fit(X, y, weights.astype(float)), X)
    for form in (weights, weights.tolist(), pd.Series(weights), weights.astype(np.float32)):
        np.testing.assert_allclose(outcome(clone(estimator).fit(X, y, form), X), expected, rtol=1e-12)
    # One number is a weight of all.
    two = outcome(clone(estimator).fit(X, y, np.full(40, 2.0)), X)
    np.testing.assert_array_equal(outcome(clone(estimator).fit(X, y, 2.0), X), two)


@EVERY
@pytest.mark.parametrize(("dtype", "ratio"), [(np.float32, 1e6), (np.float64, 1e12)])
def test_ratio_of_weights(estimator, dtype, ratio):
    heavy = np.arange(40) % 2 == 0
    weights = np.where(heavy, np.sqrt(ratio), 1 / np.sqrt(ratio))
    y = target(estimator)
    model = clone(estimator).fit(X.astype(dtype), y, weights)
    alone = clone(estimator).fit(X[heavy].astype(dtype), y[heavy], weights[heavy])
    # Light samples pull by 1e-6 or less of what heavy ones do.
    np.testing.assert_allclose(outcome(model, X[heavy]), outcome(alone, X[heavy]), atol=1e-2)


@EVERY
@pytest.mark.parametrize("form", MEMORY)
def test_memory_layouts(estimator, form):
    y = target(estimator)
    lay = MEMORY[form]
    arrays = lay(X), lay(np.ascontiguousarray(y)), lay(WEIGHTS)
    plain = [np.array(array, order="C") for array in arrays]
    if is_classifier(estimator) and len(np.unique(plain[1])) < 2:
        with pytest.raises(ValueError, match="one class"):
            clone(estimator).fit(*arrays)
        return
    expected = outcome(clone(estimator).fit(*plain), plain[0])
    np.testing.assert_array_equal(outcome(clone(estimator).fit(*arrays), arrays[0]), expected)


@EVERY
@pytest.mark.parametrize("dtype", TYPES)
def test_types_of_numbers(estimator, dtype):
    y = target(estimator)
    given = np.abs(np.round(X)).astype(dtype)
    work = np.float32 if dtype == "float32" else np.float64
    expected = outcome(clone(estimator).fit(given.astype(work), y), given.astype(work))
    ours = outcome(clone(estimator).fit(given, y), given)
    assert ours.dtype == work
    np.testing.assert_array_equal(ours, expected)


@EVERY
def test_files_are_read_and_left_as_they_were(estimator, tmp_path):
    np.save(tmp_path / "X.npy", X)
    before = (tmp_path / "X.npy").read_bytes()
    expected = outcome(clone(estimator).fit(X, target(estimator)), X)
    for mode in ("r", "r+"):
        mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
        np.testing.assert_array_equal(outcome(clone(estimator).fit(mapped, target(estimator)), mapped), expected)
    assert (tmp_path / "X.npy").read_bytes() == before


@EVERY
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_the_features(estimator, scale, dtype):
    # Equal and unrelated samples are the limits of a Gaussian kernel.
    given = (X * np.clip(scale, np.finfo(dtype).tiny, np.finfo(dtype).max / 1000)).astype(dtype)
    model = clone(estimator).set_params(kernel=RBF(2.0)).fit(given, target(estimator))
    assert np.isfinite(outcome(model, given)).all()
    assert np.isfinite(outcome(model, X.astype(dtype))).all()


@EVERY
def test_overflow_of_the_kernel_names_the_remedy(estimator):
    for kernel in ("linear", Linear() + RBF()):
        with pytest.raises(ValueError, match="overflows float64 on X; scale X"):
            clone(estimator).set_params(kernel=kernel).fit(X[:20] * 1e200, target(estimator)[:20])


@pytest.mark.parametrize("landmarks", ["rpcholesky", "uniform", "array"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_overflow_at_a_sample_that_is_no_landmark(landmarks, dtype):
    bad, y = X.astype(dtype), np.arange(40.0)
    bad[7] = np.finfo(dtype).max ** 0.6
    given = X[:3] if landmarks == "array" else landmarks
    model = KernelRidgeDual(kernel=Polynomial(2), solver="nystroem", landmarks=given, n_components=3)
    message = f"overflows {np.dtype(dtype)} on X; scale X"
    for seed in range(5):
        with pytest.raises(ValueError, match=message):
            clone(model).set_params(random_state=seed).fit(bad, y)
    if landmarks == "array":
        model.fit(X.astype(dtype), y)
        before = model.predict(X)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(bad, y)
        np.testing.assert_array_equal(model.partial_fit(X.astype(dtype)[:1], y[:1], 1e-30).predict(X), before)


@REGRESSORS
@pytest.mark.parametrize("value", [0.0, 1e-300, 1.0, 1e100])
def test_constant_values(estimator, value):
    model = clone(estimator).set_params(fit_intercept=True).fit(X, np.full(40, value))
    np.testing.assert_allclose(model.predict(X), value, rtol=1e-12)


@REGRESSORS
def test_values_beyond_float32(estimator):
    with pytest.raises(ValueError, match="y overflows float32"):
        clone(estimator).fit(X.astype(np.float32), VALUES * 1e300)


@EVERY
def test_constant_features_and_repeated_samples(estimator):
    y = target(estimator)
    assert np.isfinite(outcome(clone(estimator).fit(np.zeros_like(X), y), X)).all()
    # Two of each sample are one of twice the weight.
    twice = clone(estimator).fit(np.vstack([X, X]), np.concatenate([y, y]))
    if not isinstance(estimator, KernelRidgeDualCV):  # which leaves one of two out
        np.testing.assert_allclose(outcome(twice, X), outcome(clone(estimator).fit(X, y, 2.0), X), atol=1e-9)


def test_one_sample():
    model = KernelRidgeDual(1.0, kernel=RBF()).fit([[1.0, 2.0]], [3.0])
    np.testing.assert_allclose(model.predict([[1.0, 2.0]]), 1.5)
    model = KernelRidgeDual(1.0, kernel=RBF(), fit_intercept=True).fit([[1.0]], [3.0])
    assert (model.intercept_, model.dual_coef_) == (3.0, 0.0)
    assert model.predict([[5.0]], return_std=True)[1] == pytest.approx(np.sqrt(1 + 1 + 1 - 2 * np.exp(-8)))
    for each in (KernelRidgeDualCV(), KernelRidgeDualClassifier()):
        with pytest.raises(ValueError, match=r"n_samples=1|one class"):
            each.fit([[1.0]], [3])


@REGRESSORS
def test_shapes_of_targets(estimator):
    column = clone(estimator).fit(X, VALUES[:, None])
    assert column.predict(X).shape == column.dual_coef_.shape == (40, 1)
    assert column.intercept_.shape == (1,)
    flat = clone(estimator).fit(X, VALUES)
    assert flat.predict(X).shape == flat.dual_coef_.shape == (40,)
    assert isinstance(flat.intercept_, float)
    np.testing.assert_array_equal(column.predict(X)[:, 0], flat.predict(X))


def test_a_column_of_labels_is_told():
    with pytest.warns(DataConversionWarning):
        KernelRidgeDualClassifier().fit(X, CLASSES[:, None])


@EVERY
@pytest.mark.parametrize(
    "params",
    [
        {"kernel": "gauss"},
        {"kernel": None},
        {"gamma": 0.0},
        {"gamma": "scale"},
        {"degree": 0},
        {"degree": 2.5},
        {"coef0": np.inf},
        {"kernel_params": 3},
        {"fit_intercept": 1.5},
        {"memory_limit": -1},
        {"memory_limit": 1e9},
        {"random_state": "seed"},
    ],
    ids=str,
)
def test_parameters_out_of_their_range(estimator, params):
    if not set(params) <= set(estimator.get_params(deep=False)):
        pytest.skip("not a parameter of this one")
    with pytest.raises(ValueError, match=next(iter(params))):
        clone(estimator).set_params(**params).fit(X, target(estimator))


@EVERY
def test_unknown_parameters(estimator):
    with pytest.raises(ValueError, match="Invalid parameter 'kernels'"):
        clone(estimator).set_params(kernels="rbf")


@EVERY
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_a_fit_that_ends_early_changes_nothing(estimator, error, monkeypatch):
    model = clone(estimator).fit(X, target(estimator))
    before = vars(model).copy()

    def stop(*args, **kwargs):
        raise error

    monkeypatch.setattr(_problem.Problem, "matrix", stop)
    with pytest.raises(error):
        model.fit(X[:, :4], target(estimator))
    assert vars(model) == before


@EVERY
def test_nothing_is_written_by_predictions(estimator):
    model = clone(estimator).fit(X, target(estimator))
    before = pickle.dumps(model)
    outcome(model, X)
    model.score(X, target(estimator))
    assert pickle.dumps(model) == before


@EVERY
def test_memory_of_one_fold_does_not_end_a_search(estimator):
    # A limit between the matrices of the folds and of all samples.
    n_copies = 4 if isinstance(estimator, KernelRidgeDualCV) else 1
    model = clone(estimator).set_params(kernel=RBF(), memory_limit=n_copies * 30 * 30 * 8)
    search = GridSearchCV(model, {"fit_intercept": [False, True]}, cv=4)
    with warnings.catch_warnings(record=True), pytest.raises(MemoryError):
        search.fit(X, target(estimator))


@EVERY
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix, sp.coo_array, sp.dok_array])
def test_sparse_forms(estimator, container):
    given = np.where(np.abs(X) > 1, X, 0)
    y = target(estimator)
    expected = outcome(clone(estimator).fit(given, y), given)
    form = container(given)
    if form.format in ("csr", "csc"):
        form.indices, form.indptr = form.indices.astype(np.int64), form.indptr.astype(np.int64)
    np.testing.assert_allclose(outcome(clone(estimator).fit(form, y), form), expected, atol=1e-10)
