"""Vectors of the machine's width inside numba: `load`, `store`, tiles of accumulators.

numba has no vector type; LLVM has. `VecType` makes LLVM's known to numba, and every operation here
is an intrinsic that emits its few instructions. `Vec` is a vector under construction: Python's
operators on it emit instructions, so that a formula such as `exp` reads as one.

Multiplications are joined to additions only by `fma`, fused where the machine can.
"""

import inspect

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic, models, register_model
from numba.np import numpy_support

from skdeep.engine import target
from skdeep.engine.jit import part


class VecType(types.Type):
    """A vector of as many numbers of a scalar type as the machine's registers hold."""

    def __init__(self, scalar):
        self.scalar = scalar
        self.lanes = target.lanes(numpy_support.as_dtype(scalar))
        super().__init__(name=f"vec_{scalar}x{self.lanes}")


@register_model(VecType)
class _VecModel(models.PrimitiveModel):
    def __init__(self, manager, vec_type):
        element = manager.lookup(vec_type.scalar).get_value_type()
        super().__init__(manager, vec_type, ir.VectorType(element, vec_type.lanes))


def _bytes(vector):
    return 4 if isinstance(vector.element, ir.FloatType) else 8


class Vec:
    """An LLVM vector under construction; numbers beside it are spread over its lanes."""

    def __init__(self, builder, value):
        self.builder, self.value, self.type = builder, value, value.type

    @property
    def bits(self):
        return 8 * _bytes(self.type)

    def constant(self, number):
        return ir.Constant(self.type, [float(number)] * self.type.count)

    def full(self, number):
        return Vec(self.builder, self.constant(number))

    def lift(self, other):
        return other.value if isinstance(other, Vec) else self.constant(other)

    def _emit(self, instruction, *operands):
        return Vec(self.builder, getattr(self.builder, instruction)(*operands))

    def call(self, name, *others):
        """LLVM's own function of that name, lane by lane."""
        operands = [self.value, *map(self.lift, others)]
        signature = ir.FunctionType(self.type, [self.type] * len(operands))
        full_name = f"llvm.{name}.v{self.type.count}f{self.bits}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, full_name)
        return self._emit("call", function, operands)

    def __add__(self, other):
        return self._emit("fadd", self.value, self.lift(other))

    def __sub__(self, other):
        return self._emit("fsub", self.value, self.lift(other))

    def __mul__(self, other):
        return self._emit("fmul", self.value, self.lift(other))

    def __truediv__(self, other):
        return self._emit("fdiv", self.value, self.lift(other))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other):
        return self._emit("fsub", self.lift(other), self.value)

    def __rtruediv__(self, other):
        return self._emit("fdiv", self.lift(other), self.value)

    def fma(self, factor, summand):
        """self * factor + summand."""
        return self.call("fmuladd", factor, summand)

    def __lt__(self, other):
        return self.builder.fcmp_ordered("<", self.value, self.lift(other))

    def __gt__(self, other):
        return self.builder.fcmp_ordered(">", self.value, self.lift(other))

    def not_below(self, other):
        """Greater, equal or NaN."""
        return self.builder.fcmp_unordered(">=", self.value, self.lift(other))

    def is_number(self):
        return self.builder.fcmp_ordered("ord", self.value, self.value)

    def where(self, mask, other):
        """self where the mask holds, other elsewhere."""
        return self._emit("select", mask, self.value, self.lift(other))

    def round(self):
        return self.call("roundeven")

    def absolute(self):
        return self.call("fabs")

    def square_root(self):
        return self.call("sqrt")

    def with_sign_of(self, other):
        return self.call("copysign", other)

    def times_power_of_two(self, exponent):
        """self * 2 ** exponent, the exponent a whole number within the range of normal numbers."""
        bias, shift = (127, 23) if self.bits == 32 else (1023, 52)
        integers = ir.VectorType(ir.IntType(self.bits), self.type.count)
        number = lambda n: ir.Constant(integers, [n] * self.type.count)
        field = self.builder.add(self.builder.fptosi(exponent.value, integers), number(bias))
        power = self.builder.bitcast(self.builder.shl(field, number(shift)), self.type)
        return self._emit("fmul", self.value, power)


