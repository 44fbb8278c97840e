"""Tiles of accumulators: sums of products that stay in registers while a loop runs over what is summed.

A tile is a tuple of A x B vectors, tile[a * B + b] = sum over k of left[a, k] * right[b, k].
"""

import contextlib
import itertools

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skdeep.engine import target
from skdeep.engine.program import SAMPLES_IN_LANES
from skdeep.engine.simd import (
    Vec,
    VecType,
    address,
    index,
    lane_sums_of,
    load_at,
    masked_store_at,
    splat_of,
    store_at,
    times,
)

# ROWS x VECS is the tile of dot products that leaves a register for each operand.
ROWS, VECS = (8, 3) if target.VECTOR_REGISTERS == 32 else (6, 2)


@contextlib.contextmanager
def _loop(builder, n):
    """Code for each k < n."""
    with cgutils.for_range(builder, n, intp=n.type) as loop:
        yield loop.index


@contextlib.contextmanager
def _rolled_loop(builder, n):
    """Code for each k < n, a loop that LLVM does not unroll: two rounds of a large tile do not fit the registers."""
    before, body, after = (builder.append_basic_block(name) for name in ("tile.if", "tile.body", "tile.end"))
    builder.branch(before)
    builder.position_at_end(before)
    builder.cbranch(builder.icmp_signed(">", n, n.type(0)), body, after)
    builder.position_at_end(body)
    k = builder.phi(n.type)
    k.add_incoming(n.type(0), before)
    yield k
    following = builder.add(k, n.type(1))
    k.add_incoming(following, builder.block)
    again = builder.cbranch(builder.icmp_signed("<", following, n), body, after)
    again.set_metadata("llvm.loop", _never_unrolled(builder.module))
    builder.position_at_end(after)


def _never_unrolled(module):
    # LLVM knows the identity of a loop by a node that holds itself.
    option = module.add_metadata(["llvm.loop.unroll.disable"])
    identity = ir.MDValue(module, [option], name=str(len(module.metadata)))
    identity.operands = (identity, option)
    return identity


def _contract(builder, vector, n, sizes, factors, combine, rows=None, resume=None, loop=_loop):
    """Accumulate combine(left[a], right[b], tile[a, b]) over k < n, or over r * step + k for `rows` = (n_rows, step).

    `factors(k)` gives a function that emits left[a] and the list of right: one of the left is live at a
    time, which keeps a large tile within the registers. `resume` is (whether, vectors to load) for a tile that goes
    on from what it was; `loop` makes the loop over k.
    """
    n_left, n_right = sizes
    zero = ir.Constant(vector, [0.0] * vector.count)
    slots = [cgutils.alloca_once_value(builder, zero) for _ in range(n_left * n_right)]
    for slot in slots:  # alloca_once initialises at the function's entry only
        builder.store(zero, slot)
    if resume is not None:
        with builder.if_then(resume[0]):
            for slot, pointer in zip(slots, resume[1], strict=True):
                builder.store(load_at(builder, pointer, vector), slot)

    def accumulate(first):
        with loop(builder, n) as k:
            left, right = factors(builder.add(first, k))
            for a in range(n_left):
                left_a = Vec(builder, left(a))
                for b in range(n_right):
                    slot = slots[a * n_right + b]
                    total = combine(left_a, Vec(builder, right[b]), Vec(builder, builder.load(slot)))
                    builder.store(total.value, slot)

    if rows is None:
        accumulate(n.type(0))
    else:
        n_rows, step = rows
        with _loop(builder, n_rows) as r:
            accumulate(builder.mul(r, step))
    return [builder.load(slot) for slot in slots]


def _product(a, b, total):
    return a.fma(b, total)


def _squared_difference(a, b, total):
    difference = a - b
    return difference.fma(difference, total)


def _absolute_difference(a, b, total):
    return (a - b).absolute() + total


