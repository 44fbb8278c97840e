"""Tiles of Gram matrices: one interpreter for all kernels.

Data lie in panels, `[panel, feature, column]`: PANEL samples side by side and, behind the last feature, their
squared norms. A tile pairs up to TILE_ROWS samples of X with one panel of Y. Its values lie in a scratch of
registers, TILE numbers each, which the instructions of a program fill and combine one after the other; the
register of the last instruction holds the values of the kernel.

An element is computed by the same operations in the same order whatever the tile, block or thread it falls to,
and k(x, y) by the same as k(y, x).
"""

from numba import prange

from skdeep.engine.elementary import exp_vector
from skdeep.engine.jit import compiled, integer, integers_2d, out, part, reals, reals_2d
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
    store_first,
    store_transposed,
    subtract,
)
from skdeep.engine.tiles import (
    ROWS,
    VECS,
    dot_tile,
    squared_distance_tile,
    store_tile,
)

PANEL = 48  # a multiple of ROWS, and of VECS vectors of every machine and dtype
BLOCK = 96  # rows of one unit of work, a multiple of PANEL and of the lanes
# Rows of a tile, a multiple of ROWS and a divisor of BLOCK: few enough to write along as many lines of memory.
TILE_ROWS = 32
TILE = TILE_ROWS * PANEL

# Instructions are rows (operation, target, a, b); a and b are registers or places in a table.
SOURCE, CONSTANT, ADD, MULTIPLY, AFFINE, POWER, EXP = range(7)
# Sources are rows (kind, features, place of the panels of X, of Y).
DOT, SQUARED_DISTANCE, EXPANDED_SQUARED_DISTANCE = range(3)


def _expanded(xy, xx, yy):
    value = xy.fma(-2.0, xx + yy)
    return (value * 0.0).where(value < 0.0, value)


expanded_squared_distance = elementwise(_expanded)


# -------------------------------------------------------------------------------------------- panels


@compiled(parallel=True)
def pack(
    X: reals_2d,
    shift: reals,
    scale: reals,
    at: integer,
    first: integer,
    stop: integer,
    panels: out,
    n_workers: integer,
):
    """Write the panels first..stop of (X - shift) * scale, zeros behind the last sample, from panels[at] on."""
    n_samples, n_features = X.shape
    for worker in prange(n_workers):
        for panel in range(first + worker, stop, n_workers):
            to = at + panel * (n_features + 1) * PANEL
            for column in range(PANEL):
                sample = panel * PANEL + column
                for k in range(n_features):
                    value = (X[sample, k] - shift[k]) * scale[k] if sample < n_samples else shift[k] * 0
                    panels[to + k * PANEL + column] = value
            _dot_columns(panels, to, panels, to, n_features, panels, to + n_features * PANEL)


@part
def _dot_columns(x, x_at, y, y_at, n_features, result, to):
    # The chain of fused operations of `dot_tile`, so that |x|^2 + |x|^2 - 2 x.x is exactly 0.
    lanes = lanes_of(x)
    for column in range(0, PANEL, lanes):
        total = splat(x.dtype.type(0))
        for k in range(n_features):
            total = fma(load(x, x_at + k * PANEL + column), load(y, y_at + k * PANEL + column), total)
        store(total, result, to + column)


@part
def _squared_distance_columns(x, x_at, y, y_at, n_features, result, to):
    lanes = lanes_of(x)
    for column in range(0, PANEL, lanes):
        total = splat(x.dtype.type(0))
        for k in range(n_features):
            difference = subtract(load(x, x_at + k * PANEL + column), load(y, y_at + k * PANEL + column))
            total = fma(difference, difference, total)
        store(total, result, to + column)


# ------------------------------------------------------------------------------------------- sources


