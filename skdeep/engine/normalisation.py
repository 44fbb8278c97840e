"""Batch normalisation of rows (Ioffe & Szegedy, 2015): statistics over the whole batch, forward and backward.

z' = (z - mean) / sqrt(var + eps), a = f(scale z' + shift). The columns of STATISTICS_AT are whole
vectors of units: each is computed by one worker over the samples in order.
"""

import math

from skdeep.engine.activations import activate, slope
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ACTIVATION,
    B_AT,
    CENTRED_AT,
    DELTA_AT,
    IN_AT,
    INPUT_DELTA_AT,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
    RUNNING_AT,
    SLOPE_AT,
    STATISTICS_AT,
    W_AT,
)
from skdeep.engine.simd import (
    add,
    elementwise,
    fma,
    lanes_of,
    load,
    multiply,
    splat,
    store,
    subtract,
)

# Added to the variance, and the share of a batch in the running statistics: PyTorch's values.
EPSILON, MOMENTUM = 1e-5, 0.1
_inverse_deviation = elementwise(lambda variance: 1.0 / (variance + EPSILON).square_root())


@part
def batch_statistics(op, rows, running, n_rows, column):
    """Mean and 1 / deviation of a vector of units over the batch; the running ones follow."""
    lanes, real, stride = lanes_of(rows), rows.dtype.type, op[OUT_STRIDE]
    share = splat(real(1 / n_rows))
    mean, variance = splat(real(0)), splat(real(0))
    for r in range(n_rows):
        mean = add(mean, load(rows, op[IN_AT] + r * stride + column))
    mean = multiply(mean, share)
    for r in range(n_rows):
        difference = subtract(load(rows, op[IN_AT] + r * stride + column), mean)
        variance = fma(difference, difference, variance)
    variance = multiply(variance, share)
    at = op[STATISTICS_AT] + column
    store(mean, rows, at)
    store(_inverse_deviation(variance), rows, at + stride)
    # The variance of the population is the estimate from n - 1 differences.
    correction = real(n_rows / max(n_rows - 1, 1))
    for unit in range(min(lanes, op[N_OUTPUTS] - column)):
        i, j = op[RUNNING_AT] + column + unit, op[RUNNING_AT] + op[N_OUTPUTS] + column + unit
        sample_variance = correction * (1 / rows[at + stride + unit] ** 2 - real(EPSILON))
        running[i] += real(MOMENTUM) * (rows[at + unit] - running[i])
        running[j] += real(MOMENTUM) * (sample_variance - running[j])


@part
def use_running_statistics(op, rows, running):
    """For predictions: the running statistics in the place of the batch's."""
    at, n = op[STATISTICS_AT], op[N_OUTPUTS]
    for unit in range(n):
        rows[at + unit] = running[op[RUNNING_AT] + unit]
        rows[at + op[OUT_STRIDE] + unit] = 1 / math.sqrt(running[op[RUNNING_AT] + n + unit] + EPSILON)


@part
def normalise_forward(op, theta, rows, row, n_rows, training):
    stride, at = op[OUT_STRIDE], op[STATISTICS_AT]
    for r in range(row, row + n_rows):
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            difference = subtract(load(rows, op[IN_AT] + r * stride + c), load(rows, at + c))
            centred = multiply(difference, load(rows, at + stride + c))
            z = fma(load(theta, op[W_AT] + c), centred, load(theta, op[B_AT] + c))
            store(activate(op[ACTIVATION], z), rows, op[OUT_AT] + r * stride + c)
            if training:
                store(centred, rows, op[CENTRED_AT] + r * stride + c)
                if op[SLOPE_AT] >= 0:
                    store(slope(op[ACTIVATION], z), rows, op[SLOPE_AT] + r * stride + c)


@part
def delta_sums(op, rows, n_rows, column):
    """Gradients by shift and scale of a vector of units: sums over the batch."""
    stride, zero = op[OUT_STRIDE], splat(rows.dtype.type(0))
    shift, scale = zero, zero
    for r in range(n_rows):
        delta = load(rows, op[DELTA_AT] + r * stride + column)
        shift = add(shift, delta)
        scale = fma(delta, load(rows, op[CENTRED_AT] + r * stride + column), scale)
    store(shift, rows, op[STATISTICS_AT] + 2 * stride + column)
    store(scale, rows, op[STATISTICS_AT] + 3 * stride + column)


@part
def normalise_backward(op, theta, rows, row, n_rows, n_batch):
    """The delta by z from that by the normalised z: scale / deviation (delta - its mean - z' mean(delta z'))."""
    stride, at = op[OUT_STRIDE], op[STATISTICS_AT]
    share = splat(rows.dtype.type(-1 / n_batch))
    for r in range(row, row + n_rows):
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            centred = load(rows, op[CENTRED_AT] + r * stride + c)
            mean = fma(centred, load(rows, at + 3 * stride + c), load(rows, at + 2 * stride + c))
            delta = fma(share, mean, load(rows, op[DELTA_AT] + r * stride + c))
            factor = multiply(load(theta, op[W_AT] + c), load(rows, at + stride + c))
            store(multiply(factor, delta), rows, op[INPUT_DELTA_AT] + r * stride + c)
