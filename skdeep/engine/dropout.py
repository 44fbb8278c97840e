"""Dropout: the mask is a hash of seed, step, layer, sample and unit, and is nowhere stored."""

import numpy as np

from skdeep.engine.jit import part
from skdeep.engine.program import (
    DELTA_AT,
    DROPPED,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_OUTPUTS,
    N_WINDOWS,
    OUT_AT,
    OUT_PIXELS_AT,
    OUT_STRIDE,
    PIXELS_AT,
    SPATIAL,
)
from skdeep.engine.simd import lanes_of

# The increment and the finaliser of SplitMix64 (Steele, Lea & Flood, 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = (np.uint64(n) for n in (30, 27, 31, 32))


@part
def _mixed(state):
    state = (state ^ (state >> _30)) * _FIRST
    state = (state ^ (state >> _27)) * _SECOND
    return state ^ (state >> _31)


@part
def _key(*counters):
    """One hash of several integers."""
    state = np.uint64(0)
    for counter in counters:
        state = _mixed(state + np.uint64(counter) + _STEP)
    return state


@part
def _masked(source, target, op, rows, row, samples, seed, step):
    """rows[target] = rows[source] / (1 - p), or zero with probability p (Srivastava et al., 2014)."""
    below = np.uint64(op[DROPPED])
    factor = rows.dtype.type(2.0**32 / (2.0**32 - op[DROPPED]))
    for r in range(len(samples)):
        key = _key(seed, step, op[OUT_AT], samples[r])
        x, to = source + (row + r) * op[OUT_STRIDE], target + (row + r) * op[OUT_STRIDE]
        for unit in range(op[N_OUTPUTS]):
            kept = _mixed(key + np.uint64(unit) * _STEP) >> _32 >= below
            rows[to + unit] = rows[x + unit] * factor if kept else rows.dtype.type(0)


@part
def dropout_forward(op, rows, row, samples, seed, step):
    _masked(op[IN_AT], op[OUT_AT], op, rows, row, samples, seed, step)


@part
def dropout_backward(op, rows, row, samples, seed, step):
    if op[INPUT_DELTA_AT] >= 0:
        _masked(op[DELTA_AT], op[INPUT_DELTA_AT], op, rows, row, samples, seed, step)


@part
def _masked_lane(op, channel, key, source, target, tables, pixels_at, target_pixels_at, ws):
    """One channel of one sample, like `_masked`; a table at -1 is that of pixels side by side."""
    below, lanes = np.uint64(op[DROPPED]), lanes_of(ws)
    factor = ws.dtype.type(2.0**32 / (2.0**32 - op[DROPPED]))
    for pixel in range(op[N_WINDOWS]):
        unit = channel if op[SPATIAL] else channel * op[N_WINDOWS] + pixel
        kept = _mixed(key + np.uint64(unit) * _STEP) >> _32 >= below
        x = source + (tables[pixels_at + pixel] if pixels_at >= 0 else pixel * lanes)
        to = target + (tables[target_pixels_at + pixel] if target_pixels_at >= 0 else pixel * lanes)
        ws[to] = ws[x] * factor if kept else ws.dtype.type(0)


@part
def dropout_maps_forward(op, tables, samples, n_samples, ws, seed, step):
    for lane in range(n_samples):
        key = _key(seed, step, op[OUT_AT], samples[lane])
        for channel in range(op[N_OUTPUTS]):
            x, to = op[IN_AT] + channel * op[IN_STRIDE] + lane, op[OUT_AT] + channel * op[OUT_STRIDE] + lane
            _masked_lane(op, channel, key, x, to, tables, op[PIXELS_AT], op[OUT_PIXELS_AT], ws)


@part
def dropout_maps_backward(op, tables, samples, n_samples, ws, seed, step):
    if op[INPUT_DELTA_AT] >= 0:
        lanes, plane = lanes_of(ws), op[N_WINDOWS] * lanes_of(ws)
        for lane in range(lanes):
            key = _key(seed, step, op[OUT_AT], samples[min(lane, n_samples - 1)])
            for channel in range(op[N_OUTPUTS]):
                x, to = op[DELTA_AT] + channel * plane + lane, op[INPUT_DELTA_AT] + channel * plane + lane
                # Lanes without a sample hand on their zeros.
                _masked_lane(op, channel, key, x, to, tables, -1, -1, ws)
