"""Dense layers on rows of samples: product, bias and activation forward; deltas and gradients backward."""

from skdeep.engine.activations import activate_row, slope
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ACTIVATION,
    B_AT,
    BACK_PACKED_AT,
    DELTA_AT,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
    PACKED_AT,
    SLOPE_AT,
    TAPS_AT,
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
    store_span,
    store_transposed,
)
from skdeep.engine.target import VECTOR_BITS
from skdeep.engine.tiles import ROWS, VECS, sum_products

# Terms of a sum that are added at a time: so many rows of a panel stay in the nearest cache while the tiles pass.
DEPTH = 2**14 // (VECS * VECTOR_BITS // 8)
# Rows of the tile that takes what the large ones would leave to single rows, which have too few sums for their loads.
FEW = 4


@part
def whole_vectors(n, lanes):
    """The numbers of the vectors that hold n: rows are padded to them."""
    return (n + lanes - 1) // lanes * lanes


@part
def panel_vectors(left, lanes):
    """Vectors side by side that take the next of so many columns.

    Three, where it does not leave a single one behind: that has too few sums for its loads.
    """
    vecs = (left + lanes - 1) // lanes
    return 2 if vecs == 4 else min(vecs, VECS)


@part
def tile_rows(left):
    """Rows of the tile that takes the next of so many."""
    if left >= ROWS and left - ROWS != 2 and left - ROWS != 3:
        return ROWS
    return FEW if left >= FEW else 1


@part
def matrix_product(X, x_at, x_row, x_step, Y, y_at, y_step, n, out, out_at, out_row, n_rows, n_columns, resumed=0):
    """out[r, c] = sum over k < n of X[x_at + r * x_row + k * x_step] * Y[y_at + k * y_step + c].

    With y_step 0, Y is packed in panels; `resumed` sums go on from what is in `out`. Each sum runs over k in order,
    whatever the tiles. Vectors of Y and of `out` may be read beyond n_columns.
    """
    lanes = lanes_of(out)
    for first in range(0, n, DEPTH):
        depth, column, goes_on = min(DEPTH, n - first), 0, resumed + first
        while column < n_columns:
            left = n_columns - column
            vecs, row = panel_vectors(left, lanes), 0
            step = y_step if y_step > 0 else vecs * lanes
            y = y_at + first * step + (column if y_step > 0 else column * n)
            while row < n_rows:
                x, to = x_at + row * x_row + first * x_step, out_at + row * out_row + column
                height = tile_rows(n_rows - row)
                if height == ROWS:
                    if vecs == VECS:
                        sum_products(
                            X, x, x_row, x_step, Y, y, step, depth, ROWS, VECS, out, to, out_row, left, goes_on
                        )
                    elif vecs == 2:
                        sum_products(X, x, x_row, x_step, Y, y, step, depth, ROWS, 2, out, to, out_row, left, goes_on)
                    else:
                        sum_products(X, x, x_row, x_step, Y, y, step, depth, ROWS, 1, out, to, out_row, left, goes_on)
                elif height == FEW:
                    if vecs == VECS:
                        sum_products(X, x, x_row, x_step, Y, y, step, depth, FEW, VECS, out, to, out_row, left, goes_on)
                    elif vecs == 2:
                        sum_products(X, x, x_row, x_step, Y, y, step, depth, FEW, 2, out, to, out_row, left, goes_on)
                    else:
                        sum_products(X, x, x_row, x_step, Y, y, step, depth, FEW, 1, out, to, out_row, left, goes_on)
                elif vecs == VECS:
                    sum_products(X, x, x_row, x_step, Y, y, step, depth, 1, VECS, out, to, out_row, left, goes_on)
                elif vecs == 2:
                    sum_products(X, x, x_row, x_step, Y, y, step, depth, 1, 2, out, to, out_row, left, goes_on)
                else:
                    sum_products(X, x, x_row, x_step, Y, y, step, depth, 1, 1, out, to, out_row, left, goes_on)
                row += height
            column += vecs * lanes


_nan_unless_finite = elementwise(lambda x: x + (x - x))