def elementwise(formula):
    """The intrinsic of a formula over `Vec`s, all of one type."""

    def typed(typingctx, *vectors):
        if len(set(vectors)) > 1:
            raise errors.TypingError(f"{formula.__name__} of vectors of different types {vectors}")

        def codegen(context, builder, signature, args):
            return formula(*(Vec(builder, arg) for arg in args)).value

        return vectors[0](*vectors), codegen

    # numba counts an intrinsic's named parameters.
    context = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = inspect.Signature([context, *inspect.signature(formula).parameters.values()])
    typed.__name__ = formula.__name__
    return intrinsic(typed)


add = elementwise(lambda a, b: a + b)
multiply = elementwise(lambda a, b: a * b)
subtract = elementwise(lambda a, b: a - b)
fma = elementwise(lambda a, b, c: a.fma(b, c))


# ------------------------------------------------------------------------------- vectors in memory


def _pointer(context, builder, array_type, array, *steps):
    """The address of array[sum(steps)]; the first steps are hoisted out of loops over the last."""
    pointer = context.make_array(array_type)(context, builder, array).data
    for step in steps:
        pointer = builder.gep(pointer, [step])
    return pointer


def _load(builder, pointer, vector):
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = _bytes(vector)
    return loaded


def _store(builder, value, pointer):
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    stored.align = _bytes(value.type)


def _masked_store(builder, value, pointer, n):
    integers = ir.VectorType(n.type, value.type.count)
    mask = builder.icmp_signed("<", ir.Constant(integers, list(range(integers.count))), _splat(builder, n, integers))
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    operands = [value, pointer, _index(_bytes(value.type)), mask]
    signature = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    name = f"llvm.masked.store.v{value.type.count}f{8 * _bytes(value.type)}.p0"
    builder.call(cgutils.get_or_insert_function(builder.module, signature, name), operands)


def _splat(builder, scalar, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _index(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def _index(number):
    return ir.Constant(ir.IntType(32), number)


@intrinsic
def lanes_of(typingctx, array):
    """Numbers of the array's dtype in one vector, a constant."""

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), VecType(array.dtype).lanes)

    return types.int64(array), codegen


@intrinsic
def splat(typingctx, scalar):
    """A vector with the scalar in every lane."""
    vector_type = VecType(scalar)

    def codegen(context, builder, signature, args):
        return _splat(builder, args[0], context.get_value_type(vector_type))

    return vector_type(scalar), codegen


@intrinsic
def load(typingctx, array, at):
    """array[at : at + lanes], an array of one dimension in C order."""
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        return _load(builder, _pointer(context, builder, array, *args), context.get_value_type(vector_type))

    return vector_type(array, at), codegen


@intrinsic
def store(typingctx, vector, array, at):
    """array[at : at + lanes] = vector."""

    def codegen(context, builder, signature, args):
        _store(builder, args[0], _pointer(context, builder, array, *args[1:]))
        return context.get_dummy_value()

    return types.void(vector, array, at), codegen


@intrinsic
def store_first(typingctx, vector, array, at, n):
    """array[at : at + n] = vector[:n] for n up to the number of lanes."""

    def codegen(context, builder, signature, args):
        value, array_, at_, n_ = args
        _masked_store(builder, value, _pointer(context, builder, array, array_, at_), n_)
        return context.get_dummy_value()

    return types.void(vector, array, at, n), codegen


@part
def store_span(vector, array, at, n):
    """array[at : at + n] = vector[:n], of a vector that may be the last of a longer span."""
    if n >= lanes_of(array):
        store(vector, array, at)
    else:
        store_first(vector, array, at, n)


