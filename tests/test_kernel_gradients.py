"""Derivatives of kernels by the logarithms of their hyperparameters, against central differences."""

import numba
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skdeep.engine import threads
from skdeep.kernels import (
    RBF,
    ArcCosine,
    Constant,
    Cosine,
    Custom,
    Laplacian,
    Linear,
    Matern,
    NeuralTangent,
    Periodic,
    Polynomial,
    RationalQuadratic,
    Sigmoid,
)
from skdeep.kernels.gradient import gradient_diagonals, gradient_matrices, hyperparameters
from skdeep.kernels.sweep import DIRECT_FEATURES
from tests import _reference_kernels as reference
from tests._names import spelled
from tests._reference_kernels import samples

SCALES = [0.7, 1.0, 1.6]
KERNELS = [
    Constant(2.5),
    Polynomial(3, 0.5, 0.7),
    Polynomial(1),
    Polynomial(2, 0.0),  # no logarithm: its derivative by log coef0 is 0
    RBF(0.8),
    RBF(SCALES),
    RBF([1.2, 1.2, 1.2]),
    Laplacian(1.3),
    Laplacian(SCALES),
    Matern(0.9, 0.5),
    Matern(0.9, 1.5),
    Matern(0.9, 2.5),
    Matern(SCALES, 0.5),
    Matern(SCALES, 1.5),
    Matern(SCALES, 2.5),
    RationalQuadratic(0.8, 1.7),
    RationalQuadratic(SCALES, 0.6),
    Periodic(0.9, 1.7),
    Periodic(SCALES, 0.8),
    Sigmoid(0.4, 0.3),
    Sigmoid(None, 0.3),
    2.5 * RBF(0.8),
    RBF(0.8) + Linear() * Laplacian(SCALES),
    (RBF(0.8) + 0.5) ** 3,
    RBF(0.8).polynomial([0.5, 1.0, 0.0, 2.0]),
    Matern(0.9).exp(),
    RBF(SCALES).rescale(reference.fading),
    Polynomial(2, 0.5).rescale("unit norm"),
    RBF(SCALES[:2]).on([2, 0]) * Matern(0.9).on(slice(1, 3)),
    Laplacian(0.7).on(0).on([1, 2]),
    Polynomial(3, 0.5, 0.7).normalize(),
    (2.0 * RBF(SCALES) + Polynomial(2, 0.5)).normalize(),
    (RationalQuadratic(SCALES) + Linear()).normalize() * Periodic(0.9, 1.7),
    ((Polynomial(2, 0.5) + RBF()).normalize() + 0.3 * Linear()).normalize(),
    (0.7 * Custom(reference.overlap)).exp(),
]
PLAIN = [Linear(), Cosine(), ArcCosine(), NeuralTangent(2), Custom(reference.overlap), Linear() ** 2]
STEP = 3e-4


def moved(kernel, name, index, step):
    """The kernel with the logarithm of one hyperparameter, or of one entry of a list, increased by `step`."""
    value = np.array(hyperparameters(kernel)[name])
    value[() if index is None else index] *= np.exp(step)
    return clone(kernel).set_params(**{name: value.item() if index is None else value.tolist()})


def keys(kernel):
    for name, value in hyperparameters(kernel).items():
        yield from [(name, None)] if value.ndim == 0 else [(name, i) for i in range(len(value))]


def differences(kernel, X):
    """dK / d log parameter in float64 by key, from differences over two steps, whose error is about STEP^4."""
    X, slopes = X.astype(np.float64), {}
    for name, index in keys(kernel):
        at = lambda step: moved(kernel, name, index, step)(X)  # noqa: B023
        one, two = ((at(step) - at(-step)) / (2 * step) for step in (STEP, 2 * STEP))
        slopes[name, index] = (4 * one - two) / 3
    return slopes


def entries(gradient, kernel):
    """The numbers of a gradient, in the order of `keys`."""
    return np.array([gradient[name] if index is None else gradient[name][index] for name, index in keys(kernel)])


def contracted(expected, Q):
    return np.array([np.vdot(Q, slope) for slope in expected.values()])


