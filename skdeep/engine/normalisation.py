"""Batch normalisation of rows and of maps (Ioffe & Szegedy, 2015): statistics over the batch, forward and backward.

z' = (z - mean) / sqrt(var + eps), a = f(scale z' + shift). For rows, a vector of units is the work of one
worker over the samples in order; for maps, each chunk leaves sums that are put together in order.
"""

import math

from skdeep.engine.activations import activate, slope
from skdeep.engine.jit import part
from skdeep.engine.pointwise import channel_numbers, input_place, output_place
from skdeep.engine.program import (
    ACROSS,
    ACTIVATION,
    ARGMAX_AT,
    B_AT,
    CENTRED_AT,
    CHUNK,
    DELTA_AT,
    IN_AT,
    INPUT_DELTA_AT,
    N_OUTPUTS,
    N_PIXELS,
    N_WINDOWS,
    OUT_AT,
    OUT_STRIDE,
    RUNNING_AT,
    SLOPE_AT,
    STATISTICS_AT,
    STATISTICS_STRIDE,
    W_AT,
    WINDOW,
    Z_PIXELS_AT,
)
from skdeep.engine.simd import (
    add,
    elementwise,
    equal_or_zero,
    fma,
    keep_first,
    lane_sum,
    lanes_of,
    load,
    multiply,
    splat,
    store,
    subtract,
)
from skdeep.engine.tiles import lowest_maxima, window_maxima

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
    store(_inverse_deviation(variance), rows, at + op[STATISTICS_STRIDE])
    for unit in range(min(lanes, op[N_OUTPUTS] - column)):
        own_variance = 1 / rows[at + op[STATISTICS_STRIDE] + unit] ** 2 - real(EPSILON)
        _follow(op, running, column + unit, rows[at + unit], own_variance, n_rows)


@part
def _follow(op, running, unit, mean, variance, n):
    """Let the running statistics of a unit follow those of a batch of n numbers."""
    real = running.dtype.type
    i, j = op[RUNNING_AT] + unit, op[RUNNING_AT] + op[N_OUTPUTS] + unit
    running[i] += real(MOMENTUM) * (real(mean) - running[i])
    # The variance of the population is the estimate from n - 1 differences.
    running[j] += real(MOMENTUM) * (real(variance * (n / max(n - 1, 1))) - running[j])


@part
def use_running_statistics(op, rows, running):
    """For predictions: the running statistics in the place of the batch's."""
    at, n = op[STATISTICS_AT], op[N_OUTPUTS]
    for unit in range(n):
        rows[at + unit] = running[op[RUNNING_AT] + unit]
        rows[at + op[STATISTICS_STRIDE] + unit] = 1 / math.sqrt(running[op[RUNNING_AT] + n + unit] + EPSILON)


@part
def normalise_forward(op, theta, rows, row, n_rows, training):
    stride, at = op[OUT_STRIDE], op[STATISTICS_AT]
    for r in range(row, row + n_rows):
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            difference = subtract(load(rows, op[IN_AT] + r * stride + c), load(rows, at + c))
            centred = multiply(difference, load(rows, at + op[STATISTICS_STRIDE] + c))
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
    store(shift, rows, op[STATISTICS_AT] + 2 * op[STATISTICS_STRIDE] + column)
    store(scale, rows, op[STATISTICS_AT] + 3 * op[STATISTICS_STRIDE] + column)


@part
def normalise_backward(op, theta, rows, row, n_rows, n_batch):
    """The delta by z from that by the normalised z: scale / deviation (delta - its mean - z' mean(delta z'))."""
    stride, at, step = op[OUT_STRIDE], op[STATISTICS_AT], op[STATISTICS_STRIDE]
    share = splat(rows.dtype.type(-1 / n_batch))
    for r in range(row, row + n_rows):
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            centred = load(rows, op[CENTRED_AT] + r * stride + c)
            mean = fma(centred, load(rows, at + 3 * step + c), load(rows, at + 2 * step + c))
            delta = fma(share, mean, load(rows, op[DELTA_AT] + r * stride + c))
            factor = multiply(load(theta, op[W_AT] + c), load(rows, at + step + c))
            store(multiply(factor, delta), rows, op[INPUT_DELTA_AT] + r * stride + c)


