"""Winograd's algorithm along the rows of strips of outputs, which pays for fewer channels than square patches take.

A strip is a few columns of many rows of outputs. The rows of inputs that it sees are transformed, each once. At each
point is left a correlation along the columns, which is a product of matrices, for the rows lie one after the other,
with all channels of each: rows of taps with their channels are consecutive numbers wherever a window begins.

In a worker's scratch lie first the outputs of one channel, then [point][row][channel] of the inputs and
[point][channel][row] of the outputs, where the lanes are channels [point][row][channel] of both.
"""

from skdeep.engine.dense import matrix_product, whole_vectors
from skdeep.engine.jit import part
from skdeep.engine.patches import windows_of_channels, windows_of_samples
from skdeep.engine.program import (
    ACROSS,
    ALGORITHM,
    BACK_N_PIXELS,
    BACK_TRANSFORMED_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    N_PATCHES,
    N_TAPS,
    PATCH_DELTAS_AT,
    PATCH_ROWS,
    PATCH_SIZE,
    PATCHES_AT,
    PIXEL_STEP,
    POINTS,
    ROW_STEP,
    ROW_TAPS,
    TERM_CHANNELS,
    TERMS,
    TRANSFORMED_AT,
    W_AT,
    W_STRIDE,
    WINOGRAD_BACKWARD,
    WINOGRAD_GRADIENT,
    Z_AT,
    Z_ROW_STEP,
    Z_STRIDE,
)
from skdeep.engine.short_correlations import (
    adjoint_inputs,
    adjoint_outputs,
    adjoint_weights,
    transformed_inputs,
    transformed_outputs,
    transformed_weights,
)
from skdeep.engine.simd import add, lanes_of, load, splat, store, store_span
from skdeep.engine.tiles import VECS, lane_products_tile, store_lane_sums


@part
def _rows_of_taps(op):
    return op[N_TAPS] // (op[ROW_TAPS] * op[N_INPUTS])


@part
def _sizes(op, lanes):
    """Rows of inputs that a strip sees, and the steps from a point to the next of inputs and of outputs."""
    across, n_rows = op[ACROSS], op[PATCH_ROWS] + _rows_of_taps(op) - 1
    if across == 1:
        return n_rows, (op[N_INPUTS] * n_rows | 1) * lanes, (op[N_OUTPUTS] * op[PATCH_ROWS] | 1) * lanes
    # The last vector of channels reaches beyond them.
    in_step, out_step = op[N_INPUTS] * n_rows + lanes, whole_vectors(op[N_OUTPUTS], lanes) * op[PATCH_ROWS]
    return n_rows, whole_vectors(in_step, lanes), out_step


@part
def strip_pack(op, theta, packed, scratch, worker, n_workers):
    """The transformed weights of one worker's share of the inputs.

    Forward packed[point][row of taps][input][output], backward packed[point][input][row, from the last on][output].
    """
    lanes, n_in, n_out, points = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], op[POINTS]
    n_rows, tap_step = _rows_of_taps(op), n_in * op[W_STRIDE]
    for i in range(worker, n_in, n_workers):
        for r in range(n_rows):
            for o in range(0, n_out, lanes):
                at = op[W_AT] + r * op[ROW_TAPS] * tap_step + i * op[W_STRIDE] + o
                transformed_weights(op[ALGORITHM], theta, at, 0, tap_step, scratch, 0, 0, lanes, 1)
                for point in range(points):
                    weights = load(scratch, point * lanes)
                    to = op[TRANSFORMED_AT] + ((point * n_rows + r) * n_in + i) * n_out + o
                    store_span(weights, packed, to, n_out - o)
                    if op[WINOGRAD_BACKWARD] == 1:
                        to = op[BACK_TRANSFORMED_AT] + ((point * n_in + i) * n_rows + n_rows - 1 - r) * n_out + o
                        store_span(weights, packed, to, n_out - o)


@part
def _inputs_of_strip(op, tables, ws, scratch, to, strip):
    """Transform the rows that a strip sees."""
    lanes, across = lanes_of(ws), op[ACROSS]
    n_rows, in_step, _ = _sizes(op, lanes)
    n_vectors, row = (op[N_INPUTS] + across - 1) // across, op[N_INPUTS] * lanes // across
    for r in range(n_rows):
        at, along = tables[op[PATCHES_AT] + strip] + r * op[ROW_STEP], op[IN_STRIDE] * across
        transformed_inputs(
            op[ALGORITHM], ws, at, along, op[PIXEL_STEP], scratch, to + r * row, lanes, in_step, n_vectors
        )


