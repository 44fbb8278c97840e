"""The interpreter of tile programs: from packed samples to the values of a kernel on one tile of a Gram matrix.

Samples of X lie in rows, `[sample, feature]`, those of Y in panels of PANEL samples: `[panel, slice, feature, column]`
in slices as wide as a register tile, so that a tile reads its numbers one line after the other. Squared norms are
behind the last feature of a row, and behind each panel. A tile pairs up to TILE_ROWS samples of X with one panel of
Y. Its values lie in a scratch of registers, TILE numbers each, which the instructions of a program fill and combine
one after the other.

An element is computed by the same operations in the same order whatever the tile, block or thread it falls to,
and k(x, y) by the same as k(y, x).
"""

from skdeep.engine.elementary import angle, exp_vector, log1p_vector, tanh_vector
from skdeep.engine.jit import part
from skdeep.engine.simd import (
    add,
    any_below,
    elementwise,
    fma,
    lanes_of,
    load,
    multiply,
    splat,
    store,
    subtract,
)
from skdeep.engine.tiles import ROWS, VECS, sum_absolute_differences, sum_products, sum_squared_differences

PANEL = 48  # a multiple of ROWS, and of VECS vectors of every machine and dtype
BLOCK = 96  # rows of one unit of work at most, a multiple of PANEL and of the lanes
# Rows of a tile, a multiple of ROWS and a divisor of BLOCK: few enough to write along as many lines of memory.
TILE_ROWS = 2 * ROWS
TILE = TILE_ROWS * PANEL
# Features that are summed at a time: a slice of them stays in the second cache.
FEATURES = 1024

# Instructions are rows (operation, target, a, b); a and b are registers or places in a table. The last two of the
# list leave sums over all pairs: SUM one, PRODUCT_SUMS one for each feature of the source b.
(SOURCE, CONSTANT, ADD, MULTIPLY, AFFINE, POWER, EXP, LOG1P, ROOT, INVERSE_ROOT, RECIPROCAL, TANH, ANGLE) = range(13)
SUM, PRODUCT_SUMS = 13, 14
# Sources are rows (kind, features, place of the rows of X, of the panels of Y, place in `given`).
DOT, SQUARED_DISTANCE, EXPANDED_SQUARED_DISTANCE, ABSOLUTE_DISTANCE, GIVEN, GIVEN_SQUARED_DISTANCE, WEIGHT = range(7)

# |x|^2 + |y|^2 - 2 x.y has lost all but the last digits where the distance is so small a part of the norms.
NEAR = 1e-3


def _not_negative(x):
    return (x * 0.0).where(x < 0.0, x)


def _expanded(xy, xx, yy):
    return _not_negative(xy.fma(-2.0, xx + yy))


def _angle(w):
    w = _not_negative(w)
    return angle(w.full(2.0).where(w > 2.0, w))


def _inverse_root(x):
    return (1.0 / x.square_root()).where(x > 0.0, x * 0.0)


expanded_squared_distance = elementwise(_expanded)
near = elementwise(lambda xx, yy: (xx + yy) * NEAR)
where_below = elementwise(lambda value, bound, direct: direct.where(value < bound, value))
inverse_root = elementwise(_inverse_root)
# Rounding may lead out of the domain of these two.
root = elementwise(lambda x: _not_negative(x).square_root())
angle_of = elementwise(_angle)
reciprocal = elementwise(lambda x: 1.0 / x)
absolute = elementwise(lambda x: x.absolute())


# ------------------------------------------------------------------------------------------- columns


@part
def slice_width(array):
    """Columns of a slice of a panel."""
    return VECS * lanes_of(array)


@part
def column_place(array, n_features, column):
    """Where a column of a panel begins; its next feature is the width of a slice away."""
    width = slice_width(array)
    return column // width * width * n_features + column % width


@part
def dot_columns(x, x_at, y, y_at, n_features, result, to):
    """The products of the samples of two panels, pair by pair."""
    # The chain of fused operations of `sum_products`, so that |x|^2 + |x|^2 - 2 x.x is exactly 0.
    lanes, width = lanes_of(x), slice_width(x)
    for column in range(0, PANEL, lanes):
        place, total = column_place(x, n_features, column), splat(x.dtype.type(0))
        for k in range(n_features):
            at = place + k * width
            total = fma(load(x, x_at + at), load(y, y_at + at), total)
        store(total, result, to + column)


@part
def _distance_columns(kind, x, x_at, y, y_at, n_features, result, to):
    lanes, width = lanes_of(x), slice_width(x)
    for column in range(0, PANEL, lanes):
        place, total = column_place(x, n_features, column), splat(x.dtype.type(0))
        for k in range(n_features):
            at = place + k * width
            difference = subtract(load(x, x_at + at), load(y, y_at + at))
            if kind == ABSOLUTE_DISTANCE:
                total = add(absolute(difference), total)
            else:
                total = fma(difference, difference, total)
        store(total, result, to + column)


