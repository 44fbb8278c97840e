"""Kernels of trained networks: the inner products that they stand for, and their place in the algebra."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skdeep import (
    ConvNetClassifier,
    ConvNetRegressor,
    KernelRidgeDual,
    KernelRidgeDualClassifier,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    network_kernel,
)
from skdeep.engine.activations import ACTIVATIONS
from skdeep.kernels import RBF, ArcCosine, NeuralTangent, check_kernel
from skdeep.networks import Activation, AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, GlobalAvgPool2D, Residual
from tests import _reference as reference

KINDS = pytest.mark.parametrize("kind", ["features", "tangent"])


def fitted(net, X, y):
    """The network after its few epochs, which are no convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return net.fit(X, y)


@pytest.fixture(scope="module")
def flowers():
    X, y = load_iris(return_X_y=True)
    X.setflags(write=False)
    return X, y


@pytest.fixture(scope="module")
def net(flowers):
    return fitted(MLPBackpropClassifier((8, 5), max_iter=30, learning_rate_init=0.01, random_state=0), *flowers)


# ---------------------------------------------------------------------------------------- features

NETS = {
    "perceptron": MLPBackpropClassifier((6,), max_iter=3, random_state=0),
    "linear": MLPBackpropRegressor(hidden_layer_sizes=(), max_iter=3, random_state=0),
    "normalised": MLPBackpropRegressor(hidden_layer_sizes=(6, 4), batch_norm=True, max_iter=3, random_state=0),
    "convolutional": ConvNetRegressor((2,), kernel_size=2, conv_batch_norm=True, max_iter=3, random_state=0),
    "planes": ConvNetRegressor(
        layers=[Conv2D(3, 2), Flatten()], image_shape=(2, 1, 2), data_format="NCHW", max_iter=3, random_state=0
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETS)
def test_features_are_those_of_transform(name, dtype, flowers):
    X, y = flowers[0].astype(dtype), flowers[1].astype(dtype)
    net = fitted(clone(NETS[name]), X, y)
    kernel = network_kernel(net)
    phi = net.transform(X)
    assert kernel(X).dtype == dtype
    # Sums of a few products, in another order.
    tolerance = {"rtol": 0, "atol": 100 * np.finfo(dtype).eps * (phi.astype(float) ** 2).sum(axis=1).max()}
    np.testing.assert_allclose(kernel(X), phi @ phi.T, **tolerance)
    np.testing.assert_allclose(kernel(X[:7], X), phi[:7] @ phi.T, **tolerance)
    np.testing.assert_allclose(kernel.diag(X), (phi**2).sum(axis=1), **tolerance)
    assert kernel.positive_semidefinite
    assert check_kernel(kernel, X[::3]).verdict == "by construction"


# ----------------------------------------------------------------------------------------- tangent


def jacobian(net, X, step=1e-5):
    """dF / dtheta by central differences of a naive network, of shape (n_parameters, n_samples * n_outputs)."""
    network = net._network

    def scores(theta):
        moments = reference.moments_of(network, net._statistics)
        images = X.reshape(len(X), *network.input_shape)
        return reference.forward(network.layers, *reference.parameters_of(network, theta), images, moments).ravel()

    return np.array(
        [(scores(net.theta_ + h) - scores(net.theta_ - h)) / (2 * step) for h in step * np.eye(len(net.theta_))]
    )


PERCEPTRONS = {
    **{name: MLPBackpropClassifier((4, 3), name, max_iter=4, random_state=0) for name in ACTIVATIONS},
    "no hidden layer": MLPBackpropRegressor(hidden_layer_sizes=(), max_iter=2, random_state=0),
    "squared error": MLPBackpropClassifier((4,), "tanh", loss="squared_error", max_iter=2, random_state=0),
    "poisson": MLPBackpropRegressor("poisson", (4,), "gelu", max_iter=2, random_state=0),
    "normalised": MLPBackpropClassifier((4, 3), ["silu", "elu"], batch_norm=True, max_iter=4, random_state=0),
    "dropout": MLPBackpropClassifier((4, 3), "tanh", dropout=0.4, max_iter=4, random_state=0),
}
CONVNETS = {
    "LeNet": ConvNetClassifier((2, 3), kernel_size=3, hidden_layer_sizes=(4,), activation="tanh", dropout=0.2),
    "average pool": ConvNetRegressor(layers=[Conv2D(2, 2), AvgPool2D(2), Dense(3, activation="gelu")]),
    "residual": ConvNetClassifier((2, 3), kernel_size=2, residual=True, hidden_layer_sizes=(), activation="silu"),
    "local": ConvNetRegressor((2,), kernel_size=2, locally_connected=True, hidden_layer_sizes=(3,)),
    "global pool": ConvNetRegressor(
        layers=[Residual([Conv2D(1, 2)]), GlobalAvgPool2D(), Activation("tanh"), BatchNorm(), Dense(2)]
    ),
    "rows of images": ConvNetRegressor(layers=[Dense(2), BatchNorm()]),
}


@pytest.mark.parametrize("name", [*PERCEPTRONS, *CONVNETS])
def test_tangent_kernel_is_that_of_finite_differences(name, rng):
    X, y = rng.normal(size=(12, 16)), np.arange(12) % 3
    net = PERCEPTRONS[name] if name in PERCEPTRONS else clone(CONVNETS[name]).set_params(max_iter=2, random_state=0)
    net = fitted(clone(net), X, y)
    J = jacobian(net, X).reshape(net.n_parameters_, 12, -1)
    expected = np.einsum("pik,pjk->ij", J, J)
    kernel = network_kernel(net, "tangent")
    # Central differences are right to step^2 and eps / step, some 1e-10 each.
    np.testing.assert_allclose(kernel(X), expected, rtol=0, atol=1e-8 * expected.max())
    np.testing.assert_allclose(kernel(X[:5], X), expected[:5], rtol=0, atol=1e-8 * expected.max())
    assert kernel.positive_semidefinite


def test_planes_and_pixels_have_one_tangent_kernel(rng):
    pixels, y = rng.normal(size=(10, 4, 4, 2)), rng.normal(size=10)
    planes = pixels.transpose(0, 3, 1, 2)
    for layers in ([Conv2D(2, 2), Dense(3)], [Dense(3)]):
        matrices = []
        for X, data_format in ((pixels, "NHWC"), (planes, "NCHW")):
            net = ConvNetRegressor(layers=layers, data_format=data_format, max_iter=2, random_state=0).fit(X, y)
            matrices.append(network_kernel(net, "tangent")(X.reshape(10, -1)))
        np.testing.assert_allclose(*matrices, rtol=1e-9)


@KINDS
def test_sparse_data(kind, rng):
    X = np.where(rng.random((40, 12)) < 0.8, 0.0, rng.normal(size=(40, 12)))
    net = fitted(MLPBackpropRegressor(hidden_layer_sizes=(6,), max_iter=3, random_state=0), X, X.sum(axis=1))
    kernel = network_kernel(net, kind)
    np.testing.assert_allclose(kernel(sparse.csr_array(X)), kernel(X), rtol=1e-9, atol=1e-12)


def test_tangent_kernel_in_single_precision(flowers):
    X, y = flowers
    net = fitted(MLPBackpropClassifier((6,), "silu", max_iter=5, random_state=0), X.astype(np.float32), y)
    twin = network_kernel(net, "tangent")(X.astype(np.float32))
    assert twin.dtype == np.float32
    net.theta_ = net.theta_.astype(float)
    expected = network_kernel(net, "tangent")(X)
    # Sums of less than a hundred terms.
    np.testing.assert_allclose(twin, expected, rtol=0, atol=100 * np.finfo(np.float32).eps * expected.max())


def wide(width, X, seed):
    """A network as it was drawn: its one step is too small to change a weight."""
    net = MLPBackpropRegressor(
        hidden_layer_sizes=(width,),
        weight_init="xavier_normal",
        solver="sgd",
        learning_rate_init=1e-30,
        random_state=seed,
    )
    return net.partial_fit(X, np.zeros(len(X)))


def test_a_wide_network_has_the_tangent_kernel_of_an_infinite_one(rng):
    """Xavier's weights have variances 2 / (d + m) and 2 / (m + 1) around m hidden units, and biases begin at 0.

    The mean of m relu(w . x) relu(w . y) is m / (d + m) times the arc-cosine kernel of degree 1, that of the sum over
    v^2 (x . y + 1) of units that are on is m / (m + 1) (x . y + 1) times the one of degree 0. Both factors tend to 1,
    so that the limit is the tangent kernel without biases, the kernel of degree 0 and, for the output's bias, 1.
    """
    X = rng.normal(size=(15, 4))
    limit = NeuralTangent(1) + ArcCosine(degree=0) + 1
    distances = []
    for width in (100, 10_000):
        errors = [network_kernel(wide(width, X, seed), "tangent")(X) - limit(X) for seed in range(10)]
        distances.append(np.sqrt(np.mean(np.square(errors)) / np.mean(limit(X) ** 2)))
    # The distance of a mean of independent units falls as 1 / sqrt(m), here to a tenth; ten draws tell it to a third.
    assert distances[1] < 0.03
    assert 10 / 1.7 < distances[0] / distances[1] < 10 * 1.7


# ------------------------------------------------------------------------------------- the algebra


@KINDS
def test_kernels_of_networks_join_the_algebra(kind, net, flowers):
    X, _ = flowers
    kernel = network_kernel(net, kind)
    K = kernel(X)
    np.testing.assert_allclose((2 * kernel + RBF())(X), 2 * K + RBF()(X), rtol=1e-12)
    np.testing.assert_allclose((kernel * RBF())(X), K * RBF()(X), rtol=1e-12)
    np.testing.assert_allclose((kernel**2)(X), K**2, rtol=1e-12)
    norms = np.sqrt(np.diagonal(K))
    np.testing.assert_allclose(kernel.normalize()(X) * np.outer(norms, norms), K, rtol=1e-9, atol=1e-12)
    wider = np.hstack([np.ones((len(X), 1)), X])
    np.testing.assert_array_equal(kernel.on(slice(1, 5))(wider), K)
    V = np.linspace(0, 1, len(X))
    np.testing.assert_allclose(kernel.gram(X) @ V, K @ V, rtol=1e-9)
    assert kernel.gradient(X[:5], np.ones((5, 5))) == {}
    gradient = (2 * kernel + RBF()).gradient(X, np.eye(len(X)))
    np.testing.assert_allclose(gradient["networkkernel__scale"], 2 * np.trace(K), rtol=1e-9)


@KINDS
def test_clones_and_copies_are_equal_and_keep_the_fit(kind, net, flowers):
    X, y = flowers
    kernel = network_kernel(net, kind)
    for copy in (
        clone(kernel),
        pickle.loads(pickle.dumps(kernel)),
        network_kernel(pickle.loads(pickle.dumps(net)), kind),
    ):
        assert copy == kernel
        assert hash(copy) == hash(kernel)
        assert repr(copy) == repr(kernel)
        np.testing.assert_array_equal(copy(X), kernel(X))
    assert 2 * kernel + RBF() == clone(2 * kernel + RBF())
    other = fitted(clone(net).set_params(random_state=1), X, y)
    assert network_kernel(other, kind) != kernel
    assert network_kernel(net, "features") != network_kernel(net, "tangent")
    assert repr(kernel).startswith("network_kernel(MLPBackpropClassifier(")
    assert repr(2 * kernel + RBF()) == f"2 * {kernel!r} + RBF()"


@KINDS
def test_the_kernel_stays_when_the_network_is_fitted_again(kind, flowers):
    X, y = flowers
    net = MLPBackpropClassifier((5,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    kernel = network_kernel(net, kind)
    before = kernel(X)
    net.partial_fit(X, y)
    np.testing.assert_array_equal(kernel(X), before)
    assert network_kernel(net, kind) != kernel


@KINDS
def test_estimators_take_kernels_of_networks(kind, net, flowers):
    X, y = flowers
    kernel = network_kernel(net, kind)
    K = kernel(X)
    ridge = KernelRidgeDualClassifier(1e-2, kernel=kernel).fit(X, y)
    assert ridge.score(X, y) > 0.9
    svc = SVC(kernel=kernel).fit(X, y)
    np.testing.assert_array_equal(svc.predict(X), SVC(kernel="precomputed").fit(K, y).predict(K))
    phi = Nystroem(kernel, n_components=len(X)).fit_transform(X)
    # With all samples as landmarks, Nystroem's is the matrix itself, up to the eigenvalues that it cuts off.
    np.testing.assert_allclose(phi @ phi.T, K, rtol=0, atol=1e-6 * K.max())


def test_networks_that_give_tables(net, flowers):
    X, _ = flowers
    tables = pickle.loads(pickle.dumps(net)).set_output(transform="pandas")
    np.testing.assert_array_equal(network_kernel(tables)(X), network_kernel(net)(X))


def test_ridge_on_the_kernel_is_ridge_on_the_features(net, flowers):
    X, y = flowers
    phi = net.transform(X)
    expected = Ridge(0.5, fit_intercept=False, tol=1e-12).fit(phi, y).predict(phi)
    for solver in ("cholesky", "primal"):
        got = KernelRidgeDual(0.5, kernel=network_kernel(net), solver=solver).fit(X, y).predict(X)
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


def test_searches_over_kinds_and_scales(net, flowers):
    X, y = flowers
    kernel = 1.0 * network_kernel(net) + RBF()
    grid = {"kernel__networkkernel__kernel__kind": ["features", "tangent"], "kernel__networkkernel__scale": [0.1, 1.0]}
    search = GridSearchCV(KernelRidgeDualClassifier(kernel=kernel), grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.9
    assert clone(search.best_estimator_).kernel == search.best_estimator_.kernel


# ---------------------------------------------------------------------------------- what is refused


def test_columns_are_those_of_the_network(flowers):
    X, y = flowers
    table = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    net = fitted(MLPBackpropClassifier((5,), max_iter=3, random_state=0), table, y)
    kernel = network_kernel(net)
    np.testing.assert_array_equal(kernel(table), kernel(X))
    np.testing.assert_array_equal(kernel.on(list("abcd"))(table[list("dcba")]), kernel(X))
    with pytest.raises(ValueError, match="was fitted on the columns"):
        kernel(table[list("dcba")])
    assert pickle.loads(pickle.dumps(kernel)) == clone(kernel) == kernel
    assert list(net.feature_names_in_) == list("abcd")


def test_what_is_no_fitted_network_is_refused(net, flowers):
    with pytest.raises(TypeError, match="needs a fitted network"):
        network_kernel(Ridge())
    with pytest.raises(NotFittedError):
        network_kernel(MLPBackpropClassifier())
    with pytest.raises(ValueError, match="'kind' parameter"):
        network_kernel(net, "jacobian")
    with pytest.raises(ValueError, match="features"):
        network_kernel(net)(flowers[0][:, :3])


def test_normalised_maps_have_no_tangent_kernel(rng):
    net = ConvNetRegressor((2,), conv_batch_norm=True, max_iter=2).fit(rng.normal(size=(8, 16)), np.arange(8))
    with pytest.raises(ValueError, match="conv_batch_norm=False"):
        network_kernel(net, "tangent")
