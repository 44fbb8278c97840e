"""Where Winograd's algorithm is faster than a direct convolution, and the patches of outputs that it takes."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skdeep.engine import program as p
from skdeep.engine.short_correlations import ALGORITHMS, SQUARE
from skdeep.networks.geometry import Spread, pixels_in_windows
from skdeep.networks.space import round_up, whole_tiles
from skdeep.networks.windows import Windows

# Square patches whose points lie side by side, at the most: three register tiles, or the rows of a tile and one.
TOGETHER = 9
# Rows of a strip, so that its points stay in the cache of a core; of those, multiples of four, which pools divide.
MOST_ROWS = 32
# What the transforms take for a number that they load and store in a pass, of inputs, of outputs with what follows
# them, and of those of strips with what their shorter sums cost, in being transposed, and in a sum over lanes, in units
# of a product within a product of matrices; and what a direct convolution takes for a product, whose tiles are larger.
INPUTS, OUTPUTS, STRIP_OUTPUTS, TRANSPOSED, SUMMED, DIRECT = 1.5, 2.5, 4.5, 6, 2.5, 0.85


@dataclass(frozen=True)
class Patches:
    """The patches of a convolution of stride 1, the last ones reaching beyond the outputs.

    Attributes
    ----------
    number : int
        Of the short correlation among `ALGORITHMS`.
    grid : Windows
        Those of the convolution.
    shape : (int, int)
        Height and width of the input.
    """

    number: int
    grid: Windows
    shape: tuple[int, int]

    @property
    def algorithm(self):
        return ALGORITHMS[self.number]

    @property
    def size(self):
        """Outputs down and across a patch."""
        raise NotImplementedError

    @property
    def seen(self):
        """Inputs down and across that a patch sees."""
        return tuple(n + k - 1 for n, k in zip(self.size, self.grid.size, strict=True))

    @property
    def count(self):
        """Patches down and across."""
        return tuple(-(-n // m) for n, m in zip(self.grid.count, self.size, strict=True))

    @property
    def overhang(self):
        """Rows and columns by which the last patches reach beyond the outputs."""
        return tuple(k * m - n for k, m, n in zip(self.count, self.size, self.grid.count, strict=True))

    def _windows(self, size, before):
        return replace(self.grid, size=size, stride=self.size, before=before, after=(0, 0), count=self.count)

    def inputs(self):
        """The pixels of the input that each patch sees, -1 in the padding, array of shape (n_patches, n_pixels)."""
        return pixels_in_windows(self._windows(self.seen, self.grid.before), self.shape)

    def outputs(self):
        """The outputs of each patch, -1 beyond the last, array of shape (n_patches, n_outputs)."""
        return pixels_in_windows(self._windows(self.size, (0, 0)), self.grid.count)

    def windows(self, windows):
        """The windows of a pool behind the convolution, patch by patch.

        Returns
        -------
        spans : array of shape (n_patches + 1,)
            The first window of each patch, and their end.
        numbers : array of shape (n_windows,)
        pixels : array of shape (n_windows, n_pixels_of_a_window)
            Each pixel's place in its patch; None if a window has pixels of several patches.
        """
        outputs = self.outputs()
        patch, place = np.zeros((2, math.prod(self.grid.count)), np.int64)
        patch[outputs[outputs >= 0]], place[outputs[outputs >= 0]] = np.nonzero(outputs >= 0)
        of_window = patch[windows]
        if (of_window != of_window[:, :1]).any():
            return None
        order = np.argsort(of_window[:, 0], kind="stable")
        spans = np.searchsorted(of_window[order, 0], np.arange(len(outputs) + 1))
        return spans, order, place[windows[order]]

    def times(self, n_in, n_out, lanes):
        """What outputs, the gradient by the input and, beside it, that by the weights take for a patch."""
        raise NotImplementedError

    def pays(self, n_in, n_out, lanes):
        """Whether each of the three takes less time so than directly."""
        return [own < direct for own, direct in self._beside_direct(n_in, n_out, lanes)]

    def time(self, n_in, n_out, lanes):
        """What a step takes if each of the three goes the faster way."""
        return sum(map(min, self._beside_direct(n_in, n_out, lanes)))

    def _beside_direct(self, n_in, n_out, lanes):
        products = DIRECT * math.prod(self.grid.size) * n_in * n_out
        pixels = math.prod(self.grid.count), math.prod(self.shape), math.prod(self.grid.count)
        times = self.times(n_in, n_out, lanes)
        return [(math.prod(self.count) * own, n * products) for own, n in zip(times, pixels, strict=True)]


class Squares(Patches):
    """Patches transformed along their rows and along their columns."""

    @property
    def size(self):
        return (self.algorithm.n_outputs,) * 2

    @property
    def together(self):
        """Patches whose points lie side by side."""
        n = math.prod(self.count)
        return -(-n // -(-n // TOGETHER))

    def times(self, n_in, n_out, lanes):
        size, points, reach = self.size[0], self.algorithm.n_points, self.seen[0]
        inputs, outputs, products = (reach + points) ** 2, (size + points) ** 2, points**2 * n_in * n_out
        forward = products + INPUTS * n_in * inputs + OUTPUTS * n_out * outputs
        backward = products + OUTPUTS * n_in * inputs + INPUTS * n_out * outputs
        # Channels that would fill too little of a vector are summed over the lanes.
        summed = n_out % lanes if n_out % lanes <= p.TERM_CHANNELS else 0
        padded, tiles = round_up(n_out - summed, lanes), whole_tiles(p.HIGH, n_in, summed)
        gradient = (n_in + TRANSPOSED) * padded + (1 + SUMMED / self.together) * tiles
        return forward, backward, points**2 * gradient + INPUTS * n_in * inputs

    def columns(self, space, n_in, n_out, backward, gradient):
        """The columns of an operation that are of squares only, and a worker's scratch."""
        size, points, reach = self.size[0], self.algorithm.n_points, self.seen[0]
        inputs, outputs = (-(-n // space.across) * self.together | 1 for n in (n_in, n_out))
        padded = round_up(n_out, space.lanes)
        # By the weights at each point, and outputs whose lanes are channels.
        extra = padded * self.together + points**2 * n_in * padded // space.lanes if gradient else 0
        transforms = points * ((1 + reach) * inputs + (1 + size) * outputs)
        space.scratch(points**2 * (1 + inputs) + transforms + extra)
        return dict(PATCH_ROWS=0, TRANSFORMED_AT=space.packed(points**2 * n_in * n_out), PATCHES_TOGETHER=self.together)


class Strips(Patches):
    """Patches of many rows, transformed along these."""

    @property
    def size(self):
        height = self.grid.count[0]
        # Below the outputs, too, the frame Z has as many zeros as the filter has taps but one.
        fit = [rows for rows in range(4, MOST_ROWS + 1, 4) if -height % rows < self.grid.size[0]]
        return max(fit, default=height) if height > MOST_ROWS else height, self.algorithm.n_outputs

    def times(self, n_in, n_out, lanes):
        (height, size), (n_rows, reach), points = self.size, self.seen, self.algorithm.n_points
        taps, inputs, outputs = self.grid.size[0], n_rows * (reach + points), height * (size + points)
        products = points * taps * n_in * n_out
        forward = height * products + INPUTS * n_in * inputs + STRIP_OUTPUTS * n_out * outputs
        backward = (height + taps // 2) * products + STRIP_OUTPUTS * n_in * inputs + INPUTS * n_out * outputs
        gradient = (height + SUMMED) * points * whole_tiles(p.HIGH, taps * n_in, n_out)
        return forward, backward, gradient + INPUTS * n_in * inputs

    def columns(self, space, n_in, n_out, backward, gradient):
        """The columns of an operation that are of strips only, and a worker's scratch."""
        height, (n_rows, reach), points = self.size[0], self.seen, self.algorithm.n_points
        taps, lanes = self.grid.size[0], space.lanes
        if space.across == 1:
            inputs, outputs = n_in * n_rows | 1, n_out * height | 1
        else:
            inputs, outputs = -(-n_in * n_rows // lanes) + 1, round_up(n_out, lanes) * height // lanes
        margins = 2 * (taps - 1) * n_out if backward else 0
        # By the weights at each point, the last vector of a tile being filled up.
        extra = points * -(-whole_tiles(p.HIGH, taps * n_in, n_out) // lanes) + p.SCRATCH if gradient else 0
        space.scratch(n_rows * reach + points * (1 + inputs + outputs + margins) + extra)
        return dict(
            PATCH_ROWS=height,
            TRANSFORMED_AT=space.packed(points * taps * n_in * n_out),
            BACK_TRANSFORMED_AT=space.packed(points * taps * n_in * n_out) if backward else -1,
        )


def candidates(grid, shape):
    """The patches that a convolution may take, none where Winograd's algorithm does not serve."""
    if grid.stride != (1, 1) or grid.dilation != (1, 1):
        return []
    numbers = [i for i, algorithm in enumerate(ALGORITHMS) if algorithm.n_taps == grid.size[1]]
    squares = [Squares(i, grid, shape) for i in numbers if i in SQUARE and grid.size[0] == grid.size[1]]
    # Beyond the outputs the frame Z has as many zeros as the filter has taps but one.
    return [cut for cut in [*squares, *(Strips(i, grid, shape) for i in numbers)] if cut.overhang[1] < grid.size[1]]


def patches(grid, shape, n_in, n_out, lanes):
    """The fastest patches for a convolution between so many channels, None where there are none."""
    shape = tuple(shape[:2])
    return min(candidates(grid, shape), key=lambda cut: cut.time(n_in, n_out, lanes), default=None)


def winograd_columns(cut, space, planes, out_planes, places, windows, columns):
    """The columns of a convolution's operation that Winograd's algorithm needs, none where a direct one is faster.

    Parameters
    ----------
    cut : Patches
    space : Space
    planes, out_planes : Planes
    places : array of shape (n_outputs,)
        Where the window of each output begins in the workspace.
    windows : array of shape (n_windows, n_pixels_of_a_window)
        The outputs of each window of the pool behind the convolution.
    columns : dict
        The other columns.
    """
    n_in, n_out = columns["N_INPUTS"], columns["N_OUTPUTS"]
    placed, (forward, backward, gradient) = cut.windows(windows), cut.pays(n_in, n_out, space.lanes)
    forward = placed is not None and forward
    backward = "INPUT_DELTA_AT" in columns and backward
    gradient = backward and gradient
    if not (forward or backward):
        return {}
    spread, firsts = Spread(cut.shape, cut.grid), cut.outputs()[:, 0]
    result = cut.columns(space, n_in, n_out, backward, gradient) | dict(
        ALGORITHM=cut.number,
        WINOGRAD_FORWARD=int(forward),
        WINOGRAD_BACKWARD=int(backward),
        WINOGRAD_GRADIENT=int(gradient),
        PATCH_SIZE=cut.algorithm.n_outputs,
        POINTS=cut.algorithm.n_points,
        N_PATCHES=len(firsts),
        PATCHES_AT=space.table(np.concatenate([places[firsts], spread.outputs()[firsts] * space.lanes])),
        Z_ROW_STEP=spread.width * space.lanes,
    )
    if forward:
        spans, numbers, pixels = placed
        entries = np.column_stack([numbers, out_planes.pixels()[numbers], pixels * space.lanes])
        result |= dict(PATCH_SPANS_AT=space.table(spans), PATCH_WINDOWS_AT=space.table(entries))
    if backward:
        seen = cut.inputs()
        result |= dict(PATCH_DELTAS_AT=space.table(np.where(seen < 0, -1, seen * space.lanes)))
    return result
