"""Gradients by the weights of a convolution whose outputs a pool takes the maxima of, from these alone.

Of a window of 2 x 2 outputs only the largest has a delta. Its inputs are picked among those of the window, lane by
lane, for each sample has its own maximum; so the sum goes over a quarter of the outputs. The frame of zeros in which
the deltas of all outputs lie is for who needs the gradient by the input, too.
"""

from skdeep.engine.jit import part
from skdeep.engine.program import (
    ARGMAX_AT,
    GRADIENT_PIXELS,
    MAXIMA_TILE,
    MAXIMA_TILES,
    N_INPUTS,
    N_OUTPUTS,
    N_TAPS,
    N_WINDOWS,
    PIXELS_AT,
    ROW_STEP,
    ROW_TAPS,
    SLOTS,
    TAP_ROWS_AT,
    TAPS_AT,
    W_AT,
    Z_AT,
    Z_STRIDE,
)
from skdeep.engine.simd import lanes_of
from skdeep.engine.tiles import maxima_gradient_tile, store_lane_sums

# Windows that are summed at a time: the rows of a large input that they see stay in the second cache.
MAXIMA = 4 * GRADIENT_PIXELS


@part
def maxima_gradient(op, tables, ws, partial):
    """Add to the gradient by the weights what the largest output of each window gives."""
    for first in range(0, op[N_WINDOWS], MAXIMA):
        n_windows = min(MAXIMA, op[N_WINDOWS] - first)
        if op[MAXIMA_TILE] == 0:
            _smaller_tiles(op, tables, ws, partial, first, n_windows)
        else:
            _larger_tiles(op, tables, ws, partial, first, n_windows)


def _gradient_of(ROWS, COLUMNS):
    @part
    def gradient(op, tables, ws, partial, first, n_windows):
        """What some of the windows give. The last tiles of a filter begin where they end with it."""
        lanes, columns, area = lanes_of(ws), op[ROW_TAPS], op[N_TAPS] // op[N_INPUTS]
        rows, pixels_at = area // columns, op[PIXELS_AT] + first * op[SLOTS]
        for channel in range(op[N_OUTPUTS]):
            z_at = op[Z_AT] + channel * op[Z_STRIDE] + first * lanes
            argmax_at = op[ARGMAX_AT] + (channel * op[N_WINDOWS] + first) * lanes
            for i in range(op[N_INPUTS]):
                for row in range(0, rows, ROWS):
                    top = min(row, rows - ROWS)
                    for column in range(0, columns, COLUMNS):
                        left = min(column, columns - COLUMNS)
                        tap = i * area + top * columns + left
                        tile = maxima_gradient_tile(
                            ws, tables[op[TAPS_AT] + tap], tables, pixels_at, op[SLOTS], op[ROW_STEP], z_at,
                            argmax_at, n_windows, ROWS, COLUMNS,
                        )  # fmt: skip
                        store_lane_sums(tile, ws, 0)
                        for r in range(row - top, ROWS):
                            for s in range(column - left, COLUMNS):
                                w_at = op[W_AT] + tables[op[TAP_ROWS_AT] + tap + r * columns + s] + channel
                                partial[w_at] += ws[r * COLUMNS + s]

    return gradient


_smaller_tiles, _larger_tiles = _gradient_of(*MAXIMA_TILES[0]), _gradient_of(*MAXIMA_TILES[1])
