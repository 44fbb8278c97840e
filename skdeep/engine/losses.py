"""Losses: value and gradient by the network's outputs, from raw scores, in one call."""

import math

from skdeep.engine.elementary import exp_vector
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ABSOLUTE_ERROR,
    DELTA_AT,
    HUBER,
    LOGISTIC_CROSS_ENTROPY,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
    POISSON,
    SOFTMAX_CROSS_ENTROPY,
    SQUARED_ERROR,
)
from skdeep.engine.simd import (
    lanes_of,
    load,
    splat,
    store,
    subtract,
)


@part
def loss_and_delta(code, parameter, op, rows, row, Y, weights, samples):
    """The summed loss of the samples and their weight; the loss's gradient by the last layer goes to its delta.

    Losses are summed over the outputs, and each sample counts by its weight: 1 where there are no weights. A row of Y
    has a target for each output, or alone the number of the class among those of a softmax.
    """
    total, total_weight = 0.0, 0.0
    n_outputs = op[N_OUTPUTS]
    for r in range(len(samples)):
        a, d = op[OUT_AT] + (row + r) * op[OUT_STRIDE], op[DELTA_AT] + (row + r) * op[OUT_STRIDE]
        y, weight = Y[samples[r]], weights[samples[r]] if len(weights) > 0 else rows.dtype.type(1)
        if code == SOFTMAX_CROSS_ENTROPY:
            loss = _softmax_cross_entropy(parameter, rows, a, d, y, n_outputs)
        elif code == LOGISTIC_CROSS_ENTROPY:
            loss = _logistic_cross_entropy(rows, a, d, y, n_outputs)
        elif code == SQUARED_ERROR:
            loss = _squared_error(rows, a, d, y, n_outputs)
        elif code == POISSON:
            loss = _poisson(rows, a, d, y, n_outputs)
        else:
            loss = _error_loss(code, parameter, rows, a, d, y, n_outputs)
        if weight != 1:
            for k in range(n_outputs):
                rows[d + k] *= weight
        total += weight * loss
        total_weight += weight
    return total, total_weight


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
def _error_loss(code, parameter, rows, a, d, y, n):
    """|e|; e^2 / 2 up to |e| = delta and delta (|e| - delta / 2) beyond (Huber, 1964); max(q e, (q - 1) e)

    of e = y - a, the last for the quantile q (Koenker & Bassett, 1978).
    """
    total = 0.0
    for k in range(n):
        error = y[k] - rows[a + k]
        size = abs(error)
        if code == HUBER and size <= parameter:
            slope, loss = error, 0.5 * error * error
        elif code == HUBER:
            slope, loss = math.copysign(parameter, error), parameter * (size - 0.5 * parameter)
        elif error == 0:
            slope, loss = error, 0.0
        elif code == ABSOLUTE_ERROR:
            slope, loss = math.copysign(1.0, error), size
        else:
            slope = parameter if error > 0 else parameter - 1
            loss = slope * error
        # An error that is no number is no zero, whatever its sign.
        rows[d + k] = -slope if error == error else error
        total += loss if error == error else error
    return total


@part
def _poisson(rows, a, d, y, n):
    """exp(a) - y a + y log y - y: half the Poisson deviance of the mean exp(a)."""
    total = 0.0
    for k in range(n):
        score, mean = rows[a + k], math.exp(rows[a + k])
        total += mean - y[k] * score
        if y[k] > 0:
            total += y[k] * math.log(y[k]) - y[k]
        rows[d + k] = mean - y[k]
    return total


@part
def _softmax_cross_entropy(smoothing, rows, a, d, y, n):
    """-sum_k y_k log softmax(a)_k, shifted by the largest score so that nothing overflows.

    Of a y that is a class alone, the class has 1 - smoothing, and all classes share the rest.
    """
    largest = rows[a]
    for k in range(1, n):
        largest = max(largest, rows[a + k])
    for k in range(0, n, lanes_of(rows)):
        store(exp_vector(subtract(load(rows, a + k), splat(largest))), rows, d + k)
    normaliser = rows.dtype.type(0)
    for k in range(n):
        normaliser += rows[d + k]
    logarithm = math.log(normaliser)
    total, rest = 0.0, rows.dtype.type(smoothing / n)
    whole = rows.dtype.type(1 - smoothing) + rest
    for k in range(n):
        target = y[k] if len(y) == n else whole if k == y[0] else rest
        if target != 0:
            total -= target * (rows[a + k] - largest - logarithm)
        rows[d + k] = rows[d + k] / normaliser - target
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
