"""Gram matrices by tiles: packed samples, and sweeps of a tile program over all pairs or over the diagonal."""

from numba import prange

from skdeep.engine.jit import compiled, doubles_out, integer, integers_2d, integers_out, out, part, reals, reals_2d
from skdeep.engine.simd import (
    fma,
    lanes_of,
    load,
    prefetch,
    splat,
    store,
    store_first,
    store_transposed,
    take_ticket,
)
from skdeep.engine.tile_program import BLOCK, PANEL, TILE_ROWS, column_place, dot_columns, run_tile, slice_width
from skdeep.engine.tiles import ROWS


@part
def _squared_norm(rows, at, n_features):
    """Behind a row its product with itself, by the same chain of operations as everywhere."""
    total = splat(rows.dtype.type(0))
    for k in range(n_features):
        x = splat(rows[at + k])
        total = fma(x, x, total)
    store_first(total, rows, at + n_features, 1)


@compiled(parallel=True)
def pack(
    X: reals_2d,
    shift: reals,
    scale: reals,
    at: integer,
    in_rows: integer,
    first: integer,
    stop: integer,
    packed: out,
    n_workers: integer,
):
    """Write (X - shift) * scale to packed[at:], zeros behind the last sample: its panels first..stop, or their rows."""
    n_samples, n_features = X.shape
    width = slice_width(packed)
    for worker in prange(n_workers):
        for panel in range(first + worker, stop, n_workers):
            to = at + panel * (n_features + 1) * PANEL
            for column in range(PANEL):
                sample = panel * PANEL + column
                place = column * (n_features + 1) if in_rows else column_place(packed, n_features, column)
                step = 1 if in_rows else width
                for k in range(n_features):
                    value = (X[sample, k] - shift[k]) * scale[k] if sample < n_samples else shift[k] * 0
                    packed[to + place + k * step] = value
                if in_rows:
                    _squared_norm(packed, to + place, n_features)
            if not in_rows:
                dot_columns(packed, to, packed, to, n_features, packed, to + n_features * PANEL)


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


# ------------------------------------------------------------------------------------------ products


@part
def _clear(scratch, at, size):
    for v in range(0, size, lanes_of(scratch)):
        store(splat(scratch.dtype.type(0)), scratch, at + v)


@part
def _add_products(tile, at, n_rows, V, v_at, n_outputs, sums):
    """Add the products of a tile's rows with the columns of V to the lanes of their sums."""
    lanes = lanes_of(tile)
    for c in range(n_outputs):
        for row in range(n_rows):
            to = sums + (c * TILE_ROWS + row) * lanes
            total = load(tile, to)
            for column in range(0, PANEL, lanes):
                total = fma(load(tile, at + row * PANEL + column), load(V, v_at + c * PANEL + column), total)
            store(total, tile, to)


@part
def _flush_products(scratch, sums, n_rows, n_outputs, product, to, width):
    """Add the sums over the lanes to the rows of a product, in double precision."""
    lanes = lanes_of(scratch)
    for c in range(n_outputs):
        for row in range(n_rows):
            at, total = sums + (c * TILE_ROWS + row) * lanes, 0.0
            for lane in range(lanes):
                total += float(scratch[at + lane])
            product[to + c * width + row] += total


