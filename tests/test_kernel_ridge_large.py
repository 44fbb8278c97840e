"""Kernel ridge regression without a Gram matrix in memory: conjugate gradients, landmarks, and the choice of them."""

import pickle
import tracemalloc

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process.kernels import RBF as TheirRBF
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import KernelRidgeDual, KernelRidgeDualClassifier
from skdeep.engine import memory, threads
from skdeep.kernel_ridge import _large
from skdeep.kernels import RBF, Linear, Sigmoid
from skdeep.kernels.gram import PartlyStoredGram

KERNEL = RBF(1.5)
LARGE = pytest.mark.parametrize("solver", ["pcg", "nystroem"])
WEIGHTS = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
INTERCEPT = pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
TARGETS = pytest.mark.parametrize("n_targets", [None, 3])


def table(n_targets=None, n=300, dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = np.sin(X @ rng.normal(size=(3, n_targets or 1))) + 0.1 * rng.normal(size=(n, n_targets or 1)) + 2
    X, y, weights = X.astype(dtype), (y if n_targets else y[:, 0]).astype(dtype), rng.choice([0.0, 0.5, 1.0, 3.0], n)
    for array in (X, y, weights):
        array.flags.writeable = False
    return X, y, weights


def deviation(y, weights=None):
    """The standard deviation of each target."""
    mean = np.average(y, axis=0, weights=weights)
    return np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))


# tol: the checks compare seven digits, and some of them cut max_iter down.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([KernelRidgeDual(solver="pcg", tol=1e-9), KernelRidgeDual(solver="nystroem")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------------- conjugate gradients


@WEIGHTS
@INTERCEPT
@TARGETS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("alpha", "tol"), [(0.5, 1e-1), (0.5, 1e-4), (1e-3, 1e-3)])
def test_error_bound_holds_for_predictions(weighted, fit_intercept, n_targets, dtype, alpha, tol):
    X, y, weights = table(n_targets, dtype=dtype)
    weights, settings = weights if weighted else None, {"kernel": KERNEL, "fit_intercept": fit_intercept}
    model = KernelRidgeDual(alpha, solver="pcg", tol=tol, n_components=20, random_state=0, **settings)
    model.fit(X, y, weights)
    assert (model.solver_, model.dual_coef_.dtype) == ("pcg", np.float64)
    assert model.dual_coef_.shape == y.shape
    assert model.n_iter_ >= 1
    assert 0 < model.error_bound_ <= tol
    query = np.vstack([X, np.random.default_rng(1).normal(size=(50, 3))]).astype(dtype)
    exact = KernelRidgeDual(alpha, solver="cholesky", **settings).fit(X.astype("float64"), y, weights)
    predicted = model.predict(query)
    assert predicted.dtype == dtype
    errors = np.abs(predicted - exact.predict(query.astype("float64"))) / deviation(y.astype("float64"), weights)
    # Predictions in float32 are rounded to it.
    assert errors.max() <= model.error_bound_ + 4 * np.finfo(dtype).eps * np.abs(predicted).max() / deviation(y).min()


@WEIGHTS
@INTERCEPT
def test_conjugate_gradients_are_stationary(weighted, fit_intercept):
    X, y, weights = table(2)
    settings = {"kernel": KERNEL, "fit_intercept": fit_intercept, "tol": 1e-10, "random_state": 0}
    model = KernelRidgeDual(0.3, solver="pcg", **settings).fit(X, y, weights if weighted else None)
    K, w = KERNEL(X), weights[:, None] if weighted else 1.0
    gradient = K @ (w * (model.predict(X) - y) + 0.3 * model.dual_coef_)
    # f is within tol of the minimum, in deviations of about 1, and the gradient changes by at most |K| (|K| + alpha).
    assert np.abs(gradient).max() < 1e-10 * np.abs(K).sum(axis=1).max() ** 2 * 3
    if fit_intercept:
        assert np.abs(model.dual_coef_.sum(axis=0)).max() < 1e-9 * np.abs(model.dual_coef_).sum()


