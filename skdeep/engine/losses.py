"""Losses: value and gradient by the network's outputs, from raw scores, in one call."""

import math

from skdeep.engine.jit import part
from skdeep.engine.program import (
    DELTA_AT,
    LOGISTIC_CROSS_ENTROPY,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
    SOFTMAX_CROSS_ENTROPY,
)


@part
def loss_and_delta(code, op, rows, row, n_rows, Y, samples):
    """The summed loss of n_rows samples; their gradient by the outputs of the last layer goes to its delta."""
    total = 0.0
    n_outputs = op[N_OUTPUTS]
    for r in range(n_rows):
        a, d = op[OUT_AT] + (row + r) * op[OUT_STRIDE], op[DELTA_AT] + (row + r) * op[OUT_STRIDE]
        y = Y[samples[r]]
        if code == SOFTMAX_CROSS_ENTROPY:
            total += _softmax_cross_entropy(rows, a, d, y, n_outputs)
        elif code == LOGISTIC_CROSS_ENTROPY:
            total += _logistic_cross_entropy(rows, a, d, y, n_outputs)
        else:
            total += _squared_error(rows, a, d, y, n_outputs)
    return total


@part
def _squared_error(rows, a, d, y, n):
    """|a - y|^2 / 2."""
    total = 0.0
    for k in range(n):
        error = rows[a + k] - y[k]
        rows[d + k] = error
        total += 0.5 * error * error
    return total


@part
def _softmax_cross_entropy(rows, a, d, y, n):
    """-sum_k y_k log softmax(a)_k, shifted by the largest score so that nothing overflows."""
    largest = rows[a]
    for k in range(1, n):
        largest = max(largest, rows[a + k])
    normaliser = rows.dtype.type(0)
    for k in range(n):
        rows[d + k] = math.exp(rows[a + k] - largest)
        normaliser += rows[d + k]
    logarithm = math.log(normaliser)
    total = 0.0
    for k in range(n):
        if y[k] != 0:
            total -= y[k] * (rows[a + k] - largest - logarithm)
        rows[d + k] = rows[d + k] / normaliser - y[k]
    return total


@part
def _logistic_cross_entropy(rows, a, d, y, n):
    """sum_k max(a, 0) - a y + log(1 + exp(-|a|)): the cross-entropy of independent logistic outputs."""
    total = 0.0
    for k in range(n):
        score = rows[a + k]
        decay = math.exp(-abs(score))
        total += max(score, rows.dtype.type(0)) - score * y[k] + math.log1p(decay)
        probability = 1 / (1 + decay) if score >= 0 else decay / (1 + decay)
        rows[d + k] = probability - y[k]
    return total
