"""Where the numbers of a block program lie: planes of maps, rows of the batch, packed weights, and tables of places."""

import math
from dataclasses import dataclass

import numpy as np

from skdeep.engine import program as p
from skdeep.engine.target import LINE
from skdeep.networks.geometry import Planes


def round_up(n, multiple):
    return -(-n // multiple) * multiple


def whole_tiles(tile, *sizes):
    """The numbers of whole tiles that cover a matrix."""
    return math.prod(round_up(n, side) for n, side in zip(sizes, tile, strict=True))


def pad_to(values, multiple):
    return np.pad(values, (0, -values.size % multiple), mode="edge")


@dataclass
class Maps:
    """The output of a layer as planes in the workspace; the gradient by it is [channel][pixel], at -1 there is none."""

    planes: Planes
    delta_at: int | None = None


@dataclass(frozen=True)
class Rows:
    """The output of a layer as rows of the batch, `stride` apart, and the gradient by it."""

    width: int
    stride: int
    at: int
    delta_at: int


class Space:
    """Places that are given out one after the other, and so the sizes of what they lie in.

    Parameters
    ----------
    lanes : int
    across : int
        Channels that lie across a vector of maps.
    batch_size : int
    training : bool
        Whether there are deltas.

    Attributes
    ----------
    workspace_size, rows_size, packed_size : int
        Numbers of the workspace of a chunk, of the rows of a batch and of the packed weights.
    tables : list of int64 arrays
        One behind the other.
    """

    def __init__(self, lanes, across, batch_size, training):
        self.lanes, self.across, self.training = lanes, across, training
        self.tables, self._n_table, self._n_rows = [], 0, round_up(batch_size, p.CHUNK)
        self.workspace_size, self.rows_size, self.packed_size = p.SCRATCH * lanes, 0, 0
        self.scratch_size = 0

    def table(self, values):
        """The place of a table of integers."""
        values = np.asarray(values, np.int64).ravel()
        self.tables.append(values)
        self._n_table += values.size
        return self._n_table - values.size

    def offsets(self, pixels):
        """A table of places in a plane of vectors without margins."""
        return self.table(pixels * self.lanes)

    def vectors(self, n_vectors):
        """Offset of so many vectors in the workspace."""
        self.workspace_size += n_vectors * self.lanes
        return self.workspace_size - n_vectors * self.lanes

    def delta(self, shape):
        """Offset of the gradient by maps, -1 where nobody trains."""
        return self.vectors(math.prod(shape)) if self.training else -1

    def planes(self, shape, in_vectors=True):
        """Where pixels will lie. If they are written in vectors of channels, these may begin with any one."""
        if self.across == 1:
            return Planes(shape, self.lanes, interleaved=False)
        step = round_up(shape[2] + self.lanes - 1, self.lanes) if in_vectors else shape[2]
        return Planes(shape, step, interleaved=True)

    def place(self, planes):
        """Give planes their place, and room behind them for a vector that begins with the last number."""
        planes.at = self.vectors(-(-planes.size // self.lanes) + 1)

    def maps(self, shape):
        """Maps without margins."""
        maps = Maps(self.planes(shape), self.delta(shape))
        self.place(maps.planes)
        return maps

    def row_space(self, width):
        """Offset and stride of one row of `width` units for each sample of the batch.

        An odd number of vectors, so that a column of rows does not fall on few sets of a cache.
        """
        stride = (-(-width // self.lanes) | 1) * self.lanes
        self.rows_size += stride * self._n_rows
        return self.rows_size - stride * self._n_rows, stride

    def statistics(self, width):
        """Offset and size of the first of four vectors of `width` numbers, which all samples share."""
        size = round_up(width, self.lanes)
        self.rows_size += 4 * size
        return self.rows_size - 4 * size, size

    def rows(self, width):
        """The output of a layer of `width` units, and the gradient by it."""
        at, stride = self.row_space(width)
        return Rows(width, stride, at, self.row_space(width)[0] if self.training else -1)

    def scratch(self, n_vectors):
        """Make room for what a worker needs for one operation at a time."""
        self.scratch_size = max(self.scratch_size, round_up(n_vectors * self.lanes, LINE))

    def packed(self, size):
        """Offset of so many numbers among the packed weights."""
        self.packed_size += size
        return self.packed_size - size