@LARGE
def test_a_penalty_for_each_target(solver):
    X, y, weights = table(3)
    alphas, settings = [0.1, 1.0, 0.1], {"kernel": KERNEL, "fit_intercept": True}
    model = KernelRidgeDual(alphas, solver=solver, n_components=300, tol=1e-9, **settings).fit(X, y, weights)
    exact = KernelRidgeDual(alphas, solver="eigh", **settings).fit(X, y, weights)
    np.testing.assert_allclose(model.predict(X), exact.predict(X), atol=1e-8)


def test_conjugate_gradients_that_do_not_converge_say_how_far_they_came():
    X, y, _ = table()
    model = KernelRidgeDual(1e-3, kernel=KERNEL, solver="pcg", n_components=5, max_iter=2, tol=1e-8)
    with pytest.warns(ConvergenceWarning, match="after 2 iterations.*error bound was.*Raise max_iter") as record:
        model.fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert model.n_iter_ == 2
    assert model.error_bound_ > 1e-8


@LARGE
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_that_are_not_positive_semidefinite_are_refused(solver, dtype):
    X, y, _ = table(dtype=dtype)
    model = KernelRidgeDual(0.01, kernel=Sigmoid(gamma=0.5, coef0=-1.0), solver=solver, landmarks="uniform")
    message = "not positive semidefinite" + (".*alpha is too small for float32" if dtype == "float32" else "")
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_conjugate_gradients_on_a_precomputed_kernel():
    X, y, weights = table()
    settings = {"solver": "pcg", "tol": 1e-9, "random_state": 0}
    given = KernelRidgeDual(kernel="precomputed", **settings).fit(KERNEL(X), y, weights)
    direct = KernelRidgeDual(kernel=KERNEL, **settings).fit(X, y, weights)
    np.testing.assert_allclose(given.predict(KERNEL(X[:9], X)), direct.predict(X[:9]), atol=1e-8)


def test_standard_deviations_do_not_depend_on_the_solver():
    X, y, weights = table()
    fits = [KernelRidgeDual(kernel=KERNEL, solver=solver).fit(X, y, weights) for solver in ("pcg", "cholesky")]
    ours, exact = (fit.predict(X[:9], return_std=True)[1] for fit in fits)
    np.testing.assert_array_equal(ours, exact)


# ------------------------------------------------------------------------------------------- landmarks


@WEIGHTS
@INTERCEPT
@TARGETS
@pytest.mark.parametrize("landmarks", ["rpcholesky", "uniform", "array"])
def test_all_samples_as_landmarks_give_the_exact_model(weighted, fit_intercept, n_targets, landmarks):
    X, y, weights = table(n_targets)
    weights, settings = weights if weighted else None, {"kernel": KERNEL, "fit_intercept": fit_intercept}
    landmarks = X if landmarks == "array" else landmarks
    model = KernelRidgeDual(0.1, solver="nystroem", landmarks=landmarks, n_components=300, **settings)
    model.fit(X, y, weights)
    assert (model.solver_, model.n_iter_, model.error_bound_) == ("nystroem", 1, None)
    exact = KernelRidgeDual(0.1, solver="cholesky", **settings).fit(X, y, weights)
    # A landmark is redundant, and left out, when the others leave eps of it: that is felt by its root.
    np.testing.assert_allclose(model.predict(X), exact.predict(X), atol=1e-7)


