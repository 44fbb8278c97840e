"""The tables by which the engine's loops go through a convolution, forward and backward."""

import math

import numpy as np

from skdeep.engine import program as p
from skdeep.networks.geometry import Spread
from skdeep.networks.space import pad_to, round_up, whole_tiles
from skdeep.networks.winograd import winograd_columns


def convolution_columns(space, bound, planes, out_planes, windows, group, input_delta_at, cut):
    """The columns of one group of channels: pixels and taps forward, and for the correlation backward.

    Parameters
    ----------
    space : Space
    bound : BoundLayer
    planes, out_planes : Planes
    windows : array of shape (n_windows, n_pixels_of_a_window)
        The outputs of each window of the pool behind the convolution.
    group : int
    input_delta_at : int
        Where the gradient by the input goes, -1 where nothing needs it.
    cut : Patches or None
        Those of Winograd's algorithm.

    Returns
    -------
    dict
    """
    grid, (_, _, n_in, row) = bound.layer.grid(bound.input_shape), bound.weights.shape
    n_out, area = row // bound.layer.groups, math.prod(grid.size)
    channels = np.arange(n_in)
    places = planes.at + planes.windows(grid) + group * n_in * planes.channel_step
    slots = round_up(windows.shape[1], p.PIXELS) if windows.shape[1] > 1 else 1
    tiled = np.pad(windows, ((0, 0), (0, slots - windows.shape[1])), mode="edge")
    tiled = pad_to(tiled.ravel(), p.PIXELS) if slots == 1 else tiled
    gradient_tile = min(p.HIGH, p.BROAD, key=lambda tile: whole_tiles(tile, area * n_in, n_out))
    columns = dict(
        W_AT=bound.weights.start + group * n_out,
        W_STRIDE=row,
        B_AT=bound.bias.start + group * n_out,
        N_INPUTS=n_in,
        N_OUTPUTS=n_out,
        N_TAPS=area * n_in,
        ROW_TAPS=grid.size[1],
        TAPS_AT=space.table(pad_to(planes.taps(grid, channels).ravel(), gradient_tile[0])),
        TAP_ROWS_AT=space.table((np.arange(area) * n_in + channels[:, None]) * row),
        N_WINDOWS=len(windows),
        WINDOW=windows.shape[1],
        SLOTS=slots,
        PIXELS_AT=space.table(places[tiled]),
        PIXEL_STEP=planes.pixel_step,
        ROW_STEP=planes.width * planes.pixel_step,
    )
    if space.training:
        maxima_tile = _maxima_tile(grid, windows) if input_delta_at < 0 else -1
        if maxima_tile < 0:
            columns |= _deltas_of_outputs(space, bound, windows, places, round_up(n_out, gradient_tile[1]))
        else:
            columns |= _deltas_of_maxima(space, len(windows), n_out)
        columns |= dict(IS_BROAD=gradient_tile == p.BROAD, MAXIMA_TILE=maxima_tile)
        columns |= dict(ARGMAX_AT=space.vectors(len(windows) * _tiles(n_out)[0][-1]) if windows.shape[1] > 1 else -1)
    if input_delta_at >= 0:
        delta_at = input_delta_at + group * n_in * planes.n_pixels * space.lanes
        columns |= dict(BACK_N_PIXELS=planes.n_pixels, INPUT_DELTA_AT=delta_at)
    if cut is not None:
        columns |= winograd_columns(cut, space, planes, out_planes, places, windows, columns)
    if columns.get("WINOGRAD_FORWARD") != 1:
        columns |= _outputs(space, n_out, area * n_in)
    if input_delta_at >= 0 and columns.get("WINOGRAD_BACKWARD") != 1:
        columns |= _deltas_of_inputs(space, bound, n_out, planes.n_pixels, columns["Z_AT"])
    return columns