# ------------------------------------------------------------------------------------------- sources


@part
def _fill_products(kind, n_features, x, x_at, y, y_at, n_rows, scratch, to):
    """Sums over the features, in register tiles."""
    lanes, width, step = lanes_of(x), slice_width(x), n_features + 1
    for first in range(0, n_features, FEATURES):
        n = min(FEATURES, n_features - first)
        for column in range(0, PANEL, width):
            y_from = y_at + column * n_features + first * width
            for row in range(0, n_rows, ROWS):
                x_from, at = x_at + row * step + first, to + row * PANEL + column
                if kind == SQUARED_DISTANCE:
                    sum_squared_differences(
                        x, x_from, step, 1, y, y_from, width, lanes, n, ROWS, VECS, scratch, at, PANEL, PANEL, first
                    )
                elif kind == ABSOLUTE_DISTANCE:
                    sum_absolute_differences(
                        x, x_from, step, 1, y, y_from, width, lanes, n, ROWS, VECS, scratch, at, PANEL, PANEL, first
                    )
                else:
                    sum_products(
                        x, x_from, step, 1, y, y_from, width, lanes, n, ROWS, VECS, scratch, at, PANEL, PANEL, first
                    )


@part
def _expand(n_features, x, x_at, y, y_at, n_rows, exact, scratch, to):
    """Turn products into squared distances; `exact` ones by differences, where the samples are near to each other."""
    lanes, width = lanes_of(x), slice_width(x)
    for row in range(n_rows):
        row_at = x_at + row * (n_features + 1)
        xx = splat(x[row_at + n_features])
        for column in range(0, PANEL, lanes):
            at = to + row * PANEL + column
            yy = load(y, y_at + n_features * PANEL + column)
            expanded = expanded_squared_distance(load(scratch, at), xx, yy)
            bound = near(xx, yy)
            if exact and any_below(expanded, bound):
                place, direct = y_at + column_place(y, n_features, column), splat(x.dtype.type(0))
                for k in range(n_features):
                    difference = subtract(splat(x[row_at + k]), load(y, place + k * width))
                    direct = fma(difference, difference, direct)
                expanded = where_below(expanded, bound, direct)
            store(expanded, scratch, at)


@part
def _copy_given(given, at, n_rows, n_padded, n_columns, first, scratch, to):
    """The values of a matrix that was computed elsewhere; zeros behind its last row and column."""
    lanes = lanes_of(scratch)
    for row in range(n_padded):
        for column in range(0, PANEL, lanes):
            n = n_columns - first - column if row < n_rows else 0
            values = splat(scratch.dtype.type(0))
            if n >= lanes:
                values = load(given, at + row * n_columns + first + column)
            store(values, scratch, to + row * PANEL + column)
            if 0 < n < lanes:
                for j in range(n):
                    scratch[to + row * PANEL + column + j] = given[at + row * n_columns + first + column + j]


@part
def _add_mirrored(given, top, n_rows, n_columns, first, scratch, to):
    """Add the values of the pairs in the other order."""
    for column in range(min(PANEL, n_columns - first)):
        for row in range(n_rows):
            scratch[to + row * PANEL + column] += given[(first + column) * n_columns + top + row]


@part
def _fill_source(sources, s, x, y, given, tile, n_columns, scratch, to):
    """Fill a register by source s; `tile` is (row, rows, rows up to a whole tile, panel, row of `given`, mirrored)."""
    kind, n_features = sources[s, 0], sources[s, 1]
    row, n_rows, n_padded, panel, origin, mirrored = tile
    x_at = sources[s, 2] + row * (n_features + 1)
    y_at = sources[s, 3] + panel * (n_features + 1) * PANEL
    if kind >= GIVEN:
        at = sources[s, 4] + (row - origin) * n_columns
        _copy_given(given, at, n_rows, n_padded, n_columns, panel * PANEL, scratch, to)
        if kind == WEIGHT and mirrored:
            _add_mirrored(given, row, n_rows, n_columns, panel * PANEL, scratch, to)
    else:
        _fill_products(kind, n_features, x, x_at, y, y_at, n_padded, scratch, to)
    if kind == EXPANDED_SQUARED_DISTANCE or kind == GIVEN_SQUARED_DISTANCE:
        _expand(n_features, x, x_at, y, y_at, n_padded, kind == EXPANDED_SQUARED_DISTANCE, scratch, to)


