"""Whatever may be given as `kernel`, as an object with `gram` and `diag`: names, kernels, callables, matrices."""

import functools

import numpy as np
from sklearn.base import clone
from sklearn.metrics.pairwise import pairwise_kernels

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.leaves import Custom
from skdeep.kernels.names import from_name


def resolved(kernel, n_features, *, gamma, degree, coef0, kernel_params):
    """The kernel that the parameters of an estimator describe, its own copy."""
    if isinstance(kernel, Kernel):
        return clone(kernel)
    if callable(kernel):
        # Which calls the function for each pair, or a kernel of scikit-learn's Gaussian processes once.
        return Custom(functools.partial(pairwise_kernels, metric=kernel, **(kernel_params or {})))
    if kernel == "precomputed":
        return PrecomputedKernel()
    return from_name(kernel, gamma=gamma, degree=degree, coef0=coef0, n_features=n_features)


class PrecomputedKernel:
    """The kernel of a matrix that is given: where samples are expected there are its rows."""

    def __repr__(self):
        return "'precomputed'"

    def gram(self, X, Y=None):
        return PrecomputedGram(X)

    def diag(self, X):
        raise ValueError("A precomputed kernel does not tell k(x, x) of new samples, which return_std=True needs.")

    def _explicit_map(self, n_features):
        return None


class PrecomputedGram:
    """A Gram matrix that is given, with the methods of `skdeep.kernels.gram.Gram`."""

    def __init__(self, K):
        self._K, self.shape, self.dtype = K, K.shape, K.dtype

    def toarray(self):
        return np.array(self._K, order="C")

    def rows(self, indices):
        return self._K[indices]

    def diagonal(self):
        return self._K.diagonal()

    def __matmul__(self, V):
        return self._K @ V
