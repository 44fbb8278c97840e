"""What follows the outputs of a patch, which Winograd's algorithm leaves in a worker's scratch."""

from skdeep.engine.activations import IDENTITY, RELU, activate
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ACTIVATION,
    ARGMAX_AT,
    B_AT,
    CHANNELS_IN_LANES,
    N_WINDOWS,
    OUT_AT,
    OUT_STRIDE,
    PATCH_SPANS_AT,
    PATCH_WINDOWS_AT,
    SAMPLES_IN_LANES,
    WINDOW,
)
from skdeep.engine.simd import lanes_of, load, store
from skdeep.engine.tiles import lowest_maxima, rectified_tile, store_tile, window_maxima


def _windows_of(IN_LANES):
    @part
    def windows_of(op, tables, ws, theta, scratch, floor, patch, channel, training):
        """Maximum over each window of a patch, bias and activation, of one vector of samples or channels."""
        for entry in range(tables[op[PATCH_SPANS_AT] + patch], tables[op[PATCH_SPANS_AT] + patch + 1]):
            at = op[PATCH_WINDOWS_AT] + entry * (2 + op[WINDOW])
            window, to = tables[at], op[OUT_AT] + channel * op[OUT_STRIDE] + tables[at + 1]
            if op[WINDOW] == 1:
                largest = (load(scratch, tables[at + 2]),)
            else:
                maxima = lowest_maxima(ws, 1)
                for pixel in range(op[WINDOW]):
                    maxima = window_maxima(maxima, (load(scratch, tables[at + 2 + pixel]),), pixel, 1, 1)
                largest = maxima[:1]
                if training:
                    argmax_at = op[ARGMAX_AT] + (channel * op[N_WINDOWS] + window) * lanes_of(ws)
                    store_tile(maxima[1:], ws, argmax_at, 0, 0, 1)
            store_tile(rectified_tile(largest, theta, op[B_AT] + channel, floor, 1, IN_LANES), ws, to, 0, 0, 1)
            if op[ACTIVATION] != RELU and op[ACTIVATION] != IDENTITY:
                store(activate(op[ACTIVATION], load(ws, to)), ws, to)

    return windows_of


windows_of_samples, windows_of_channels = _windows_of(SAMPLES_IN_LANES), _windows_of(CHANNELS_IN_LANES)