@intrinsic
def keep_first(typingctx, vector, n):
    """The vector with zeros from lane n on."""

    def codegen(context, builder, signature, args):
        value, n_ = args
        integers = ir.VectorType(n_.type, value.type.count)
        lanes = ir.Constant(integers, list(range(value.type.count)))
        mask = builder.icmp_signed("<", lanes, _splat(builder, n_, integers))
        return builder.select(mask, value, ir.Constant(value.type, [0.0] * value.type.count))

    return vector(vector, n), codegen


@intrinsic
def prefetch(typingctx, array, at):
    """Fetch the cache line of array[at], to be written soon."""

    def codegen(context, builder, signature, args):
        pointer = builder.bitcast(_pointer(context, builder, array, *args), ir.IntType(8).as_pointer())
        operands = [pointer, _index(1), _index(3), _index(1)]  # for writing, into the nearest cache, data
        signature = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
        builder.call(cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0"), operands)
        return context.get_dummy_value()

    return types.void(array, at), codegen


def _transposed(builder, rows):
    """The transposed square of as many vectors as they have lanes: blocks of 1, 2, 4, ... change places."""
    lanes, half = len(rows), 1
    pick = lambda choice: ir.Constant(ir.VectorType(ir.IntType(32), lanes), choice)
    while half < lanes:
        upper = pick([lanes + j - half if j & half else j for j in range(lanes)])
        lower = pick([lanes + j if j & half else j + half for j in range(lanes)])
        for i in range(lanes):
            if not i & half:
                pair = rows[i], rows[i + half]
                rows[i] = builder.shuffle_vector(*pair, upper)
                rows[i + half] = builder.shuffle_vector(*pair, lower)
        half *= 2
    return rows


@intrinsic
def store_transposed(typingctx, array, at, row_step, out, out_at, out_step, n):
    """out[out_at + j * out_step + i] = array[at + i * row_step + j] for i < lanes and j < n <= lanes.

    The whole square of lanes x lanes is read.
    """
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        array_, at_, row_step_, out_, out_at_, out_step_, n_ = args
        vector = context.get_value_type(vector_type)
        row = lambda i: _pointer(context, builder, array, array_, at_, _times(builder, row_step_, i))
        columns = _transposed(builder, [_load(builder, row(i), vector) for i in range(vector.count)])
        for j, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", ir.Constant(n_.type, j), n_), likely=True):
                _store(builder, column, _pointer(context, builder, out, out_, out_at_, _times(builder, out_step_, j)))
        return context.get_dummy_value()

    return types.void(array, at, row_step, out, out_at, out_step, n), codegen


@intrinsic
def lane_sum(typingctx, vector):
    """The sum over the lanes, as a tree of halves."""

    def codegen(context, builder, signature, args):
        value = args[0]
        while value.type.count > 1:
            half = value.type.count // 2
            undefined = ir.Constant(value.type, ir.Undefined)
            pick = lambda first: ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(first, first + half)))
            low = builder.shuffle_vector(value, undefined, pick(0))
            value = builder.fadd(low, builder.shuffle_vector(value, undefined, pick(half)))
        return builder.extract_element(value, _index(0))

    return vector.scalar(vector), codegen


# ------------------------------------------------------------------------------ tiles of accumulators
#
# ROWS x VECS is the tile of dot products that leaves a register for each operand.
ROWS, VECS = (8, 3) if target.VECTOR_REGISTERS == 32 else (4, 3)
#
# A tile is a tuple of A x B vectors held in registers, tile[a * B + b] = sum over k of left[a, k] * right[b, k].


