"""Products with a triangular matrix, row by row in place, on the threads that have just computed the rows."""

from numba import prange

from skdeep.engine.dense import matrix_product
from skdeep.engine.jit import compiled, integer, integers_out, out, part, reals
from skdeep.engine.simd import lanes_of, load, store_span, take_ticket
from skdeep.engine.tiles import VECS


@part
def _multiply_block(panels, n, rows, top, n_rows, scratch, base):
    """Of the rows top..top + n_rows, by way of a scratch."""
    lanes = lanes_of(rows)
    width, at = VECS * lanes, 0
    stride = (n + width - 1) // width * width
    for column in range(0, n, width):
        n_terms = min(column + width, n)
        to = base + column
        matrix_product(rows, top * n, n, 1, panels, at, width, n_terms, scratch, to, stride, n_rows, width)
        at += n_terms * width
    for r in range(n_rows):
        for column in range(0, n, lanes):
            store_span(load(scratch, base + r * stride + column), rows, (top + r) * n + column, n - column)


@compiled(parallel=True)
def multiply_rows(
    panels: reals,
    n: integer,
    rows: out,
    height: integer,
    first: integer,
    stop: integer,
    scratch: out,
    tickets: integers_out,
    n_workers: integer,
):
    """Each row r of n numbers, in the blocks first..stop of `height` rows, becomes L r for a lower triangle L.

    `panels` are VECS vectors of columns of L^T each, `[panel][term][column]`, down to the last that is not zero.
    Workers take the next block by `tickets`, `[0]` at first.
    """
    n_rows = rows.size // n
    for worker in prange(n_workers):
        base = worker * (scratch.size // n_workers)
        ticket = take_ticket(tickets)
        while first + ticket < stop:
            top = (first + ticket) * height
            _multiply_block(panels, n, rows, top, min(height, n_rows - top), scratch, base)
            ticket = take_ticket(tickets)