def _outputs(space, n_out, n_taps):
    """What a correlation with the weights needs."""
    if space.across == 1:
        tiles, n_wide = _tiles(n_out)
    else:
        width = p.CHANNEL_VECTORS * space.lanes
        tiles, n_wide = np.arange(0, n_out + width, width), 0
    return dict(
        PACKED_AT=space.packed(tiles[-1] * n_taps),
        TILES_AT=space.table(tiles),
        N_TILES=len(tiles) - 1,
        N_WIDE=n_wide,
    )


def _deltas_of_inputs(space, bound, n_out, n_pixels, z_at):
    """What the correlation of the outputs' deltas with the transposed weights needs."""
    grid, (_, _, n_in, row) = bound.layer.grid(bound.input_shape), bound.weights.shape
    spread, filters, area = Spread(bound.input_shape, grid), np.arange(n_out), math.prod(grid.size)
    tiles, n_wide = _tiles(n_in)
    return dict(
        BACK_TILES_AT=space.table(tiles),
        BACK_N_TILES=len(tiles) - 1,
        BACK_N_WIDE=n_wide,
        BACK_N_TAPS=area * n_out,
        BACK_SPANS_AT=space.table(spread.rows(p.PIXELS) * grid.size[1]),
        BACK_PACKED_AT=space.packed(tiles[-1] * area * n_out),
        BACK_TAPS_AT=space.offsets(spread.taps(filters)),
        BACK_TAP_ROWS_AT=space.table(np.arange(area) * n_in * row + filters[:, None]),
        BACK_PIXELS_AT=space.table(pad_to(z_at + spread.pixels() * space.lanes, p.PIXELS)),
        BACK_OUT_PIXELS_AT=space.offsets(pad_to(np.arange(n_pixels), p.PIXELS)),
    )


def _deltas_of_outputs(space, bound, windows, places, n_planes):
    """The frame in which the deltas of a convolution's own outputs lie, and its pixels beside the input's."""
    spread = Spread(bound.input_shape, bound.layer.grid(bound.input_shape))
    outputs, covered = spread.outputs() * space.lanes, np.unique(windows)
    return dict(
        Z_AT=space.vectors(spread.plane * n_planes),
        Z_STRIDE=spread.plane * space.lanes,
        Z_PIXELS_AT=space.table(outputs[windows]),
        OVERLAPPING=covered.size < windows.size,
        N_PIXELS=covered.size,
        PIXEL_PAIRS_AT=space.table(np.column_stack([places[covered], outputs[covered]])),
    )


def _deltas_of_maxima(space, n_windows, n_out):
    """The deltas of each window's largest output."""
    return dict(Z_AT=space.vectors(n_windows * n_out), Z_STRIDE=n_windows * space.lanes, OVERLAPPING=False)


def _maxima_tile(grid, windows):
    """Which register tile makes the gradient by the weights from the maxima of windows, -1 where all outputs do.

    To pick the inputs of a maximum among those of 2 x 2 outputs takes a tap the time of two products, in place of four.
    """
    places = np.array([0, 1, grid.count[1], grid.count[1] + 1])
    if grid.stride != (1, 1) or grid.dilation != (1, 1) or windows.shape[1] != len(places):
        return -1
    if (windows != windows[:, :1] + places).any():
        return -1
    covered = [
        whole_tiles(tile, *grid.size) if np.less_equal(tile, grid.size).all() else math.inf for tile in p.MAXIMA_TILES
    ]
    return np.argmin(covered) if 2 * min(covered) <= 4 * math.prod(grid.size) else -1


def _tiles(n_channels):
    """Where register tiles begin and the last ends, as few channels as can be beyond the network's; the wide ones."""
    mixtures = [(n, max(0, -(-(n_channels - n * p.WIDE) // p.NARROW))) for n in range(-(-n_channels // p.WIDE) + 1)]
    n_wide, n_narrow = min(mixtures, key=lambda mixture: (mixture[0] * p.WIDE + mixture[1] * p.NARROW, sum(mixture)))
    return np.cumsum([0] + [p.WIDE] * n_wide + [p.NARROW] * n_narrow), n_wide
