"""What the kernels compute: scikit-learn's results, identities between kernels, and networks of random weights."""

import numpy as np
import pytest
from sklearn.gaussian_process import kernels as theirs
from sklearn.metrics import pairwise

from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Periodic,
    Polynomial,
    RationalQuadratic,
    Sigmoid,
    from_name,
)
from tests import _reference_kernels as reference
from tests._reference_kernels import samples


@pytest.fixture
def X(rng):
    X = rng.standard_normal((60, 6))
    X.flags.writeable = False
    return X


# ------------------------------------------------------------------------------- scikit-learn's values

# Our kernel and scikit-learn's function, for a number of features.
COUNTERPARTS = {
    "linear": lambda d: (Linear(), pairwise.linear_kernel),
    "polynomial": lambda d: (Polynomial(3, 0.5, 1 / d), lambda X, Y: pairwise.polynomial_kernel(X, Y, 3, 1 / d, 0.5)),
    "polynomial of defaults": lambda d: (Polynomial(), lambda X, Y: pairwise.polynomial_kernel(X, Y, 2, 1.0, 1.0)),
    "rbf": lambda d: (RBF(1.5), theirs.RBF(1.5)),
    "rbf of many scales": lambda d: (RBF(np.linspace(1, 2, d)), theirs.RBF(np.linspace(1, 2, d))),
    "rbf of gamma": lambda d: (RBF(), lambda X, Y: pairwise.rbf_kernel(X, Y, 0.5)),
    "laplacian": lambda d: (Laplacian(d / 2), lambda X, Y: pairwise.laplacian_kernel(X, Y, 2 / d)),
    "matern 1/2": lambda d: (Matern(1.5, 0.5), theirs.Matern(1.5, nu=0.5)),
    "matern 3/2": lambda d: (Matern(1.5, 1.5), theirs.Matern(1.5, nu=1.5)),
    "matern 5/2": lambda d: (Matern(1.5, 2.5), theirs.Matern(1.5, nu=2.5)),
    "matern of many scales": lambda d: (Matern(np.linspace(1, 2, d)), theirs.Matern(np.linspace(1, 2, d))),
    "rational quadratic": lambda d: (RationalQuadratic(1.5, 0.7), theirs.RationalQuadratic(1.5, 0.7)),
    # On one feature: scikit-learn's takes the sine of the norm, ours the norm of the sines.
    "periodic": lambda d: (Periodic(0.8, 1.7).on(0), lambda X, Y: theirs.ExpSineSquared(0.8, 1.7)(X[:, :1], Y[:, :1])),
    "cosine": lambda d: (Cosine(), pairwise.cosine_similarity),
    "sigmoid": lambda d: (Sigmoid(), pairwise.sigmoid_kernel),
    "sigmoid of gamma": lambda d: (Sigmoid(0.3, -0.2), lambda X, Y: pairwise.sigmoid_kernel(X, Y, 0.3, -0.2)),
    "constant": lambda d: (Constant(2.5), theirs.ConstantKernel(2.5)),
    "dot product": lambda d: (Linear() + 0.49, theirs.DotProduct(0.7)),
    "composite": lambda d: (
        2.0 * RBF(1.5) + RationalQuadratic(1.5, 0.7) * Linear() + Matern(1.5, 2.5),
        2.0 * theirs.RBF(1.5)
        + theirs.RationalQuadratic(1.5, 0.7) * theirs.DotProduct(0.0)
        + theirs.Matern(1.5, nu=2.5),
    ),
    "name linear": lambda d: (from_name("linear"), pairwise.linear_kernel),
    "name poly": lambda d: (from_name("poly", n_features=d), pairwise.polynomial_kernel),
    "name polynomial": lambda d: (
        from_name("polynomial", gamma=0.3, degree=2, coef0=0.5),
        lambda X, Y: pairwise.polynomial_kernel(X, Y, 2, 0.3, 0.5),
    ),
    "name rbf": lambda d: (from_name("rbf", n_features=d), pairwise.rbf_kernel),
    "name rbf of gamma": lambda d: (from_name("rbf", gamma=0.7), lambda X, Y: pairwise.rbf_kernel(X, Y, 0.7)),
    "name laplacian": lambda d: (from_name("laplacian", n_features=d), pairwise.laplacian_kernel),
    "name sigmoid": lambda d: (from_name("sigmoid", n_features=d), pairwise.sigmoid_kernel),
    "name cosine": lambda d: (from_name("cosine"), pairwise.cosine_similarity),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("n_features", [6, 100])
@pytest.mark.parametrize("name", COUNTERPARTS)
def test_equals_scikit_learn(name, n_features, dtype, tolerance):
    ours, peer = COUNTERPARTS[name](n_features)
    X, Y = samples(40, n_features, np.float32), samples(30, n_features, np.float32, seed=1)
    for Z in (Y, X):
        K = ours(X.astype(dtype), Z.astype(dtype))
        assert K.dtype == dtype
        expected = peer(X.astype(np.float64), Z.astype(np.float64))
        np.testing.assert_allclose(K, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["chi2", "additive_chi2"])
def test_kernels_of_counts(name, X):
    counts = np.abs(X)
    expected = pairwise.pairwise_kernels(counts, metric=name)
    np.testing.assert_allclose(from_name(name)(counts), expected, rtol=1e-14)
    if name == "chi2":
        np.testing.assert_allclose(from_name(name, gamma=0.3)(counts), expected**0.3, rtol=1e-13)


# ------------------------------------------------------------------------------------------ identities


@pytest.mark.parametrize("kernel", [RBF, Laplacian, Matern, RationalQuadratic], ids=lambda k: k.__name__)
def test_length_scale_for_each_feature(kernel, X):
    scales = np.linspace(0.5, 3, 6)
    np.testing.assert_allclose(kernel(scales)(X), kernel()(X / scales), rtol=1e-12)
    np.testing.assert_array_equal(kernel([2.0] * 6)(X), kernel(2.0)(X))


def test_quadratic_kernel_is_an_inner_product(X):
    # phi(x) = (1, sqrt2 x_i, sqrt2 x_i x_j, x_i^2): phi(x) . phi(y) = (x . y + 1)^2.
    i, j = np.triu_indices(X.shape[1], 1)
    phi = np.hstack([np.ones((len(X), 1)), np.sqrt(2) * X, np.sqrt(2) * X[:, i] * X[:, j], X**2])
    # x . y + 1 cancels where x . y is near -1.
    np.testing.assert_allclose(Polynomial(2)(X), phi @ phi.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("g", [0.05, 0.5])
def test_gaussian_kernel_is_a_rescaled_exponential(g, X):
    # exp(-g |x - y|^2) = exp(-g |x|^2) exp(2 g x . y) exp(-g |y|^2).
    k = (2 * g * Linear()).exp().rescale(lambda X: np.exp(-g * (X**2).sum(axis=1)))
    # Factors of up to exp(g |x|^2), about exp(10), meet their inverses: their exponents are rounded.
    np.testing.assert_allclose(k(X), RBF(np.sqrt(0.5 / g))(X), rtol=1e-13)
    np.testing.assert_allclose((2 * g * Linear()).exp().normalize()(X), RBF(np.sqrt(0.5 / g))(X), rtol=1e-13)


def test_product_over_columns(X):
    k = RBF(0.7).on([0, 3]) * RBF(0.7).on([1, 2, 4, 5])
    np.testing.assert_allclose(k(X), RBF(0.7)(X), rtol=1e-13)
    np.testing.assert_allclose((Linear().on(slice(2)) + Linear().on(slice(2, None)))(X), Linear()(X), atol=1e-14)


def test_closures_of_one_kernel(X):
    k, K = RBF(2.0) + 0.3 * Linear(), (RBF(2.0) + 0.3 * Linear())(X)
    same = lambda kernel, of: np.testing.assert_allclose(kernel(X), of, rtol=1e-13, atol=1e-13 * np.abs(of).max())
    same(k.polynomial([1, 0, 2, 0.5]), 1 + 2 * K**2 + 0.5 * K**3)
    same(k.polynomial([0, 1]), K)
    same(k.polynomial([2.0]), np.full_like(K, 2))
    same(k**5, K**5)
    same(k * k * k, K**3)
    same(k.exp(), np.exp(K))
    same((0.5 * k).exp() * (0.5 * k).exp(), np.exp(K))
    root = np.sqrt(np.diagonal(K))
    same(k.normalize(), K / root / root[:, None])
    same(Linear().normalize(), Cosine()(X))
    same(Linear().rescale("unit norm"), Cosine()(X))
    same(Polynomial(1, 0.0), Linear()(X))
    # The exponential is a limit of polynomials: K is below 7, and 7^40 / 40! is 1e-14.
    factorials = np.cumprod([1.0, *range(1, 40)])
    same(k.polynomial((1 / factorials).tolist()), np.exp(K))


def test_mixture_of_gaussian_kernels(X):
    np.testing.assert_allclose(RationalQuadratic(1.5, 1e9)(X), RBF(1.5)(X), rtol=1e-7)


def test_periodic_kernel_repeats_in_every_feature(X):
    k = Periodic([0.5, 1.0, 1.5, 2.0, 2.5, 3.0], 0.5)
    # Multiples of the period, exact in binary.
    np.testing.assert_allclose(k(X, X + 0.5 * np.arange(6)), k(X), rtol=1e-11)
    assert np.linalg.eigvalsh(k(X)).min() > -1e-12


def test_selections_are_relative_to_the_outer_one(X):
    k = Linear().on([0, 2]).on([5, 3, 1])
    np.testing.assert_array_equal(k(X), Linear()(X[:, [5, 1]]))
    np.testing.assert_array_equal((RBF() + Linear().on(-1)).on(slice(1, 4))(X), (RBF() + Linear().on(2))(X[:, 1:4]))
    mask = np.array([True, False, True, False, False, True])
    np.testing.assert_array_equal(Laplacian().on(mask)(X), Laplacian()(X[:, mask]))
    # Rescaling by the norm of what is selected outside.
    np.testing.assert_array_equal(RBF().rescale("unit norm").on([0, 1])(X), RBF().rescale("unit norm")(X[:, :2]))


# ------------------------------------------------------------------------------------ infinite networks


def random_features(X, degree, n_units, rng):
    """sqrt(2 / n_units) units of degree 0, 1 or 2 of Gaussian weights."""
    pre = X @ rng.standard_normal((X.shape[1], n_units), dtype=np.float32)
    return np.sqrt(2 / n_units) * (pre > 0) * pre**degree


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_arc_cosine_is_a_wide_random_layer(degree, depth, rng):
    X = samples(8, 3, np.float64)
    n_units, n_nets = (1500, 30) if depth == 2 else (20_000, 30)
    draws = []
    for _ in range(n_nets):
        features = X
        for _ in range(depth):
            features = random_features(features, degree, n_units, rng)
        draws.append(features @ features.T)
    # Five standard errors; a first layer of finite width biases a second one by some 1 / n_units.
    error = 5 * np.std(draws, axis=0) / np.sqrt(n_nets)
    bias = 0 if depth == 1 else 20 / n_units
    K = ArcCosine(degree, depth)(X)
    assert (np.abs(np.mean(draws, axis=0) - K) <= error + bias * (1 + np.abs(K))).all()
    # The test can fail: the error is small beside the values.
    assert np.median(error) < 0.15 * np.abs(K).mean()


def tangent(X, depth, n_units, rng):
    """<df(x) / dtheta, df(y) / dtheta> of a network of random weights, by the chain rule."""
    weights, activations, slopes = [], [X], []
    for layer in range(depth):
        weights.append(rng.standard_normal((activations[-1].shape[1], n_units)))
        pre = activations[-1] @ weights[layer]
        slopes.append(np.sqrt(2 / n_units) * (pre > 0))
        activations.append(slopes[-1] * pre)
    output = rng.standard_normal(activations[-1].shape[1])
    K = activations[-1] @ activations[-1].T
    delta = np.broadcast_to(output, activations[-1].shape)
    for layer in reversed(range(depth)):
        delta = delta * slopes[layer]
        K = K + (delta @ delta.T) * (activations[layer] @ activations[layer].T)
        delta = delta @ weights[layer].T
    return K


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_neural_tangent_is_that_of_wide_networks(depth, rng):
    X = samples(8, 3, np.float64)
    n_units, n_nets = 500, 60
    draws = [tangent(X, depth, n_units, rng) for _ in range(n_nets)]
    error = 5 * np.std(draws, axis=0) / np.sqrt(n_nets)
    K = NeuralTangent(depth)(X)
    assert (np.abs(np.mean(draws, axis=0) - K) <= error + depth / n_units * (1 + np.abs(K)) + 1e-12).all()
    assert np.median(error) < 0.05 * np.abs(K).mean()


def test_tangent_kernel_of_no_hidden_layer(X):
    np.testing.assert_array_equal(NeuralTangent(0)(X), Linear()(X))


ANGULAR = [ArcCosine(n, depth) for n in (0, 1, 2) for depth in (1, 3)] + [NeuralTangent(1), NeuralTangent(3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 3, 100])
@pytest.mark.parametrize("kernel", [k for k in ANGULAR if k != ArcCosine(0, 3)], ids=repr)
def test_small_and_straight_angles(kernel, n_features, dtype):
    eps = np.finfo(dtype).eps
    X = samples(10, n_features, dtype)
    near = np.nextafter(X, dtype(np.inf))
    for Y in (X, near, X * dtype(3), X + dtype(1e-3), X * dtype(-1), -near):
        K, expected = kernel(X, Y), reference.gram(kernel, X, Y)
        # Angles near 0 are exact to the rounding of a direction. Near pi they are known by their cosines alone, and
        # within sqrt(eps) of pi are taken for pi, where the kernels of step units are all but 0.
        straight = np.eye(10, dtype=bool) & (Y[0] @ X[0] < 0)
        bounds = np.where(straight, 4 * np.sqrt(eps), 50 * eps) * reference.scale(kernel, X, Y)
        assert (np.abs(K - expected) <= bounds).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", ANGULAR, ids=repr)
def test_diagonals_of_angular_kernels(kernel, dtype):
    X = samples(50, 5, dtype)
    # |x|^2n times 1, 1 or 3 for each layer; (depth + 1) |x|^2 for the tangent kernel.
    x2 = (X.astype(np.float64) ** 2).sum(axis=1)
    if isinstance(kernel, NeuralTangent):
        expected = (kernel.depth + 1) * x2
    else:
        expected = x2
        for _ in range(kernel.depth):
            expected = expected**kernel.degree * (3 if kernel.degree == 2 else 1)
    np.testing.assert_allclose(kernel.diag(X), expected, rtol=50 * np.finfo(dtype).eps)
    np.testing.assert_allclose(np.diagonal(kernel(X)), expected, rtol=50 * np.finfo(dtype).eps)
    # Cauchy-Schwarz holds for samples twice: nothing is above the diagonal.
    assert kernel(np.vstack([X, X])).max() <= expected.max() * (1 + 50 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "kernel",
    [*ANGULAR, Cosine(), Linear().normalize(), RBF().rescale("unit norm"), Polynomial(2, 0.0).normalize()],
    ids=repr,
)
def test_samples_of_zeros(kernel):
    X = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    K = kernel(X)
    np.testing.assert_allclose(K, reference.gram(kernel, X), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(kernel.diag(X), np.diagonal(K), rtol=1e-13, atol=0)
    assert np.linalg.eigvalsh(K).min() >= -1e-14 * np.abs(K).max()