# ---------------------------------------------------------------------------------------------- maps


@part
def _chunk_sum(op, tables, spaces, n_samples, channel, centre, squared):
    """Sum over the pixels of a chunk's samples of x - centre, or of its square."""
    lanes, middle, total = lanes_of(spaces), splat(spaces.dtype.type(centre)), 0.0
    for first in range(0, n_samples, lanes):
        ws, sums = spaces[first // lanes], splat(spaces.dtype.type(0))
        for pixel in range(op[N_PIXELS]):
            difference = subtract(load(ws, input_place(op, tables, channel, pixel)), middle)
            sums = fma(difference, difference, sums) if squared else add(sums, difference)
        total += lane_sum(keep_first(sums, n_samples - first))
    return total


@part
def chunk_moments(op, tables, spaces, n_samples, partial):
    """Mean, and sum of squared differences from it, of each channel of a chunk, where its gradients will be."""
    n = n_samples * op[N_PIXELS]
    for channel in range(op[N_OUTPUTS]):
        mean = _chunk_sum(op, tables, spaces, n_samples, channel, 0.0, False) / n
        partial[op[W_AT] + channel] = mean
        partial[op[B_AT] + channel] = _chunk_sum(op, tables, spaces, n_samples, channel, mean, True)


@part
def map_statistics(op, partials, rows, running, n_batch, channel):
    """Mean and 1 / deviation of a channel over the batch, from those of its chunks (Chan, Golub & LeVeque, 1979)."""
    count, mean, squares = 0.0, 0.0, 0.0
    for chunk in range((n_batch + CHUNK - 1) // CHUNK):
        n = min(CHUNK, n_batch - chunk * CHUNK) * op[N_PIXELS]
        difference = partials[chunk, op[W_AT] + channel] - mean
        count += n
        mean += difference * n / count
        squares += partials[chunk, op[B_AT] + channel] + difference * difference * n * (count - n) / count
    rows[op[STATISTICS_AT] + channel] = mean
    rows[op[STATISTICS_AT] + op[STATISTICS_STRIDE] + channel] = 1 / math.sqrt(squares / count + EPSILON)
    _follow(op, running, channel, mean, squares / count, n_batch * op[N_PIXELS])


@part
def _centred(op, tables, ws, channel, pixel, mean, inverse):
    return multiply(subtract(load(ws, input_place(op, tables, channel, pixel)), mean), inverse)


@part
def normalise_maps_forward(op, tables, ws, theta, rows):
    """The normalised maps, or the maximum over each window of a pool, and in training which pixel it was."""
    at = op[STATISTICS_AT]
    for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
        mean = channel_numbers(op, rows, at + channel)
        inverse = channel_numbers(op, rows, at + op[STATISTICS_STRIDE] + channel)
        scale, shift = channel_numbers(op, theta, op[W_AT] + channel), channel_numbers(op, theta, op[B_AT] + channel)
        for window in range(op[N_WINDOWS]):
            first = window * op[WINDOW]
            z = fma(scale, _centred(op, tables, ws, channel, first, mean, inverse), shift)
            if op[WINDOW] > 1:
                maxima = window_maxima(lowest_maxima(ws, 1), (z,), 0, 1, 1)
                for pixel in range(1, op[WINDOW]):
                    z = fma(scale, _centred(op, tables, ws, channel, first + pixel, mean, inverse), shift)
                    maxima = window_maxima(maxima, (z,), pixel, 1, 1)
                z = maxima[0]
                if op[ARGMAX_AT] >= 0:
                    store(maxima[1], ws, op[ARGMAX_AT] + (channel * op[N_WINDOWS] + window) * lanes_of(ws))
            store(activate(op[ACTIVATION], z), ws, output_place(op, tables, channel, window))


@part
def _window_delta(op, tables, ws, channel, window):
    """The delta of a window, and which of its pixels was the largest; f'(z) is part of it where f(z) tells it."""
    at = (channel * op[N_WINDOWS] + window) * lanes_of(ws)
    delta = load(ws, op[DELTA_AT] + at)
    if op[SLOPE_AT] < 0:
        delta = multiply(delta, slope(op[ACTIVATION], load(ws, output_place(op, tables, channel, window))))
    return delta, load(ws, op[ARGMAX_AT] + at) if op[WINDOW] > 1 else delta


@part
def _pixel_delta(op, delta, largest, pixel, z):
    """The delta by the normalised and scaled number of a pixel of a window."""
    if op[WINDOW] > 1:
        delta = equal_or_zero(delta, largest, pixel)
    return multiply(delta, slope(op[ACTIVATION], z)) if op[SLOPE_AT] >= 0 else delta


@part
def chunk_delta_sums(op, tables, ws, theta, rows, partial):
    """Gradients by shift and scale of a block of samples; lanes without one have no delta."""
    at, real = op[STATISTICS_AT], ws.dtype.type
    for channel in range(op[N_OUTPUTS]):
        mean, inverse = splat(rows[at + channel]), splat(rows[at + op[STATISTICS_STRIDE] + channel])
        scale, shift = splat(theta[op[W_AT] + channel]), splat(theta[op[B_AT] + channel])
        by_shift, by_scale = splat(real(0)), splat(real(0))
        for window in range(op[N_WINDOWS]):
            of_window, largest = _window_delta(op, tables, ws, channel, window)
            for pixel in range(op[WINDOW]):
                centred = _centred(op, tables, ws, channel, window * op[WINDOW] + pixel, mean, inverse)
                z = fma(scale, centred, shift)
                delta = _pixel_delta(op, of_window, largest, splat(real(pixel)), z)
                by_shift = add(by_shift, delta)
                by_scale = fma(delta, centred, by_scale)
        partial[op[B_AT] + channel] += lane_sum(by_shift)
        partial[op[W_AT] + channel] += lane_sum(by_scale)


@part
def map_delta_sums(op, partials, rows, n_batch, channel):
    """Gradients by shift and scale of a channel over the batch."""
    shift, scale = 0.0, 0.0
    for chunk in range((n_batch + CHUNK - 1) // CHUNK):
        shift += partials[chunk, op[B_AT] + channel]
        scale += partials[chunk, op[W_AT] + channel]
    rows[op[STATISTICS_AT] + 2 * op[STATISTICS_STRIDE] + channel] = shift
    rows[op[STATISTICS_AT] + 3 * op[STATISTICS_STRIDE] + channel] = scale


@part
def normalise_maps_backward(op, tables, ws, theta, rows, n_samples, n_batch):
    """The delta by the input, as `normalise_backward`; that of lanes without a sample is zero."""
    lanes, at, step = lanes_of(ws), op[STATISTICS_AT], op[STATISTICS_STRIDE]
    share = splat(rows.dtype.type(-1 / (n_batch * op[N_PIXELS])))
    for channel in range(op[N_OUTPUTS]):
        mean, inverse = splat(rows[at + channel]), splat(rows[at + step + channel])
        scale, shift = splat(theta[op[W_AT] + channel]), splat(theta[op[B_AT] + channel])
        shift_sum, scale_sum = splat(rows[at + 2 * step + channel]), splat(rows[at + 3 * step + channel])
        factor, plane = multiply(scale, inverse), op[INPUT_DELTA_AT] + channel * op[N_PIXELS] * lanes
        for window in range(op[N_WINDOWS]):
            of_window, largest = _window_delta(op, tables, ws, channel, window)
            for pixel in range(op[WINDOW]):
                place = window * op[WINDOW] + pixel
                centred = _centred(op, tables, ws, channel, place, mean, inverse)
                z = fma(scale, centred, shift)
                delta = _pixel_delta(op, of_window, largest, splat(ws.dtype.type(pixel)), z)
                delta = fma(share, fma(centred, scale_sum, shift_sum), delta)
                to = plane + tables[op[Z_PIXELS_AT] + place]
                store(keep_first(multiply(factor, delta), n_samples), ws, to)
