"""Convolutional networks in scikit-learn's company: each companion must show that the network did the work."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, VotingClassifier, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdeep import ConvNetClassifier, ConvNetRegressor
from skdeep.networks import Conv2D, Dense, MaxPool2D

pytestmark = pytest.mark.usefixtures("serial")

SETTINGS = {"kernel_size": 3, "hidden_layer_sizes": 32, "max_iter": 10, "batch_size": 32, "learning_rate_init": 0.01}
CLASSIFIER, REGRESSOR = (each(8, random_state=0, **SETTINGS) for each in (ConvNetClassifier, ConvNetRegressor))
BOTH = pytest.mark.parametrize("net", [CLASSIFIER, REGRESSOR], ids=lambda net: type(net).__name__)
LAYERS = [("conv1", Conv2D(4, 3)), ("pool1", MaxPool2D(2)), ("dense", Dense(32))]


def data():
    """Grey levels of digits as rows, which digits they are, and how much more ink is right than left; read-only."""
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)[:600] / 16
    arrays = X[:600], y[:600], (images[:, :, 4:] - images[:, :, :4]).sum(axis=(1, 2))
    for array in arrays:
        array.setflags(write=False)
    return arrays


X, LABELS, VALUES = data()


def split(net):
    """Training and test data for a network."""
    y = LABELS if is_classifier(net) else VALUES
    return X[:400], y[:400], X[400:], y[400:]


def linear(net):
    return LogisticRegression(max_iter=1000) if is_classifier(net) else Ridge()


# ----------------------------------------------------------- companions: each returns its score on test data


def pipeline(net, X, y, X_test, y_test):
    pipe = make_pipeline(MinMaxScaler(), net).fit(X, y)
    np.testing.assert_array_equal(pipe.predict(X_test), net.predict(pipe[0].transform(X_test)))
    return pipe.score(X_test, y_test)


def column_transformer(net, X, y, X_test, y_test):
    # A table of an image and of numbers that say nothing: the features that the network finds are those that do.
    table = lambda X: np.hstack([X / 16, np.random.default_rng(0).normal(size=(len(X), 3))])
    columns = ColumnTransformer([("image", net, slice(0, 64)), ("numbers", StandardScaler(), slice(64, None))])
    pipe = make_pipeline(columns, linear(net)).fit(table(X), y)
    assert pipe[0].named_transformers_["image"].image_shape_in_ == (8, 8, 1)
    names = pipe[0].get_feature_names_out()
    assert len(names) == pipe[1].n_features_in_ == 32 + 3
    assert names[0] == f"image__{type(net).__name__.lower()}0"
    return pipe.score(table(X_test), y_test)


def searched(search, X, y, X_test, y_test):
    """The score of a fitted search, all of whose candidates must have been fitted."""
    search.fit(X, y)
    results = search.cv_results_
    assert np.isfinite(results["mean_test_score"]).all()
    assert all(search.best_params_[name] in values for name, values in search.param_grid.items())
    assert search.best_score_ == results["mean_test_score"][search.best_index_]
    # The candidates differ in what they learn, so that the parameters have reached the networks.
    assert len(set(results["mean_test_score"])) > 1
    return search.score(X_test, y_test)


def grid_search(net, *data):
    grid = {"filters": [2, (4, 8)], "kernel_size": [1, 3], "hidden_layer_sizes": [(), (32,)]}
    search = GridSearchCV(net, grid, cv=2)
    score = searched(search, *data)
    assert len(search.cv_results_["params"]) == 8
    best, filters = search.best_estimator_, np.atleast_1d(search.best_params_["filters"])
    size, units = search.best_params_["kernel_size"], search.best_params_["hidden_layer_sizes"]
    assert best.coefs_[0].shape == (size, size, 1, filters[0])
    assert len(best.coefs_) == len(filters) + len(units) + 1
    return score


def grid_search_of_layers(net, *data):
    kinds = [[Conv2D(4, 3), MaxPool2D(2), Dense(32)], [Dense(2)], LAYERS]
    search = GridSearchCV(net, {"layers": kinds}, cv=2)
    score = searched(search, *data)
    assert search.best_params_["layers"] is not kinds[1]  # two units are too narrow
    assert [type(layer) for _, layer in search.best_estimator_.layers_] == [Conv2D, MaxPool2D, Dense, Dense]
    return score


def grid_search_of_named_layers(net, *data):
    grid = {"conv1__filters": [1, 4], "dense": [Dense(1), Dense(32)]}
    search = GridSearchCV(net.set_params(layers=LAYERS), grid, cv=2)
    score = searched(search, *data)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert best.weights_of("conv1").shape == (3, 3, 1, search.best_params_["conv1__filters"])
    assert best.weights_of("dense").shape[1] == search.best_params_["dense"].units
    assert LAYERS[0][1].filters == 4  # candidates are copies
    return score


def grid_search_in_a_pipeline_over_processes(net, *data):
    pipe = make_pipeline(MinMaxScaler(), net)
    grid = {f"{pipe.steps[1][0]}__filters": [1, 8]}
    searches = [GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs) for n_jobs in (1, 2)]
    scores = [searched(search, *data) for search in searches]
    np.testing.assert_array_equal(*(search.cv_results_["mean_test_score"] for search in searches))
    assert scores[0] == scores[1]
    return scores[0]


def halving_grid_search(net, *data):
    grid = {"filters": [1, 8], "kernel_size": [1, 3], "hidden_layer_sizes": [(2,), (32,)]}
    search = HalvingGridSearchCV(
        net, grid, cv=2, factor=2, resource="max_iter", min_resources=3, max_resources=12, random_state=0
    )
    score = searched(search, *data)
    assert (search.n_candidates_, search.n_resources_) == ([8, 4, 2], [3, 6, 12])
    assert len(search.cv_results_["params"]) == 8 + 4 + 2
    assert search.best_estimator_.n_iter_ == 12
    return score


def voting(net, X, y, X_test, y_test):
    kind = VotingClassifier if is_classifier(net) else VotingRegressor
    soft = {"voting": "soft"} if is_classifier(net) else {}
    vote = kind([("net", net), ("linear", make_pipeline(MinMaxScaler(), linear(net)))], **soft).fit(X, y)
    assert vote.named_estimators_["net"].n_iter_ == net.max_iter
    said = "predict_proba" if is_classifier(net) else "predict"
    members = [getattr(member, said)(X_test) for member in vote.estimators_]
    np.testing.assert_allclose(getattr(vote, said)(X_test), np.mean(members, axis=0), rtol=1e-12)
    assert not np.allclose(*members)
    return vote.score(X_test, y_test)


def calibration(net, X, y, X_test, y_test):
    calibrated = CalibratedClassifierCV(net, cv=3, ensemble=True).fit(X, y)
    members = [each.estimator for each in calibrated.calibrated_classifiers_]
    assert len({member.theta_.tobytes() for member in members}) == 3
    np.testing.assert_allclose(calibrated.predict_proba(X_test).sum(axis=1), 1, rtol=1e-12)
    return calibrated.score(X_test, y_test)


def bagging(net, X, y, X_test, y_test):
    kind = BaggingClassifier if is_classifier(net) else BaggingRegressor
    bag = kind(net, n_estimators=3, random_state=0).fit(X, y)
    assert len({member.theta_.tobytes() for member in bag.estimators_}) == 3
    said = "predict_proba" if is_classifier(net) else "predict"
    want = np.mean([getattr(member, said)(X_test) for member in bag.estimators_], axis=0)
    np.testing.assert_allclose(getattr(bag, said)(X_test), want, rtol=1e-12)
    return bag.score(X_test, y_test)


def transformed_target(net, X, y, X_test, y_test):
    # Values far from zero, in a unit of their own: without the transformer no network of ten epochs finds them.
    both = TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, 1e4 + 1e3 * y)
    assert both.regressor_.predict(X).std() == pytest.approx(1, abs=0.2)
    return both.score(X_test, 1e4 + 1e3 * y_test)


def importance(net, X, y, X_test, y_test):
    net.fit(X, y)
    drops = permutation_importance(net, X_test, y_test, n_repeats=2, random_state=0).importances_mean
    is_blank = np.ptp(X_test, axis=0) == 0
    assert 0 < is_blank.sum() < 32
    np.testing.assert_array_equal(drops[is_blank], 0)
    assert drops[~is_blank].sum() > 0.1
    return net.score(X_test, y_test)


def curve(net, X, y, X_test, y_test):
    sizes, _, scores = learning_curve(
        net, X, y, train_sizes=[20, 260], cv=3, shuffle=True, random_state=0, error_score="raise"
    )
    assert sizes.tolist() == [20, 260]
    few, many = scores.mean(axis=1)
    assert few < many
    return many


# ----------------------------------------------------------------------------------------------------- tests

COMPANIONS = [
    pipeline,
    column_transformer,
    grid_search,
    grid_search_of_layers,
    grid_search_of_named_layers,
    grid_search_in_a_pipeline_over_processes,
    halving_grid_search,
    voting,
    calibration,
    bagging,
    transformed_target,
    importance,
    curve,
]
OF_ONE_KIND = {calibration: CLASSIFIER, transformed_target: REGRESSOR}
CASES = [
    pytest.param(companion, net, id=f"{companion.__name__}-{type(net).__name__}")
    for companion in COMPANIONS
    for net in (CLASSIFIER, REGRESSOR)
    if OF_ONE_KIND.get(companion, net) is net
]


@pytest.mark.parametrize(("companion", "net"), CASES)
def test_company(companion, net):
    # By chance it would be a tenth or, of values, zero.
    assert companion(clone(net), *split(net)) > 0.6


@BOTH
def test_streams(net):
    net, (X, y, X_test, y_test) = clone(net), split(net)
    first = {"classes": np.arange(10)} if is_classifier(net) else {}
    batches = np.array_split(np.arange(400), [30, 31, 130, 300])  # of many sizes, one of one sample
    for _ in range(10):
        for batch in batches:
            net.partial_fit(X[batch], y[batch], **first)
            first = {}
    assert net.score(X_test, y_test) > 0.8
    assert net.t_ == 10 * 400
    assert len(net.loss_curve_) == 10 * len(batches)
    assert net.loss_curve_[-1] < net.loss_curve_[0]


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fits_are_the_epochs_of_a_fit(net, solver):
    X, y, X_test, _ = split(net)
    settings = {"shuffle": False, "solver": solver, "conv_batch_norm": True, "max_iter": 4, "learning_rate_init": 1e-3}
    whole = clone(net).set_params(**settings).fit(X, y)
    steps = clone(net).set_params(**settings)
    for _ in range(4):
        steps.partial_fit(X, y, **({"classes": np.arange(10)} if is_classifier(net) else {}))
    np.testing.assert_array_equal(steps.theta_, whole.theta_)
    np.testing.assert_array_equal(steps.predict(X_test), whole.predict(X_test))
    assert steps.loss_curve_ == whole.loss_curve_
    assert (steps.n_iter_, steps.t_) == (1, whole.t_)


@BOTH
def test_streams_through_a_pipeline(net):
    # What comes before the network has learned on the first samples.
    pipe, (X, y, X_test, y_test) = make_pipeline(MinMaxScaler(), clone(net)), split(net)
    prepare, last = pipe[0].fit(X[:100]), pipe[-1]
    first = {"classes": range(10)} if is_classifier(net) else {}
    for batch in np.array_split(np.arange(400), 4) * 10:
        last.partial_fit(prepare.transform(X[batch]), y[batch], **first)
    assert pipe.score(X_test, y_test) > 0.8