@pytest.mark.parametrize("landmarks", ["rpcholesky", "uniform", "kmeans", "array"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@WEIGHTS
def test_minimum_among_the_landmarks(landmarks, dtype, weighted):
    X, y, weights = table(2, dtype=dtype)
    given, weights = (X[:40] if landmarks == "array" else landmarks), weights if weighted else np.ones(300)
    model = KernelRidgeDual(0.1, kernel=KERNEL, solver="nystroem", landmarks=given, n_components=40, random_state=0)
    model.fit(X, y, weights)
    Z = model.X_fit_.astype("float64")
    assert Z.shape == (40, 3)
    assert model.X_fit_.dtype == model.predict(X).dtype == dtype
    K, S, w = KERNEL(X.astype("float64"), Z), KERNEL(Z), weights[:, None]
    A, B = K.T @ (w * K) + 0.1 * S, K.T @ (w * y)
    reference = K @ np.linalg.lstsq(A, B, rcond=None)[0]
    # Float32 elements of K off by eps change f by about the root of its condition, below 1e3, times that.
    np.testing.assert_allclose(model.predict(X), reference, atol=1e-8 if dtype == "float64" else 1e-3)


def test_landmarks_follow_the_random_state():
    X, y, _ = table()
    for landmarks in ("rpcholesky", "uniform"):
        model = KernelRidgeDual(kernel=KERNEL, solver="nystroem", landmarks=landmarks, n_components=20, random_state=3)
        Z = model.fit(X, y).X_fit_
        np.testing.assert_array_equal(clone(model).fit(X, y).X_fit_, Z)
        assert len(np.unique(Z, axis=0)) == 20
        assert all((X == z).all(axis=1).any() for z in Z)


def test_number_of_landmarks_by_default_and_at_most():
    X, y, _ = table(n=400)
    models = [
        KernelRidgeDual(kernel=KERNEL, solver="nystroem", landmarks="uniform", n_components=m) for m in (None, 999)
    ]
    assert [len(model.fit(X, y).X_fit_) for model in models] == [200, 400]  # 10 sqrt(400)
    # A linear kernel of three features has no fourth landmark.
    assert len(KernelRidgeDual(solver="nystroem").fit(X, y).X_fit_) == 3


@LARGE
@pytest.mark.parametrize("landmarks", ["rpcholesky", "uniform", "kmeans", "array"])
def test_sparse_data(solver, landmarks):
    X, y, weights = table()
    X = np.where(np.abs(X) > 1, X, 0)
    # Of more landmarks the matrix would be so close to singular that its rounding shows in the predictions.
    given = X[:12] if landmarks == "array" else landmarks
    model = KernelRidgeDual(kernel=KERNEL, solver=solver, landmarks=given, n_components=30, random_state=0, tol=1e-9)
    dense, sparse = (clone(model).fit(form, y, weights) for form in (X, sp.csr_array(X)))
    assert sp.issparse(sparse.X_fit_)
    np.testing.assert_allclose(sparse.predict(sp.csr_array(X)), dense.predict(X), atol=1e-7)


# ------------------------------------------------------------------------------------------- samples in parts

BLOCKS = [slice(0, 100), slice(100, 120), slice(120, 300)]


@WEIGHTS
@INTERCEPT
@TARGETS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parts_and_their_merger_equal_one_pass(weighted, fit_intercept, n_targets, dtype):
    X, y, weights = table(n_targets, dtype=dtype)
    part = lambda rows: (X[rows], y[rows], weights[rows] if weighted else None)
    empty = KernelRidgeDual(
        0.1, kernel=KERNEL, solver="nystroem", landmarks=X[::5], fit_intercept=fit_intercept, random_state=0
    )
    whole, one = clone(empty).fit(*part(slice(None))), clone(empty)
    for rows in BLOCKS:
        assert one.partial_fit(*part(rows)) is one
    merged, *others = (pickle.loads(pickle.dumps(empty)).partial_fit(*part(rows)) for rows in BLOCKS)
    for other in others:
        before = pickle.dumps(other)
        assert merged.merge(other) is merged
        assert pickle.dumps(other) == before
    for model in (one, merged):
        assert model.dual_coef_.shape == whole.dual_coef_.shape
        # Sums in another order, in float64: predictions of about 1, rounded to dtype in the end.
        tolerance = 1e-10 if dtype == "float64" else 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(model.predict(X), whole.predict(X), atol=tolerance)
        np.testing.assert_allclose(model.intercept_, whole.intercept_, rtol=0, atol=1e-10)


def test_parts_after_fit_go_on_and_fit_begins_anew():
    X, y, _ = table()
    model = KernelRidgeDual(kernel=KERNEL, solver="nystroem", landmarks=X[::5])
    whole = clone(model).fit(X, y).predict(X)
    model.fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    np.testing.assert_allclose(model.predict(X), whole, atol=1e-10)
    np.testing.assert_allclose(model.fit(X, y).predict(X), whole, atol=1e-10)
    # What was summed does not depend on the penalty.
    model.set_params(alpha=[2.0]).merge(clone(model).fit(X[:50], y[:50]))
    again = clone(model).fit(np.vstack([X, X[:50]]), np.hstack([y, y[:50]]))
    np.testing.assert_allclose(model.predict(X), again.predict(X), atol=1e-10)


def test_parts_that_fail_change_nothing():
    X, y, _ = table()
    model = KernelRidgeDual(kernel=KERNEL, solver="nystroem", landmarks=X[::5]).fit(X, y)
    before = pickle.dumps(model)
    for arrays, message in (
        ((X[:, :2], y), "expecting 3 features"),
        ((X, np.column_stack([y, y])), "before had 1 targets, but these have 2"),
        ((X, np.full_like(y, np.nan)), "Input y contains NaN"),
        ((X, y, -np.ones(300)), "Negative"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(*arrays)
        assert pickle.dumps(model) == before


def test_models_that_do_not_fit_together_are_not_merged():
    X, y, _ = table()
    model = KernelRidgeDual(kernel=KERNEL, solver="nystroem", landmarks=X[::5]).fit(X, y)
    before = pickle.dumps(model)
    for settings in ({"kernel": RBF(1.6)}, {"landmarks": X[::5] + 1}, {"landmarks": X[::3]}):
        with pytest.raises(ValueError, match="same kernel and the same landmarks"):
            model.merge(clone(model).set_params(**settings).fit(X, y))
    with pytest.raises(ValueError, match="before had 1 targets, but these have 2"):
        model.merge(clone(model).fit(X, np.column_stack([y, y])))
    with pytest.raises(ValueError, match="fitted to landmarks given as an array"):
        model.merge(KernelRidgeDual(kernel=KERNEL).fit(X, y))
    with pytest.raises(NotFittedError):
        model.merge(clone(model))
    assert pickle.dumps(model) == before


def test_models_of_a_callable_are_merged_from_other_processes():
    X, y, _ = table(n=60)
    empty = KernelRidgeDual(kernel=TheirRBF(1.5), solver="nystroem", landmarks=X[::5])
    first, second = (pickle.loads(pickle.dumps(clone(empty).fit(X[rows], y[rows]))) for rows in ([0, 1], slice(2, 60)))
    np.testing.assert_allclose(first.merge(second).predict(X), clone(empty).fit(X, y).predict(X), atol=1e-10)


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "nystroem"},
        {"solver": "nystroem", "landmarks": "kmeans"},
        {"solver": "pcg", "landmarks": [[0.0]]},
        {},
    ],
    ids=str,
)
def test_parts_need_landmarks_that_are_given(settings):
    model = KernelRidgeDual(**settings)
    for name in ("partial_fit", "merge"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError) as caught:
            getattr(model, name)
        assert "need solver='nystroem' and landmarks given as an array" in str(caught.value.__cause__)


# ------------------------------------------------------------------------------------------- resources


def test_automatic_choice_by_memory():
    X, y, _ = table(n=900)
    # A preconditioner of rank 300 is a third of the matrix; the decomposition for several penalties takes four.
    choose = lambda **settings: KernelRidgeDual(**{"kernel": KERNEL, **settings}).fit(X, y).solver_
    matrix = 900 * 900 * 8
    assert choose(memory_limit=matrix) == "cholesky"
    assert choose(memory_limit=matrix - 1) == "pcg"
    assert choose(memory_limit=matrix // 2, kernel="linear") == "primal"
    with pytest.raises(MemoryError, match=r"preconditioner of rank 300.*lower n_components"):
        choose(memory_limit=matrix // 4)
    assert choose(memory_limit=matrix // 4, n_components=100) == "pcg"
    # Conjugate gradients cannot do without a penalty.
    with pytest.raises(MemoryError, match="900 x 900 Gram matrix"):
        choose(memory_limit=matrix - 1, alpha=0)


def test_automatic_choice_for_several_penalties():
    X, y, _ = table(2, n=900)
    for limit, solver in ((4 * 900 * 900 * 8, "eigh"), (3 * 900 * 900 * 8, "pcg")):
        assert KernelRidgeDual([0.1, 1.0], kernel=KERNEL, memory_limit=limit).fit(X, y).solver_ == solver


@LARGE
def test_memory_is_far_below_that_of_the_matrix(solver):
    n = 6000
    X = np.random.default_rng(0).normal(size=(n, 3))
    model = KernelRidgeDual(kernel=RBF(2.0), solver=solver, n_components=100, random_state=0, tol=1e-2)
    model.fit(X[:300], X[:300, 0])  # compiled
    tracemalloc.start()
    model.fit(X, X[:, 0]).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n * 8 / 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conjugate_gradients_fill_their_memory_with_rows_of_the_matrix(dtype):
    n = 3000
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(dtype)
    y = np.sin(X[:, 0])
    model = KernelRidgeDual(0.1, kernel=RBF(1.0), solver="pcg", n_components=50, random_state=0, tol=1e-6)
    unlimited = clone(model).fit(X, y)
    limit = n * n * X.itemsize // 2
    clone(model).set_params(memory_limit=limit).fit(X[:300], y[:300])  # compiled
    tracemalloc.start()
    limited = model.set_params(memory_limit=limit).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.9 * limit < peak < limit + 5e6  # beside it are what an iteration works in, and rows to choose pivots from
    assert limited.error_bound_ < 1e-6
    np.testing.assert_allclose(limited.predict(X), unlimited.predict(X), rtol=0, atol=2e-6)
    # A preconditioner that takes all leaves no room, and a limit beyond the matrix is no error.
    for memory_limit in (50 * n * X.itemsize, 10 * limit):
        other = model.set_params(memory_limit=memory_limit).fit(X, y)
        np.testing.assert_allclose(other.predict(X), unlimited.predict(X), rtol=0, atol=2e-6)


@pytest.mark.parametrize("free", [0, 2_000_000])
def test_a_limit_beyond_what_is_free_takes_no_more_than_half_of_it(free, monkeypatch):
    X, y, _ = table(n=2000)
    model = KernelRidgeDual(kernel=KERNEL, solver="pcg", n_components=20, memory_limit=10**15, random_state=0)
    model.fit(X[:300], y[:300])  # compiled
    stored = []

    def partly_stored(K, n_rows):
        stored.append(n_rows * K.shape[0] * K.dtype.itemsize)
        return PartlyStoredGram(K, n_rows)

    monkeypatch.setattr(_large, "PartlyStoredGram", partly_stored)
    monkeypatch.setattr(memory, "available", lambda: free)
    model.fit(X, y)
    assert len(stored) == 1
    assert 0 <= stored[0] <= free / 2
    assert model.error_bound_ <= model.tol


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "pcg"}, "preconditioner of rank 174.*lower n_components"),
        ({"solver": "nystroem"}, "174 landmarks.*lower n_components"),
        ({"solver": "nystroem", "landmarks": "uniform"}, "sums over 174 landmarks.*take fewer"),
    ],
    ids=str,
)
def test_memory_is_looked_at_before_anything_is_allocated(settings, message):
    X, y, _ = table()
    with pytest.raises(MemoryError, match=message):
        KernelRidgeDual(kernel=KERNEL, memory_limit=10_000, **settings).fit(X, y)


