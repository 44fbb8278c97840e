"""Classification by kernel ridge regression."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneOut
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdeep import KernelRidgeDual, KernelRidgeDualClassifier
from skdeep.kernels import RBF, Linear

KERNELS = pytest.mark.parametrize("kernel", [RBF(2.0), Linear(), Linear() + RBF(2.0)], ids=repr)
CLASSES = pytest.mark.parametrize("n_classes", [2, 3])
INTERCEPT = pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])


# One of the checks shifts a Gram matrix, which leaves it indefinite.
@pytest.mark.filterwarnings("ignore:The kernel is not positive semidefinite")
@parametrize_with_checks(
    [
        KernelRidgeDualClassifier(),
        KernelRidgeDualClassifier(class_weight="balanced", store_leave_one_out=True),
        KernelRidgeDualClassifier(kernel="precomputed"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def flowers(n_classes=3):
    """Standardised samples of iris, every third of them, with labels that are strings, and weights."""
    X, y = load_iris(return_X_y=True)
    used = (y < n_classes) if n_classes == 3 else (y > 0)
    X, y = StandardScaler().fit_transform(X[used])[::3], np.array(["a", "b", "c"])[y[used]][::3]
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    for array in (X, y, weights):
        array.setflags(write=False)
    return X, y, weights


@CLASSES
@INTERCEPT
@pytest.mark.parametrize("class_weight", [None, "balanced", {"b": 3.0}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_linear_kernel_is_ridge_classifier(n_classes, fit_intercept, class_weight, weighted):
    X, y, weights = flowers(n_classes)
    if weighted and class_weight == "balanced":
        pytest.skip("RidgeClassifier counts samples for this, not weights")
    given = (weights if weighted else None,)
    settings = {"alpha": 0.7, "fit_intercept": fit_intercept, "class_weight": class_weight}
    ours = KernelRidgeDualClassifier(kernel="linear", **settings).fit(X, y, *given)
    theirs = RidgeClassifier(**settings).fit(X, y, *given)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-10)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@CLASSES
@KERNELS
def test_decisions_are_regressions_of_the_codes(n_classes, kernel):
    X, y, weights = flowers(n_classes)
    model = KernelRidgeDualClassifier(0.3, kernel=kernel, fit_intercept=True).fit(X, y, weights)
    for column, label in enumerate(model.classes_):
        codes = np.where(y == label, 1.0, -1.0)
        expected = KernelRidgeDual(0.3, kernel=kernel, fit_intercept=True).fit(X, codes, weights).predict(X)
        scores = model.decision_function(X)
        if n_classes == 2:
            scores = np.column_stack([-scores, scores])
        np.testing.assert_allclose(scores[:, column], expected, atol=1e-10)


@CLASSES
@KERNELS
@INTERCEPT
@pytest.mark.parametrize("solver", ["cholesky", "eigh", "primal"])
def test_leave_one_out_decisions_are_those_of_refits(n_classes, kernel, fit_intercept, solver):
    if solver == "primal" and not isinstance(kernel, Linear):
        pytest.skip("the kernel has no finite map")
    X, y, weights = flowers(n_classes)
    weights = weights.copy()
    weights[[1, 7]] = 0
    model = KernelRidgeDualClassifier(0.3, kernel=kernel, solver=solver, fit_intercept=fit_intercept)
    model.set_params(store_leave_one_out=True).fit(X, y, weights)
    refit = KernelRidgeDualClassifier(0.3, kernel=kernel, fit_intercept=fit_intercept)
    for train, test in LeaveOneOut().split(X):
        expected = refit.fit(X[train], y[train], weights[train]).decision_function(X[test])
        np.testing.assert_allclose(model.leave_one_out_decision_[test], expected, atol=1e-9)


def test_leave_one_out_on_a_precomputed_kernel():
    X, y, weights = flowers()
    weights = np.where(np.arange(len(y)) % 5 == 0, 0, weights)
    direct = KernelRidgeDualClassifier(kernel=RBF(), store_leave_one_out=True).fit(X, y, weights)
    given = clone(direct).set_params(kernel="precomputed").fit(RBF()(X), y, weights)
    np.testing.assert_allclose(given.leave_one_out_decision_, direct.leave_one_out_decision_, atol=1e-12)


def test_weight_zero_is_left_out_and_whole_weights_are_repeats():
    X, y, _ = flowers()
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weights)
    for class_weight in (None, "balanced"):
        model = KernelRidgeDualClassifier(0.3, kernel=RBF(), fit_intercept=True, class_weight=class_weight)
        kept = weights > 0
        expected = clone(model).fit(X[repeated], y[repeated]).decision_function(X)
        for samples in (slice(None), kept):
            decisions = clone(model).fit(X[samples], y[samples], weights[samples]).decision_function(X)
            np.testing.assert_allclose(decisions, expected, atol=1e-9)


@pytest.mark.parametrize("labels", [[0, 1], [-5, 7], [False, True], ["no", "yes"], [1.0, 2.0]], ids=str)
def test_labels_come_back_as_they_were(labels):
    X, y, _ = flowers(2)
    y = np.array(labels)[(y == "c").astype(int)]
    predicted = KernelRidgeDualClassifier().fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == y) > 0.9


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
def test_sparse_data(container):
    X, y, weights = flowers()
    X = np.where(np.abs(X) > 0.5, X, 0)
    model = KernelRidgeDualClassifier(store_leave_one_out=True)
    dense, sparse = clone(model).fit(X, y, weights), clone(model).fit(container(X), y, weights)
    np.testing.assert_allclose(sparse.decision_function(container(X)), dense.decision_function(X), atol=1e-12)
    np.testing.assert_allclose(sparse.leave_one_out_decision_, dense.leave_one_out_decision_, atol=1e-12)


def test_float32_stays_float32():
    X, y, _ = flowers()
    model = KernelRidgeDualClassifier(store_leave_one_out=True).fit(X.astype(np.float32), y)
    assert model.decision_function(X).dtype == model.leave_one_out_decision_.dtype == np.float32


def test_tells_tumours_apart():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = KernelRidgeDualClassifier(0.1, gamma=0.01, fit_intercept=True, store_leave_one_out=True).fit(X, y)
    # Support vector machines of this kernel reach 0.975 to 0.98 here.
    assert np.mean((model.leave_one_out_decision_ > 0) == y) > 0.96


def test_pickle():
    X, y, _ = flowers()
    model = KernelRidgeDualClassifier(kernel="linear").fit(X, y)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({}, "one class", "one class"),
        ({}, "values", "Unknown label type"),
        ({"class_weight": {"a": -1.0}}, None, "class_weight"),
        ({"class_weight": {"a": 0.0, "b": 0.0, "c": 0.0}}, None, "class_weight"),
        ({"class_weight": "equal"}, None, "class_weight"),
        ({"alpha": [1.0, 2.0]}, None, "alpha"),
        ({"alpha": 0.0, "store_leave_one_out": True}, None, "alpha above 0"),
    ],
    ids=str,
)
def test_errors_name_what_is_wrong(params, y, message):
    X, labels, _ = flowers()
    y = {None: labels, "one class": np.full(len(X), "a"), "values": X[:, 0]}[y]
    model = KernelRidgeDualClassifier(**params)
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert vars(model) == before


def test_weights_that_leave_one_class():
    X, y, _ = flowers()
    with pytest.raises(ValueError, match="one class"):
        KernelRidgeDualClassifier().fit(X, y, (y == "b").astype(float))