@part
def _fill_pairs(sources, s, x, y, given, panel, n_pairs, scratch, to):
    """Fill the first row of a register by source s of the pairs of panel and panel; X is in panels, too."""
    kind, n_features = sources[s, 0], sources[s, 1]
    step = panel * (n_features + 1) * PANEL
    x_at, y_at = sources[s, 2] + step, sources[s, 3] + step
    if kind == DOT:
        dot_columns(x, x_at, y, y_at, n_features, scratch, to)
    elif kind >= GIVEN:
        _copy_given(given, sources[s, 4], 1, 1, n_pairs, panel * PANEL, scratch, to)
        if kind == GIVEN_SQUARED_DISTANCE:
            for column in range(0, PANEL, lanes_of(x)):
                xx, yy = load(x, x_at + column), load(y, y_at + column)
                store(expanded_squared_distance(load(scratch, to + column), xx, yy), scratch, to + column)
    else:
        _distance_columns(kind, x, x_at, y, y_at, n_features, scratch, to)


# ---------------------------------------------------------------------------------------------- sums


@part
def _lane_total(vector, scratch, to):
    store(vector, scratch, to)
    total = 0.0
    for lane in range(lanes_of(scratch)):
        total += float(scratch[to + lane])
    return total


@part
def _sum(scratch, at, size, spare):
    lanes = lanes_of(scratch)
    total = splat(scratch.dtype.type(0))
    for v in range(0, size, lanes):
        total = add(total, load(scratch, at + v))
    return _lane_total(total, scratch, spare)


@part
def _product_sums(sources, s, x, y, tile, scratch, at, spare, sums, to):
    """sums[to + k] += sum over the tile's pairs of the register times what feature k adds to source s."""
    kind, n_features = sources[s, 0], sources[s, 1]
    row, n_rows, panel = tile[0], tile[1], tile[3]
    lanes, width = lanes_of(x), slice_width(x)
    x_at, y_at = sources[s, 2] + row * (n_features + 1), sources[s, 3] + panel * (n_features + 1) * PANEL
    for k in range(n_features):
        total = splat(x.dtype.type(0))
        for r in range(n_rows):
            x_k = splat(x[x_at + r * (n_features + 1) + k])
            for column in range(0, PANEL, lanes):
                place = y_at + column_place(y, n_features, column) + k * width
                value, difference = load(scratch, at + r * PANEL + column), subtract(x_k, load(y, place))
                if kind == ABSOLUTE_DISTANCE:
                    total = fma(value, absolute(difference), total)
                else:
                    total = fma(multiply(value, difference), difference, total)
        sums[to + k] += _lane_total(total, scratch, spare)


# --------------------------------------------------------------------------------------- the program


@part
def run_tile(instructions, constants, sources, x, y, given, tile, n_columns, scratch, base, sums, sums_at):
    """Run a program on a tile, or on the pairs of panel and panel where the tile has no rows.

    Returns the place of the register that was filled last. The first register is for sums in passing.
    """
    lanes = lanes_of(x)
    n_padded, panel = tile[2], tile[3]
    size = max(n_padded, 1) * PANEL
    to = base
    for i in range(instructions.shape[0]):
        operation, a, b = instructions[i, 0], instructions[i, 2], instructions[i, 3]
        left, right = base + a * TILE, base + b * TILE
        if operation == SUM:
            sums[sums_at + instructions[i, 1]] += _sum(scratch, left, size, base)
            continue
        if operation == PRODUCT_SUMS:
            _product_sums(sources, b, x, y, tile, scratch, left, base, sums, sums_at + instructions[i, 1])
            continue
        to = base + instructions[i, 1] * TILE
        if operation == SOURCE:
            if n_padded:
                _fill_source(sources, a, x, y, given, tile, n_columns, scratch, to)
            else:
                _fill_pairs(sources, a, x, y, given, panel, n_columns, scratch, to)
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
        elif operation == CONSTANT:
            value = splat(constants[a])
            for v in range(0, size, lanes):
                store(value, scratch, to + v)
        elif operation == EXP:
            for v in range(0, size, lanes):
                store(exp_vector(load(scratch, left + v)), scratch, to + v)
        elif operation == LOG1P:
            for v in range(0, size, lanes):
                store(log1p_vector(load(scratch, left + v)), scratch, to + v)
        elif operation == ROOT:
            for v in range(0, size, lanes):
                store(root(load(scratch, left + v)), scratch, to + v)
        elif operation == INVERSE_ROOT:
            for v in range(0, size, lanes):
                store(inverse_root(load(scratch, left + v)), scratch, to + v)
        elif operation == RECIPROCAL:
            for v in range(0, size, lanes):
                store(reciprocal(load(scratch, left + v)), scratch, to + v)
        elif operation == TANH:
            for v in range(0, size, lanes):
                store(tanh_vector(load(scratch, left + v)), scratch, to + v)
        else:
            for v in range(0, size, lanes):
                store(angle_of(load(scratch, left + v)), scratch, to + v)
    return to
