"""Whatever may be given as `kernel`, as an object with `gram` and `diag`: names, kernels, callables, matrices."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils import gen_batches

from skdeep.kernels.algebra import Kernel
from skdeep.kernels.leaves import Custom
from skdeep.kernels.names import resolved

# Rows of a matrix that are compared with its columns at a time.
BLOCK = 512


def given(kernel, n_features, names, *, kernel_params, **parameters):
    """The kernel that the parameters of an estimator describe, its own copy, for features with these names or None."""
    if callable(kernel) and not isinstance(kernel, Kernel):
        # Which calls the function for each pair, or a kernel of scikit-learn's Gaussian processes once.
        return Custom(Pairwise(kernel, kernel_params or {}))
    if isinstance(kernel, str) and kernel == "precomputed":
        return PrecomputedKernel()
    return resolved(kernel, n_features, names, **parameters)


@dataclass(frozen=True)
class Pairwise:
    """scikit-learn's matrix of a callable, equal to itself in another process."""

    metric: object = field(hash=False)  # which, like the parameters, may have no hash
    parameters: dict = field(hash=False)

    def __call__(self, X, Y):
        return pairwise_kernels(X, Y, metric=self.metric, **self.parameters)


class PrecomputedKernel:
    """The kernel of a matrix that is given: where samples are expected there are its rows."""

    positive_semidefinite = None  # not known

    def __repr__(self):
        return "'precomputed'"

    def gram(self, X, Y=None):
        if Y is None:
            _check_symmetric(X)
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


def _check_symmetric(K):
    for rows in gen_batches(len(K), BLOCK):
        difference, size = np.abs(K[rows] - K[:, rows].T).max(), np.abs(K[rows]).max()
        if difference > np.sqrt(np.finfo(K.dtype).eps) * size:
            raise ValueError(
                f"A precomputed kernel must be symmetric, but it differs from its transpose by {difference:.3g}."
            )
