"""Samples as the engine reads them, and the matrices that it is given where it cannot compute them."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import scipy.sparse as sp

from skdeep.engine import gram as engine
from skdeep.engine import threads
from skdeep.engine.target import aligned_zeros
from skdeep.engine.tile_program import PANEL


@dataclass(frozen=True)
class Scaled:
    """The matrix (X - shift) * scale, three C-contiguous arrays of the packed numbers' dtype."""

    X: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    @property
    def n_features(self):
        return self.X.shape[1]

    def pack(self, packed, at, in_rows):
        """Write the matrix to packed[at:], in rows or in panels."""
        n_panels = ceil(len(self.X) / PANEL)
        workers = threads.n_workers(4 * self.X.size)
        first_launch = threads.first_launch(4 * PANEL * self.n_features)
        for first, stop in threads.launches(ceil(n_panels / workers), first_launch):
            span = first * workers, min(stop * workers, n_panels)
            engine.pack(self.X, self.shift, self.scale, at, int(in_rows), *span, packed, workers)

    def take(self, indices):
        return replace(self, X=self.X[indices])


@dataclass(frozen=True)
class Norms:
    """A matrix of no features, of which only the squared norms of its rows are known."""

    norms: np.ndarray
    n_features = 0

    def pack(self, packed, at, in_rows):
        """Write the norms to packed[at:], where rows and panels are the same."""
        packed[at : at + len(self.norms)] = self.norms

    def take(self, indices):
        return Norms(self.norms[indices])


class Packed:
    """Matrices of the same samples as the engine reads them, packed when they are first asked for.

    Parameters
    ----------
    n_samples : int
    matrices : list of Scaled or Norms
    dtype : dtype
    """

    def __init__(self, n_samples, matrices, dtype):
        self.n_panels, self._matrices, self._dtype = ceil(n_samples / PANEL), matrices, dtype
        # Rows and panels of a matrix, with their norms, are of the same size.
        self.starts = np.cumsum([0, *(self.n_panels * PANEL * (matrix.n_features + 1) for matrix in matrices)])

    @cached_property
    def rows(self):
        """`[matrix, sample, feature]`, in one flat array."""
        return self._packed(in_rows=True)

    @cached_property
    def panels(self):
        """`[matrix, panel, slice, feature, column]`, in one flat array."""
        return self._packed(in_rows=False)

    def _packed(self, in_rows):
        packed = aligned_zeros(self.starts[-1], self._dtype)
        for matrix, start in zip(self._matrices, self.starts[:-1].tolist(), strict=True):
            matrix.pack(packed, start, in_rows)
        return packed

    def take(self, indices):
        """Chosen samples."""
        return Packed(len(indices), [matrix.take(indices) for matrix in self._matrices], self._dtype)


class SparseProducts:
    """Inner products of the rows of sparse matrices, which the engine is given."""

    def __init__(self, X, Y):
        self._X, self._Y = X, Y

    def rows(self, selection):
        return (self._X[selection] @ self._Y.T).toarray()

    def pairs(self, n):
        return squared_norms(self._X[:n], self._Y[:n])


def squared_norms(X, Y):
    """x_i . y_i of sparse rows, terms added in the order of a sparse product, so that |x - x|^2 is exactly 0."""
    return X.multiply(Y).tocsr() @ np.ones(X.shape[1], X.dtype)


class FunctionValues:
    """The values of a function (X, Y) -> matrix, which the engine is given."""

    # The diagonal is cut out of squares of so many samples.
    SQUARE = 16

    def __init__(self, function, X, Y):
        self._function, self._X, self._Y = function, X, Y

    def _matrix(self, X, Y):
        K = self._function(X, Y)
        K = K.toarray() if sp.issparse(K) else np.asarray(K)
        if K.shape != (n_samples(X), n_samples(Y)):
            raise ValueError(
                f"The function of a Custom kernel must give a matrix of shape {n_samples(X), n_samples(Y)} for "
                f"{n_samples(X)} and {n_samples(Y)} samples, got shape {K.shape}; "
                "a function of one pair needs vectorized=False."
            )
        return K

    def rows(self, selection):
        return self._matrix(rows(self._X, selection), self._Y)

    def pairs(self, n):
        spans = (slice(start, min(start + self.SQUARE, n)) for start in range(0, n, self.SQUARE))
        values = [self._matrix(rows(self._X, span), rows(self._Y, span)).diagonal() for span in spans]
        return np.concatenate(values) if values else np.empty(0)


def n_samples(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def rows(X, selection):
    """Samples of an array or of another sequence; selection is a slice or an array of integers."""
    if hasattr(X, "shape") or isinstance(selection, slice):
        return X[selection]
    return [X[i] for i in selection]
