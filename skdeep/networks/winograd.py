"""Where Winograd's algorithm is faster than a direct convolution, and the patches of outputs that it takes."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skdeep.engine.short_correlations import ALGORITHMS, Algorithm
from skdeep.networks.geometry import Spread, pixels_in_windows
from skdeep.networks.space import round_up
from skdeep.networks.windows import Windows

# Patches whose points lie side by side, at the most: three register tiles, or the rows of a tile and one.
TOGETHER = 9
# What the transforms take for a number that they load and store in passes along rows and columns, of inputs, of
# outputs with what follows them, and in being transposed, in units of a product within a product of matrices; and what
# a direct convolution takes for a product, whose tiles are larger.
INPUTS, OUTPUTS, TRANSPOSED, DIRECT = 1.5, 2.5, 6, 0.85


@dataclass(frozen=True)
class Patches:
    """The patches of a convolution of stride 1, the last ones reaching beyond the outputs.

    Attributes
    ----------
    algorithm : Algorithm
    grid : Windows
        Those of the convolution.
    shape : (int, int)
        Height and width of the input.
    """

    algorithm: Algorithm
    grid: Windows
    shape: tuple[int, int]

    @property
    def count(self):
        """Patches down and across."""
        return tuple(-(-n // self.algorithm.n_outputs) for n in self.grid.count)

    @property
    def overhang(self):
        """Rows and columns by which the last patches reach beyond the outputs."""
        return tuple(m * self.algorithm.n_outputs - n for m, n in zip(self.count, self.grid.count, strict=True))

    def _windows(self, size, before):
        side, step = (size, size), (self.algorithm.n_outputs,) * 2
        return replace(self.grid, size=side, stride=step, before=before, after=(0, 0), count=self.count)

    def inputs(self):
        """The pixels of the input that each patch sees, -1 in the padding, array of shape (n_patches, n_pixels)."""
        return pixels_in_windows(self._windows(self.algorithm.n_inputs, self.grid.before), self.shape)

    def outputs(self):
        """The outputs of each patch, -1 beyond the last, array of shape (n_patches, n_outputs)."""
        return pixels_in_windows(self._windows(self.algorithm.n_outputs, (0, 0)), self.grid.count)

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

    @property
    def together(self):
        """Patches whose points lie side by side."""
        n = math.prod(self.count)
        return -(-n // -(-n // TOGETHER))

    def scratch_size(self, n_in, n_out):
        """Vectors that a worker needs for inputs and outputs of so many vectors of channels."""
        size, points, reach = self._sizes
        inputs, outputs = n_in * self.together | 1, n_out * self.together | 1
        return points**2 * (1 + inputs) + points * ((1 + reach) * inputs + (1 + size) * outputs)

    def pays_forward(self, n_in, n_out):
        """Whether outputs take less time so."""
        size, points, reach = self._sizes
        transforms = INPUTS * n_in * (reach + points) ** 2 + OUTPUTS * n_out * (size + points) ** 2
        return self._pays(n_in, n_out, transforms, math.prod(self.grid.count))

    def pays_backward(self, n_in, n_out):
        """Whether the gradient by the input takes less time so."""
        size, points, reach = self._sizes
        transforms = OUTPUTS * n_in * (reach + points) ** 2 + INPUTS * n_out * (size + points) ** 2
        return self._pays(n_in, n_out, transforms, math.prod(self.shape))

    def pays_gradient(self, n_in, n_out, lanes):
        """Whether the gradient by the weights takes less time so, beside that by the input."""
        _, points, reach = self._sizes
        padded = round_up(n_out, lanes)
        transforms = INPUTS * n_in * (reach + points) ** 2 + TRANSPOSED * points**2 * padded
        return self._pays(n_in, padded, transforms, math.prod(self.grid.count) * n_out / padded)

    @property
    def _sizes(self):
        return self.algorithm.n_outputs, self.algorithm.n_points, self.algorithm.n_inputs

    def _pays(self, n_in, n_out, transforms, n_direct):
        products = self.algorithm.n_points**2 * n_in * n_out
        direct = DIRECT * n_direct * math.prod(self.grid.size) * n_in * n_out
        return math.prod(self.count) * (products + transforms) < direct


def patches(grid, shape):
    """The patches of a convolution, None where Winograd's algorithm does not serve."""
    square = grid.size[0] == grid.size[1]
    if not square or grid.size[0] not in ALGORITHMS or grid.stride != (1, 1) or grid.dilation != (1, 1):
        return None
    return Patches(ALGORITHMS[grid.size[0]], grid, tuple(shape[:2]))


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
    n_in, n_out, points = columns["N_INPUTS"], columns["N_OUTPUTS"], cut.algorithm.n_points
    placed = cut.windows(windows)
    forward = placed is not None and cut.pays_forward(n_in, n_out)
    backward = "BACK_TILES_AT" in columns and cut.pays_backward(n_in, n_out)
    gradient = backward and cut.pays_gradient(n_in, n_out, space.lanes)
    if not (forward or backward):
        return {}
    vectors = [-(-n // space.across) for n in (n_in, n_out)]
    padded = round_up(n_out, space.lanes)
    # By the weights at each point, and outputs whose lanes are channels.
    extra = padded * cut.together + points**2 * n_in * padded // space.lanes if gradient else 0
    space.scratch(cut.scratch_size(*vectors) + extra)
    spread, firsts = Spread(cut.shape, cut.grid), cut.outputs()[:, 0]
    result = dict(
        WINOGRAD=cut.algorithm.n_taps,
        WINOGRAD_FORWARD=int(forward),
        WINOGRAD_BACKWARD=int(backward),
        WINOGRAD_GRADIENT=int(gradient),
        POINTS=points,
        PATCH_SIZE=cut.algorithm.n_outputs,
        TRANSFORMED_AT=space.packed(points**2 * n_in * n_out),
        N_PATCHES=len(firsts),
        PATCHES_TOGETHER=cut.together,
        PATCHES_AT=space.table(np.concatenate([places[firsts], spread.outputs()[firsts] * space.lanes])),
        PIXEL_STEP=planes.pixel_step,
        ROW_STEP=planes.width * planes.pixel_step,
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
