"""Samples as the engine reads them, and the matrices that it is given where it cannot compute them."""

from math import ceil

import numpy as np
import scipy.sparse as sp

from skdeep.engine import gram as engine
from skdeep.engine import threads
from skdeep.engine.target import aligned_zeros
from skdeep.engine.tile_program import PANEL


class Panels:
    """Matrices of the same samples, `[matrix, panel, feature, column]` in one flat array, with norms behind each.

    Parameters
    ----------
    n_samples : int
    widths : list of int
        Features of each matrix.
    dtype : dtype
    """

    def __init__(self, n_samples, widths, dtype):
        self.n_samples, self.widths, self.n_panels = n_samples, widths, ceil(n_samples / PANEL)
        sizes = [self.n_panels * (width + 1) * PANEL for width in widths]
        self.starts = np.cumsum([0, *sizes])
        self.flat = aligned_zeros(self.starts[-1], dtype)

    def block(self, place):
        """The panels of one matrix, `[panel, feature, column]`."""
        start, stop = self.starts[place : place + 2]
        return self.flat[start:stop].reshape(self.n_panels, self.widths[place] + 1, PANEL)

    def pack(self, place, X, factors, centre):
        """Fill the place of one matrix by (X - centre) * factors."""
        X = np.require(X, self.flat.dtype, requirements=["C", "A"])
        shift = np.zeros(X.shape[1], X.dtype) if centre is None else centre.astype(X.dtype)
        factors = np.ones(X.shape[1], X.dtype) if factors is None else factors.astype(X.dtype)
        workers = threads.n_workers(4 * X.size)
        for first, stop in threads.launches(ceil(self.n_panels / workers), 64):
            span = first * workers, min(stop * workers, self.n_panels)
            engine.pack(X, shift, factors, int(self.starts[place]), *span, self.flat, workers)

    def set_norms(self, place, norms):
        """Fill the place of a matrix of no features, of which only the squared norms are known."""
        padded = np.zeros(self.n_panels * PANEL, self.flat.dtype)
        padded[: len(norms)] = norms
        self.block(place)[:, 0] = padded.reshape(-1, PANEL)

    def take(self, indices):
        """The panels of chosen samples."""
        chosen = Panels(len(indices), self.widths, self.flat.dtype)
        places = np.arange(len(indices))
        for place in range(len(self.widths)):
            samples = self.block(place)[indices // PANEL, :, indices % PANEL]
            chosen.block(place)[places // PANEL, :, places % PANEL] = samples
        return chosen


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