@part
def _row_product(x, x_at, W, w_at, w_row, n, out, out_at, n_columns):
    """out[out_at + c] = sum over k < n of x[x_at + k] * W[w_at + k * w_row + c], for whole vectors of c.

    Each sum runs over k in order, as in `matrix_product`; but the weights, which nothing else needs, come from memory
    row by row, as they lie there.
    """
    lanes = lanes_of(out)
    for c in range(0, n_columns, lanes):
        store(splat(out.dtype.type(0)), out, out_at + c)
    whole = n // 4 * 4
    for k in range(0, whole, 4):
        x_0, x_1, x_2, x_3 = (
            splat(x[x_at + k]),
            splat(x[x_at + k + 1]),
            splat(x[x_at + k + 2]),
            splat(x[x_at + k + 3]),
        )
        for c in range(0, n_columns, lanes):
            at = w_at + k * w_row + c
            total = fma(x_0, load(W, at), load(out, out_at + c))
            total = fma(x_1, load(W, at + w_row), total)
            total = fma(x_2, load(W, at + 2 * w_row), total)
            store(fma(x_3, load(W, at + 3 * w_row), total), out, out_at + c)
    for k in range(whole, n):
        for c in range(0, n_columns, lanes):
            total = fma(splat(x[x_at + k]), load(W, w_at + k * w_row + c), load(out, out_at + c))
            store(total, out, out_at + c)


@part
def input_rows(op, tables, data, indices, indptr, samples, rows, row):
    """Rows of X, dense or compressed; of images, in the order height, width, channel.

    Infinity becomes NaN, which no activation hides: the outputs tell whether X is finite.
    """
    n_features = op[N_INPUTS]
    for r in range(len(samples)):
        at, start = op[OUT_AT] + (row + r) * op[OUT_STRIDE], samples[r] * n_features
        if len(indptr) > 0:
            for feature in range(n_features):
                rows[at + feature] = 0
            for i in range(indptr[samples[r]], indptr[samples[r] + 1]):
                rows[at + indices[i]] += data[i] + (data[i] - data[i])
        elif op[TAPS_AT] < 0:
            # Whole vectors, but none that may reach beyond the last sample.
            whole = n_features // lanes_of(rows) * lanes_of(rows)
            for feature in range(0, whole, lanes_of(rows)):
                store(_nan_unless_finite(load(data, start + feature)), rows, at + feature)
            for feature in range(whole, n_features):
                x = data[start + feature]
                rows[at + feature] = x + (x - x)
        else:
            for feature in range(n_features):
                x = data[start + tables[op[TAPS_AT] + feature]]
                rows[at + feature] = x + (x - x)


@part
def dense_forward(op, theta, packed, rows, row, n_rows, start, stop, training):
    """rows[out] = activation(rows[in] W + b) for n_rows samples from `row` on and the units start..stop.

    They are all, or whole vectors of them if the weights are not packed.
    """
    n_in, n_out, in_stride, out_stride = op[N_INPUTS], op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE]
    x_at, at, n = op[IN_AT] + row * in_stride, op[OUT_AT] + row * out_stride + start, stop - start
    w_at, width = op[W_AT] + start, whole_vectors(n, lanes_of(rows))
    if op[PACKED_AT] >= 0:
        packed_at = op[PACKED_AT]
        matrix_product(rows, x_at, in_stride, 1, packed, packed_at, 0, n_in, rows, at, out_stride, n_rows, width)
    elif n_rows < ROWS:
        for r in range(n_rows):
            _row_product(rows, x_at + r * in_stride, theta, w_at, n_out, n_in, rows, at + r * out_stride, n)
    else:
        matrix_product(rows, x_at, in_stride, 1, theta, w_at, n_out, n_in, rows, at, out_stride, n_rows, width)
    for r in range(n_rows):
        unit = at + r * out_stride
        if training and op[SLOPE_AT] >= 0:
            for c in range(0, n, lanes_of(rows)):
                z = add(load(rows, unit + c), load(theta, op[B_AT] + start + c))
                store(slope(op[ACTIVATION], z), rows, op[SLOPE_AT] + unit - op[OUT_AT] + c)
        activate_row(op[ACTIVATION], rows, unit, theta, op[B_AT] + start, n)


