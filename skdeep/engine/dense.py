"""Dense layers on rows of samples: product, bias and activation forward; deltas and gradients backward."""

from skdeep.engine.activations import activate_row, slope
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ACTIVATION,
    B_AT,
    DELTA_AT,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    OUT_AT,
    OUT_STRIDE,
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
    prefetch,
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
# Units whose deltas are summed before they are written: whole tiles and whole vectors of any machine.
UNITS = 48


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
    """Rows of the tile that takes the next of so many: the largest, where it does not leave more single ones behind."""
    if left >= ROWS and (left >= 2 * ROWS or (left - ROWS) % FEW <= left % FEW):
        return ROWS
    return FEW if left >= FEW else 1


def _tile_of(HEIGHT):
    @part
    def tile(X, x, x_row, x_step, Y, y, y_step, y_vec, n, vecs, out, to, out_row, n_columns, resumed):
        """Sums of HEIGHT rows and so many vectors."""
        if vecs == VECS:
            sum_products(
                X, x, x_row, x_step, Y, y, y_step, y_vec, n, HEIGHT, VECS, out, to, out_row, n_columns, resumed
            )
        elif vecs == 2:
            sum_products(X, x, x_row, x_step, Y, y, y_step, y_vec, n, HEIGHT, 2, out, to, out_row, n_columns, resumed)
        else:
            sum_products(X, x, x_row, x_step, Y, y, y_step, y_vec, n, HEIGHT, 1, out, to, out_row, n_columns, resumed)

    return tile


_rows_tile, _few_tile, _row_tile = _tile_of(ROWS), _tile_of(FEW), _tile_of(1)


@part
def matrix_product(
    X, x_at, x_row, x_step, Y, y_at, y_step, n, out, out_at, out_row, n_rows, n_columns, resumed=0, y_vec=0
):
    """out[r, c] = sum over k < n of X[x_at + r * x_row + k * x_step] * Y[y_at + k * y_step + c].

    With y_vec, a row of Y is vectors that are so far apart. `resumed` sums go on from what is in `out`. Each sum runs
    over k in order, whatever the tiles. Vectors of Y and of `out` may be read beyond n_columns.
    """
    lanes = lanes_of(out)
    apart = y_vec if y_vec > 0 else lanes
    for first in range(0, n, DEPTH):
        depth, column, goes_on = min(DEPTH, n - first), 0, resumed + first
        while column < n_columns:
            left = n_columns - column
            vecs, row = panel_vectors(left, lanes), 0
            y = y_at + first * y_step + column // lanes * apart
            while row < n_rows:
                x, to = x_at + row * x_row + first * x_step, out_at + row * out_row + column
                height = tile_rows(n_rows - row)
                if height == ROWS:
                    _rows_tile(X, x, x_row, x_step, Y, y, y_step, apart, depth, vecs, out, to, out_row, left, goes_on)
                elif height == FEW:
                    _few_tile(X, x, x_row, x_step, Y, y, y_step, apart, depth, vecs, out, to, out_row, left, goes_on)
                else:
                    _row_tile(X, x, x_row, x_step, Y, y, y_step, apart, depth, vecs, out, to, out_row, left, goes_on)
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
def dense_forward(op, theta, rows, row, n_rows, start, stop, training):
    """rows[out] = activation(rows[in] W + b) for n_rows samples from `row` on and the units start..stop.

    They are all, or whole vectors of them.
    """
    n_in, n_out, in_stride, out_stride = op[N_INPUTS], op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE]
    x_at, at, n = op[IN_AT] + row * in_stride, op[OUT_AT] + row * out_stride + start, stop - start
    w_at, width = op[W_AT] + start, whole_vectors(n, lanes_of(rows))
    if n_rows < ROWS:
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
def _transpose(X, at, row, n_rows, n_columns, out, to, out_row):
    """out[to + c * out_row + r] = X[at + r * row + c], for whole squares of vectors."""
    lanes = lanes_of(out)
    for r in range(0, n_rows, lanes):
        for c in range(0, n_columns, lanes):
            store_transposed(X, at + r * row + c, row, out, to + c * out_row + r, out_row, lanes)


@part
def dense_backward(op, theta, rows, scratch, row, n_rows):
    """Derive the delta by z, and from it the delta by the input.

    The weights are taken one by one, as they lie, so that samples are in the lanes of what they meet.
    """
    n_in, n_out, in_stride, out_stride = op[N_INPUTS], op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE]
    delta_by_z(op, rows, row, n_rows)
    if op[INPUT_DELTA_AT] >= 0:
        lanes, width = lanes_of(rows), whole_vectors(n_rows, lanes_of(rows))
        _transpose(rows, op[DELTA_AT] + row * out_stride, out_stride, n_rows, n_out, scratch, 0, width)
        few_at = whole_vectors(n_out, lanes) * width
        for i in range(0, n_in, UNITS):
            n, at = min(UNITS, n_in - i), op[INPUT_DELTA_AT] + row * in_stride + i
            w_at = op[W_AT] + i * n_out
            matrix_product(theta, w_at, n_out, 1, scratch, 0, width, n_out, scratch, few_at, width, n, width)
            _transpose(scratch, few_at, width, n, width, rows, at, in_stride)


@part
def dense_weight_gradient(op, theta, rows, n_rows, start, stop, grad, at, is_updated):
    """rows[in].T rows[delta] for the inputs start..stop, summed over the samples in order, to grad[at:].

    Weights that are updated next, which the other cores have read, are asked for tile by tile: what that takes passes
    with the sums.
    """
    n_out, in_stride, out_stride, lanes = op[N_OUTPUTS], op[IN_STRIDE], op[OUT_STRIDE], lanes_of(rows)
    for i in range(start, stop, ROWS):
        x_at, n_in, column = op[IN_AT] + i, min(ROWS, stop - i), 0
        while column < n_out:
            width = min(panel_vectors(n_out - column, lanes) * lanes, n_out - column)
            for k in range(n_in if is_updated else 0):
                for c in range(0, width, lanes):
                    prefetch(theta, op[W_AT] + (i + k) * n_out + column + c)
            d_at, to = op[DELTA_AT] + column, at + (i - start) * n_out + column
            matrix_product(rows, x_at, 1, in_stride, rows, d_at, out_stride, n_rows, grad, to, n_out, n_in, width)
            column += width


@part
def dense_bias_gradient(op, rows, n_rows, grad, at):
    """The sum of deltas over the samples in order, to grad[at:]."""
    n_out, lanes = op[N_OUTPUTS], lanes_of(rows)
    for c in range(0, n_out, lanes):
        total = splat(rows.dtype.type(0))
        for r in range(n_rows):
            total = add(total, load(rows, op[DELTA_AT] + r * op[OUT_STRIDE] + c))
        store_span(total, grad, at + c, n_out - c)