def tolerance(expected, Q, dtype):
    """The rounding of each term of <Q, dK>, whose signs are mixed, and the error of the differences."""
    largest = max([np.abs(slope).max() for slope in expected.values()], default=0)
    return (50 * np.finfo(dtype).eps + 1e-8) * max(1, largest) * np.abs(Q).sum()


def weights(n, dtype, symmetric):
    Q = np.random.default_rng(5).standard_normal((n, n)).astype(dtype)
    return Q + Q.T if symmetric else Q


@pytest.mark.parametrize("kernel", KERNELS, ids=spelled)
def test_every_hyperparameter(kernel):
    X = samples(23, 3, np.float32)
    expected = differences(kernel, X)
    assert expected
    for dtype in (np.float32, np.float64):
        for symmetric in (False, True):
            Q = weights(23, dtype, symmetric)
            gradient = kernel.gradient(X.astype(dtype), Q)
            assert {name: np.shape(value) for name, value in gradient.items()} == {
                name: value.shape for name, value in hyperparameters(kernel).items()
            }
            assert set(gradient) <= set(kernel.get_params())
            atol = tolerance(expected, Q, dtype)
            np.testing.assert_allclose(entries(gradient, kernel), contracted(expected, Q), rtol=0, atol=atol)


@pytest.mark.parametrize("kernel", KERNELS, ids=spelled)
def test_matrices_and_their_diagonals(kernel):
    X = samples(23, 3, np.float64)
    matrices, diagonals = dict(gradient_matrices(kernel, X)), gradient_diagonals(kernel, X)
    for key, slope in differences(kernel, X).items():
        # What does not depend on a hyperparameter may be left out.
        matrix = matrices.get(key, np.zeros((23, 23)))
        np.testing.assert_allclose(matrix, slope, rtol=0, atol=1e-8 * max(1, np.abs(slope).max()))
        np.testing.assert_allclose(diagonals.get(key, np.zeros(23)), np.diagonal(matrix), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", PLAIN, ids=spelled)
def test_kernels_without_hyperparameters(kernel):
    X = samples(5, 3, np.float64)
    assert kernel.gradient(X, np.ones((5, 5))) == {}
    assert dict(gradient_matrices(kernel, X)) == {}


@settings(max_examples=30)
@given(st.data())
def test_random_expressions(data):
    n_features = data.draw(st.sampled_from([1, 2, 3]))
    kernel = data.draw(reference.kernels(n_features, depth=3))
    X = samples(6, n_features, np.float64)
    expected, Q = differences(kernel, X), weights(6, np.float64, symmetric=False)
    gradient = entries(kernel.gradient(X, Q), kernel)
    # The rounding of values is larger than that of their derivatives where these are small.
    atol = tolerance(expected, Q, np.float64) * max(1, reference.scale(kernel, X))
    np.testing.assert_allclose(gradient, contracted(expected, Q), rtol=0, atol=atol)


# ------------------------------------------------------------------------------------- sizes and data


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 2, DIRECT_FEATURES, DIRECT_FEATURES + 1, 100])
@pytest.mark.parametrize("n_samples", [1, 2, 31, 47, 97, 101])
def test_sizes(n_samples, n_features, dtype):
    # Against NumPy: d/d log l_k of exp(-D) is K (x_k - y_k)^2 / l_k^2 for RBF, K |x_k - y_k| / l_k for Laplacian.
    X, Q = samples(n_samples, n_features, dtype), weights(n_samples, dtype, symmetric=False)
    l = np.linspace(0.5, 2, n_features)
    kernel = 1.5 * RBF(l) + Laplacian(l)
    gaps = np.abs(X[:, None].astype(np.float64) - X) / l
    K, L = np.exp(-0.5 * (gaps**2).sum(axis=2)), np.exp(-gaps.sum(axis=2))
    expected = {
        "rbf__scale": np.vdot(Q, 1.5 * K),
        "rbf__kernel__length_scale": np.einsum("ij,ijk->k", 1.5 * Q * K, gaps**2),
        "laplacian__length_scale": np.einsum("ij,ijk->k", Q * L, gaps),
    }
    gradient = kernel.gradient(X, Q)
    assert gradient.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(gradient[name], value, rtol=0, atol=20 * np.finfo(dtype).eps * np.abs(Q).sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_do_not_change_a_bit(dtype, monkeypatch):
    X, Q = samples(500, 5, dtype), weights(500, dtype, symmetric=False)
    kernel = 1.5 * RBF([0.5, 1.0, 1.5, 2.0, 2.5]) * Polynomial(2) + Matern() + Custom(reference.overlap)
    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", 0)
    results, before = [], numba.get_num_threads()
    try:
        for n_threads in sorted({1, 2, before} & set(range(1, numba.config.NUMBA_NUM_THREADS + 1))):
            numba.set_num_threads(n_threads)
            results.append(entries(kernel.gradient(X, Q), kernel))
    finally:
        numba.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kernel",
    [
        RBF(0.8),
        RBF(SCALES),
        Matern(SCALES, 2.5),
        RationalQuadratic(0.7, 1.5),
        Polynomial(2) * RBF(SCALES),
        (RBF(0.8) + Polynomial()).normalize(),
    ],
    ids=repr,
)
def test_sparse_data_give_the_same(kernel, dtype):
    X = np.random.default_rng(0).poisson(0.5, (40, 3)).astype(dtype)
    Q = weights(40, dtype, symmetric=False)
    dense, sparse = (entries(kernel.gradient(Z, Q), kernel) for Z in (X, sp.csr_array(X)))
    atol = tolerance(differences(kernel, X), Q, dtype)
    np.testing.assert_allclose(sparse, dense, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", KERNELS, ids=spelled)
def test_equal_samples_give_no_nan(kernel, dtype):
    # The derivatives of roots and angles are infinite at 0, and what they are multiplied with is 0.
    X = np.repeat(samples(8, 3, dtype), 3, axis=0)
    gradient = entries(kernel.gradient(X, np.ones((24, 24))), kernel)
    few = entries(kernel.gradient(X[::3], np.ones((8, 8))), kernel)
    assert np.isfinite(gradient).all()
    # Each pair is there nine times.
    np.testing.assert_allclose(gradient, 9 * few, rtol=0, atol=1e3 * np.finfo(dtype).eps * (1 + np.abs(few)).sum() * 24)


def test_a_sample_of_zeros():
    X = np.array([[0.0, 0.0], [1.0, 2.0]])
    for kernel in (0.5 * Linear().normalize(), (0.5 * Linear()).normalize(), 0.5 * Polynomial(2, 0.0).normalize()):
        assert np.isfinite(entries(kernel.gradient(X, np.ones((2, 2))), kernel)).all()


def test_columns_by_name():
    X = pd.DataFrame(samples(20, 3, np.float64), columns=["a", "b", "c"])
    Q = weights(20, np.float64, symmetric=False)
    named, placed = RBF([0.5, 2.0]).on(["c", "a"]).normalize(), RBF([0.5, 2.0]).on([2, 0]).normalize()
    name = "kernel__kernel__length_scale"
    np.testing.assert_array_equal(named.gradient(X, Q)[name], placed.gradient(X.to_numpy(), Q)[name])


def test_objects():
    k = 2.0 * Custom(lambda a, b: len(set(a) & set(b)), vectorized=False)
    words = ["kernel", "ridge", "gram"]
    # K is twice the letters in common, and its own derivative by log scale.
    assert k.gradient(words, np.ones((3, 3))) == {"scale": pytest.approx(k(words).sum(), rel=1e-15)}


def test_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"Q must have the shape \(4, 4\) of the Gram matrix, got \(4, 3\)"):
        RBF().gradient(samples(4, 2, np.float64), np.ones((4, 3)))


def test_lists_and_read_only_weights(rng):
    Q = rng.standard_normal((4, 4))
    expected = RBF().gradient(samples(4, 2, np.float64), Q)
    Q.flags.writeable = False
    for weight in (Q, Q.tolist(), np.asfortranarray(Q), np.repeat(Q, 2, axis=1)[:, ::2]):
        assert RBF().gradient(samples(4, 2, np.float64), weight) == expected