@LARGE
def test_one_and_two_threads_give_the_same_bits(solver, monkeypatch):
    X, y, weights = table(2)
    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", 0)
    model = KernelRidgeDual(0.3, kernel=KERNEL + Linear(), solver=solver, n_components=30, random_state=0)
    results, before = [], numba.get_num_threads()
    try:
        for n_threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(n_threads)
            fitted = clone(model).fit(X, y, weights)
            results.append((fitted.dual_coef_, fitted.predict(X)))
    finally:
        numba.set_num_threads(before)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@LARGE
def test_clones_and_pickles(solver):
    X, y, weights = table()
    model = KernelRidgeDual(kernel=KERNEL, solver=solver, landmarks=X[:20], n_components=20, random_state=0)
    predicted = model.fit(X, y, weights).predict(X)
    np.testing.assert_array_equal(clone(model).fit(X, y, weights).predict(X), predicted)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), predicted)


# ------------------------------------------------------------------------------------------- refusals and labels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "pcg", "alpha": 0}, "need alpha above 0"),
        ({"solver": "nystroem", "alpha": 0}, "needs alpha above 0"),
        ({"solver": "nystroem", "landmarks": [[0.0, 0.0]]}, "landmarks have 2 features, but X has 3"),
        ({"solver": "nystroem", "landmarks": [[0.0, 0.0, np.nan]]}, "landmarks contains NaN"),
        ({"solver": "nystroem", "landmarks": [[0.0, 0.0, 0.0]], "kernel": "linear"}, r"landmark z with k\(z, z\) > 0"),
        ({"solver": "nystroem", "n_components": 0}, "n_components"),
        ({"solver": "nystroem", "landmarks": "random"}, "landmarks"),
    ],
    ids=str,
)
def test_refusals(settings, message):
    X, y, _ = table()
    with pytest.raises(ValueError, match=message):
        KernelRidgeDual(**{"kernel": KERNEL, **settings}).fit(X, y)


