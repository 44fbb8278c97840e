"""Where pixels lie: tables of offsets from the shapes of maps, windows and filters.

Here all geometry ends: the engine sees lists of pixels and of taps.
"""

import math

import numpy as np


def _apart(n_pixels):
    """Pixels of a plane and a gap behind it, so that planes do not fall on the same few sets of a cache."""
    return n_pixels + (11 - n_pixels) % 32


class Planes:
    """The pixels of one map in a workspace, within margins for who reads beyond its edges.

    They are planes, [channel][row][column], or interleaved, [row][column][channel]. Offsets count numbers.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels.
    pixel_step : int
        From a pixel to the one beside it.
    interleaved : bool

    Attributes
    ----------
    at : int or None
        Where they begin, once the margins are known.
    """

    def __init__(self, shape, pixel_step, interleaved):
        self.shape, self.pixel_step, self.at = shape, pixel_step, None
        self._interleaved, self._before, self._after = interleaved, (0, 0), (0, 0)

    def make_room(self, grid, overhang=(0, 0)):
        """Widen the margins for the windows of a reader, and for rows and columns of more windows."""
        self._before = tuple(map(max, self._before, grid.before))
        self._after = tuple(max(own, n + more) for own, n, more in zip(self._after, grid.after, overhang, strict=True))

    @property
    def n_pixels(self):
        return self.shape[0] * self.shape[1]

    @property
    def width(self):
        return self._before[1] + self.shape[1] + self._after[1]

    @property
    def _n_places(self):
        """Pixels, margins included."""
        return (self._before[0] + self.shape[0] + self._after[0]) * self.width

    @property
    def channel_step(self):
        """From a pixel of a channel to that of the next."""
        return 1 if self._interleaved else _apart(self._n_places) * self.pixel_step

    @property
    def size(self):
        return self._n_places * self.pixel_step if self._interleaved else self.channel_step * self.shape[2]

    def pixels(self, channels=0):
        """Offsets of the map's own pixels, of one channel or of several: shape (*channels.shape, n_pixels)."""
        row, column = np.divmod(np.arange(self.n_pixels), self.shape[1])
        return np.add.outer(channels * self.channel_step, self._place(row, column))

    def windows(self, grid):
        """Offsets of the first pixel of each window in its channel; the margins are at least the windows'."""
        row, column = _places(grid)
        return self._place(row - grid.before[0], column - grid.before[1])

    def taps(self, grid, channels):
        """Offsets from a window's first pixel to all of its pixels in several channels, (channel, pixel)."""
        r, s = _window(grid)
        return np.add.outer(channels * self.channel_step, (r * self.width + s) * self.pixel_step)

    def _place(self, row, column):
        return ((row + self._before[0]) * self.width + column + self._before[1]) * self.pixel_step


def _places(grid):
    """Row and column, in the padded map, of the first pixel of each window."""
    row, column = np.divmod(np.arange(math.prod(grid.count)), grid.count[1])
    return row * grid.stride[0], column * grid.stride[1]


def _window(grid):
    """Row and column of each pixel of a window, counted from its first."""
    r, s = np.divmod(np.arange(math.prod(grid.size)), grid.size[1])
    return r * grid.dilation[0], s * grid.dilation[1]


def pixels_in_windows(grid, shape):
    """Which pixel of a map of shape (height, width, ...) each pixel of each window is, -1 in the padding."""
    (row, column), (r, s) = _places(grid), _window(grid)
    row = row[:, None] + r - grid.before[0]
    column = column[:, None] + s - grid.before[1]
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return np.where(inside, row * shape[1] + column, -1)


class Spread:
    """The frame Z of a transposed convolution: the outputs' deltas, as far apart as the stride, among zeros.

    A plane is the padded map, widened on all sides by what a window reaches. Offsets count pixels.
    """

    def __init__(self, shape, grid):
        self._shape, self._grid = shape, grid
        self._margin = tuple(reach - 1 for reach in grid.reach)
        padded = [n + b + a for n, b, a in zip(shape[:2], grid.before, grid.after, strict=True)]
        self.width = padded[1] + self._margin[1]
        self.plane = _apart((padded[0] + self._margin[0]) * self.width)

    def outputs(self):
        """Offset of each output's delta."""
        row, column = _places(self._grid)
        return (row + self._margin[0]) * self.width + column + self._margin[1]

    def taps(self, planes):
        """Offsets from an input pixel's place to the deltas that it took part in, (plane, pixel of the window)."""
        r, s = _window(self._grid)
        own = (self._margin[0] - r) * self.width + self._margin[1] - s
        return np.add.outer(planes * self.plane, own)

    def pixels(self):
        """Places of the input's pixels."""
        row, column = np.divmod(np.arange(self._shape[0] * self._shape[1]), self._shape[1])
        return (row + self._grid.before[0]) * self.width + column + self._grid.before[1]

    def rows(self, n_together):
        """The rows of the window that some input pixels took part in, first and stop for each tile of so many pixels.

        Array of shape (n_tiles, 2), of the smallest span that will do for all pixels of a tile.
        """
        grid, row = self._grid, np.arange(self._shape[0] * self._shape[1]) // self._shape[1]
        # At which row, in units of the stride, a window begins whose rows are on that of the pixel.
        begin = (row + grid.before[0])[:, None] - np.arange(grid.size[0]) * grid.dilation[0]
        took_part = (begin % grid.stride[0] == 0) & (0 <= begin) & (begin < grid.count[0] * grid.stride[0])
        spans = np.zeros((-(-len(row) // n_together), 2), np.int64)
        for tile, span in enumerate(spans):
            used = np.flatnonzero(took_part[tile * n_together : (tile + 1) * n_together].any(axis=0))
            span[:] = (used[0], used[-1] + 1) if len(used) else 0
        return spans
