"""Dropout: the mask is a hash of seed, step, layer, sample and unit, and is nowhere stored."""

import numpy as np

from skdeep.engine.counters import ahead, key, mixed
from skdeep.engine.jit import part
from skdeep.engine.program import (
    DELTA_AT,
    DROPPED,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    LAYER,
    N_OUTPUTS,
    N_WINDOWS,
    OUT_AT,
    OUT_PIXELS_AT,
    OUT_STRIDE,
    PIXELS_AT,
    SPATIAL,
)
from skdeep.engine.simd import lanes_of

_32 = np.uint64(32)


@part
def _masked(source, target, op, rows, row, samples, seed, step):
    """rows[target] = rows[source] / (1 - p), or zero with probability p (Srivastava et al., 2014)."""
    below = np.uint64(op[DROPPED])
    factor = rows.dtype.type(2.0**32 / (2.0**32 - op[DROPPED]))
    for r in range(len(samples)):
        state = key(seed, step, op[LAYER], samples[r])
        x, to = source + (row + r) * op[OUT_STRIDE], target + (row + r) * op[OUT_STRIDE]
        for unit in range(op[N_OUTPUTS]):
            kept = mixed(ahead(state, unit)) >> _32 >= below
            rows[to + unit] = rows[x + unit] * factor if kept else rows.dtype.type(0)


@part
def dropout_forward(op, rows, row, samples, seed, step):
    _masked(op[IN_AT], op[OUT_AT], op, rows, row, samples, seed, step)


@part
def dropout_backward(op, rows, row, samples, seed, step):
    if op[INPUT_DELTA_AT] >= 0:
        _masked(op[DELTA_AT], op[INPUT_DELTA_AT], op, rows, row, samples, seed, step)


@part
def _masked_lane(op, channel, state, source, target, tables, pixels_at, target_pixels_at, ws):
    """One channel of one sample, like `_masked`; a table at -1 is that of pixels side by side."""
    below, lanes = np.uint64(op[DROPPED]), lanes_of(ws)
    factor = ws.dtype.type(2.0**32 / (2.0**32 - op[DROPPED]))
    for pixel in range(op[N_WINDOWS]):
        unit = channel if op[SPATIAL] else channel * op[N_WINDOWS] + pixel
        kept = mixed(ahead(state, unit)) >> _32 >= below
        x = source + (tables[pixels_at + pixel] if pixels_at >= 0 else pixel * lanes)
        to = target + (tables[target_pixels_at + pixel] if target_pixels_at >= 0 else pixel * lanes)
        ws[to] = ws[x] * factor if kept else ws.dtype.type(0)


@part
def dropout_maps_forward(op, tables, samples, n_samples, ws, seed, step):
    for lane in range(n_samples):
        state = key(seed, step, op[LAYER], samples[lane])
        for channel in range(op[N_OUTPUTS]):
            x, to = op[IN_AT] + channel * op[IN_STRIDE] + lane, op[OUT_AT] + channel * op[OUT_STRIDE] + lane
            _masked_lane(op, channel, state, x, to, tables, op[PIXELS_AT], op[OUT_PIXELS_AT], ws)


@part
def dropout_maps_backward(op, tables, samples, n_samples, ws, seed, step):
    if op[INPUT_DELTA_AT] >= 0:
        lanes, plane = lanes_of(ws), op[N_WINDOWS] * lanes_of(ws)
        for lane in range(lanes):
            state = key(seed, step, op[LAYER], samples[min(lane, n_samples - 1)])
            for channel in range(op[N_OUTPUTS]):
                x, to = op[DELTA_AT] + channel * plane + lane, op[INPUT_DELTA_AT] + channel * plane + lane
                # Lanes without a sample hand on their zeros.
                _masked_lane(op, channel, state, x, to, tables, -1, -1, ws)