def test_what_landmarks_cannot_do():
    X, y, _ = table()
    with pytest.raises(ValueError, match="kernel='precomputed' cannot"):
        KernelRidgeDual(kernel="precomputed", solver="nystroem").fit(KERNEL(X), y)
    model = KernelRidgeDual(kernel=KERNEL, solver="nystroem").fit(X, y)
    with pytest.raises(ValueError, match="return_std=True needs all training samples"):
        model.predict(X, return_std=True)


@LARGE
def test_classifiers(solver):
    X, y, weights = table(n=300)
    labels = np.digitize(y, [1.5, 2.5])
    settings = {"kernel": KERNEL, "n_components": 300, "tol": 1e-9, "random_state": 0}
    ours = KernelRidgeDualClassifier(solver=solver, **settings).fit(X, labels, weights)
    exact = KernelRidgeDualClassifier(solver="cholesky", **settings).fit(X, labels, weights)
    np.testing.assert_allclose(ours.decision_function(X), exact.decision_function(X), atol=1e-7)
    with pytest.raises(ValueError, match="leave-one-out"):
        clone(ours).set_params(store_leave_one_out=True).fit(X, labels)


# ---------------------------------------------------------------------------------------- callbacks


class Recorder:
    """Counts the iterations of fits, and asks to stop after some of them."""

    def __init__(self, n_allowed=None):
        self.n_allowed, self.begun, self.ended = n_allowed, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.ended.append(context.task_name)
        return self.n_allowed is not None and self.ended.count("iteration") >= self.n_allowed