@part
def delta_by_z(op, rows, row, n_rows):
    """Turn the delta by the output of an activation into the delta by its input, in place."""
    for r in range(row, row + n_rows):
        at, out_at = op[DELTA_AT] + r * op[OUT_STRIDE], op[OUT_AT] + r * op[OUT_STRIDE]
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            if op[SLOPE_AT] >= 0:
                factor = load(rows, op[SLOPE_AT] + r * op[OUT_STRIDE] + c)
            else:
                factor = slope(op[ACTIVATION], load(rows, out_at + c))
            store(multiply(load(rows, at + c), factor), rows, at + c)


@part
def dense_backward(op, rows, packed, row, n_rows):
    """Derive the delta by z, and from it the delta by the input."""
    n_in, n_out, in_stride, out_stride = op[N_INPUTS], op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE]
    delta_by_z(op, rows, row, n_rows)
    if op[INPUT_DELTA_AT] >= 0:
        d_at, at = op[DELTA_AT] + row * out_stride, op[INPUT_DELTA_AT] + row * in_stride
        back = op[BACK_PACKED_AT]
        width = whole_vectors(n_in, lanes_of(rows))
        matrix_product(rows, d_at, out_stride, 1, packed, back, 0, n_out, rows, at, in_stride, n_rows, width)


@part
def dense_pack(op, theta, packed, start, stop):
    """Pack the weights [input][output] of the inputs start..stop, of which the first is a multiple of the lanes.

    Forward in panels [panel][input][output], backward [panel][output][input].
    """
    lanes, n_in, n_out = lanes_of(theta), op[N_INPUTS], op[N_OUTPUTS]
    column = 0
    while op[PACKED_AT] >= 0 and column < n_out:
        width = panel_vectors(n_out - column, lanes) * lanes
        for k in range(start, stop):
            at, to = op[W_AT] + k * n_out + column, op[PACKED_AT] + column * n_in + k * width
            for c in range(0, width, lanes):
                store(load(theta, at + c), packed, to + c)
        column += width
    column = 0
    while op[BACK_PACKED_AT] >= 0 and column < stop:
        width = panel_vectors(n_in - column, lanes) * lanes
        for i in range(max(column, start), min(column + width, stop), lanes):
            _transpose(op, theta, packed, i, op[BACK_PACKED_AT] + column * n_out + i - column, width)
        column += width


@part
def _transpose(op, theta, packed, i, to, step):
    """packed[to + o * step + j] = theta[input i + j, output o] for as many inputs as there are lanes."""
    lanes, n_in, n_out = lanes_of(theta), op[N_INPUTS], op[N_OUTPUTS]
    if i + lanes <= n_in:
        for o in range(0, n_out, lanes):
            at = op[W_AT] + i * n_out + o
            store_transposed(theta, at, n_out, packed, to + o * step, step, min(lanes, n_out - o))
    else:
        for last in range(i, n_in):
            for o in range(n_out):
                packed[to + o * step + last - i] = theta[op[W_AT] + last * n_out + o]


@part
def dense_weight_gradient(op, rows, n_rows, start, stop, grad, at):
    """rows[in].T rows[delta] for the inputs start..stop, summed over the samples in order, to grad[at:]."""
    n_out, in_stride, out_stride = op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE]
    x_at, n_in = op[IN_AT] + start, stop - start
    matrix_product(rows, x_at, 1, in_stride, rows, op[DELTA_AT], out_stride, n_rows, grad, at, n_out, n_in, n_out)


@part
def dense_bias_gradient(op, rows, n_rows, grad, at):
    """The sum of deltas over the samples in order, to grad[at:]."""
    n_out, lanes = op[N_OUTPUTS], lanes_of(rows)
    for c in range(0, n_out, lanes):
        total = splat(rows.dtype.type(0))
        for r in range(n_rows):
            total = add(total, load(rows, op[DELTA_AT] + r * op[OUT_STRIDE] + c))
        store_span(total, grad, at + c, n_out - c)