def _contract(builder, vector, n, sizes, factors, combine):
    """Accumulate combine(left[a], right[b], tile[a, b]) over k < n.

    `factors(k)` gives a function that emits left[a] and the list of right: one of the left is live at a
    time, which keeps a large tile within the registers.
    """
    n_left, n_right = sizes
    zero = ir.Constant(vector, [0.0] * vector.count)
    slots = [cgutils.alloca_once_value(builder, zero) for _ in range(n_left * n_right)]
    for slot in slots:  # alloca_once initialises at the function's entry only
        builder.store(zero, slot)
    with cgutils.for_range(builder, n, intp=n.type) as loop:
        left, right = factors(loop.index)
        for a in range(n_left):
            left_a = Vec(builder, left(a))
            for b in range(n_right):
                slot = slots[a * n_right + b]
                total = combine(left_a, Vec(builder, right[b]), Vec(builder, builder.load(slot)))
                builder.store(total.value, slot)
    return [builder.load(slot) for slot in slots]


def _times(builder, step, number):
    return builder.mul(step, ir.Constant(step.type, number))


def _product(a, b, total):
    return a.fma(b, total)


def _squared_difference(a, b, total):
    difference = a - b
    return difference.fma(difference, total)


def _row_tile(combine):
    """tile[p, q] = sum over k < n of combine(X[x_at + p * x_row + k * x_step], Y[y_at + k * y_step + q * lanes :]).

    ROWS rows of scalars of X meet VECS vectors of Y.
    """

    def tile(typingctx, X, x_at, x_row, x_step, Y, y_at, y_step, n, ROWS, VECS):
        rows, vecs = ROWS.literal_value, VECS.literal_value
        vector_type = VecType(X.dtype)

        def codegen(context, builder, signature, args):
            x_, x_at_, x_row_, x_step_, y_, y_at_, y_step_, n_ = args[:8]
            vector = context.get_value_type(vector_type)
            x_rows = [_pointer(context, builder, X, x_, x_at_, _times(builder, x_row_, p)) for p in range(rows)]
            y_base = _pointer(context, builder, Y, y_, y_at_)

            def factors(k):
                x_k, y_k = builder.mul(k, x_step_), builder.gep(y_base, [builder.mul(k, y_step_)])
                right = [_load(builder, builder.gep(y_k, [_index(q * vector.count)]), vector) for q in range(vecs)]
                return lambda p: _splat(builder, builder.load(builder.gep(x_rows[p], [x_k])), vector), right

            return context.make_tuple(
                builder, signature.return_type, _contract(builder, vector, n_, (rows, vecs), factors, combine)
            )

        result = types.UniTuple(vector_type, rows * vecs)
        return result(X, x_at, x_row, x_step, Y, y_at, y_step, n, ROWS, VECS), codegen

    return intrinsic(prefer_literal=True)(tile)


dot_tile = _row_tile(_product)
squared_distance_tile = _row_tile(_squared_difference)