def _row_tile_of(context, builder, signature, args, combine, resume=None):
    """tile[p, q] = sum over k < n of combine(X[x_at + p * x_row + k * x_step], Y[y_at + k * y_step + q * y_vec :]).

    Rows of scalars of X meet vectors of Y.
    """
    x_, x_at_, x_row_, x_step_, y_, y_at_, y_step_, y_vec_, n_ = args[:9]
    X, Y = signature.args[0], signature.args[4]
    rows, vecs = (literal.literal_value for literal in signature.args[9:11])
    vector = context.get_value_type(VecType(X.dtype))
    x_rows = [address(context, builder, X, x_, x_at_, times(builder, x_row_, p)) for p in range(rows)]
    y_base = address(context, builder, Y, y_, y_at_)

    def factors(k):
        x_k, y_k = builder.mul(k, x_step_), builder.gep(y_base, [builder.mul(k, y_step_)])
        right = [load_at(builder, builder.gep(y_k, [times(builder, y_vec_, q)]), vector) for q in range(vecs)]
        return lambda p: splat_of(builder, builder.load(builder.gep(x_rows[p], [x_k])), vector), right

    return _contract(builder, vector, n_, (rows, vecs), factors, combine, resume=resume, loop=_rolled_loop)


def _summing(combine):
    """The intrinsic that leaves a row tile of sums in the first n_columns of rows of `out`.

    It goes on from what is there where `resumed`, and may then read beyond the last column.
    """

    def sum_tile(
        typingctx, X, x_at, x_row, x_step, Y, y_at, y_step, y_vec, n, ROWS, VECS, out, at, out_row, n_columns, resumed
    ):
        vecs = VECS.literal_value

        def codegen(context, builder, signature, args):
            out_, at_, out_row_, n_columns_, resumed_ = args[11:]
            vector, places = context.get_value_type(VecType(X.dtype)), []
            for p in range(ROWS.literal_value):
                row = address(context, builder, out, out_, at_, times(builder, out_row_, p))
                places += [builder.gep(row, [index(q * vector.count)]) for q in range(vecs)]
            resume = builder.icmp_signed("!=", resumed_, ir.Constant(resumed_.type, 0)), places
            values = _row_tile_of(context, builder, signature, args, combine, resume)
            for q in range(vecs):
                left = builder.sub(n_columns_, ir.Constant(n_columns_.type, q * vector.count))
                whole = builder.icmp_signed(">=", left, ir.Constant(left.type, vector.count))
                with builder.if_else(whole, likely=True) as (then, otherwise):
                    with then:
                        for value, place in zip(values[q::vecs], places[q::vecs], strict=True):
                            store_at(builder, value, place)
                    with otherwise:  # some processors store by a mask slowly
                        for value, place in zip(values[q::vecs], places[q::vecs], strict=True):
                            masked_store_at(builder, value, place, left)
            return context.get_dummy_value()

        arguments = X, x_at, x_row, x_step, Y, y_at, y_step, y_vec, n, ROWS, VECS, out, at, out_row, n_columns, resumed
        return types.void(*arguments), codegen

    return intrinsic(prefer_literal=True)(sum_tile)


sum_products = _summing(_product)
sum_squared_differences = _summing(_squared_difference)
sum_absolute_differences = _summing(_absolute_difference)


@intrinsic(prefer_literal=True)
def correlation_tile(typingctx, x, pixels, p_at, taps, t_at, n_rows, row, n_taps, w, w_at, PIXELS, WIDTH, IN_LANES):
    """tile[p, q] = sum over t of x[pixels[p_at + p] + taps[t_at + t]] * w[w_at + t * WIDTH + q].

    The sum runs over the first n_taps of each of n_rows rows of taps, `row` of them apart. With samples in the lanes,
    the numbers of x are vectors and those of w are scalars; with channels in the lanes, it is the other way round.
    """
    n_pixels, width, in_lanes = PIXELS.literal_value, WIDTH.literal_value, IN_LANES.literal_value
    vector_type = VecType(x.dtype)

    def codegen(context, builder, signature, args):
        x_, pixels_, p_at_, taps_, t_at_, n_rows_, row_, n_taps_, w_, w_at_ = args[:10]
        vector = context.get_value_type(vector_type)
        x_pixels = []
        for p in range(n_pixels):
            pixel = builder.load(address(context, builder, pixels, pixels_, p_at_, index(p)))
            x_pixels.append(address(context, builder, x, x_, pixel))
        taps_base = address(context, builder, taps, taps_, t_at_)
        w_base = address(context, builder, w, w_, w_at_)

        scalar = lambda pointer: splat_of(builder, builder.load(pointer), vector)
        whole = lambda pointer: load_at(builder, pointer, vector)
        of_x, of_w, step = (whole, scalar, 1) if in_lanes == SAMPLES_IN_LANES else (scalar, whole, vector.count)

        def factors(t):
            tap = builder.load(builder.gep(taps_base, [t]))
            w_t = builder.gep(w_base, [times(builder, t, width * step)])
            right = [of_w(builder.gep(w_t, [index(q * step)])) for q in range(width)]
            return lambda p: of_x(builder.gep(x_pixels[p], [tap])), right

        sizes = n_pixels, width
        tile = _contract(builder, vector, n_taps_, sizes, factors, _product, rows=(n_rows_, row_))
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, n_pixels * width)
    return result(x, pixels, p_at, taps, t_at, n_rows, row, n_taps, w, w_at, PIXELS, WIDTH, IN_LANES), codegen