@pytest.mark.parametrize("estimator", [KernelRidgeDual, KernelRidgeDualClassifier])
def test_callbacks_see_every_iteration(estimator):
    X, y = make_friedman1(120, random_state=0)
    y = y > 14 if estimator is KernelRidgeDualClassifier else y
    recorder = Recorder()
    model = estimator(0.01, kernel=RBF(0.5), solver="pcg", n_components=20, tol=1e-6, random_state=0)
    model.set_callbacks(recorder).fit(X, y)
    assert recorder.ended == ["iteration"] * model.n_iter_ + ["fit"]
    assert sorted(recorder.begun) == sorted(recorder.ended)
    direct = Recorder()
    estimator(kernel=RBF(0.5), solver="cholesky").set_callbacks(direct).fit(X, y)
    assert direct.begun == direct.ended == ["fit"]


@pytest.mark.parametrize("estimator", [KernelRidgeDual, KernelRidgeDualClassifier])
def test_verbose_prints_the_solver_and_each_iteration(estimator, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    model = estimator(kernel=RBF(0.5), solver="pcg", n_components=5, random_state=0)
    model.fit(X, X[:, 0] > 0)
    assert not capsys.readouterr().out
    model.set_params(verbose=True).fit(X, X[:, 0] > 0)
    first, *iterations = capsys.readouterr().out.splitlines()
    assert first == "Solver 'pcg' for 120 samples"
    assert [line.split(",")[0] for line in iterations] == [f"Iteration {i + 1}" for i in range(model.n_iter_)]
    assert float(iterations[-1].split("=")[1]) <= 1e-3 < float(iterations[-2].split("=")[1])
    model.set_params(solver="auto").fit(X, X[:, 0] > 0)
    assert capsys.readouterr().out == f"Solver {model.solver_!r} for 120 samples\n"


def test_a_callback_ends_the_iteration():
    X, y = make_friedman1(120, random_state=0)
    model = KernelRidgeDual(0.01, kernel=RBF(0.5), solver="pcg", n_components=20, tol=1e-6, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.set_callbacks(Recorder(n_allowed=2)).fit(X, y)
    assert model.n_iter_ == 2
    assert model.error_bound_ > 1e-6
