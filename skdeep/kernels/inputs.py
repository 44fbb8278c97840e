"""What the sources of a tile program read of the samples: columns of the data, or a function of the rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import row_norms

from skdeep.kernels.panels import n_samples


@dataclass(frozen=True)
class Inputs:
    """A matrix made of the data.

    Attributes
    ----------
    columns : tuple of int or None
        The features that it is made of; None for all.
    map : callable or None
        From these columns, an array (n_samples, n_columns), to the matrix.
    scale : tuple of float or None
        Factors of the features of the matrix.
    """

    columns: tuple | None = None
    map: Callable | None = None
    scale: tuple | None = None

    def matrix(self, X):
        """The matrix without its factors, dense or sparse as X is unless the map makes it dense."""
        X = X if self.columns is None else X[:, list(self.columns)]
        return X if self.map is None else self.map(X)


@dataclass(frozen=True)
class Rows:
    """A function of the rows (n_samples, n_features) -> (n_samples,) as a matrix of one column."""

    function: Callable

    def __call__(self, X):
        values, n = np.asarray(self.function(X)), n_samples(X)
        if values.shape != (n,):
            raise ValueError(
                f"A function of the rows must give an array of shape ({n},) for {n} samples, "
                f"but {self.function!r} gave one of shape {values.shape}."
            )
        dtype = getattr(X, "dtype", None)
        return values.astype(dtype if dtype in (np.float32, np.float64) else np.float64, copy=False)[:, None]


@dataclass(frozen=True)
class Beside:
    """The columns of two maps side by side."""

    first: Callable
    second: Callable

    def __call__(self, X):
        return np.hstack([self.first(X), self.second(X)])


@dataclass(frozen=True)
class Circle:
    """(cos, sin) of 2 pi x_i / period for each feature: on a circle, a period apart is the same point."""

    period: float

    def angles(self, X):
        if sp.issparse(X):
            raise ValueError("A periodic kernel makes sparse data dense: give X.toarray().")
        return 2.0 * math.pi * np.remainder(X.astype(np.float64) / float(self.period), 1.0)

    def __call__(self, X):
        angles = self.angles(X)
        return np.hstack([np.cos(angles), np.sin(angles)]).astype(X.dtype)


@dataclass(frozen=True)
class CircleSlope:
    """One side of sum_i s_i (a_i - b_i) sin(a_i - b_i), a bilinear form in (a sin a, -a cos a, -sin a, cos a)."""

    period: float
    left: bool

    def __call__(self, X):
        angles = 2.0 * math.pi / float(self.period) * X.astype(np.float64)
        sine, cosine = np.sin(angles), np.cos(angles)
        if self.left:
            parts = [angles * sine, -angles * cosine, -sine, cosine]
        else:
            parts = [cosine, sine, angles * cosine, angles * sine]
        return np.hstack(parts).astype(X.dtype)


def unit_rows(X):
    """x / |x|, and 0 for 0."""
    return normalize(X)


def directions(X):
    """x / |x|; 0 has a direction of its own, at right angles to all others."""
    unit = normalize(X)
    alone = (row_norms(X) == 0).astype(X.dtype)[:, None]
    return sp.hstack([unit, alone], format="csr", dtype=X.dtype) if sp.issparse(X) else np.hstack([unit, alone])


@dataclass(frozen=True)
class NormPower:
    """|x| ^ exponent."""

    exponent: int

    def __call__(self, X):
        return row_norms(X) ** self.exponent


def inverse_norm(X):
    """1 / |x|, and 0 for 0."""
    norms = row_norms(X)
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
