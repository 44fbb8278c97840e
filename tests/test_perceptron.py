"""MLPBackprop in the place of scikit-learn's perceptrons, and what it has beyond them."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, scale
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

import skdeep
from skdeep import MLPBackpropClassifier, MLPBackpropRegressor
from skdeep.training.schedules import SCHEDULES
from tests import _drop_in
from tests import _reference as reference

# Most fits here end with their last epoch, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")

PAIRS = [(MLPBackpropClassifier, MLPClassifier), (MLPBackpropRegressor, MLPRegressor)]


def table(name):
    load = {"digits": load_digits, "breast cancer": load_breast_cancer, "diabetes": load_diabetes}[name]
    X, y = load(return_X_y=True)
    return scale(X), scale(y) if name == "diabetes" else y


def classifier(**settings):
    defaults = {"hidden_layer_sizes": (20,), "max_iter": 5, "learning_rate_init": 0.01, "random_state": 0}
    return MLPBackpropClassifier(**(defaults | settings))


def regressor(**settings):
    defaults = {"hidden_layer_sizes": (20,), "max_iter": 5, "learning_rate_init": 0.01, "random_state": 0}
    return MLPBackpropRegressor(**(defaults | settings))


# ----------------------------------------------------------------------------------- scikit-learn's own


def test_scikit_learns_own_tests_pass():
    counts = _drop_in.counts_of("sklearn.neural_network.tests.test_mlp")
    assert counts.keys() == {"passed", "skipped"}
    assert counts["skipped"] == len(_drop_in.LEFT_OUT) <= 3
    assert counts["passed"] >= 57


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_parameters_are_scikit_learns_and_more(ours, theirs):
    mine, others = (list(inspect.signature(each).parameters.values()) for each in (ours, theirs))
    # The same names, defaults and kinds in the same order; what is new comes after and by name.
    assert mine[: len(others)] == others
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in mine[len(others) :])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
def test_attributes_and_methods_are_scikit_learns_and_more(solver, ours, theirs, early_stopping):
    X, y = table("diabetes" if ours is MLPBackpropRegressor else "digits")
    settings = {"solver": solver, "max_iter": 3, "early_stopping": early_stopping}
    ours, theirs = ours(**settings).fit(X, y), theirs(**settings).fit(X, y)
    public = lambda net: {name for name in dir(net) if not name.startswith("_")}
    assert public(theirs) - public(ours) <= ({"partial_fit"} if solver == "lbfgs" else set())
    for name in vars(theirs):
        if name.endswith("_") and not name.startswith("_") and name not in ("coefs_", "intercepts_"):
            mine, other = getattr(ours, name), getattr(theirs, name)
            assert np.shape(mine) == np.shape(other)
            assert (mine is None) == (other is None)


MODES = [
    {"solver": "sgd", "momentum": momentum, "nesterovs_momentum": nesterov, "learning_rate": mode}
    for momentum, nesterov in ((0.9, True), (0.9, False), (0.0, True))
    for mode in ("constant", "invscaling", "adaptive")
]
SETTINGS = [
    *MODES,
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1, "learning_rate_init": 0.1},
    {"solver": "sgd", "batch_size": 33, "shuffle": False},
    {"solver": "adam"},
    {"solver": "adam", "activation": "tanh", "batch_size": 50, "beta_1": 0.8, "epsilon": 1e-6},
    {"solver": "adam", "activation": "identity", "hidden_layer_sizes": (), "alpha": 0.5},
    {"solver": "adam", "activation": "logistic", "hidden_layer_sizes": (20, 10)},
    {"solver": "adam", "early_stopping": True},
    {"solver": "sgd", "early_stopping": True, "validation_fraction": 0.3},
    {"solver": "lbfgs"},
    {"solver": "lbfgs", "activation": "tanh", "hidden_layer_sizes": (10, 5), "alpha": 0.1},
]


@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning:sklearn")
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
@pytest.mark.parametrize("data", ["digits", "breast cancer", "diabetes"])
def test_training_is_scikit_learns(data, settings):
    """The same draws, shuffles and steps: after five epochs only roundings tell the weights apart."""
    X, y = table(data)
    settings = {"hidden_layer_sizes": (30,), "max_iter": 5, "random_state": 7} | settings
    ours, theirs = (each(**settings).fit(X, y) for each in PAIRS[data == "diabetes"])
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-8)
    if settings["solver"] != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            mine, other = getattr(ours, name), getattr(theirs, name)
            assert (mine is None) == (other is None)
            if other is not None:
                np.testing.assert_allclose(mine, other, rtol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-9)
    if data != "diabetes":
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_weighted_training_is_scikit_learns(solver, rng):
    X, y = table("breast cancer")
    weights = rng.uniform(0.1, 2, len(X))
    settings = {"hidden_layer_sizes": (10,), "solver": solver, "max_iter": 5, "random_state": 1}
    ours, theirs = (each(**settings).fit(X, y, sample_weight=weights) for each in PAIRS[0])
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)


def test_training_stops_where_scikit_learns_does():
    X, y = load_digits(n_class=3, return_X_y=True)
    settings = {"max_iter": 300, "tol": 1e-3, "n_iter_no_change": 5, "learning_rate_init": 0.01, "random_state": 7}
    ours, theirs = (each((30,), **settings).fit(X[:100] / 16, y[:100]) for each in PAIRS[0])
    assert ours.n_iter_ == theirs.n_iter_
    assert 5 < ours.n_iter_ < 300


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, MODES[2] | {"tol": 1.0, "n_iter_no_change": 1}])
def test_prints_what_scikit_learn_prints(settings, verbose, capsys):
    X, y = table("breast cancer")
    texts = []
    for each in PAIRS[0]:
        each((5,), max_iter=8, random_state=0, verbose=verbose, **settings).fit(X, y)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert bool(texts[0]) == verbose


def test_short_name():
    assert skdeep.MLPBackprop is MLPBackpropClassifier


# ------------------------------------------------------------------------- where scikit-learn is wrong


def test_loss_of_several_outputs_is_what_the_gradient_descends(rng):
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 4))
    net = regressor(solver="lbfgs", max_iter=10_000, alpha=0.1, activation="tanh").fit(X, Y)
    layers = [bound.layer for bound in net._network.bound]
    loss = lambda coefs: reference.objective(layers, coefs, net.intercepts_, X, Y, "squared error", alpha=0.1)
    assert net.loss_ == pytest.approx(loss(net.coefs_), rel=1e-9)
    # At the minimum no step to either side is lower.
    for i, weights in enumerate(net.coefs_):
        step = rng.normal(size=weights.shape) * 1e-3
        for sign in (-1, 1):
            assert loss([W + sign * step if i == j else W for j, W in enumerate(net.coefs_)]) > net.loss_


def test_no_partial_fit_for_lbfgs():
    assert not hasattr(MLPBackpropRegressor(solver="lbfgs"), "partial_fit")
    assert not hasattr(MLPBackpropClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(MLPBackpropRegressor(), "partial_fit")


def test_loss_of_an_epoch_counts_by_weight(rng):
    # A learning rate that changes nothing: the loss is that of the initial network, however it is cut into batches.
    X, y = table("breast cancer")
    weights = rng.uniform(0.1, 5, len(X))
    settings = {"solver": "sgd", "learning_rate_init": 1e-300, "alpha": 0.0, "max_iter": 1}
    cut, whole = (
        classifier(batch_size=size, **settings).fit(X, y, sample_weight=weights) for size in (50, len(X))
    )  # fmt: skip
    assert cut.loss_ == pytest.approx(whole.loss_, rel=1e-12)


def test_logarithms_of_tiny_probabilities(rng):
    X, y = table("digits")
    net = classifier(max_iter=20).fit(X, y)
    far = 1000 * X
    with np.errstate(divide="ignore"):
        assert np.isneginf(np.log(net.predict_proba(far))).any()
    logarithms = net.predict_log_proba(far)
    assert np.isfinite(logarithms).all()
    np.testing.assert_allclose(np.exp(logarithms).sum(axis=1), 1, rtol=1e-12)


def test_early_stopping_minds_the_names_of_features():
    for net in (classifier(early_stopping=True), regressor(early_stopping=True, scoring="r2")):
        check_dataframe_column_names_consistency(type(net).__name__, net)


def test_warm_start_goes_on_with_the_moments(rng):
    X, y = table("breast cancer")
    for solver in ("adam", "sgd", "rmsprop", "adamw"):
        straight = classifier(solver=solver, shuffle=False, max_iter=5).fit(X, y)
        in_two = classifier(solver=solver, shuffle=False, max_iter=2, warm_start=True).fit(X, y)
        in_two.set_params(max_iter=3).fit(X, y)
        np.testing.assert_array_equal(in_two.theta_, straight.theta_)
        assert in_two.loss_curve_ == straight.loss_curve_
        assert in_two.n_iter_ == 3


def test_warm_start_draws_what_scikit_learn_draws():
    # Without a momentum there is nothing that scikit-learn forgets. Each fit draws anew.
    X, y = table("breast cancer")
    settings = {"solver": "sgd", "momentum": 0.0, "max_iter": 3, "random_state": 7}
    ours, theirs = (each((20,), warm_start=True, **settings).fit(X, y).fit(X, y) for each in PAIRS[0])
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)


# --------------------------------------------------------------------------------- inputs and targets


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
def test_sparse_tables(container, dtype, solver):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].astype(dtype), y[:200]
    dense = classifier(solver=solver, early_stopping=True).fit(X, y)
    thin = classifier(solver=solver, early_stopping=True).fit(container(X), y)
    np.testing.assert_array_equal(thin.theta_, dense.theta_)
    np.testing.assert_array_equal(thin.predict_proba(container(X)), dense.predict_proba(X))
    np.testing.assert_array_equal(thin.transform(container(X)), dense.transform(X))


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_several_labels(loss):
    X, Y = make_multilabel_classification(n_samples=80, n_classes=4, random_state=0)
    net = classifier(loss=loss, max_iter=300, n_iter_no_change=300).fit(scale(X), Y)
    assert accuracy_score(Y, net.predict(scale(X))) > 0.95
    probabilities = net.predict_proba(scale(X))
    assert probabilities.shape == Y.shape
    np.testing.assert_array_equal(net.predict(scale(X)), probabilities > 0.5)
    np.testing.assert_array_equal(net.classes_, np.arange(4))


def test_decisions_are_the_scores_behind_probabilities():
    X, y = table("digits")
    net = classifier().fit(X, y)
    np.testing.assert_allclose(softmax(net.decision_function(X), axis=1), net.predict_proba(X), rtol=1e-12)
    two = classifier().fit(X, y > 4)
    np.testing.assert_allclose(expit(two.decision_function(X)), two.predict_proba(X)[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(two.decision_function(X) > 0, two.predict(X))


def test_integer_weights_are_repeats_and_zero_is_absence(rng):
    X, y = table("breast cancer")
    X, y, weights = X[:60], y[:60], rng.integers(0, 4, 60)
    repeated = np.repeat(np.arange(60), weights)
    for settings in ({"solver": "lbfgs", "max_iter": 30}, {"batch_size": 10_000, "shuffle": False, "max_iter": 20}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # batches larger than the data, iterations that end
            weighted = classifier(**settings).fit(X, y, sample_weight=weights)
            repeats = classifier(**settings).fit(X[repeated], y[repeated])
            absent = classifier(**settings).fit(X[weights > 0], y[weights > 0], sample_weight=weights[weights > 0])
        np.testing.assert_allclose(weighted.predict_proba(X), repeats.predict_proba(X), rtol=1e-6)
        np.testing.assert_array_equal(weighted.theta_, absent.theta_)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.2, 1: 3.0}])
def test_class_weights_multiply_sample_weights(class_weight, rng):
    X, y = table("breast cancer")
    weights = rng.uniform(0.5, 2, len(y))
    of_class = class_weight if isinstance(class_weight, dict) else dict(enumerate(len(y) / (2 * np.bincount(y))))
    by_class = classifier(class_weight=class_weight).fit(X, y, sample_weight=weights)
    by_sample = classifier().fit(X, y, sample_weight=weights * np.array([of_class[label] for label in y]))
    np.testing.assert_allclose(by_class.theta_, by_sample.theta_, rtol=1e-9, atol=1e-12)


def test_partial_fit_is_an_epoch_of_fit():
    X, y = table("digits")
    for ours, settings in ((classifier, {}), (regressor, {"solver": "sgd"})):
        whole = ours(shuffle=False, max_iter=4, **settings).fit(X, y)
        steps = ours(shuffle=False, **settings)
        for _ in range(4):
            steps.partial_fit(X, y, **({"classes": np.arange(10)} if ours is classifier else {}))
        np.testing.assert_array_equal(steps.theta_, whole.theta_)
        assert steps.loss_curve_ == whole.loss_curve_
        assert steps.n_iter_ == 1
        assert steps.t_ == 4 * len(X)


def test_classes_may_come_later():
    X, y = table("digits")
    net = classifier()
    for digit in range(10):
        net.partial_fit(X[y == digit], y[y == digit], classes=np.arange(10) if digit == 0 else None)
    np.testing.assert_array_equal(net.classes_, np.arange(10))
    with pytest.raises(ValueError, match="has classes not in"):
        net.partial_fit(X[:5], np.full(5, 11))


# ---------------------------------------------------------------------------------------- validation


def test_the_best_weights_come_back():
    X, y = table("digits")
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, test_size=0.3)
    settings = {"max_iter": 30, "learning_rate_init": 0.05, "early_stopping": True, "n_iter_no_change": 5}
    best = classifier(**settings).fit(X, y, X_val=X_val, y_val=y_val)
    last = classifier(restore_best=False, **settings).fit(X, y, X_val=X_val, y_val=y_val)
    assert best.validation_scores_ == last.validation_scores_
    assert best.score(X_val, y_val) == best.best_validation_score_ == max(best.validation_scores_)
    assert best.best_epoch_ == np.argmax(best.validation_scores_) + 1 < best.n_iter_
    assert last.score(X_val, y_val) == last.validation_scores_[-1] < best.best_validation_score_


@pytest.mark.parametrize("early_stopping", [False, True])
def test_validation_data_of_ones_own(early_stopping, rng):
    X, y = table("diabetes")
    X_val, y_val, weights = X[300:], y[300:], rng.uniform(0.1, 2, len(X) - 300)
    net = regressor(alpha=0.0, early_stopping=early_stopping)
    net.fit(X[:300], y[:300], X_val=X_val, y_val=y_val, sample_weight_val=weights)
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_ == 5
    last = net.score(X_val, y_val, sample_weight=weights)
    assert last == (net.best_validation_score_ if early_stopping else net.validation_scores_[-1])
    # The loss is half the weighted mean of squares.
    losses = 0.5 * np.average((net.predict(X_val) - y_val) ** 2, weights=weights)
    assert losses == pytest.approx(net.validation_loss_curve_[net.best_epoch_ - 1 if early_stopping else -1], rel=1e-9)
    # All of X was trained on, in the order of a fit without.
    alone = regressor(alpha=0.0).fit(X[:300], y[:300])
    assert net.loss_curve_ == alone.loss_curve_


def test_validation_by_any_scorer():
    X, y = table("breast cancer")
    X_val, y_val = X[400:], y[400:]
    for scoring in ("neg_log_loss", "roc_auc", get_scorer("f1"), lambda net, X, y: -net.predict_proba(X)[0, 0]):
        net = classifier(early_stopping=True, scoring=scoring).fit(X[:400], y[:400], X_val=X_val, y_val=y_val)
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        assert net.best_validation_score_ == pytest.approx(scorer(net, X_val, y_val), rel=1e-12)


# ------------------------------------------------------------------------------------- beyond: training


@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda progress: 1 / (1 + progress)])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_schedules(schedule, solver):
    X, y = table("breast cancer")
    net = classifier(lr_schedule=schedule, solver=solver, batch_size=100, max_iter=7).fit(X, y)
    n_steps = -(-len(X) // 100)
    function = SCHEDULES.get(schedule, schedule)
    want = [0.01 * function((epoch * n_steps + n_steps - 1) / (7 * n_steps)) for epoch in range(7)]
    np.testing.assert_allclose(net.lr_curve_, want, rtol=1e-12)


def test_schedule_names():
    progress = np.linspace(0, 1, 1001)
    cosine, one_cycle, step = (
        np.array([SCHEDULES[name](t) for t in progress]) for name in ("cosine", "one_cycle", "step")
    )
    np.testing.assert_allclose(cosine, 0.5 * (1 + np.cos(np.pi * progress)), atol=1e-12)
    assert (one_cycle[0], one_cycle.argmax(), one_cycle.max()) == (pytest.approx(0.04), 250, 1)
    assert one_cycle[-1] == pytest.approx(1e-5)
    assert set(step) == {1.0, 0.1, 0.01}


def test_one_step_is_as_long_as_the_clipped_gradient():
    X, y = table("digits")
    settings = {"solver": "sgd", "momentum": 0.0, "batch_size": len(X), "max_iter": 1, "learning_rate_init": 1e-3}
    begin = classifier(**settings | {"learning_rate_init": 1e-300}).fit(X, y)
    for clip_norm in (1e-3, 1e-2, 1e3, None):
        net = classifier(clip_norm=clip_norm, **settings).fit(X, y)
        length = np.linalg.norm(net.theta_ - begin.theta_) / 1e-3
        free = np.linalg.norm(classifier(**settings).fit(X, y).theta_ - begin.theta_) / 1e-3
        assert length == pytest.approx(free if clip_norm is None else min(clip_norm, free), rel=1e-6)


def test_norms_of_gradients_are_those_of_the_layers():
    X, y = table("diabetes")
    settings = {"solver": "sgd", "momentum": 0.0, "batch_size": len(X), "max_iter": 1}
    begin = regressor(**settings | {"learning_rate_init": 1e-300}).fit(X, y)
    net = regressor(**settings | {"learning_rate_init": 1e-3}).fit(X, y)
    steps = [np.linalg.norm(W - V) / 1e-3 for W, V in zip(net.coefs_, begin.coefs_, strict=True)]
    np.testing.assert_allclose(net.grad_norm_curve_[0], steps, rtol=1e-6)
    assert np.shape(regressor(max_iter=3).fit(X, y).grad_norm_curve_) == (3, 2)


def test_label_smoothing_is_training_on_smoothed_targets():
    X, y = table("digits")
    net = classifier(hidden_layer_sizes=(), label_smoothing=0.2, alpha=0.0, max_iter=1, batch_size=len(X)).fit(X, y)
    begin = classifier(
        hidden_layer_sizes=(), alpha=0.0, solver="sgd", learning_rate_init=1e-300, max_iter=1, batch_size=len(X)
    ).fit(X, y)
    targets = 0.8 * np.eye(10)[y] + 0.02
    assert net.loss_ == pytest.approx(-(targets * begin.predict_log_proba(X)).sum(axis=1).mean(), rel=1e-9)
    # Where two classes are told apart with certainty, each is given its target.
    net = classifier(hidden_layer_sizes=(), label_smoothing=0.2, solver="lbfgs", max_iter=1000, tol=1e-10, alpha=0.0)
    net.fit([[-1.0], [1.0]], [0, 1])
    np.testing.assert_allclose(net.predict_proba([[-1.0], [1.0]]), [[0.9, 0.1], [0.1, 0.9]], atol=1e-4)


def test_penalties_shrink_weights():
    X, y = table("digits")
    free = classifier(max_iter=60, alpha=0.0).fit(X, y)
    for name in ("weight_decay", "l1"):
        for solver in ("adam", "adamw"):
            # Beside the step, 1 % of the learning rate of 1 % would take 540 steps for one twentieth.
            strength = 0.5 if (name, solver) == ("weight_decay", "adamw") else 0.01
            net = classifier(max_iter=60, alpha=0.0, solver=solver, **{name: strength}).fit(X, y)
            assert sum((W**2).sum() for W in net.coefs_) < 0.7 * sum((W**2).sum() for W in free.coefs_)
    # L1 switches inputs off: pixels that are always white have no gradient but the penalty's.
    sparse_net = classifier(max_iter=60, alpha=0.0, l1=0.01).fit(X, y)
    assert (np.abs(sparse_net.coefs_[0]) < 1e-2).mean() > 3 * (np.abs(free.coefs_[0]) < 1e-2).mean()


def test_weight_decay_is_a_penalty_whatever_the_batch(rng):
    # Linear ridge: the minimum of |y - X w|^2 / 2 n + decay |w|^2 / 2.
    X, y = table("diabetes")
    y = y - y.mean()
    net = regressor(hidden_layer_sizes=(), alpha=0.0, weight_decay=0.3, solver="lbfgs", tol=1e-9, max_iter=1000).fit(
        X, y
    )
    want = np.linalg.solve(X.T @ X / len(X) + 0.3 * np.eye(X.shape[1]), X.T @ y / len(X))
    np.testing.assert_allclose(net.coefs_[0][:, 0], want, atol=1e-4)


def test_dropout_is_for_training_only():
    X, y = table("digits")
    net = classifier(dropout=0.5, max_iter=40).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), net.predict_proba(X))
    assert net.score(X, y) > 0.9
    # The loss of training is that of a thinned net.
    assert net.loss_ > classifier(max_iter=40).fit(X, y).loss_
    same = classifier(dropout=[0.5], max_iter=40).fit(X, y)
    np.testing.assert_array_equal(net.theta_, same.theta_)
    assert not np.array_equal(net.theta_, classifier(dropout=0.5, max_iter=40, random_state=1).fit(X, y).theta_)


def test_normalised_layers_learn_what_plain_ones_cannot():
    # Sixteen narrow logistic layers: without normalisation no gradient comes through.
    X, y = table("digits")
    settings = {"hidden_layer_sizes": (30,) * 6, "activation": "logistic", "max_iter": 30}
    assert classifier(batch_norm=True, **settings).fit(X, y).score(X, y) > 0.9
    assert classifier(**settings).fit(X, y).score(X, y) < 0.5


@pytest.mark.parametrize("activation", ["leaky_relu", "elu", "gelu", "silu", "softplus", ["tanh", "gelu"]])
def test_activations_by_layer(activation):
    X, y = table("digits")
    net = classifier(hidden_layer_sizes=(20, 15), activation=activation, max_iter=40).fit(X, y)
    assert net.score(X, y) > 0.95
    layers = [bound.layer for bound in net._network.bound]
    want = reference.forward(layers, net.coefs_, net.intercepts_, X)
    np.testing.assert_allclose(net.decision_function(X), want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        net.transform(X), reference.forward(layers[:-1], net.coefs_[:-1], net.intercepts_[:-1], X), atol=1e-12
    )


def test_losses_of_regression_find_their_statistic(rng):
    # A network without inputs finds one number: mean, median, quantile.
    y = rng.exponential(size=1001)
    X = np.zeros((1001, 1))
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "learning_rate_init": 0.2, "momentum": 0.0, "tol": 0.0}
    settings |= {"lr_schedule": "cosine", "max_iter": 300, "batch_size": 1001, "n_iter_no_change": 1000, "alpha": 0.0}
    find = lambda **loss: regressor(**settings | loss).fit(X, y).predict(X[:1])[0]
    assert find() == pytest.approx(y.mean(), abs=1e-3)
    assert find(loss="poisson") == pytest.approx(y.mean(), abs=1e-3)
    assert find(loss="absolute_error") == pytest.approx(np.median(y), abs=0.01)
    assert find(loss="quantile", quantile=0.8) == pytest.approx(np.quantile(y, 0.8), abs=0.02)
    assert find(loss="huber", huber_delta=1e9) == pytest.approx(y.mean(), abs=1e-3)
    assert abs(find(loss="huber", huber_delta=0.01, max_iter=5000) - np.median(y)) < 0.05


def test_the_network_of_1986():
    # Squared error between one-hot targets and logistic units, as Rumelhart, Hinton and Williams had it.
    X, y = table("digits")
    net = classifier(loss="squared_error", activation="logistic", max_iter=60).fit(X, y)
    outputs = expit(expit(X @ net.coefs_[0] + net.intercepts_[0]) @ net.coefs_[1] + net.intercepts_[1])
    np.testing.assert_allclose(net.decision_function(X), outputs - 0.5, atol=1e-9)
    np.testing.assert_array_equal(net.predict(X), outputs.argmax(axis=1))
    assert net.score(X, y) > 0.9


# ------------------------------------------------------------------------------------ beyond: company


def test_hidden_features():
    X, y = table("diabetes")
    net = regressor(hidden_layer_sizes=(7, 4)).set_output(transform="pandas").fit(X, y)
    features = net.transform(X)
    assert list(features.columns) == list(net.get_feature_names_out()) == [f"mlpbackpropregressor{i}" for i in range(4)]
    np.testing.assert_allclose(features.to_numpy() @ net.coefs_[-1] + net.intercepts_[-1], net.predict(X)[:, None])
    assert regressor(batch_norm=True, dropout=0.2).fit(X.astype("f"), y).transform(X.astype("f")).dtype == np.float32


def test_summary_counts_everything():
    X, y = table("digits")
    net = classifier(hidden_layer_sizes=(30, 20), batch_norm=True, dropout=0.1).fit(X, y)
    lines = net.summary().splitlines()
    assert [line.split()[1] for line in lines[1:-1]] == ["Dense", "BatchNorm", "Dropout"] * 2 + ["Dense"]
    assert [lines[1].split()[0], lines[4].split()[0], lines[-2].split()[0]] == ["dense1", "dense2", "output"]
    assert f"{net.n_parameters_:,}" in lines[-1]
    assert f"{64 * 30 + 30:,}" in lines[1]
    assert len(set(map(len, lines))) == 1


def test_metadata_is_routed():
    X, y = table("breast cancer")
    weights = np.where(y, 0.1, 3.0)
    with config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(make_pipeline(MinMaxScaler(), net), {"mlpbackpropclassifier__alpha": [0.0, 1.0]}, cv=2)
        search.fit(X, y, sample_weight=weights)
        direct = clone(net).set_params(**{"alpha": search.best_params_["mlpbackpropclassifier__alpha"]})
        direct.fit(MinMaxScaler().fit_transform(X), y, sample_weight=weights)
        np.testing.assert_array_equal(search.best_estimator_[-1].theta_, direct.theta_)
        assert search.best_score_ != clone(search).fit(X, y).best_score_
        held = classifier(early_stopping=True).set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(MinMaxScaler(), held, transform_input=["X_val"]).fit(X, y, X_val=X[:100], y_val=y[:100])
        assert pipe.score(X[:100], y[:100]) == pipe[-1].best_validation_score_


class Recorder:
    """Remembers what it is told, and asks to stop after some epochs."""

    def __init__(self, stop_after=np.inf):
        self.events, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):
        self.events.append(("begin", context.task_name, metadata))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        score = fitted_estimator.score(X, y)
        self.events.append(("end", context.task_name, metadata, score))
        return sum(event[0] == "end" for event in self.events) >= self.stop_after


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
def test_callbacks_are_told_of_every_epoch_and_may_stop(solver):
    X, y = table("breast cancer")
    weights = np.ones(len(y))
    recorder = Recorder()
    net = classifier(solver=solver).set_callbacks(recorder).fit(X, y, sample_weight=weights)
    assert recorder.events.count("setup") == recorder.events.count("teardown") == 1
    assert recorder.events[0] == "setup"
    assert recorder.events[-1] == "teardown"
    ends = [event for event in recorder.events if event[0] == "end"]
    assert len(ends) == sum(event[0] == "begin" for event in recorder.events) == 1 + net.n_iter_
    assert [event[1] for event in ends] == ["epoch"] * net.n_iter_ + ["fit"]
    assert all(event[2]["sample_weight"] is weights for event in ends)
    # After each epoch the callback saw the network that a shorter fit gives.
    shorter = classifier(solver=solver, max_iter=2).fit(X, y, sample_weight=weights)
    assert ends[1][3] == shorter.score(X, y)
    stopped = classifier(solver=solver).set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert stopped.n_iter_ == 2
    np.testing.assert_array_equal(stopped.theta_, shorter.theta_)


def test_pandas_in_and_labels_out():
    X, y = table("breast cancer")
    frame, labels = pd.DataFrame(X).rename(columns=str), pd.Series(np.array(["bad", "good"])[y])
    net = classifier().fit(frame, labels, sample_weight=pd.Series(np.ones(len(y))), X_val=frame[:50], y_val=labels[:50])
    assert set(net.predict(frame)) == {"bad", "good"}
    assert list(net.feature_names_in_) == list(frame.columns)


def test_no_warning_when_a_warning_is_an_error():
    X, y = table("breast cancer")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            classifier().fit(X, y)
        classifier(tol=1e9, n_iter_no_change=1).fit(X, y)