@part
def strip_forward(op, tables, ws, packed, theta, scratch, floor, strips, training):
    """Correlation, maximum over each window, bias and activation, of the strips from the first to the last of two."""
    lanes, across, n_in, n_out = lanes_of(ws), op[ACROSS], op[N_INPUTS], op[N_OUTPUTS]
    points, size, height, n_terms = op[POINTS], op[PATCH_SIZE], op[PATCH_ROWS], _rows_of_taps(op) * n_in
    _, in_step, out_step = _sizes(op, lanes)
    in_at = height * size * lanes
    out_at = in_at + points * in_step
    for strip in range(strips[0], strips[1]):
        _inputs_of_strip(op, tables, ws, scratch, in_at, strip)
        for point in range(points):
            at, to = in_at + point * in_step, out_at + point * out_step
            w_at = op[TRANSFORMED_AT] + point * n_terms * n_out
            if across == 1:
                row, channels = height * lanes, n_in * lanes
                matrix_product(
                    packed, w_at, 1, n_out, scratch, at, lanes, n_terms, scratch, to, row, n_out, row, 0, channels
                )
            else:
                row = whole_vectors(n_out, lanes)
                matrix_product(scratch, at, n_in, 1, packed, w_at, n_out, n_terms, scratch, to, row, height, row)
        for channel in range(0, n_out, across):
            if across == 1:
                at, row = out_at + channel * height * lanes, lanes
            else:
                at, row = out_at + channel, whole_vectors(n_out, lanes)
            transformed_outputs(op[ALGORITHM], scratch, at, row, out_step, scratch, 0, size * lanes, lanes, height)
            if across == 1:
                windows_of_samples(op, tables, ws, theta, scratch, floor, strip, channel, training)
            else:
                windows_of_channels(op, tables, ws, theta, scratch, floor, strip, channel, training)


@part
def strip_backward(op, tables, ws, packed, scratch, partial):
    """From the gradient by the outputs, in the frame Z, to that by the input, and to that by the weights."""
    lanes, n_in, n_out, n_pixels = lanes_of(ws), op[N_INPUTS], op[N_OUTPUTS], op[BACK_N_PIXELS]
    points, height, reach = op[POINTS], op[PATCH_ROWS], op[PATCH_SIZE] + op[ROW_TAPS] - 1
    n_rows, in_step, _ = _sizes(op, lanes)
    margin = (n_rows - height) * n_out * lanes  # rows of zeros above and below the outputs'
    out_step = (n_out * height | 1) * lanes + 2 * margin
    deltas_at = n_rows * reach * lanes
    out_at = deltas_at + points * in_step
    for pixel in range(n_in * n_pixels):
        store(splat(ws.dtype.type(0)), ws, op[INPUT_DELTA_AT] + pixel * lanes)
    for point in range(points):
        for place in range(0, margin, lanes):
            store(splat(ws.dtype.type(0)), scratch, out_at + point * out_step + place)
            store(splat(ws.dtype.type(0)), scratch, out_at + point * out_step + margin + height * n_out * lanes + place)
    for strip in range(op[N_PATCHES]):
        for r in range(height):
            at = op[Z_AT] + tables[op[PATCHES_AT] + op[N_PATCHES] + strip] + r * op[Z_ROW_STEP]
            to = out_at + margin + r * n_out * lanes
            adjoint_outputs(op[ALGORITHM], ws, at, op[Z_STRIDE], lanes, scratch, to, lanes, out_step, n_out)
        for point in range(points):
            _deltas_of_point(op, packed, scratch, point, out_at + point * out_step, deltas_at + point * in_step)
        for i in range(n_in):
            at, plane = deltas_at + i * n_rows * lanes, op[INPUT_DELTA_AT] + i * n_pixels * lanes
            adjoint_inputs(op[ALGORITHM], scratch, at, lanes, in_step, scratch, 0, reach * lanes, lanes, n_rows)
            pixels_at = op[PATCH_DELTAS_AT] + strip * n_rows * reach
            for pixel in range(n_rows * reach):
                to = tables[pixels_at + pixel]
                if to >= 0:
                    store(add(load(ws, plane + to), load(scratch, pixel * lanes)), ws, plane + to)
        if op[WINOGRAD_GRADIENT] == 1:
            # The deltas by the inputs are done with: here come the inputs.
            _inputs_of_strip(op, tables, ws, scratch, deltas_at, strip)
            gradient_at = out_at + points * out_step
            _gradient_of_points(op, scratch, deltas_at, out_at + margin, out_step, gradient_at, strip)
    if op[WINOGRAD_GRADIENT] == 1:
        _weight_gradient(op, scratch, out_at + points * out_step, partial)


