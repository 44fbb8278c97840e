"""Winograd's algorithm on square patches of outputs, for filters as wide as high.

A patch of outputs is A'[(G w G') * (B' x B)]A of the patch x of inputs that it sees, A, G and B being a short
correlation's transforms of outputs, weights and inputs: as many products as points for each pair of channels. Over all
channels each point is a product of matrices. Backward the transforms are the adjoints of these.

What transforms leave lies in a worker's scratch: first one patch, then arrays [point][channel][patch] of a few patches,
or [point][patch][channel] where the lanes are channels.
"""

from skdeep.engine.dense import matrix_product, whole_vectors
from skdeep.engine.jit import part
from skdeep.engine.patches import windows_of_channels, windows_of_samples
from skdeep.engine.program import (
    ACROSS,
    ALGORITHM,
    BACK_N_PIXELS,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    N_PATCHES,
    PATCH_DELTAS_AT,
    PATCH_SIZE,
    PATCHES_AT,
    PATCHES_TOGETHER,
    PIXEL_STEP,
    POINTS,
    ROW_STEP,
    ROW_TAPS,
    TERM_CHANNELS,
    TERMS,
    TRANSFORMED_AT,
    W_AT,
    W_STRIDE,
    WINOGRAD_GRADIENT,
    Z_AT,
    Z_ROW_STEP,
    Z_STRIDE,
)
from skdeep.engine.short_correlations import (
    adjoint_inputs,
    adjoint_outputs,
    inputs_adjoint_of_columns,
    inputs_of_columns,
    inputs_of_rows,
    outputs_adjoint_of_columns,
    outputs_of_columns,
    transformed_outputs,
    weights_adjoint_of_columns,
    weights_adjoint_of_rows,
    weights_of_columns,
    weights_of_rows,
)
from skdeep.engine.simd import add, lanes_of, load, splat, store, store_span, store_transposed
from skdeep.engine.tiles import lane_products_tile, store_lane_sums


@part
def _point_steps(op, lanes):
    """From a point to the next, of inputs and of outputs: odd numbers of vectors."""
    across, together = op[ACROSS], op[PATCHES_TOGETHER]
    n_ins, n_outs = (op[N_INPUTS] + across - 1) // across, (op[N_OUTPUTS] + across - 1) // across
    return (n_ins * together | 1) * lanes, (n_outs * together | 1) * lanes


@part
def _patch_and_channel(i, n_patches, n_vectors, across):
    """What vector i of a point is of: [channel][patch], the lanes being samples, or [patch][channels]."""
    n_channels = n_vectors // n_patches
    return (i % n_patches, i // n_patches) if across == 1 else (i // n_channels, i % n_channels * across)


@part
def square_pack(op, theta, packed, scratch, worker, n_workers):
    """packed[point][input][output], the transformed weights of one worker's share of the inputs."""
    lanes, n_in, n_out, row = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], op[W_STRIDE]
    algorithm, taps, points = op[ALGORITHM], op[ROW_TAPS], op[POINTS]
    rows = points * lanes
    for i in range(worker, n_in, n_workers):
        for o in range(0, n_out, lanes):
            at, step = op[W_AT] + i * row + o, n_in * row
            weights_of_rows(algorithm, theta, at, taps * step, step, scratch, 0, rows, lanes)
            weights_of_columns(algorithm, scratch, 0, lanes, rows, scratch, 0, lanes, rows)
            for point in range(points * points):
                to = op[TRANSFORMED_AT] + (point * n_in + i) * n_out + o
                store_span(load(scratch, point * lanes), packed, to, n_out - o)


@part
def _inputs_of_patches(op, tables, ws, scratch, in_at, in_step, first, n):
    """Transform what n patches see."""
    lanes, across, algorithm, points = lanes_of(ws), op[ACROSS], op[ALGORITHM], op[POINTS]
    n_vectors, rows = (op[N_INPUTS] + across - 1) // across * n, points * lanes
    for i in range(n_vectors):
        patch, channel = _patch_and_channel(i, n, n_vectors, across)
        at, to = tables[op[PATCHES_AT] + first + patch] + channel * op[IN_STRIDE], in_at + i * lanes
        inputs_of_rows(algorithm, ws, at, op[ROW_STEP], op[PIXEL_STEP], scratch, 0, rows, lanes)
        inputs_of_columns(algorithm, scratch, 0, lanes, rows, scratch, to, in_step, points * in_step)