@intrinsic(prefer_literal=True)
def tap_gradient_tile(typingctx, x, taps, t_at, z, z_at, z_plane, pixels, p_at, n_pixels, TAPS, CHANNELS):
    """tile[t, q] = sum over p < n_pixels of x[taps[t_at + t] + x_p :] * z[z_at + q * z_plane + z_p :].

    `pixels` holds the pairs (x_p, z_p) from p_at on. Vectors of x meet vectors of z: the lanes of a tile
    are still to be summed.
    """
    n_taps, n_channels = TAPS.literal_value, CHANNELS.literal_value
    vector_type = VecType(x.dtype)

    def codegen(context, builder, signature, args):
        x_, taps_, t_at_, z_, z_at_, z_plane_, pixels_, p_at_, n_pixels_ = args[:9]
        vector = context.get_value_type(vector_type)
        x_taps = []
        for t in range(n_taps):
            tap = builder.load(address(context, builder, taps, taps_, t_at_, index(t)))
            x_taps.append(address(context, builder, x, x_, tap))
        planes = [address(context, builder, z, z_, z_at_, times(builder, z_plane_, q)) for q in range(n_channels)]
        table = address(context, builder, pixels, pixels_, p_at_)

        def factors(p):
            entry = builder.gep(table, [times(builder, p, 2)])
            x_pixel, z_pixel = builder.load(entry), builder.load(builder.gep(entry, [index(1)]))
            right = [load_at(builder, builder.gep(plane, [z_pixel]), vector) for plane in planes]
            return lambda t: load_at(builder, builder.gep(x_taps[t], [x_pixel]), vector), right

        tile = _contract(builder, vector, n_pixels_, (n_taps, n_channels), factors, _product)
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, n_taps * n_channels)
    return result(x, taps, t_at, z, z_at, z_plane, pixels, p_at, n_pixels, TAPS, CHANNELS), codegen


@intrinsic(prefer_literal=True)
def maxima_gradient_tile(typingctx, ws, x_at, pixels, p_at, p_step, row, z_at, argmax_at, n_windows, ROWS, COLUMNS):
    """tile[r, s] = sum over w < n_windows of x[argmax_w, r, s] * z_w, where z and argmax are [window][lane].

    Of windows of 2 x 2 outputs that begin at x_at + pixels[p_at + w * p_step], x[m, r, s] is r rows and s pixels
    behind the first input of output m. The lanes of a tile are still to be summed.
    """
    n_rows, n_columns = ROWS.literal_value, COLUMNS.literal_value
    vector_type = VecType(ws.dtype)

    def codegen(context, builder, signature, args):
        ws_, x_at_, pixels_, p_at_, p_step_, row_, z_at_, argmax_at_, n_windows_ = args[:9]
        vector = context.get_value_type(vector_type)
        base, table = address(context, builder, ws, ws_, x_at_), address(context, builder, pixels, pixels_, p_at_)
        z, argmax = (address(context, builder, ws, ws_, at) for at in (z_at_, argmax_at_))

        def factors(w):
            at, pixel = times(builder, w, vector.count), builder.load(builder.gep(table, [builder.mul(w, p_step_)]))
            largest = Vec(builder, load_at(builder, builder.gep(argmax, [at]), vector))
            is_output = lambda m: builder.fcmp_ordered("==", largest.value, largest.constant(m))
            is_right, is_below = builder.or_(is_output(1), is_output(3)), largest > 1

            def of_row(r):
                """The inputs of a row, from the left or the right output."""
                start = builder.gep(base, [builder.add(pixel, times(builder, row_, r))])
                places = [builder.gep(start, [index(s * vector.count)]) for s in range(n_columns + 1)]
                x = [load_at(builder, place, vector) for place in places]
                return [builder.select(is_right, b, a) for a, b in itertools.pairwise(x)]

            rows = [of_row(0)]

            def of_tap(tap):
                r, s = divmod(tap, n_columns)
                if s == 0:  # the next row, as late as may be: two of them are live
                    rows.append(of_row(r + 1))
                return builder.select(is_below, rows[r + 1][s], rows[r][s])

            return of_tap, [load_at(builder, builder.gep(z, [at]), vector)]

        tile = _contract(builder, vector, n_windows_, (n_rows * n_columns, 1), factors, _product, loop=_rolled_loop)
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, n_rows * n_columns)
    arguments = ws, x_at, pixels, p_at, p_step, row, z_at, argmax_at, n_windows, ROWS, COLUMNS
    return result(*arguments), codegen


