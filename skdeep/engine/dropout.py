"""Dropout on rows of samples: the mask is a hash of seed, step, layer, sample and unit, and is nowhere stored."""

import numpy as np

from skdeep.engine.jit import part
from skdeep.engine.program import (
    DELTA_AT,
    DROPPED,
    IN_AT,
    INPUT_DELTA_AT,
    N_INPUTS,
    OUT_AT,
    OUT_STRIDE,
)

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
        for unit in range(op[N_INPUTS]):
            kept = _mixed(key + np.uint64(unit) * _STEP) >> _32 >= below
            rows[to + unit] = rows[x + unit] * factor if kept else rows.dtype.type(0)


@part
def dropout_forward(op, rows, row, samples, seed, step):
    _masked(op[IN_AT], op[OUT_AT], op, rows, row, samples, seed, step)


@part
def dropout_backward(op, rows, row, samples, seed, step):
    if op[INPUT_DELTA_AT] >= 0:
        _masked(op[DELTA_AT], op[INPUT_DELTA_AT], op, rows, row, samples, seed, step)