@part
def square_forward(op, tables, ws, packed, theta, scratch, floor, patches, training):
    """Correlation, maximum over each window, bias and activation, of the patches from the first to the last of two."""
    lanes, across, n_in, n_out = lanes_of(ws), op[ACROSS], op[N_INPUTS], op[N_OUTPUTS]
    algorithm, points, size = op[ALGORITHM], op[POINTS], op[PATCH_SIZE]
    in_step, out_step = _point_steps(op, lanes)
    in_at = points * points * lanes
    row_at = in_at + points * points * in_step  # the outputs of a row of points
    rows_at = row_at + points * out_step  # of all, with their rows transformed
    for first in range(patches[0], patches[1], op[PATCHES_TOGETHER]):
        n = min(op[PATCHES_TOGETHER], patches[1] - first)
        n_ins, n_outs = (n_in + across - 1) // across * n, (n_out + across - 1) // across * n
        _inputs_of_patches(op, tables, ws, scratch, in_at, in_step, first, n)
        for r in range(points):
            for s in range(points):
                at, to = in_at + (r * points + s) * in_step, row_at + s * out_step
                w_at = op[TRANSFORMED_AT] + (r * points + s) * n_in * n_out
                if across == 1:
                    row = n * lanes
                    matrix_product(packed, w_at, 1, n_out, scratch, at, row, n_in, scratch, to, row, n_out, row)
                else:
                    x_row, row = n_ins // n * lanes, n_outs // n * lanes
                    matrix_product(scratch, at, x_row, 1, packed, w_at, n_out, n_in, scratch, to, row, n, row)
            to = rows_at + r * size * out_step
            transformed_outputs(algorithm, scratch, row_at, lanes, out_step, scratch, to, lanes, out_step, n_outs)
        for i in range(n_outs):
            at = rows_at + i * lanes
            outputs_of_columns(algorithm, scratch, at, out_step, size * out_step, scratch, 0, lanes, size * lanes)
            patch, channel = _patch_and_channel(i, n, n_outs, across)
            if across == 1:
                windows_of_samples(op, tables, ws, theta, scratch, floor, first + patch, channel, training)
            else:
                windows_of_channels(op, tables, ws, theta, scratch, floor, first + patch, channel, training)


@part
def square_backward(op, tables, ws, packed, scratch, partial):
    """From the gradient by the outputs, in the frame Z, to that by the input, and to that by the weights."""
    lanes, n_in, n_out, n_pixels = lanes_of(ws), op[N_INPUTS], op[N_OUTPUTS], op[BACK_N_PIXELS]
    algorithm, points, size, reach = op[ALGORITHM], op[POINTS], op[PATCH_SIZE], op[PATCH_SIZE] + op[ROW_TAPS] - 1
    in_step, out_step = _point_steps(op, lanes)
    row_at = points * points * lanes
    rows_at = row_at + points * out_step
    in_row_at = rows_at + points * size * out_step
    in_rows_at = in_row_at + points * in_step
    gradient_at = in_rows_at + points * reach * in_step
    for pixel in range(n_in * n_pixels):
        store(splat(ws.dtype.type(0)), ws, op[INPUT_DELTA_AT] + pixel * lanes)
    for first in range(0, op[N_PATCHES], op[PATCHES_TOGETHER]):
        n = min(op[PATCHES_TOGETHER], op[N_PATCHES] - first)
        row = n * lanes
        if op[WINOGRAD_GRADIENT] == 1:
            _inputs_of_patches(op, tables, ws, scratch, gradient_at, in_step, first, n)
        for i in range(n_out * n):
            at = op[Z_AT] + i // n * op[Z_STRIDE] + tables[op[PATCHES_AT] + op[N_PATCHES] + first + i % n]
            to, step = rows_at + i * lanes, size * out_step
            outputs_adjoint_of_columns(algorithm, ws, at, lanes, op[Z_ROW_STEP], scratch, to, out_step, step)
        for r in range(points):
            at = rows_at + r * size * out_step
            adjoint_outputs(algorithm, scratch, at, lanes, out_step, scratch, row_at, lanes, out_step, n_out * n)
            for s in range(points):
                point, at, to = r * points + s, row_at + s * out_step, in_row_at + s * in_step
                w_at = op[TRANSFORMED_AT] + point * n_in * n_out
                matrix_product(packed, w_at, n_out, 1, scratch, at, row, n_out, scratch, to, row, n_in, row)
                if op[WINOGRAD_GRADIENT] == 1:
                    _point_gradient(op, scratch, gradient_at, in_step, point, at, n, first)
            to = in_rows_at + r * reach * in_step
            adjoint_inputs(algorithm, scratch, in_row_at, lanes, in_step, scratch, to, lanes, in_step, n_in * n)
        for i in range(n_in * n):
            at = in_rows_at + i * lanes
            inputs_adjoint_of_columns(
                algorithm, scratch, at, in_step, reach * in_step, scratch, 0, lanes, reach * lanes
            )
            plane = op[INPUT_DELTA_AT] + i // n * n_pixels * lanes
            pixels_at = op[PATCH_DELTAS_AT] + (first + i % n) * reach * reach
            for pixel in range(reach * reach):
                to = tables[pixels_at + pixel]
                if to >= 0:
                    store(add(load(ws, plane + to), load(scratch, pixel * lanes)), ws, plane + to)
    if op[WINOGRAD_GRADIENT] == 1:
        _weight_gradient(op, scratch, gradient_at, in_step, partial)


