"""What estimators of networks refuse, in words, and what of the odd they take without harm."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from skdeep.engine.activations import ACTIVATIONS
from tests._bad_input import (
    CLASSES,
    CLASSIFIER,
    CLASSIFIERS,
    CONVNETS,
    ESTIMATORS,
    EVERY,
    LABELS,
    MEMORY,
    METHODS,
    PERCEPTRONS,
    REGRESSOR,
    REGRESSORS,
    TYPES,
    VALUES,
    WEIGHTS,
    X,
    assert_same,
    assert_same_as_plain,
    each_with,
    finite,
    finite_or_says_so,
    fitted,
    outputs,
    target,
)

pytestmark = [
    pytest.mark.usefixtures("serial"),
    pytest.mark.filterwarnings("ignore:.*Maximum iterations.*:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning"),
]


EVERY_FORM = pytest.mark.parametrize(
    ("estimator", "form"),
    [(net, np.asarray) for net in ESTIMATORS] + [(net, sparse.csr_array) for net in (CLASSIFIER, REGRESSOR)],
    ids=lambda case: getattr(case, "__name__", type(case).__name__),
)


# -------------------------------------------------------------------------------------- NaN and infinity


@EVERY
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"])
def test_arrays_that_are_not_finite_are_named(estimator, name, bad):
    y = target(estimator).astype(float)
    arrays = {"X": X, "y": y, "sample_weight": WEIGHTS, "X_val": X, "y_val": y, "sample_weight_val": WEIGHTS}
    arrays[name] = arrays[name].copy()
    arrays[name].flat[5] = bad
    net = clone(estimator)
    with pytest.raises(ValueError, match=rf"\b{name}\b.* contains (NaN|infinity)"):
        net.fit(**arrays)
    assert not hasattr(net, "theta_")


@EVERY
@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_one_weight_for_all_that_is_not_finite(estimator, weight):
    with pytest.raises(ValueError, match=r"sample_weight.*(NaN|infinity|finite)"):
        fitted(estimator, X, None, weight)


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_of_what_is_not_finite(estimator, bad):
    net, X_bad = fitted(estimator), X.copy()
    X_bad[3, 4] = bad
    for method in filter(partial(hasattr, net), METHODS):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            getattr(net, method)(X_bad)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_no_activation_hides_what_is_not_finite(form, activation, bad):
    net, X_bad = fitted(REGRESSOR, hidden_layer_sizes=(3, 2), activation=activation), X.copy()
    X_bad[3, 4] = bad
    for method in (net.predict, net.transform):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            method(form(X_bad))


@EVERY
def test_tables_that_are_not_finite(estimator):
    table = pd.DataFrame(X)
    net = fitted(estimator, table)
    table.iloc[3, 4] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted(estimator, table)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        net.predict(table)


@PERCEPTRONS
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix])
def test_other_forms_that_are_not_finite(estimator, form):
    X_bad = X.copy()
    X_bad[3, 4] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted(estimator, form(X_bad))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted(estimator, form(X)).predict(form(X_bad))


@EVERY
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
@pytest.mark.parametrize("array", ["X", "weights"])
def test_nan_that_was_not_looked_for(estimator, settings, array):
    X_bad, weights, net = X.copy(), WEIGHTS.copy(), fitted(estimator)
    (X_bad if array == "X" else weights).flat[5] = np.nan
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match=r"diverged|NaN"):
            fitted(estimator, X_bad, None, weights, **settings)
        predictions = net.predict(X_bad)
    # One sample is lost, its neighbours are not.
    others = np.arange(40) != 0
    np.testing.assert_array_equal(predictions[others], net.predict(X)[others])


# ------------------------------------------------------------------------------ shapes, names, unfitted


@EVERY
@pytest.mark.parametrize("call", [lambda net: net.score(X, CLASSES), lambda net: net.summary()])
def test_unfitted(estimator, call):
    with pytest.raises(NotFittedError, match=type(estimator).__name__):
        call(clone(estimator))
    assert not hasattr(estimator, "coefs_")


@EVERY
def test_methods_of_the_unfitted(estimator):
    for method in filter(partial(hasattr, estimator), [*METHODS, "get_feature_names_out"]):
        with pytest.raises(NotFittedError, match=type(estimator).__name__):
            getattr(clone(estimator), method)(*([] if method == "get_feature_names_out" else [X]))


@EVERY
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": CLASSES[:-1]}, "inconsistent numbers of samples"),
        ({"y": None}, "requires y to be passed"),
        ({"y": np.zeros((40, 2, 2))}, r"dim 3|[Uu]nknown label type|1d array"),
        ({"X": X[:, :0]}, r"0 feature\(s\)"),
        ({"X_val": X}, "X_val needs y_val"),
        ({"y_val": CLASSES}, r"y_val.* X_val"),
        ({"sample_weight_val": WEIGHTS}, r"sample_weight_val.* X_val"),
        ({"X_val": X, "y_val": CLASSES[:-1]}, "inconsistent numbers of samples"),
        ({"X_val": X[:, :4], "y_val": CLASSES}, "is expecting 9 features"),
        ({"X_val": X, "y_val": CLASSES, "sample_weight_val": WEIGHTS[:-1]}, r"sample_weight_val|sample_weight\.shape"),
        ({"X_val": X[:0], "y_val": CLASSES[:0]}, r"0 sample\(s\)"),
    ],
)
def test_arrays_that_do_not_fit_each_other(estimator, changed, message):
    net = clone(estimator)
    with pytest.raises(ValueError, match=message):
        net.fit(**{"X": X, "y": target(estimator)} | changed)
    assert not hasattr(net, "theta_")


@EVERY_FORM
def test_another_number_of_features(estimator, form):
    net = fitted(estimator, form(X))
    again = getattr(net, "partial_fit", clone(net).set_params(warm_start=True).fit(X, target(net)).fit)
    for X_other in (form(X[:, :5]), form(np.hstack([X, X]))):
        for method in filter(partial(hasattr, net), METHODS):
            with pytest.raises(ValueError, match="is expecting 9 features"):
                getattr(net, method)(X_other)
        with pytest.raises(ValueError, match="is expecting 9 features"):
            again(X_other, target(net))


@EVERY
def test_names_of_features(estimator):
    table = pd.DataFrame(X, columns=[*"abcdefghi"])
    net = fitted(estimator, table)
    for other in (table.rename(columns={"a": "z"}), table[[*"bacdefghi"]]):
        with pytest.raises(ValueError, match="feature names should match"):
            net.predict(other)
        with pytest.raises(ValueError, match="feature names should match"):
            clone(estimator).fit(table, target(estimator), X_val=other, y_val=target(estimator))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predictions = net.predict(X)
    np.testing.assert_array_equal(predictions, net.predict(table))


@PERCEPTRONS
def test_tables_in_three_dimensions(estimator):
    with pytest.raises(ValueError, match="Found array with dim 3"):
        fitted(estimator, X[:, :, None])
    with pytest.raises(ValueError, match="Found array with dim 3"):
        fitted(estimator).predict(X[:, :, None])


# ---------------------------------------------------------------------------- few classes, few samples


@CLASSIFIERS
@pytest.mark.parametrize(
    "settings", [{"solver": "lbfgs"}, {"early_stopping": True}, {"class_weight": "balanced"}], ids=str
)
def test_one_class(estimator, settings):
    net = fitted(estimator, X, np.full(40, 7), **settings)
    assert (net.predict(X) == 7).all()
    assert finite(net)


@CLASSIFIERS
@pytest.mark.parametrize("classes", [CLASSES, CLASSES % 2], ids=["three", "two"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_class_that_the_weights_leave(estimator, classes, solver):
    settings = {"solver": solver, "max_iter": 100, "learning_rate_init": 0.1}
    by_sample = fitted(estimator, X, classes, (classes == 1) * WEIGHTS, **settings)
    by_class = fitted(estimator, X, classes, WEIGHTS, class_weight={0: 0, 1: 1, 2: 0}, **settings)
    np.testing.assert_array_equal(by_sample.classes_, np.unique(classes))
    assert (by_sample.predict(X) == 1).all()
    assert_same(by_sample, by_class)


@EVERY
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", "lbfgs"])
def test_one_sample(estimator, solver):
    net = fitted(estimator, X[:1], target(estimator)[:1], solver=solver, batch_size=1)
    assert finite(net)
    assert net.predict(X).shape == (40,)


@EVERY
def test_one_sample_has_no_variance(estimator):
    assert finite(fitted(estimator, X[:1], target(estimator)[:1], batch_norm=True, batch_size=1))
    # The last batch is of one sample.
    assert finite(fitted(estimator, X[:31], target(estimator)[:31], batch_norm=True))


@PERCEPTRONS
def test_batches_larger_than_the_data(estimator):
    with pytest.warns(UserWarning, match="batch_size=50 is larger than the 40 samples.*clipped"):
        net = fitted(estimator, batch_size=50)
    assert_same(net, fitted(estimator, batch_size=40))


@CONVNETS
def test_batches_of_images_larger_than_the_data(estimator):
    assert_same(fitted(estimator, batch_size=128), fitted(estimator, batch_size=40))


@EVERY
@pytest.mark.parametrize(
    ("n_samples", "validation_fraction", "message"),
    [
        (1, 0.1, "train set will be empty"),
        (2, 0.1, "validation set is too small|least populated class"),
        (10, 0.1, "validation set is too small|number of classes"),
        (40, 0.0, "validation_fraction|test_size"),
    ],
)
def test_early_stopping_of_few(estimator, n_samples, validation_fraction, message):
    net = clone(estimator).set_params(early_stopping=True, validation_fraction=validation_fraction, batch_size=1)
    with pytest.raises(ValueError, match=message):
        net.fit(X[:n_samples], target(estimator)[:n_samples])
    assert not hasattr(net, "theta_")


@REGRESSORS
def test_one_value_has_no_variance_to_explain(estimator):
    with pytest.raises(ValueError, match="validation set is too small"):
        clone(estimator).set_params(early_stopping=True).fit(X, VALUES, X_val=X[:1], y_val=VALUES[:1])


@CLASSIFIERS
def test_early_stopping_with_one_sample_of_a_class(estimator):
    with pytest.raises(ValueError, match="least populated class"):
        fitted(estimator, X, np.arange(40) == 7, early_stopping=True)


# ----------------------------------------------------------------------------------------- divergence


def explode(progress):
    """Factor of the learning rate that ends the third of four epochs."""
    return 1.0 if progress < 0.5 else 1e300


EXPLODING = {"lr_schedule": explode, "max_iter": 4, "solver": "sgd"}


@EVERY
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True, "restore_best": False}], ids=str)
def test_divergence_names_epoch_and_remedy(estimator, settings):
    net = clone(estimator).set_params(**EXPLODING, **settings)
    with pytest.raises(ValueError, match=r"diverged in epoch 3\b.*lower learning_rate_init or scale X"):
        net.fit(X, target(estimator))
    assert not hasattr(net, "theta_")


@EVERY
def test_divergence_of_partial_fit_changes_nothing(estimator):
    net = fitted(estimator).set_params(solver="sgd", learning_rate_init=1e300)
    before, theta = vars(net).copy(), net.theta_.copy()
    with pytest.raises(ValueError, match=r"diverged in epoch 1\b"):
        net.partial_fit(X, target(estimator))
    assert vars(net) == before
    np.testing.assert_array_equal(net.theta_, theta)


@EVERY
def test_divergence_leaves_the_best_weights(estimator):
    y = target(estimator)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch 3; the weights of epoch \d"):
        net = fitted(estimator, early_stopping=True, **EXPLODING)
    assert np.isfinite(net.theta_).all()
    assert net.n_iter_ == 3
    assert net.best_epoch_ < 3
    # Of two epochs, the better weights are the same.
    two = fitted(estimator, X, y, early_stopping=True, lr_schedule=lambda progress: 1.0, max_iter=2, solver="sgd")
    np.testing.assert_array_equal(net.theta_, two.theta_)


@EVERY
def test_divergence_step_by_step(estimator):
    # The outputs grow a thousandfold each epoch: the loss is finite at first, and validation scores are not.
    settings = {"solver": "sgd", "activation": "identity", "momentum": 0, "learning_rate_init": 1e3, "max_iter": 100}
    net = clone(estimator).set_params(**settings)
    assert finite_or_says_so(clone(net), X, target(estimator))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training diverged in epoch", ConvergenceWarning)
        assert finite_or_says_so(net.set_params(early_stopping=True), X, target(estimator))


# ------------------------------------------------------------------------------------------ extreme data


@EVERY
@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop", "lbfgs"])
@pytest.mark.parametrize("scale", [0, 1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scale_of_the_features(estimator, solver, scale, dtype):
    # Of float32, the exponents are an eighth.
    X_scaled = (X * (scale if dtype == np.float64 else np.sign(scale) * scale**0.125)).astype(dtype)
    assert finite_or_says_so(clone(estimator).set_params(solver=solver), X_scaled, target(estimator))


@EVERY
@pytest.mark.parametrize("scale", [0, 1e-300, 1e150, 1e300])
def test_normalised_batches_of_extreme_scale(estimator, scale):
    assert finite_or_says_so(clone(estimator).set_params(batch_norm=True), X * scale, target(estimator))


@EVERY
def test_some_constant_features(estimator):
    X_constant = X.copy()
    X_constant[:, ::2] = [0, 1, -5, 1e3, 1e-300]
    assert finite(fitted(estimator, X_constant), X_constant)


@EVERY
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predictions_of_extreme_samples(estimator, activation):
    net = fitted(estimator, activation=activation)
    for scale in (1e-300, 1e300):
        assert finite(net, X * scale)


@EVERY
def test_predictions_beyond_the_networks_precision(estimator):
    net = fitted(estimator, X.astype(np.float32))
    with pytest.raises(ValueError, match=r"infinity|too large for dtype\('float32'\)"):
        net.predict(X * 1e300)
    with pytest.raises(ValueError, match=r"infinity|too large for dtype\('float32'\)"):
        net.fit(X.astype(np.float32), target(estimator), X_val=X * 1e300, y_val=target(estimator))


@REGRESSORS
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
@pytest.mark.parametrize("scale", [0, 1e-300, 1.0, 1e30, 1e150, 1e300])
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_constant_values(estimator, loss, scale, settings):
    assert finite_or_says_so(clone(estimator).set_params(loss=loss, **settings), X, np.full(40, scale))


@REGRESSORS
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
@pytest.mark.parametrize("scale", [1e-300, 1e30, 1e150, 1e300])
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_scale_of_the_values(estimator, loss, scale, settings):
    assert finite_or_says_so(clone(estimator).set_params(loss=loss, **settings), X, VALUES * scale)


@REGRESSORS
def test_values_beyond_the_networks_precision(estimator):
    with pytest.raises(ValueError, match=r"y .*(infinity|too large)"):
        fitted(estimator, X.astype(np.float32), VALUES * 1e300)


# ----------------------------------------------------------------------------------------------- weights


@EVERY
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "at least one non-zero number"),
        (0.0, "at least one non-zero number"),
        (-WEIGHTS, "Negative values in data passed to `sample_weight`"),
        (-1.0, "Negative values in data passed to `sample_weight`"),
        (WEIGHTS[:-1], r"sample_weight.shape == \(39,\), expected \(40,\)"),
        (WEIGHTS[:, None], "1D array or scalar, got 2D"),
        (np.full(40, 1j), "Complex data not supported"),
        (np.full(40, "heavy"), "could not convert string"),
        (np.full(40, None), "sample_weight contains NaN"),
    ],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_that_are_none(estimator, weights, message, early_stopping):
    net = clone(estimator).set_params(early_stopping=early_stopping)
    with pytest.raises(ValueError, match=message):
        net.fit(X, target(estimator), weights)
    assert not hasattr(net, "theta_")


@EVERY
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_other_forms_of_weights(estimator, settings):
    weights = np.arange(40) % 4 + 1
    want = fitted(estimator, X, None, weights.astype(float), **settings)
    for form in (weights, weights.astype(np.int8), weights.tolist(), pd.Series(weights), weights.astype(object)):
        assert_same(want, fitted(estimator, X, None, form, **settings))
    for one in (1, 1.0, True, np.float32(1), np.ones(40, bool)):
        assert_same(fitted(estimator, **settings), fitted(estimator, X, None, one, **settings))
    assert_same(fitted(estimator, X, None, np.full(40, 3.0), **settings), fitted(estimator, X, None, 3, **settings))


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_ratio_of_weights(estimator, dtype, settings):
    weights = np.where(np.arange(40) < 20, 1e-6, 1e6)
    assert finite(fitted(estimator, X.astype(dtype), None, weights, **settings))


@EVERY
def test_weights_beyond_the_networks_precision(estimator):
    with pytest.raises(ValueError, match=r"sample_weight.*(infinity|too large)"):
        fitted(estimator, X.astype(np.float32), None, np.full(40, 1e300))


@each_with(
    {},
    {"solver": "lbfgs"},
    {"early_stopping": True},
    {"shuffle": False},
    {"dropout": 0.5},
    {"batch_norm": True},
    {"class_weight": "balanced"},
)
def test_samples_of_weight_zero_are_absent(estimator, settings):
    kept, y = np.arange(40) % 5 != 0, target(estimator)
    net = fitted(estimator, X, y, kept * WEIGHTS, **settings)
    assert_same(net, fitted(estimator, X[kept], y[kept], WEIGHTS[kept], **settings))


@PERCEPTRONS
def test_samples_of_weight_zero_are_absent_from_sparse_data(estimator):
    kept, y, rows = np.arange(40) % 5 != 0, target(estimator), sparse.csr_array(X)
    net = fitted(estimator, rows, y, kept * WEIGHTS)
    assert_same(net, fitted(estimator, rows[kept], y[kept], WEIGHTS[kept]))


@CLASSIFIERS
@pytest.mark.parametrize("y", [CLASSES, CLASSES % 2], ids=["three", "two"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_classes_of_weight_zero_are_absent(estimator, y, early_stopping):
    settings = {"early_stopping": early_stopping, "validation_fraction": 0.25, "batch_size": 5}
    by_class = fitted(estimator, X, y, WEIGHTS, class_weight={0: 0, 1: 1, 2: 1}, **settings)
    assert finite(by_class)
    if not early_stopping:  # scores are taken on samples of all classes
        assert_same(by_class, fitted(estimator, X, y, WEIGHTS * (y > 0), **settings))


@CLASSIFIERS
@pytest.mark.parametrize("weight", [-1, np.nan, "heavy"])
def test_bad_class_weights(estimator, weight):
    with pytest.raises(ValueError, match="class_weight"):
        fitted(estimator, class_weight={0: weight})


@EVERY_FORM
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_validation_data_in_another_form(estimator, dtype, form):
    y, other = target(estimator), np.float64 if dtype == np.float32 else np.float32
    nets = [clone(estimator).set_params(early_stopping=True) for _ in range(2)]
    nets[0].fit(X.astype(dtype), y, X_val=X.astype(dtype), y_val=y)
    nets[1].fit(X.astype(dtype), y, X_val=form(X.astype(other)), y_val=y)
    # Sums over sparse rows have another order.
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(nets[1].validation_scores_, nets[0].validation_scores_, rtol=rtol)
    np.testing.assert_allclose(nets[1].validation_loss_curve_, nets[0].validation_loss_curve_, rtol=rtol)
    np.testing.assert_array_equal(nets[1].theta_, nets[0].theta_)


@EVERY
def test_validation_samples_of_weight_zero_are_absent(estimator):
    y, kept = target(estimator), np.arange(40) < 30
    nets = [clone(estimator).set_params(early_stopping=True) for _ in range(2)]
    nets[0].fit(X, y, X_val=X, y_val=y, sample_weight_val=kept * WEIGHTS)
    nets[1].fit(X, y, X_val=X[kept], y_val=y[kept], sample_weight_val=WEIGHTS[kept])
    np.testing.assert_allclose(nets[0].validation_scores_, nets[1].validation_scores_, rtol=1e-12)
    np.testing.assert_allclose(nets[0].validation_loss_curve_, nets[1].validation_loss_curve_, rtol=1e-12)


# ------------------------------------------------------------------------------- types, memory and order


@EVERY
@pytest.mark.parametrize("form", MEMORY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_of_the_arrays_does_not_matter(estimator, form, dtype):
    arrays = [MEMORY[form](array) for array in (X.astype(dtype), target(estimator), WEIGHTS.astype(dtype))]
    assert_same_as_plain(estimator, *arrays, np.float64 if form == "list" else dtype, target(estimator).dtype)


@EVERY
@pytest.mark.parametrize("dtype", TYPES)
def test_type_of_the_numbers_does_not_matter(estimator, dtype):
    inputs = [np.abs(array).astype(dtype) for array in (X * 8, target(estimator), WEIGHTS * 8)]
    if is_classifier(estimator) and dtype == "object":
        inputs[1] = CLASSES  # labels of any kind are tested below
    # Of float32, the network is too.
    assert_same_as_plain(estimator, *inputs, np.float32 if dtype == "float32" else np.float64, np.float64)


@EVERY
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_in_memory(estimator, mode, dtype, tmp_path):
    plain = X.astype(dtype), target(estimator), WEIGHTS.astype(dtype)
    files = [tmp_path / f"{name}.npy" for name in ("X", "y", "weights")]
    for file, array in zip(files, plain, strict=True):
        np.save(file, array)
    before = [file.read_bytes() for file in files]
    maps = [np.load(file, mmap_mode=mode) for file in files]
    net = fitted(estimator, *maps)
    assert_same(net, fitted(estimator, *plain), maps[0], plain[0])
    assert [file.read_bytes() for file in files] == before


@EVERY
@pytest.mark.parametrize(
    ("junk", "message"),
    [
        (np.full((40, 9), "junk"), "could not convert string"),
        (np.full((40, 9), "junk", object), "could not convert string"),
        (np.full((40, 9), {}, object), r"dict|float\(\) argument"),
        (X * 1j, "Complex data not supported"),
        (np.full((40, 9), 1j, object), "[Cc]omplex"),
        (np.full((40, 9), "2020-01-01", "datetime64[D]"), "datetime64|dates"),
        (np.full((40, 9), 1, "timedelta64[s]"), "timedelta64|dates"),
        (pd.DataFrame({"day": pd.date_range("2020", periods=40), "number": X[:, 0]}), "datetime64|dates|Timestamp"),
        (pd.DataFrame({"day": pd.date_range("2020", periods=40)}), "datetime64|dates|Timestamp"),
        (np.matrix(X), "np.matrix is not supported"),
        (np.ma.masked_greater(X, 1), "mask"),
    ],
)
def test_what_is_no_array_of_numbers(estimator, junk, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(estimator, junk)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(estimator).predict(junk)


@REGRESSORS
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (VALUES * 1j, "Complex data not supported"),
        (np.full(40, "junk"), "could not convert string"),
        (np.full(40, "junk", object), "could not convert string"),
        (np.full(40, "2020-01-01", "datetime64[D]"), "datetime64|dates"),
    ],
)
def test_what_are_no_values(estimator, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(estimator, X, y)


# ---------------------------------------------------------------------------------------------- sparse X


def unsorted(X):
    """CSR with its columns backwards, zeros that are stored, and numbers in two halves."""
    n, d = X.shape
    columns = np.tile(np.arange(d)[::-1].repeat(2), n)
    return sparse.csr_array((X[:, ::-1].repeat(2, axis=1).ravel() / 2, columns, np.arange(n + 1) * 2 * d), X.shape)


def long_indices(X):
    X = sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def frozen(X):
    X = long_indices(X)
    for array in (X.data, X.indices, X.indptr):
        array.setflags(write=False)
    return X


SPARSE = {
    **{name: getattr(sparse, name) for name in ("csr_array", "csc_array", "coo_array", "dok_array", "bsr_array")},
    **{name: getattr(sparse, name) for name in ("csr_matrix", "csc_matrix", "coo_matrix", "lil_matrix", "dia_matrix")},
    "int64 indices": long_indices,
    "read-only": frozen,
    "unsorted": unsorted,
    "rows cut out": lambda X: sparse.csr_array(np.vstack([X, X]))[: len(X)],
}


@PERCEPTRONS
@pytest.mark.parametrize("form", SPARSE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_is_dense(estimator, form, dtype):
    X_dense = (X * (np.abs(X) > 0.5)).astype(dtype)
    X_dense[[3, 7]], X_dense[:, 5] = 0, 0
    X_sparse = SPARSE[form](X_dense)
    assert sparse.issparse(X_sparse)
    # The same sums in another order.
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-12}
    for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        net, dense = fitted(estimator, X_sparse, **settings), fitted(estimator, X_dense, **settings)
        assert net.theta_.dtype == dtype
        np.testing.assert_allclose(net.theta_, dense.theta_, **tolerance)
        for ours, theirs in zip(outputs(net, X_sparse), outputs(dense, X_dense), strict=True):
            np.testing.assert_allclose(ours, theirs, **tolerance)
        # What was fitted on one form takes the other.
        np.testing.assert_allclose(net.predict(X_dense), dense.predict(X_sparse), **tolerance)


@PERCEPTRONS
@pytest.mark.parametrize("dtype", ["int8", "int64", "bool", "uint16"])
def test_sparse_of_other_numbers(estimator, dtype):
    X_other = np.abs(X).astype(dtype)
    net, want = (fitted(estimator, sparse.csr_array(form)) for form in (X_other, X_other.astype(float)))
    assert_same(net, want, sparse.csr_array(X_other), sparse.csr_array(X_other.astype(float)))


@PERCEPTRONS
def test_sparse_complex_numbers(estimator):
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted(estimator, sparse.csr_array(X * 1j))


@EVERY
def test_sparse_targets_and_weights(estimator):
    with pytest.raises((TypeError, ValueError), match=r"[Ss]parse|dense"):
        fitted(estimator, X, sparse.csr_array(target(estimator)[:, None]))
    with pytest.raises((TypeError, ValueError), match=r"[Ss]parse"):
        fitted(estimator, X, None, sparse.csr_array(WEIGHTS[:, None]))


# ------------------------------------------------------------------------------------------- parameters

WRONG = {
    "hidden_layer_sizes": [0, -5, 2.5, "10", None],
    "activation": ["sigmoid", None, 1],
    "solver": ["sag", None, ["adam"]],
    "alpha": [-1e-9, np.nan, np.inf, "0.1", None],
    "batch_size": [0, 10.0, "all", None],
    "learning_rate": ["cosine", None, 0.1],
    "learning_rate_init": [0, -1, np.nan, np.inf, "0.1", None],
    "power_t": [-1, np.nan, None],
    "max_iter": [0, 10.0, "10", None, np.inf],
    "shuffle": [2, "yes", None],
    "random_state": [-1, 0.5, "seed"],
    "tol": [-1, np.nan, None],
    "verbose": [-1, "loud", None],
    "warm_start": [2, "yes", None],
    "momentum": [-0.1, 1.1, np.nan, None],
    "nesterovs_momentum": [2, "yes", None],
    "early_stopping": [2, "yes", None],
    "validation_fraction": [-0.1, 1.0, np.nan, None],
    "beta_1": [-0.1, 1.0, np.nan, None],
    "beta_2": [-0.1, 1.0, np.nan, None],
    "epsilon": [0, -1, np.nan, None],
    "n_iter_no_change": [0, 2.5, None],
    "max_fun": [0, 10.0, None],
    "loss": ["hinge", None, 1],
    "weight_init": ["random", None],
    "lr_schedule": ["linear", 0.1],
    "class_weight": ["heavy", 1.0, [1, 2, 3]],
    "dropout": [-0.1, 1.0, np.nan, "half", None],
    "batch_norm": [2, "yes", None],
    "weight_decay": [-1, np.nan, None],
    "l1": [-1, np.nan, None],
    "clip_norm": [0, -1, np.nan, "norm"],
    "label_smoothing": [-0.1, 1.0, np.nan, None],
    "scoring": ["correctness", 1],
    "restore_best": [2, "yes", None],
    "huber_delta": [0, -1, np.nan, None],
    "quantile": [0, 1, np.nan, None],
    "filters": [0, -1, 2.5, "6", None],
    "kernel_size": [0, 2.5, "3", None],
    "stride": [0, -1, 1.5, None],
    "padding": [-1, 0.5, "full", None],
    "dilation": [0, 1.5, None],
    "groups": [0, 1.5, (1, 1), None],
    "pool": ["average", True, ("max", "avg")],
    "pool_size": [0, 2.5, "2", None],
    "pool_stride": [0, 2.5, "2"],
    "global_pool": ["sum", True],
    "conv_batch_norm": [2, "yes", (True,), None],
    "conv_dropout": [-0.1, 1.0, np.nan, "half", (0.5,), None],
    "residual": [2, "yes", None],
    "locally_connected": [2, "yes", None],
    "layers": [3, "dense", {}, ()],
    "image_shape": [9, "3x3"],
    "data_format": ["CHWN", "nhwc", None],
    "augment": ["flip", ["shift"], 2],
}


def test_every_parameter_is_tried():
    assert set(WRONG) == {name for net in ESTIMATORS for name in net.get_params()}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_wrong_parameters_are_refused_by_fit(name, value):
    for estimator in ESTIMATORS:
        if name in estimator.get_params():
            net = type(estimator)(**estimator.get_params() | {name: value})
            for method in (net.fit, net.partial_fit) if name != "solver" else (net.fit,):
                with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of {type(net).__name__}"):
                    method(X, target(net))
            assert not hasattr(net, "n_features_in_")


@EVERY
def test_unknown_parameters(estimator):
    with pytest.raises(ValueError, match="Invalid parameter 'units'"):
        clone(estimator).set_params(units=3)
    with pytest.raises(TypeError, match="units"):
        type(estimator)(units=3)


@PERCEPTRONS
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": ["relu"]}, r"activation=\['relu'\] must be one value.*each of the 2 hidden layers"),
        ({"activation": ("relu", "tanh", "relu")}, "activation=.*each of the 2 hidden layers"),
        ({"activation": []}, "activation=.*each of the 2 hidden layers"),
        ({"activation": ["relu", "sigmoid"]}, "'activation' parameter.*'sigmoid'"),
        ({"activation": ["relu", None]}, "'activation' parameter"),
        ({"dropout": [0.5]}, r"dropout=\[0.5\] must be one value.*each of the 2 hidden layers"),
        ({"dropout": np.array([0.1, 0.2, 0.3])}, "dropout=.*each of the 2 hidden layers"),
        ({"dropout": [0.1, 1.0]}, r"[Dd]ropout|rate"),
        ({"dropout": [0.1, -0.1]}, r"[Dd]ropout|rate"),
        ({"dropout": [0.1, np.nan]}, r"[Dd]ropout|rate"),
        ({"dropout": [0.1, "half"]}, r"[Dd]ropout|rate"),
        ({"dropout": [0.1, None]}, r"[Dd]ropout|rate"),
    ],
    ids=str,
)
def test_lists_that_do_not_fit_the_layers(estimator, settings, message):
    with pytest.raises(ValueError, match=message):
        fitted(estimator, hidden_layer_sizes=(4, 3), **settings)


@each_with(
    {"dropout": 0.3},
    {"dropout": [0.3]},
    {"l1": 0.1},
    {"batch_norm": True},
    {"conv_dropout": 0.3},
    {"conv_batch_norm": True},
    {"augment": {"shift": 1}},
)
def test_lbfgs_wants_a_smooth_function(estimator, settings):
    what = r"Dropout\(rate=0.3|BatchNorm\(|l1=0.1|augment=\{'shift': 1\}"
    with pytest.raises(ValueError, match=f'solver="lbfgs" minimises a smooth function.*({what}).*take a solver of'):
        fitted(estimator, solver="lbfgs", **settings)
    assert finite(fitted(estimator, solver="lbfgs", dropout=[0.0], l1=0))


@EVERY
@pytest.mark.parametrize(
    ("factor", "got"), [(np.nan, "nan"), (-0.5, "-0.5"), (np.inf, "inf"), (None, "nan|None"), (np.ones(1), "")], ids=str
)
def test_schedules_that_give_no_factor(estimator, factor, got):
    net = clone(estimator).set_params(lr_schedule=lambda progress: factor)
    with pytest.raises(ValueError, match=rf"lr_schedule must give finite factors of at least 0, got .*{got}"):
        net.fit(X, target(estimator))
    assert not hasattr(net, "theta_")


@EVERY
def test_parameters_changed_after_fit(estimator):
    net = fitted(estimator)
    before = outputs(net)
    changes = {
        "hidden_layer_sizes": (2, 2),
        "activation": "tanh",
        "solver": "lbfgs",
        "loss": "squared_error" if is_classifier(net) else "poisson",
        "batch_size": 1,
        "dropout": 0.9,
        "batch_norm": True,
        "label_smoothing": 0.5,
        "class_weight": "balanced",
        "filters": 7,
        "kernel_size": 1,
        "pool": None,
        "image_shape": (1, 9),
        "data_format": "NCHW",
    }
    net.set_params(**{name: value for name, value in changes.items() if name in net.get_params()})
    for after, want in zip(outputs(net), before, strict=True):
        np.testing.assert_array_equal(after, want)


# -------------------------------------------------------------------------------------- labels and values


@CLASSIFIERS
@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "oh", "yes"]),
        np.array(["no", "oh", "yes"], object),
        np.array([-3, -2, 5]),
        np.array([-3.0, 0.0, 1e9]),
        np.array([2, 200, 255], np.uint8),
        np.array([-1, 0, 2], ">i4"),
        np.array([0, 2**62, 2**62 + 1]),
        np.array([0, 1, 2], np.float16),
    ],
    ids=str,
)
def test_labels_keep_values_and_type(estimator, labels):
    net, want = fitted(estimator, X, labels[CLASSES]), fitted(estimator)
    np.testing.assert_array_equal(net.theta_, want.theta_)
    np.testing.assert_array_equal(net.classes_, labels)
    # In the byte order of the machine.
    assert net.classes_.dtype == net.predict(X).dtype == labels.dtype.newbyteorder("=")
    np.testing.assert_array_equal(net.predict(X), labels[want.predict(X)])


@CLASSIFIERS
@pytest.mark.parametrize("labels", [[False, True], ["no", "yes"], [-1, 1], [0.0, 1.0]], ids=str)
def test_two_labels(estimator, labels):
    labels, y = np.array(labels), CLASSES % 2
    net, want = fitted(estimator, X, labels[y]), fitted(estimator, X, y)
    np.testing.assert_array_equal(net.theta_, want.theta_)
    assert net.classes_.dtype == net.predict(X).dtype == labels.dtype
    np.testing.assert_array_equal(net.predict(X), labels[want.predict(X)])


@CLASSIFIERS
def test_labels_of_pandas(estimator):
    names = np.array(["no", "oh", "yes"], object)[CLASSES]
    for labels in (pd.Series(names), pd.Series(names, dtype="category"), pd.Series(names, dtype="str")):
        net = fitted(estimator, X, labels)
        np.testing.assert_array_equal(net.theta_, fitted(estimator).theta_)
        assert list(net.classes_) == ["no", "oh", "yes"]


@CLASSIFIERS
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (VALUES, "Unknown label type: continuous"),
        (VALUES.astype(object), "Unknown label type"),
        (np.full(40, None), "contains NaN|Unknown label type"),
        (np.array([0, "one"] * 20, object), "Unknown label type|uniformly strings or numbers"),
        (np.full(40, b"bytes"), "labels represented as bytes"),
        (CLASSES * 1j, "Complex data not supported"),
    ],
)
def test_what_are_no_labels(estimator, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(estimator, X, y)


@CLASSIFIERS
def test_validation_labels_that_training_has_not(estimator):
    for y_val in (CLASSES + 1, CLASSES * 10, np.full(40, "one")):
        net = clone(estimator)
        with pytest.raises((ValueError, TypeError), match="y_val"):
            net.fit(X, CLASSES, X_val=X, y_val=y_val)
        assert not hasattr(net, "theta_")


@CLASSIFIERS
def test_first_partial_fit_needs_the_classes(estimator):
    net = clone(estimator)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        net.partial_fit(X, CLASSES)
    assert not hasattr(net, "classes_")
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`.*\[0 1\].*\[0 1 2\]"):
        net.partial_fit(X, CLASSES, classes=[0, 1])
    assert not hasattr(net, "classes_")
    net.partial_fit(X, CLASSES, classes=[2, 1, 0, 3])
    np.testing.assert_array_equal(net.classes_, [0, 1, 2, 3])


@CLASSIFIERS
def test_later_partial_fit_with_other_classes(estimator):
    net = clone(estimator).partial_fit(X[:20], CLASSES[:20], classes=[0, 1, 2])
    before, theta = vars(net).copy(), net.theta_.copy()
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        net.partial_fit(X, CLASSES + 1)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        net.partial_fit(X, CLASSES, classes=[0, 1, 2, 3])
    assert vars(net) == before
    np.testing.assert_array_equal(net.theta_, theta)
    # Samples of one class are enough.
    assert finite(net.partial_fit(X[CLASSES == 2], CLASSES[CLASSES == 2]))


@EVERY
def test_partial_fit_and_early_stopping(estimator):
    net = clone(estimator).set_params(early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        net.partial_fit(X, target(net), **({"classes": [0, 1, 2]} if is_classifier(net) else {}))
    with pytest.raises(AttributeError, match="partial_fit"):
        net.set_params(solver="lbfgs").partial_fit(X, target(net))


@REGRESSORS
def test_partial_fit_with_another_number_of_outputs(estimator):
    net = clone(estimator).partial_fit(X, VALUES)
    for method in (net.partial_fit, net.set_params(warm_start=True).fit):
        with pytest.raises(ValueError, match=r"network has changed|outputs"):
            method(X, np.column_stack([VALUES, VALUES]))


@REGRESSORS
@pytest.mark.parametrize(("n_outputs", "n_validated"), [(1, 2), (2, 1), (2, 3)])
def test_validation_values_of_another_number_of_outputs(estimator, n_outputs, n_validated):
    with pytest.raises(ValueError, match="y_val"):
        clone(estimator).fit(X, X[:, :n_outputs].squeeze(), X_val=X, y_val=X[:, :n_validated].squeeze())


@CLASSIFIERS
@pytest.mark.parametrize("y", [LABELS[:, :2], CLASSES], ids=["fewer labels", "classes"])
def test_labels_of_another_kind(estimator, y):
    net = fitted(estimator, X, LABELS)
    with pytest.raises(ValueError, match="y_val"):
        clone(estimator).fit(X, LABELS, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"labels|classes"):
        net.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"labels|classes"):
        net.set_params(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="multilabel"):
        fitted(estimator).partial_fit(X, LABELS)


@REGRESSORS
def test_poisson_wants_counts(estimator):
    for settings in ({}, {"solver": "lbfgs"}, {"early_stopping": True}):
        with pytest.raises(ValueError, match=r'loss="poisson" needs y of at least 0, got -'):
            fitted(estimator, X, VALUES, loss="poisson", **settings)
        assert finite(fitted(estimator, X, np.arange(40) % 3, loss="poisson", **settings))
    with pytest.raises(ValueError, match=r'loss="poisson" needs y(_val)? of at least 0, got -'):
        clone(estimator).set_params(loss="poisson").fit(X, CLASSES, X_val=X, y_val=VALUES)


# --------------------------------------------------------------------------- errors of the floating point


@each_with(
    {},
    {"early_stopping": True},
    {"solver": "lbfgs"},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"loss": "squared_error"},
    {"class_weight": "balanced"},
    {"weight_decay": 0.1, "l1": 0.1, "clip_norm": 0.1, "dropout": 0.5, "lr_schedule": "one_cycle"},
    {"batch_norm": True},
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpys_errors_are_raised(estimator, settings, dtype):
    X_fit, y = X.astype(dtype), target(estimator)
    samples = [(X * scale).astype(dtype) for scale in (1, 1e-30, 1e3)]
    want = fitted(estimator, X_fit, y, **settings)
    with np.errstate(all="raise"):
        net = fitted(estimator, X_fit, y, **settings)
        said = [outputs(net, some) for some in samples]
    np.testing.assert_array_equal(net.theta_, want.theta_)
    for ours, some in zip(said, samples, strict=True):
        for output, other in zip(ours, outputs(want, some), strict=True):
            np.testing.assert_array_equal(output, other)


@REGRESSORS
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_numpys_errors_are_raised_for_counts(estimator, settings):
    settings = settings | {"loss": "poisson", "activation": "identity"}
    want = fitted(estimator, X, CLASSES, **settings).predict(X)
    with np.errstate(all="raise"):
        net = fitted(estimator, X, CLASSES, **settings)
        np.testing.assert_array_equal(net.predict(X), want)
        # The mean of these is zero or infinity.
        assert set(np.unique(net.predict(X * 1e300))) <= {0.0, np.inf}


@EVERY
def test_numpys_errors_are_raised_where_training_diverges(estimator):
    with np.errstate(all="raise"), pytest.raises(ValueError, match="diverged in epoch 3"):
        fitted(estimator, **EXPLODING)
