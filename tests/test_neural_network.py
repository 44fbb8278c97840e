"""Estimators of networks as scikit-learn's users meet them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_regressor
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, scale
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from skdeep import ConvNetClassifier, ConvNetRegressor, MLPBackpropClassifier, MLPBackpropRegressor

pytestmark = pytest.mark.usefixtures("serial")
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def read_only(*arrays):
    for array in arrays:
        array.setflags(write=False)
    return arrays


def digits():
    X, y = load_digits(return_X_y=True)
    return read_only(X[:300] / 16, y[:300])


X_DIGITS, Y_DIGITS = digits()
X_DIABETES, Y_DIABETES = read_only(*map(scale, load_diabetes(return_X_y=True)))

# Small, quick and converging to something: what the checks below fit.
MLP = MLPBackpropClassifier((20,), max_iter=5, learning_rate_init=0.01, random_state=0)
REGRESSOR = MLPBackpropRegressor(hidden_layer_sizes=(20,), max_iter=5, learning_rate_init=0.01, random_state=0)
SETTINGS = {"max_iter": 3, "batch_size": 50, "learning_rate_init": 0.01, "random_state": 0}
CONVNET = ConvNetClassifier(4, kernel_size=3, hidden_layer_sizes=10, **SETTINGS)
CONVNET_REGRESSOR = ConvNetRegressor(4, kernel_size=3, hidden_layer_sizes=10, **SETTINGS)
CLASSIFIERS = pytest.mark.parametrize("estimator", [MLP, CONVNET], ids=lambda e: type(e).__name__)
EVERY = pytest.mark.parametrize(
    "estimator", [MLP, REGRESSOR, CONVNET, CONVNET_REGRESSOR], ids=lambda e: type(e).__name__
)


def data_for(estimator):
    return (X_DIABETES, Y_DIABETES) if is_regressor(estimator) else (X_DIGITS, Y_DIGITS)


def fitted(estimator, X=None, y=None):
    """A fitted clone, its maximum number of epochs no reason to warn."""
    X, y = data_for(estimator) if X is None else (X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).fit(X, y)


# ------------------------------------------------------------------------------ scikit-learn's checks


@ignore_convergence
@parametrize_with_checks(
    [
        MLPBackpropClassifier(),
        MLPBackpropClassifier((10, 5), "tanh", solver="sgd", learning_rate_init=0.1, weight_init="xavier_normal"),
        MLPBackpropClassifier(hidden_layer_sizes=(), shuffle=False, weight_decay=1e-3, learning_rate_init=0.1),
        # Few iterations: later on, rounding decides where L-BFGS stops.
        MLPBackpropClassifier((20, 10), ["silu", "elu"], solver="lbfgs", alpha=0.1, max_iter=20),
        MLPBackpropClassifier((20,), solver="adamw", clip_norm=1.0, label_smoothing=0.1, l1=1e-4),
        MLPBackpropClassifier((20,), "logistic", loss="squared_error", learning_rate_init=0.01),
        MLPBackpropRegressor(max_iter=100),
        MLPBackpropRegressor(hidden_layer_sizes=(10, 5), activation="tanh", solver="sgd", alpha=0.1),
        MLPBackpropRegressor("huber", (20,), "softplus", solver="rmsprop", learning_rate_init=0.01),
        MLPBackpropRegressor(hidden_layer_sizes=(), learning_rate_init=0.1, weight_init="xavier_normal"),
        ConvNetClassifier(2, kernel_size=2, hidden_layer_sizes=10, learning_rate_init=0.01),
        ConvNetClassifier((4, 8), hidden_layer_sizes=(), data_format="NCHW", learning_rate_init=0.02, max_iter=50),
        ConvNetClassifier(
            3,
            kernel_size=(1, 2),
            pool=None,
            activation="tanh",
            loss="squared_error",
            solver="sgd",
            learning_rate_init=0.3,
            max_iter=50,
        ),
        ConvNetRegressor(2, kernel_size=2, residual=True, hidden_layer_sizes=10, learning_rate_init=0.03, max_iter=50),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@ignore_convergence
@EVERY
def test_pipeline_and_grid_search(estimator):
    X, y = data_for(estimator)
    name = type(estimator).__name__.lower()
    units = {f"{name}__hidden_layer_sizes": [(5,), (20, 10)]}
    widths = {f"{name}__filters": [2, (3, 4)]} if hasattr(estimator, "filters") else {}
    search = GridSearchCV(make_pipeline(MinMaxScaler(), clone(estimator)), units | widths, cv=2)
    search.fit(X, y)
    assert search.cv_results_["mean_test_score"].size == 2 ** (1 + len(widths))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[-1]
    assert best.hidden_layer_sizes == search.best_params_[f"{name}__hidden_layer_sizes"]
    np.testing.assert_array_equal(search.predict(X), best.predict(search.best_estimator_[0].transform(X)))


@EVERY
def test_clone_and_pickle(estimator):
    X, _ = data_for(estimator)
    net = fitted(estimator)
    assert clone(net).get_params() == estimator.get_params()
    assert not any(name.endswith("_") for name in vars(clone(net)))
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    np.testing.assert_array_equal(again.theta_, net.theta_)


@EVERY
def test_predictions_leave_no_trace_in_pickles(estimator):
    X, _ = data_for(estimator)
    net = fitted(estimator)
    before = pickle.dumps(net)
    net.predict(X[:1])
    if hasattr(net, "transform"):
        net.transform(X[:1])
    assert pickle.dumps(net) == before


@EVERY
def test_predictions_of_one_sample_follow_changes_of_parameters(estimator):
    X, _ = data_for(estimator)
    net = fitted(estimator)
    scores = getattr(net, "predict_proba", net.predict)
    before = scores(X[:1])
    net.coefs_[0][...] *= -1.5
    net.intercepts_[-1][...] += np.arange(1, net.n_outputs_ + 1)
    assert not np.array_equal(scores(X[:1]), before)
    np.testing.assert_array_equal(scores(X[:1]), scores(X)[:1])


@EVERY
def test_same_seed_same_bits(estimator):
    np.testing.assert_array_equal(fitted(estimator).theta_, fitted(estimator).theta_)
    other = clone(estimator).set_params(random_state=1)
    assert not np.array_equal(fitted(estimator).theta_, fitted(other).theta_)


@EVERY
def test_learned_attributes(estimator):
    net = fitted(estimator)
    for weights, bias in zip(net.coefs_, net.intercepts_, strict=True):
        assert np.shares_memory(weights, net.theta_)
        assert np.shares_memory(bias, net.theta_)
        assert weights.shape[-1:] == bias.shape
    assert net.n_parameters_ == net.theta_.size == sum(view.size for view in net.coefs_ + net.intercepts_)
    assert net.n_iter_ == len(net.loss_curve_) == net.max_iter
    assert net.n_layers_ == len(net.coefs_) + 1
    assert (net.loss_, net.best_loss_) == (net.loss_curve_[-1], min(net.loss_curve_))
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    X, _ = data_for(estimator)
    before = net.predict(X)
    net.theta_[...] = 0
    assert not np.array_equal(net.predict(X), before)


def test_grey_levels_of_lenet():
    net = fitted(ConvNetClassifier(max_iter=1, random_state=0))
    assert net.image_shape_in_ == (8, 8, 1)
    assert [coef.shape for coef in net.coefs_] == [(5, 5, 1, 6), (4, 4, 6, 16), (64, 120), (120, 84), (84, 10)]


# --------------------------------------------------------------------------------------------- input


@EVERY
def test_float32_stays_float32(estimator):
    X, y = data_for(estimator)
    net = fitted(estimator, X.astype(np.float32), y)
    assert net.theta_.dtype == np.float32
    outputs = net.predict_proba if hasattr(net, "predict_proba") else net.predict
    assert outputs(X.astype(np.float32)).dtype == np.float32
    assert outputs(X).dtype == np.float32  # the network's own precision
    assert fitted(estimator, X, y).theta_.dtype == np.float64


def forms_of(X):
    """The same numbers in other memory."""
    strided = np.zeros((2 * len(X), 2 * X.shape[1]), X.dtype)
    strided[::2, ::2] = X
    columns = [f"pixel {i}" for i in range(X.shape[1])]
    return {
        "read-only": X,
        "Fortran": np.asfortranarray(X),
        "strided": strided[::2, ::2],
        "reversed": X[::-1][::-1],
        "pandas": pd.DataFrame(X, columns=columns),
    }


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_form_of_the_input_does_not_matter(estimator, dtype):
    X, y = data_for(estimator)
    forms = forms_of(X.astype(dtype))
    net = fitted(estimator, forms["read-only"], y)
    for name, form in forms.items():
        targets = pd.Series(y) if name == "pandas" else y
        other = fitted(estimator, form, targets)
        np.testing.assert_array_equal(other.theta_, net.theta_, err_msg=name)
        np.testing.assert_array_equal(other.predict(form), net.predict(forms["read-only"]), err_msg=name)
        assert hasattr(other, "feature_names_in_") == (name == "pandas")


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_order_of_bytes_does_not_matter(estimator, dtype):
    X, y = data_for(estimator)
    X = X.astype(dtype)
    swapped = X.astype(X.dtype.newbyteorder())
    net, other = fitted(estimator, X, y), fitted(estimator, swapped, y)
    assert other.theta_.dtype == net.theta_.dtype
    np.testing.assert_array_equal(other.theta_, net.theta_)
    np.testing.assert_array_equal(other.predict(swapped), net.predict(X))


@EVERY
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float16"])
def test_other_numbers_are_taken_as_float64(estimator, dtype):
    _, y = data_for(estimator)
    X = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 17, (len(y), 36)).astype(dtype)
    net, want = fitted(estimator, X, y), fitted(estimator, X.astype(float), y)
    np.testing.assert_array_equal(net.theta_, want.theta_)
    np.testing.assert_array_equal(net.predict(X), want.predict(X.astype(float)))


def test_dimensions_of_images():
    net, proba = fitted(CONVNET), fitted(CONVNET).predict_proba(X_DIGITS)
    for shape in ((8, 8), (8, 8, 1)):
        X = X_DIGITS.reshape(-1, *shape)
        other = fitted(CONVNET, X, Y_DIGITS)
        np.testing.assert_array_equal(other.theta_, net.theta_)
        # Fitted on one form, all are predicted.
        for form in (X, X_DIGITS, np.asfortranarray(X), X[:, ::-1][:, ::-1]):
            np.testing.assert_array_equal(other.predict_proba(form), proba)
    first = fitted(clone(CONVNET).set_params(data_format="NCHW"), X_DIGITS.reshape(-1, 1, 8, 8), Y_DIGITS)
    np.testing.assert_array_equal(first.predict_proba(X_DIGITS.reshape(-1, 1, 8, 8)), proba)


def test_searches_over_images():
    images = X_DIGITS.reshape(-1, 8, 8, 1)
    searches = [GridSearchCV(CONVNET, {"filters": [2, (3, 4)]}, cv=2).fit(X, Y_DIGITS) for X in (images, X_DIGITS)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(("data_format", "image_shape"), [("NHWC", (4, 6, 3)), ("NCHW", (3, 4, 6))])
def test_colour_images_in_a_table(data_format, image_shape, rng):
    X, y = rng.normal(size=(40, *image_shape)), rng.integers(0, 3, 40)
    net = clone(CONVNET).set_params(data_format=data_format)
    tabled = clone(net).set_params(image_shape=image_shape)
    table = X.reshape(40, -1)
    np.testing.assert_array_equal(tabled.fit(table, y).theta_, net.fit(X, y).theta_)
    np.testing.assert_array_equal(tabled.predict_proba(table), net.predict_proba(X))
    assert tabled.image_shape_in_ == (4, 6, 3)


def test_tables_that_are_no_square_are_rows():
    X, y = load_iris(return_X_y=True)
    assert fitted(CONVNET, X, y).image_shape_in_ == (2, 2, 1)
    assert fitted(CONVNET, X[:, :3], y).image_shape_in_ == (1, 3, 1)


def test_flat_and_grey_image_shapes():
    flat = fitted(clone(CONVNET).set_params(image_shape=(4, 16)), X_DIGITS, Y_DIGITS)
    assert flat.image_shape_in_ == (4, 16, 1)
    assert fitted(clone(CONVNET).set_params(image_shape=[4, 4, 4])).image_shape_in_ == (4, 4, 4)


def test_settings_of_each_layer():
    settings = {"kernel_size": [3, (2, 1)], "padding": ["valid", (1, 0)], "stride": [1, (1, 2)], "pool_size": [2, 1]}
    net = fitted(ConvNetClassifier((2, 3), max_iter=1, random_state=0, **settings, pool_stride=[None, 1]))
    assert [coef.shape for coef in net.coefs_[:2]] == [(3, 3, 1, 2), (2, 1, 2, 3)]
    assert net.coefs_[2].shape[0] == 4 * 2 * 3
    for name in settings:
        with pytest.raises(ValueError, match=rf"{name}=.*one for each of the 2 convolutions"):
            ConvNetClassifier((2, 3), **{name: [1, 1, 1]}).fit(X_DIGITS, Y_DIGITS)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
def test_no_convolution(hidden_layer_sizes):
    # Filters may be searched down to none: what remains is a perceptron, the channels of its inputs last.
    settings = {"hidden_layer_sizes": hidden_layer_sizes, "max_iter": 3, "batch_size": 50, "random_state": 0}
    rows = X_DIGITS.reshape(-1, 2, 4, 8).transpose(0, 2, 3, 1).reshape(-1, 64)
    mlp = fitted(MLPBackpropClassifier(**settings), rows, Y_DIGITS)
    net = ConvNetClassifier(filters=(), data_format="NCHW", image_shape=(2, 4, 8), **settings)
    np.testing.assert_array_equal(fitted(net, X_DIGITS, Y_DIGITS).theta_, mlp.theta_)


# ------------------------------------------------------------------------------------------- targets


@CLASSIFIERS
def test_labels_of_any_kind(estimator):
    net = fitted(estimator)
    names = np.array([f"digit {i}" for i in range(10)])
    for labels in (names, names.astype(object), np.arange(10) * 2 - 7, np.arange(10) / 1.0):
        other = fitted(estimator, X_DIGITS, labels[Y_DIGITS])
        np.testing.assert_array_equal(other.theta_, net.theta_)
        np.testing.assert_array_equal(other.predict(X_DIGITS), labels[net.predict(X_DIGITS)])
        np.testing.assert_array_equal(other.classes_, labels)


@CLASSIFIERS
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_probabilities(estimator, loss, n_classes):
    X, y = X_DIGITS, Y_DIGITS % n_classes
    net = fitted(clone(estimator).set_params(loss=loss), X, y)
    proba = net.predict_proba(X)
    assert proba.shape == (300, n_classes)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(net.predict(X), net.classes_[proba.argmax(axis=1)])
    np.testing.assert_allclose(net.predict_log_proba(X), np.log(proba), rtol=1e-9)


@ignore_convergence
@CLASSIFIERS
def test_labels_in_a_column_warn(estimator):
    with pytest.warns(DataConversionWarning, match="column-vector"):
        net = clone(estimator).fit(X_DIGITS, Y_DIGITS[:, None])
    np.testing.assert_array_equal(net.theta_, fitted(estimator).theta_)


@CLASSIFIERS
def test_targets_that_are_no_labels(estimator):
    with pytest.raises(ValueError, match="Unknown label type"):
        fitted(estimator, X_DIGITS, X_DIGITS[:, 3] + 0.5)
    with pytest.raises(ValueError, match=r"should be a 1d array|1D data|[Mm]ultioutput"):
        fitted(estimator, X_DIGITS, np.column_stack([Y_DIGITS, Y_DIGITS]))


@ignore_convergence
def test_several_outputs():
    Y = np.column_stack([Y_DIABETES, -Y_DIABETES, X_DIABETES[:, 2]])
    net = fitted(REGRESSOR, X_DIABETES, Y)
    assert net.predict(X_DIABETES).shape == Y.shape
    assert net.n_outputs_ == 3
    theirs = MLPRegressor(**{name: REGRESSOR.get_params()[name] for name in ("hidden_layer_sizes", "max_iter")})
    theirs.set_params(learning_rate_init=0.01, random_state=0).fit(X_DIABETES, Y)
    # The same sums in another order.
    np.testing.assert_allclose(net.predict(X_DIABETES), theirs.predict(X_DIABETES), rtol=1e-6, atol=1e-8)


@ignore_convergence
def test_values_in_a_column_are_taken_as_scikit_learn_takes_them():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        theirs = MLPRegressor(max_iter=1).fit(X_DIABETES, Y_DIABETES[:, None])
    with pytest.warns(DataConversionWarning, match="column-vector"):
        ours = clone(REGRESSOR).fit(X_DIABETES, Y_DIABETES[:, None])
    assert ours.predict(X_DIABETES).shape == theirs.predict(X_DIABETES).shape


@pytest.mark.parametrize(
    ("ours", "theirs"), [(MLPBackpropClassifier, MLPClassifier), (MLPBackpropRegressor, MLPRegressor)]
)
def test_defaults_are_scikit_learns(ours, theirs):
    defaults = theirs().get_params()
    for name, value in ours().get_params().items():
        assert defaults.get(name, value) == value


# --------------------------------------------------------------------------------------------- training


def test_maximum_of_epochs_warns():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached"):
        clone(MLP).fit(X_DIGITS, Y_DIGITS)


@EVERY
def test_training_stops_when_the_loss_does_not_fall(estimator):
    X, y = data_for(estimator)
    net = clone(estimator).set_params(tol=1e9, n_iter_no_change=2, max_iter=50).fit(X, y)
    # The first epoch is progress from infinity; it takes more than two idle ones.
    assert net.n_iter_ == 4


def test_verbose_prints_every_epoch(capsys):
    net = fitted(clone(MLP).set_params(verbose=True))
    lines = capsys.readouterr().out.splitlines()
    want = [f"Iteration {i}, loss = {loss:.8f}" for i, loss in enumerate(net.loss_curve_, start=1)]
    assert lines == want


def test_convolutions_see_more_than_a_linear_model():
    X, y = load_digits(return_X_y=True)
    (X, X_test), (y, y_test) = np.split(X / 16, [1200]), np.split(y, [1200])  # the last digits are of other writers
    settings = {"activation": "tanh", "batch_size": 32, "learning_rate_init": 0.003, "random_state": 0}
    net = ConvNetClassifier(32, kernel_size=3, **settings).fit(X, y)
    assert net.score(X_test, y_test) > LogisticRegression().fit(X, y).score(X_test, y_test) + 0.02


@EVERY
@pytest.mark.parametrize("state", ["unfitted", "fitted"])
def test_divergence_is_an_error_that_changes_nothing(estimator, state):
    X, y = data_for(estimator)
    net = fitted(estimator) if state == "fitted" else clone(estimator)
    net.set_params(solver="sgd", learning_rate_init=1e6, max_iter=50, activation="identity")
    before = vars(net).copy()
    with pytest.raises(ValueError, match=r"diverged in epoch \d+.*learning_rate_init"):
        net.fit(X[:, :9] * 1e3, y)
    assert vars(net) == before
    assert all(vars(net)[name] is value for name, value in before.items())


@EVERY
def test_failed_fits_change_nothing(estimator):
    X, y = data_for(estimator)
    net = fitted(estimator)
    before, predictions = vars(net).copy(), net.predict(X)
    for bad_X, bad_y in [(X[:, :5], y[:-1]), (np.full_like(X, np.nan), y), (X[:0], y[:0]), (X[0], y)]:
        with pytest.raises(ValueError, match=r"inconsistent|NaN|0 sample|Expected 2D"):
            net.fit(bad_X, bad_y)
        assert vars(net) == before
    np.testing.assert_array_equal(net.predict(X), predictions)


# -------------------------------------------------------------------------------------------- callbacks


class Recorder:
    """Notes what happens, and stops after an epoch if it should."""

    def __init__(self, stop_after=None, error=None):
        self.stop_after, self.error = stop_after, error
        self.begun, self.ended, self.scores, self.torn_down = [], [], [], 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.ended.append((context.task_name, context.task_id, context.parent and context.parent.max_subtasks))
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X, y))
        if context.task_id + 1 == self.stop_after:
            if self.error is not None:
                raise self.error
            return True
        return False

    def teardown(self, estimator, context):
        self.torn_down += 1


@ignore_convergence
@EVERY
def test_callbacks_see_every_epoch(estimator):
    recorder = Recorder()
    net = clone(estimator).set_callbacks(recorder).fit(*data_for(estimator))
    n = net.max_iter
    assert recorder.begun == [("fit", 0), *(("epoch", i) for i in range(n))]
    assert recorder.ended == [*(("epoch", i, n) for i in range(n)), ("fit", 0, None)]
    assert recorder.torn_down == 1
    # What a callback is given scores as the estimator does that stopped there.
    assert recorder.scores[-1] == net.score(*data_for(estimator))
    assert recorder.scores[0] == fitted(clone(estimator).set_params(max_iter=1)).score(*data_for(estimator))
    np.testing.assert_array_equal(net.theta_, fitted(estimator).theta_)


@EVERY
def test_callbacks_stop_the_training(estimator):
    recorder = Recorder(stop_after=2)
    net = clone(estimator).set_callbacks(recorder).fit(*data_for(estimator))  # no ConvergenceWarning
    assert net.n_iter_ == 2
    assert len(recorder.ended) == 3
    np.testing.assert_array_equal(net.theta_, fitted(clone(estimator).set_params(max_iter=2)).theta_)


@EVERY
def test_callbacks_stop_the_training_inside_a_search(estimator):
    recorder = Recorder(stop_after=2)
    net = clone(estimator).set_callbacks(recorder)
    search = GridSearchCV(net, {"alpha": [0.0, 1.0]}, cv=2).fit(*data_for(estimator))
    assert search.best_estimator_.n_iter_ == 2
    assert len(recorder.scores) == 2 * (2 * 2 + 1)  # two epochs of each candidate, fold and the last fit
    assert recorder.torn_down == 5


@ignore_convergence
@EVERY
def test_scikit_learns_monitor(estimator):
    X, y = data_for(estimator)
    scoring = "r2" if is_regressor(estimator) else "accuracy"
    monitor = ScoringMonitor(scoring=scoring)
    net = clone(estimator).set_callbacks(monitor).fit(X, y)
    # The score of the whole fit, then one after each epoch.
    whole, *epochs = monitor.get_logs().data_as_pandas[scoring]
    assert len(epochs) == net.max_iter
    assert whole == epochs[-1] == net.score(X, y)


@ignore_convergence
@EVERY
def test_scikit_learns_progress_bar(estimator, capsys):
    pytest.importorskip("rich", reason="the progress bar is drawn by rich")
    clone(estimator).set_callbacks(ProgressBar()).fit(*data_for(estimator))
    assert type(estimator).__name__ in capsys.readouterr().out


@ignore_convergence
def test_callbacks_of_a_search_reach_the_epochs():
    class Propagated(Recorder):
        max_propagation_depth = None

        def on_fit_task_end(self, estimator, context):
            self.ended.append((context.task_name, type(estimator).__name__))

    recorder = Propagated()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clone(MLP)), {"mlpbackpropclassifier__alpha": [0.0, 1.0]}, cv=2
    )
    search.set_callbacks(recorder).fit(X_DIGITS, Y_DIGITS)
    assert recorder.ended.count(("epoch", "MLPBackpropClassifier")) == 5 * MLP.max_iter
    assert recorder.torn_down == 1


@EVERY
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("from the callback")], ids=repr)
@pytest.mark.parametrize("state", ["unfitted", "fitted"])
def test_interrupted_fits_change_nothing(estimator, error, state):
    recorder = Recorder(stop_after=2, error=error)
    net = fitted(estimator) if state == "fitted" else clone(estimator)
    net.set_callbacks(recorder)
    before = vars(net).copy()
    with pytest.raises(error if isinstance(error, type) else type(error)):
        net.fit(*data_for(estimator))
    assert vars(net) == before
    assert recorder.torn_down == 1
    if state == "unfitted":
        with pytest.raises(NotFittedError):
            check_is_fitted(net)


# ----------------------------------------------------------------------------------------------- errors


@EVERY
@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": "softsign"},
        {"solver": "newton"},
        {"alpha": -1},
        {"batch_size": 0},
        {"learning_rate_init": 0},
        {"max_iter": 0},
        {"shuffle": "yes"},
        {"random_state": "seed"},
        {"tol": -1},
        {"momentum": 1.5},
        {"beta_1": 1.0},
        {"beta_2": -0.1},
        {"epsilon": 0},
        {"n_iter_no_change": 0},
        {"weight_init": "random"},
        {"loss": "hinge"},
        {"hidden_layer_sizes": -1},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_bad_parameters(estimator, parameters):
    (name,) = parameters
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of {type(estimator).__name__}"):
        fitted(clone(estimator).set_params(**parameters))


@EVERY
@pytest.mark.parametrize("sizes", [(0,), (5, -1), (2.5,), [[3, 4]]], ids=str)
def test_bad_hidden_layers(estimator, sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be integers of at least 1"):
        fitted(clone(estimator).set_params(hidden_layer_sizes=sizes))


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite(estimator, bad):
    X, y = data_for(estimator)
    X_bad = X.copy()
    X_bad[3, 4] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        fitted(estimator, X_bad, y)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        fitted(estimator).predict(X_bad)


@EVERY
def test_unfitted(estimator):
    X, _ = data_for(estimator)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError, match=type(estimator).__name__):
                getattr(clone(estimator), name)(X)