@intrinsic(prefer_literal=True)
def lane_products_tile(typingctx, x, x_at, x_row, x_step, z, z_at, z_row, z_step, n, ROWS, COLUMNS):
    """tile[a, b] = sum over k < n of x[x_at + a * x_row + k * x_step :] * z[z_at + b * z_row + k * z_step :].

    Vectors of x meet vectors of z: the lanes of a tile are still to be summed.
    """
    rows, columns = ROWS.literal_value, COLUMNS.literal_value
    vector_type = VecType(x.dtype)

    def codegen(context, builder, signature, args):
        x_, x_at_, x_row_, x_step_, z_, z_at_, z_row_, z_step_, n_ = args[:9]
        vector = context.get_value_type(vector_type)
        x_rows = [address(context, builder, x, x_, x_at_, times(builder, x_row_, a)) for a in range(rows)]
        z_rows = [address(context, builder, z, z_, z_at_, times(builder, z_row_, b)) for b in range(columns)]

        def factors(k):
            x_k, z_k = builder.mul(k, x_step_), builder.mul(k, z_step_)
            right = [load_at(builder, builder.gep(row, [z_k]), vector) for row in z_rows]
            return lambda a: load_at(builder, builder.gep(x_rows[a], [x_k]), vector), right

        tile = _contract(builder, vector, n_, (rows, columns), factors, _product)
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, rows * columns)
    return result(x, x_at, x_row, x_step, z, z_at, z_row, z_step, n, ROWS, COLUMNS), codegen


@intrinsic(prefer_literal=True)
def store_tile(typingctx, tile, out, at, row_step, vec_step, VECS):
    """out[at + p * row_step + q * vec_step :] = tile[p, q] for every vector of the tile."""
    vecs = VECS.literal_value

    def codegen(context, builder, signature, args):
        tile_, out_, at_, row_step_, vec_step_ = args[:5]
        for j, value in enumerate(cgutils.unpack_tuple(builder, tile_)):
            p, q = divmod(j, vecs)
            steps = at_, times(builder, row_step_, p), times(builder, vec_step_, q)
            store_at(builder, value, address(context, builder, out, out_, *steps))
        return context.get_dummy_value()

    return types.void(tile, out, at, row_step, vec_step, VECS), codegen