@part
def _gradient_places(op, lanes, gradient_at, in_step):
    """Behind the inputs of all points, outputs whose lanes are channels, and the gradient by the transformed weights.

    With them the length of a row of both.
    """
    width = whole_vectors(op[N_OUTPUTS], lanes)
    across_at = gradient_at + op[POINTS] * op[POINTS] * in_step
    return across_at, across_at + op[PATCHES_TOGETHER] * lanes * width, width


@part
def _point_gradient(op, scratch, in_at, in_step, point, out_at, n, first):
    """Gradient by the weights of one point, of n patches from `first` on: the sum goes over patches and samples.

    A product of matrices whose lanes are channels; a few channels that would fill no vector are summed over the lanes.
    """
    lanes, n_in, n_out, row = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], n * lanes_of(scratch)
    across_at, to, width = _gradient_places(op, lanes, in_at, in_step)
    x_at, to = in_at + point * in_step, to + point * n_in * width
    columns = n_out - n_out % lanes if n_out % lanes <= TERM_CHANNELS else width
    for channel in range(0, columns, lanes):
        for patch in range(n):
            at = out_at + (channel * n + patch) * lanes
            store_transposed(scratch, at, row, scratch, across_at + patch * lanes * width + channel, width, lanes)
    matrix_product(scratch, x_at, row, 1, scratch, across_at, width, row, scratch, to, width, n_in, columns, first)
    if columns < n_out:
        for i in range(0, n_in, TERMS):
            at, z_at = x_at + i * row, out_at + columns * row
            sums = lane_products_tile(scratch, at, row, lanes, scratch, z_at, row, lanes, n, TERMS, TERM_CHANNELS)
            store_lane_sums(sums, scratch, 0)
            for t in range(min(TERMS, n_in - i)):
                for q in range(n_out - columns):
                    place, total = to + (i + t) * width + columns + q, scratch[t * TERM_CHANNELS + q]
                    scratch[place] = total + scratch[place] if first > 0 else total


@part
def _weight_gradient(op, scratch, in_at, in_step, partial):
    """Add the gradient by the weights, from that by the transformed ones."""
    lanes, n_in, n_out, algorithm = lanes_of(scratch), op[N_INPUTS], op[N_OUTPUTS], op[ALGORITHM]
    taps, points = op[ROW_TAPS], op[POINTS]
    _, gradient_at, width = _gradient_places(op, lanes, in_at, in_step)
    step, rows = n_in * width, points * lanes
    for i in range(n_in):
        for o in range(0, n_out, lanes):
            at = gradient_at + i * width + o
            weights_adjoint_of_columns(algorithm, scratch, at, step, points * step, scratch, 0, lanes, rows)
            weights_adjoint_of_rows(algorithm, scratch, 0, rows, lanes, scratch, 0, rows, lanes)
            for r in range(taps):
                for s in range(taps):
                    at, to = r * rows + s * lanes, op[W_AT] + ((r * taps + s) * n_in + i) * op[W_STRIDE] + o
                    for q in range(min(lanes, n_out - o)):
                        partial[to + q] += scratch[at + q]