@part
def _deltas_of_point(op, packed, scratch, point, at, to):
    """Gradient by the transformed inputs of one point: a correlation that skips what lies in the margins."""
    lanes, n_in, n_out, height, taps = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], op[PATCH_ROWS], _rows_of_taps(op)
    n_rows, n_terms, channels = height + taps - 1, taps * n_out, n_out * lanes
    w_at = op[BACK_TRANSFORMED_AT] + point * n_in * n_terms
    for r in range(0, n_rows, VECS):
        n = min(VECS, n_rows - r)
        # Of the rows from r to r + taps + n - 2, the outputs' begin at taps - 1.
        first = max(0, taps - r - n)
        stop = min(taps, n_rows - r)
        matrix_product(
            packed, w_at + first * n_out, n_terms, 1, scratch, at + (r + first) * channels, lanes,
            (stop - first) * n_out, scratch, to + r * lanes, n_rows * lanes, n_in, n * lanes, 0, channels,
        )  # fmt: skip


@part
def _tiles_of_terms(op):
    """Register tiles of a gradient by the weights, along the rows of taps with their inputs and along the outputs."""
    n_terms = _rows_of_taps(op) * op[N_INPUTS]
    return (n_terms + TERMS - 1) // TERMS, (op[N_OUTPUTS] + TERM_CHANNELS - 1) // TERM_CHANNELS


@part
def _gradient_of_points(op, scratch, in_at, out_at, out_step, gradient_at, strip):
    """Gradient by the transformed weights, of one strip: the sum goes over its rows and over the samples.

    It stays in the order of the tiles, [point][tile of terms][tile of outputs][term][output].
    """
    lanes, (term_tiles, channel_tiles) = lanes_of(scratch), _tiles_of_terms(op)
    _, in_step, _ = _sizes(op, lanes)
    size = TERMS * TERM_CHANNELS
    step = whole_vectors(term_tiles * channel_tiles * size, lanes)
    for point in range(op[POINTS]):
        for tile in range(term_tiles * channel_tiles):
            x_at = in_at + point * in_step + tile // channel_tiles * TERMS * lanes
            z_at = out_at + point * out_step + tile % channel_tiles * TERM_CHANNELS * lanes
            sums = lane_products_tile(
                scratch, x_at, lanes, op[N_INPUTS] * lanes, scratch, z_at, lanes, op[N_OUTPUTS] * lanes,
                op[PATCH_ROWS], TERMS, TERM_CHANNELS,
            )  # fmt: skip
            store_lane_sums(sums, scratch, 0)
            # Zeros fill the last vector up.
            for v in range(0, size, lanes):
                to, total = gradient_at + point * step + tile * size + v, load(scratch, v)
                store(add(total, load(scratch, to)) if strip > 0 else total, scratch, to)


@part
def _weight_gradient(op, scratch, at, partial):
    """Add the gradient by the weights, from that by the transformed ones."""
    lanes, n_in, n_out, n_taps = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], op[ROW_TAPS]
    term_tiles, channel_tiles = _tiles_of_terms(op)
    n_terms, size = _rows_of_taps(op) * n_in, TERMS * TERM_CHANNELS
    step = whole_vectors(term_tiles * channel_tiles * size, lanes)
    adjoint_weights(op[ALGORITHM], scratch, at, lanes, step, scratch, at, lanes, step, step // lanes)
    for tile in range(term_tiles * channel_tiles):
        first, channel = tile // channel_tiles * TERMS, tile % channel_tiles * TERM_CHANNELS
        for t in range(min(TERMS, n_terms - first)):
            r, i = (first + t) // n_in, (first + t) % n_in
            for s in range(n_taps):
                to = op[W_AT] + ((r * n_taps + s) * n_in + i) * op[W_STRIDE] + channel
                for q in range(min(TERM_CHANNELS, n_out - channel)):
                    partial[to + q] += scratch[at + s * step + tile * size + t * TERM_CHANNELS + q]