@part
def _add_mirrored_products(tile, at, top, n_rows, V, n_outputs, spare, product, to, width, n_valid):
    """Add the products of a tile's columns with the rows of V from `top` on to the rows of a product."""
    lanes = lanes_of(tile)
    for c in range(n_outputs):
        for column in range(0, PANEL, lanes):
            total = splat(tile.dtype.type(0))
            for row in range(n_rows):
                factor = V[((top + row) // PANEL * n_outputs + c) * PANEL + (top + row) % PANEL]
                total = fma(load(tile, at + row * PANEL + column), splat(factor), total)
            store(total, tile, spare + column)
        for column in range(n_valid):
            product[to + c * width + column] += float(tile[spare + column])


@part
def _sweep_block(
    instructions, constants, sources, x, y, given, n_columns, symmetric, chunk, origin, top, bottom, scratch, base,
    lane_sums, K, sums, sums_at, V, n_outputs, product, product_at, width,
):  # fmt: skip
    """Run a program over the rows top..bottom."""
    lanes, n_panels = lanes_of(K), (n_columns + PANEL - 1) // PANEL
    for left in range(top // PANEL if symmetric else 0, n_panels, chunk):
        right = min(left + chunk, n_panels)
        for row in range(top, bottom, TILE_ROWS):
            n_tile = min(TILE_ROWS, bottom - row)
            n_padded = (n_tile + ROWS - 1) // ROWS * ROWS
            _clear(scratch, lane_sums, TILE_ROWS * n_outputs * lanes)
            for panel in range(left, right):
                n_valid = min(PANEL, n_columns - panel * PANEL)
                to = (row - origin) * n_columns + panel * PANEL
                if K.size:
                    _expect(K, to, n_tile, n_columns, n_valid, lanes)
                mirrored = symmetric and panel * PANEL >= top + BLOCK
                tile = row, n_tile, n_padded, panel, origin, int(mirrored)
                at = run_tile(
                    instructions, constants, sources, x, y, given, tile, n_columns, scratch, base, sums, sums_at
                )
                if K.size:
                    _write(scratch, at, n_tile, K, to, n_columns, n_valid)
                _add_products(scratch, at, n_tile, V, panel * n_outputs * PANEL, n_outputs, lane_sums)
                if mirrored:
                    _add_mirrored_products(
                        scratch, at, row, n_tile, V, n_outputs, base, product, product_at + panel * PANEL, width,
                        n_valid,
                    )  # fmt: skip
            _flush_products(scratch, lane_sums, n_tile, n_outputs, product, product_at + row, width)
        if symmetric and K.size:
            _mirror(K, n_columns, top, max(left * PANEL, top + BLOCK), min(right * PANEL, n_columns))


@part
def _sweep_pairs(instructions, constants, sources, x, y, given, n_pairs, panel, scratch, base, K, sums):
    """Run a program over a panel of pairs x_i, y_i."""
    tile = 0, 0, 0, panel, 0, 0
    at = run_tile(instructions, constants, sources, x, y, given, tile, n_pairs, scratch, base, sums, 0)
    _write(scratch, at, 1, K, panel * PANEL, PANEL, min(PANEL, n_pairs - panel * PANEL))


@compiled(parallel=True)
def sweep(
    instructions: integers_2d,
    constants: reals,
    sources: integers_2d,
    x: reals,
    y: reals,
    given: reals,
    n_rows: integer,
    n_columns: integer,
    symmetric: integer,
    chunk: integer,
    origin: integer,
    height: integer,
    first: integer,
    stop: integer,
    scratch: out,
    K: out,
    sums: doubles_out,
    V: reals,
    n_outputs: integer,
    product: doubles_out,
    n_copies: integer,
    pairs: integer,
    tickets: integers_out,
    n_workers: integer,
):
    """Run a program over the blocks first..stop of `height` rows from the row `origin` on.

    Its values are written to K, its sums to `sums`, one set for each block, and its products with V are added to
    `product`, `[copy, output, row]`; an empty K is not written. K and `given` begin at the row `origin`, too. V is in
    panels, `[panel, output, column]`, zeros behind its last row.

    When `symmetric`, of blocks of BLOCK rows, a block is computed from its diagonal square on: K is mirrored behind it,
    so that every element is written once, sums weigh the pairs in both orders, and products are added to the rows of
    both. Then there are several copies of the product, each of which sees its blocks in one order, whatever the number
    of workers; all together are the product. `chunk` panels of Y stay in the cache while the block's rows pass.

    With `pairs`, a block is a panel of the pairs x_i, y_i, both in panels, and K as long as there are rows.

    Workers take the next block, or the blocks of the next copy, when they are ready, by `tickets`, `[0]` at first: one
    whose core is busy holds up nobody.
    """
    n_sums = sums.size // max((n_rows - origin + height - 1) // height, 1)
    width = product.size // max(n_copies * n_outputs, 1)
    n_tickets = n_copies if n_copies > 1 else stop - first
    for worker in prange(n_workers):
        share = scratch.size // n_workers
        lane_sums = (worker + 1) * share - TILE_ROWS * n_outputs * lanes_of(K)
        ticket = take_ticket(tickets)
        while ticket < n_tickets:
            for block in range(first + ticket, stop, n_tickets):
                if pairs:
                    base = worker * share
                    _sweep_pairs(
                        instructions, constants, sources, x, y, given, n_rows, block, scratch, base, K, sums
                    )  # fmt: skip
                    continue
                top = origin + block * height
                _sweep_block(
                    instructions, constants, sources, x, y, given, n_columns, symmetric, chunk, origin, top,
                    min(top + height, n_rows), scratch, worker * share, lane_sums, K, sums, block * n_sums, V,
                    n_outputs, product, block % n_copies * n_outputs * width, width,
                )  # fmt: skip
            ticket = take_ticket(tickets)
