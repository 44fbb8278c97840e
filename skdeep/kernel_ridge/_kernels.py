"""Whatever may be given as `kernel`, as an object with `gram` and `diag`: names, kernels, callables, matrices."""

import numpy as np
from sklearn.base import clone
from sklearn.gaussian_process.kernels import Kernel as GaussianProcessKernel
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import gen_batches
from sklearn.utils._chunking import get_chunk_n_rows

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.names import from_name


def resolved(kernel, n_features, *, gamma, degree, coef0, kernel_params):
    """The kernel that the parameters of an estimator describe, its own copy."""
    if isinstance(kernel, Kernel):
        return clone(kernel)
    if callable(kernel):
        return CallableKernel(kernel, kernel_params or {})
    if kernel == "precomputed":
        return PrecomputedKernel()
    return from_name(kernel, gamma=gamma, degree=degree, coef0=coef0, n_features=n_features)


class CallableKernel:
    """A function of two samples, called once for each pair, or a kernel of scikit-learn's Gaussian processes."""

    def __init__(self, function, params):
        self.function, self.params = function, params

    def __repr__(self):
        return repr(self.function)

    def gram(self, X, Y=None):
        return _CallableGram(self, X, Y)

    def diag(self, X):
        if isinstance(self.function, GaussianProcessKernel):
            return self.function.diag(X).astype(X.dtype)
        return np.array([self.function(x, x, **self.params) for x in X], X.dtype)

    def _explicit_map(self, n_features):
        return None


class PrecomputedKernel:
    """The kernel of a matrix that is given: where samples are expected there are its rows."""

    def __repr__(self):
        return "'precomputed'"

    def gram(self, X, Y=None):
        return _PrecomputedGram(X)

    def diag(self, X):
        raise ValueError("A precomputed kernel does not tell k(x, x) of new samples, which return_std=True needs.")

    def _explicit_map(self, n_features):
        return None


class _GivenGram:
    """A Gram matrix whose rows come from elsewhere, with the methods of `skdeep.kernels.gram.Gram`."""

    def __matmul__(self, V):
        height = get_chunk_n_rows(self.shape[1] * self.dtype.itemsize)
        return np.concatenate([self.rows(rows) @ V for rows in gen_batches(self.shape[0], height)])


class _CallableGram(_GivenGram):
    def __init__(self, kernel, X, Y):
        self._kernel, self._X, self._Y = kernel, X, Y
        self.shape, self.dtype = (X.shape[0], (X if Y is None else Y).shape[0]), X.dtype

    def toarray(self):
        return self._evaluated(self._X, self._Y)

    def rows(self, indices):
        return self._evaluated(self._X[indices], self._X if self._Y is None else self._Y)

    def diagonal(self):
        return self._kernel.diag(self._X)

    def _evaluated(self, X, Y):
        # A kernel that keeps no table of its results has every pair evaluated once where Y is None.
        K = pairwise_kernels(X, Y, metric=self._kernel.function, **self._kernel.params)
        return np.array(K, self.dtype, order="C")


class _PrecomputedGram(_GivenGram):
    def __init__(self, K):
        self._K, self.shape, self.dtype = K, K.shape, K.dtype

    def toarray(self):
        return np.array(self._K, order="C")

    def rows(self, indices):
        return self._K[indices]

    def diagonal(self):
        return self._K.diagonal()