@intrinsic(prefer_literal=True)
def correlation_tile(typingctx, x, pixels, p_at, taps, t_at, n_taps, w, w_at, PIXELS, CHANNELS):
    """tile[p, q] = sum over t < n_taps of x[pixels[p_at + p] + taps[t_at + t] :] * w[w_at + t * CHANNELS + q].

    Vectors of x meet scalars of w: the samples are in the lanes.
    """
    n_pixels, n_channels = PIXELS.literal_value, CHANNELS.literal_value
    vector_type = VecType(x.dtype)

    def codegen(context, builder, signature, args):
        x_, pixels_, p_at_, taps_, t_at_, n_taps_, w_, w_at_ = args[:8]
        vector = context.get_value_type(vector_type)
        x_pixels = []
        for p in range(n_pixels):
            pixel = builder.load(_pointer(context, builder, pixels, pixels_, p_at_, _index(p)))
            x_pixels.append(_pointer(context, builder, x, x_, pixel))
        taps_base = _pointer(context, builder, taps, taps_, t_at_)
        w_base = _pointer(context, builder, w, w_, w_at_)

        def factors(t):
            tap = builder.load(builder.gep(taps_base, [t]))
            w_t = builder.gep(w_base, [_times(builder, t, n_channels)])
            weights = [builder.load(builder.gep(w_t, [_index(q)])) for q in range(n_channels)]
            right = [_splat(builder, weight, vector) for weight in weights]
            return lambda p: _load(builder, builder.gep(x_pixels[p], [tap]), vector), right

        tile = _contract(builder, vector, n_taps_, (n_pixels, n_channels), factors, _product)
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, n_pixels * n_channels)
    return result(x, pixels, p_at, taps, t_at, n_taps, w, w_at, PIXELS, CHANNELS), codegen


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
            tap = builder.load(_pointer(context, builder, taps, taps_, t_at_, _index(t)))
            x_taps.append(_pointer(context, builder, x, x_, tap))
        planes = [_pointer(context, builder, z, z_, z_at_, _times(builder, z_plane_, q)) for q in range(n_channels)]
        table = _pointer(context, builder, pixels, pixels_, p_at_)

        def factors(p):
            entry = builder.gep(table, [_times(builder, p, 2)])
            x_pixel, z_pixel = builder.load(entry), builder.load(builder.gep(entry, [_index(1)]))
            right = [_load(builder, builder.gep(plane, [z_pixel]), vector) for plane in planes]
            return lambda t: _load(builder, builder.gep(x_taps[t], [x_pixel]), vector), right

        tile = _contract(builder, vector, n_pixels_, (n_taps, n_channels), factors, _product)
        return context.make_tuple(builder, signature.return_type, tile)

    result = types.UniTuple(vector_type, n_taps * n_channels)
    return result(x, taps, t_at, z, z_at, z_plane, pixels, p_at, n_pixels, TAPS, CHANNELS), codegen


@intrinsic(prefer_literal=True)
def store_tile(typingctx, tile, out, at, row_step, vec_step, VECS):
    """out[at + p * row_step + q * vec_step :] = tile[p, q] for every vector of the tile."""
    vecs = VECS.literal_value

    def codegen(context, builder, signature, args):
        tile_, out_, at_, row_step_, vec_step_ = args[:5]
        for j, value in enumerate(cgutils.unpack_tuple(builder, tile_)):
            p, q = divmod(j, vecs)
            steps = at_, _times(builder, row_step_, p), _times(builder, vec_step_, q)
            _store(builder, value, _pointer(context, builder, out, out_, *steps))
        return context.get_dummy_value()

    return types.void(tile, out, at, row_step, vec_step, VECS), codegen


@intrinsic(prefer_literal=True)
def store_tile_columns(typingctx, tile, out, at, row_step, n, VECS):
    """out[at + p * row_step :][:n] = row p of the tile, for n up to VECS * lanes."""
    vecs = VECS.literal_value

    def codegen(context, builder, signature, args):
        tile_, out_, at_, row_step_, n_ = args[:5]
        for j, value in enumerate(cgutils.unpack_tuple(builder, tile_)):
            p, q = divmod(j, vecs)
            first = ir.Constant(n_.type, q * value.type.count)
            pointer = _pointer(context, builder, out, out_, at_, _times(builder, row_step_, p), first)
            _masked_store(builder, value, pointer, builder.sub(n_, first))
        return context.get_dummy_value()

    return types.void(tile, out, at, row_step, n, VECS), codegen


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
            here = Vec(builder, _splat(builder, first, best[0].type)) + p
            for q in range(n_channels):
                value = values[p * n_channels + q]
                larger = builder.fcmp_unordered(">", value.value, best[q].value)
                larger = builder.and_(larger, best[q].is_number())
                best[q], where[q] = value.where(larger, best[q]), here.where(larger, where[q])
        return context.make_tuple(builder, signature.return_type, [v.value for v in best + where])

    return maxima(maxima, tile, slot, PIXELS, CHANNELS), codegen


equal_or_zero = elementwise(lambda value, a, b: value.where(value.builder.fcmp_ordered("==", a.value, b.value), 0.0))