@part
def _fill_source(kind, n_features, x, x_at, top, y, y_at, n_rows, scratch, to):
    lanes = lanes_of(x)
    stride = (n_features + 1) * PANEL
    for column in range(0, PANEL, VECS * lanes):
        for row in range(0, n_rows, ROWS):
            rows_at = x_at + (top + row) // PANEL * stride + (top + row) % PANEL
            if kind == SQUARED_DISTANCE:
                tile = squared_distance_tile(x, rows_at, 1, PANEL, y, y_at + column, PANEL, n_features, ROWS, VECS)
            else:
                tile = dot_tile(x, rows_at, 1, PANEL, y, y_at + column, PANEL, n_features, ROWS, VECS)
            store_tile(tile, scratch, to + row * PANEL + column, PANEL, lanes, VECS)
    if kind == EXPANDED_SQUARED_DISTANCE:
        norms = n_features * PANEL
        for row in range(n_rows):
            xx = splat(x[x_at + (top + row) // PANEL * stride + norms + (top + row) % PANEL])
            for column in range(0, PANEL, lanes):
                at = to + row * PANEL + column
                yy = load(y, y_at + norms + column)
                store(expanded_squared_distance(load(scratch, at), xx, yy), scratch, at)


@part
def _fill_pairs(kind, n_features, x, x_at, y, y_at, scratch, to):
    if kind == DOT:
        _dot_columns(x, x_at, y, y_at, n_features, scratch, to)
    else:
        _squared_distance_columns(x, x_at, y, y_at, n_features, scratch, to)


# --------------------------------------------------------------------------------------- the program


@part
def _run(instructions, constants, sources, x, row, y, panel, n_rows, scratch, base):
    """Run a program on rows of X against a panel of Y, or on the pairs of panel and panel when n_rows is 0."""
    lanes = lanes_of(x)
    size = max(n_rows, 1) * PANEL
    to = base
    for i in range(instructions.shape[0]):
        operation, a, b = instructions[i, 0], instructions[i, 2], instructions[i, 3]
        to = base + instructions[i, 1] * TILE
        left, right = base + a * TILE, base + b * TILE
        if operation == SOURCE:
            kind, n_features, x_at = sources[a, 0], sources[a, 1], sources[a, 2]
            y_at = sources[a, 3] + panel * (n_features + 1) * PANEL
            if n_rows:
                _fill_source(kind, n_features, x, x_at, row, y, y_at, n_rows, scratch, to)
            else:
                _fill_pairs(kind, n_features, x, x_at + panel * (n_features + 1) * PANEL, y, y_at, scratch, to)
        elif operation == ADD:
            for v in range(0, size, lanes):
                store(add(load(scratch, left + v), load(scratch, right + v)), scratch, to + v)
        elif operation == MULTIPLY:
            for v in range(0, size, lanes):
                store(multiply(load(scratch, left + v), load(scratch, right + v)), scratch, to + v)
        elif operation == AFFINE:
            factor, summand = splat(constants[b]), splat(constants[b + 1])
            for v in range(0, size, lanes):
                store(fma(load(scratch, left + v), factor, summand), scratch, to + v)
        elif operation == POWER:
            for v in range(0, size, lanes):
                power = square = load(scratch, left + v)
                n = b - 1
                while n > 0:
                    if n % 2:
                        power = multiply(power, square)
                    square = multiply(square, square)
                    n //= 2
                store(power, scratch, to + v)
        elif operation == EXP:
            for v in range(0, size, lanes):
                store(exp_vector(load(scratch, left + v)), scratch, to + v)
        elif operation == CONSTANT:
            value = splat(constants[a])
            for v in range(0, size, lanes):
                store(value, scratch, to + v)
    return to


# -------------------------------------------------------------------------------------------- output


@part
def _expect(K, to, n_rows, n_columns, n_valid, lanes):
    # Rows of K lie in different pages, which no processor foresees by itself.
    for row in range(n_rows):
        for column in range(0, n_valid, lanes):
            prefetch(K, to + row * n_columns + column)


@part
def _write(tile, at, n_rows, K, to, n_columns, n_valid):
    lanes = lanes_of(tile)
    for row in range(n_rows):
        for column in range(0, n_valid, lanes):
            values = load(tile, at + row * PANEL + column)
            if column + lanes <= n_valid:
                store(values, K, to + row * n_columns + column)
            else:
                store_first(values, K, to + row * n_columns + column, n_valid - column)


@part
def _mirror(K, n_columns, top, first, last):
    """K[first:last, top : top + BLOCK] = K[top : top + BLOCK, first:last] transposed."""
    lanes = lanes_of(K)
    for column in range(first, last, lanes):
        following = min(lanes, last - column - lanes)
        _expect(K, (column + lanes) * n_columns + top, following, n_columns, BLOCK, lanes)
        for row in range(top, top + BLOCK, lanes):
            at, to = row * n_columns + column, column * n_columns + row
            store_transposed(K, at, n_columns, K, to, n_columns, min(lanes, last - column))


@compiled(parallel=True)
def fill_gram(
    instructions: integers_2d,
    constants: reals,
    sources: integers_2d,
    x: reals,
    y: reals,
    n_rows: integer,
    n_columns: integer,
    symmetric: integer,
    chunk: integer,
    origin: integer,
    first: integer,
    stop: integer,
    scratch: out,
    K: out,
    n_workers: integer,
):
    """Fill the blocks first..stop of BLOCK rows of a Gram matrix; K begins at its row `origin`.

    When `symmetric`, a block is computed from its diagonal square on and mirrored behind it, so that every
    element is written once. `chunk` panels of Y stay in the cache while the block's rows pass.
    """
    n_panels = (n_columns + PANEL - 1) // PANEL
    for worker in prange(n_workers):
        base = worker * (scratch.size // n_workers)
        lanes = lanes_of(K)
        for block in range(first + worker, stop, n_workers):
            top = block * BLOCK
            bottom = min(top + BLOCK, n_rows)
            for left in range(top // PANEL if symmetric else 0, n_panels, chunk):
                right = min(left + chunk, n_panels)
                for row in range(top, bottom, TILE_ROWS):
                    n_tile = min(TILE_ROWS, bottom - row)
                    n_padded = (n_tile + ROWS - 1) // ROWS * ROWS
                    for panel in range(left, right):
                        n_valid = min(PANEL, n_columns - panel * PANEL)
                        to = (row - origin) * n_columns + panel * PANEL
                        _expect(K, to, n_tile, n_columns, n_valid, lanes)
                        tile = _run(instructions, constants, sources, x, row, y, panel, n_padded, scratch, base)
                        _write(scratch, tile, n_tile, K, to, n_columns, n_valid)
                if symmetric:
                    _mirror(K, n_columns, top, max(left * PANEL, top + BLOCK), min(right * PANEL, n_columns))


@compiled
def fill_diagonal(
    instructions: integers_2d,
    constants: reals,
    sources: integers_2d,
    x: reals,
    y: reals,
    n_pairs: integer,
    first: integer,
    stop: integer,
    scratch: out,
    values: out,
):
    """Fill the panels first..stop of the values of k(x_i, y_i)."""
    for panel in range(first, stop):
        tile = _run(instructions, constants, sources, x, 0, y, panel, 0, scratch, 0)
        _write(scratch, tile, 1, values, panel * PANEL, PANEL, min(PANEL, n_pairs - panel * PANEL))
