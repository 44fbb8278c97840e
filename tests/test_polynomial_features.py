"""The multinomial map of the polynomial kernel."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import PolynomialFeatures

from skdeep.kernels import Polynomial
from skdeep.kernels.polynomial import n_polynomial_features, polynomial_exponents, polynomial_features

CASES = pytest.mark.parametrize("degree", [1, 2, 3, 5])


@CASES
@pytest.mark.parametrize("n_features", [1, 2, 4])
@pytest.mark.parametrize("coef0", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inner_products_are_the_kernel(rng, degree, n_features, coef0, dtype):
    X, Y = (rng.normal(size=(n, n_features)).astype(dtype) for n in (7, 5))
    phi_X, phi_Y = (polynomial_features(A, degree, gamma=0.7, coef0=coef0) for A in (X, Y))
    assert phi_X.dtype == dtype
    assert phi_X.shape[1] == n_polynomial_features(n_features, degree, lower_degrees=coef0 > 0)
    # Rounding of a sum whose terms add to at most (gamma |x| |y| + coef0)^degree, the power taken in `degree` steps.
    scale = (0.7 * np.outer(np.linalg.norm(X, axis=1), np.linalg.norm(Y, axis=1)) + coef0) ** degree
    tolerance = 20 * degree * np.finfo(dtype).eps * scale
    assert np.all(np.abs(phi_X @ phi_Y.T - Polynomial(degree, coef0, gamma=0.7)(X, Y)) <= tolerance)


@CASES
@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("lower_degrees", [False, True])
def test_monomials_and_their_order_are_scikit_learns(rng, degree, n_features, lower_degrees):
    degrees = (0 if lower_degrees else degree, degree)
    theirs = PolynomialFeatures(degrees, include_bias=lower_degrees).fit(np.zeros((1, n_features)))
    exponents = polynomial_exponents(n_features, degree, lower_degrees=lower_degrees)
    np.testing.assert_array_equal(exponents, theirs.powers_)
    X = rng.uniform(0.5, 2.0, size=(6, n_features))
    ratio = polynomial_features(X, degree, coef0=1.0 if lower_degrees else 0.0) / theirs.transform(X)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-13)  # a weight for each column


@CASES
@pytest.mark.parametrize("coef0", [0.0, 1.0])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_equals_dense_and_stays_sparse(rng, degree, coef0, container):
    X = rng.normal(size=(8, 5)) * (rng.random((8, 5)) < 0.3)
    expected = polynomial_features(X, degree, coef0=coef0)
    features = polynomial_features(container(X), degree, coef0=coef0)
    assert features.format == "csr"
    assert features.nnz == np.count_nonzero(expected)
    np.testing.assert_allclose(features.toarray(), expected, rtol=1e-14)