@intrinsic(prefer_literal=True)
def scatter_tile(typingctx, tile, out, at, channel_step, pixels, p_at, n_channels, CHANNELS):
    """out[at + pixels[p_at + p] + q * channel_step :] = tile[p, q] for q < n_channels."""
    channels = CHANNELS.literal_value

    def codegen(context, builder, signature, args):
        tile_, out_, at_, channel_step_, pixels_, p_at_, n_channels_ = args[:7]
        values = cgutils.unpack_tuple(builder, tile_)
        table, base = address(context, builder, pixels, pixels_, p_at_), address(context, builder, out, out_, at_)
        places = [builder.load(builder.gep(table, [index(p)])) for p in range(len(values) // channels)]
        for q in range(channels):
            plane = builder.gep(base, [times(builder, channel_step_, q)])
            with builder.if_then(builder.icmp_signed("<", ir.Constant(n_channels_.type, q), n_channels_), likely=True):
                for p, place in enumerate(places):
                    store_at(builder, values[p * channels + q], builder.gep(plane, [place]))
        return context.get_dummy_value()

    return types.void(tile, out, at, channel_step, pixels, p_at, n_channels, CHANNELS), codegen


@intrinsic(prefer_literal=True)
def rectified_tile(typingctx, tile, bias, b_at, floor, WIDTH, IN_LANES):
    """max(tile[p, q] + bias[b_at + q], floor), where NaN stays NaN; with channels in the lanes, biases are vectors."""
    width, in_lanes = WIDTH.literal_value, IN_LANES.literal_value

    def codegen(context, builder, signature, args):
        tile_, bias_, b_at_, floor_ = args[:4]
        base, vector, results = address(context, builder, bias, bias_, b_at_), floor_.type, []
        if in_lanes == SAMPLES_IN_LANES:
            terms = [splat_of(builder, builder.load(builder.gep(base, [index(q)])), vector) for q in range(width)]
        else:
            terms = [load_at(builder, builder.gep(base, [index(q * vector.count)]), vector) for q in range(width)]
        for j, value in enumerate(cgutils.unpack_tuple(builder, tile_)):
            z = Vec(builder, value) + Vec(builder, terms[j % width])
            results.append(z.where(z.not_below(Vec(builder, floor_)), Vec(builder, floor_)).value)
        return context.make_tuple(builder, signature.return_type, results)

    return tile(tile, bias, b_at, floor, WIDTH, IN_LANES), codegen


@intrinsic
def store_lane_sums(typingctx, tile, out, at):
    """out[at + j] = the sum over the lanes of vector j of the tile; whole vectors are written."""

    def codegen(context, builder, signature, args):
        tile_, out_, at_ = args
        values = cgutils.unpack_tuple(builder, tile_)
        lanes = values[0].type.count
        for first in range(0, len(values), lanes):
            pointer = address(context, builder, out, out_, at_, index(first))
            store_at(builder, lane_sums_of(builder, values[first : first + lanes]), pointer)
        return context.get_dummy_value()

    return types.void(tile, out, at), codegen


@intrinsic(prefer_literal=True)
def lowest_maxima(typingctx, array, CHANNELS):
    """What `window_maxima` starts from: CHANNELS maxima of minus infinity and their slots."""
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        vector = context.get_value_type(vector_type)
        constants = [ir.Constant(vector, [number] * vector.count) for number in (float("-inf"), 0.0)]
        return context.make_tuple(builder, signature.return_type, [c for c in constants for _ in range(n)])

    n = CHANNELS.literal_value
    return types.UniTuple(vector_type, 2 * n)(array, CHANNELS), codegen


@intrinsic(prefer_literal=True)
def window_maxima(typingctx, maxima, tile, slot, PIXELS, CHANNELS):
    """The maxima over a window so far and the slots that hold them, updated by the tile's pixels.

    The first of equal numbers wins, and NaN over all numbers. `slot` is the place of the tile's
    first pixel within the window.
    """
    n_pixels, n_channels = PIXELS.literal_value, CHANNELS.literal_value

    def codegen(context, builder, signature, args):
        state = [Vec(builder, value) for value in cgutils.unpack_tuple(builder, args[0])]
        values = [Vec(builder, value) for value in cgutils.unpack_tuple(builder, args[1])]
        best, where = state[:n_channels], state[n_channels:]
        first = builder.sitofp(args[2], best[0].type.element)
        for p in range(n_pixels):
            here = Vec(builder, splat_of(builder, first, best[0].type)) + p
            for q in range(n_channels):
                value = values[p * n_channels + q]
                larger = builder.fcmp_unordered(">", value.value, best[q].value)
                larger = builder.and_(larger, best[q].is_number())
                best[q], where[q] = value.where(larger, best[q]), here.where(larger, where[q])
        return context.make_tuple(builder, signature.return_type, [v.value for v in best + where])

    return maxima(maxima, tile, slot, PIXELS, CHANNELS), codegen
