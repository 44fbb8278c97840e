"""Vectors of the machine's width inside numba: `load`, `store` and arithmetic.

numba has no vector type; LLVM has. `VecType` makes LLVM's known to numba, and every operation here
is an intrinsic that emits its few instructions. `Vec` is a vector under construction: Python's
operators on it emit instructions, so that a formula such as `exp` reads as one.

Multiplications are joined to additions only by `fma`, fused where the machine can.
"""

import inspect
import math

import numpy as np
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

    def __neg__(self):
        return self._emit("fneg", self.value)

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
        field = exponent._low_bits(self._bias)
        power = self.builder.shl(field, self._integers(self._mantissa_bits))
        return self * self._from_bits(power)

    def bit(self, n):
        """The mask of the whole numbers below 2^21 (float32) or 2^50 in size with bit n of two's complement set."""
        sign_first = self.builder.shl(self._low_bits(), self._integers(self.bits - 1 - n))
        return self.builder.icmp_signed("<", sign_first, self._integers(0))

    def split(self):
        """A whole number e and m from sqrt(1/2) to sqrt(2) with self = m 2^e, for positive normal numbers."""
        size, one = self._mantissa_bits, self._bias << self._mantissa_bits
        root = _bits_of(math.sqrt(0.5), self.bits)
        integers = self._integers
        # An addition to the bits moves the step from one exponent to the next from powers of two to their roots.
        shifted = self.builder.add(self._as_bits(), integers(one - root))
        # As the last bits of 2^size, the exponent is a number without being converted.
        power = _bits_of(2.0**size, self.bits)
        field = self.builder.or_(self.builder.lshr(shifted, integers(size)), integers(power))
        exponent = self._from_bits(field) - (2.0**size + self._bias)
        mantissa = self.builder.add(self.builder.and_(shifted, integers(2**size - 1)), integers(root))
        return exponent, self._from_bits(mantissa)

    @property
    def _mantissa_bits(self):
        return 23 if self.bits == 32 else 52

    @property
    def _bias(self):
        return 127 if self.bits == 32 else 1023

    def _integers(self, number):
        return ir.Constant(ir.VectorType(ir.IntType(self.bits), self.type.count), [number] * self.type.count)

    def _as_bits(self):
        return self.builder.bitcast(self.value, ir.VectorType(ir.IntType(self.bits), self.type.count))

    def _from_bits(self, integers):
        return Vec(self.builder, self.builder.bitcast(integers, self.type))

    def _low_bits(self, offset=0):
        """Integers whose last 22 or 51 bits are those of self + offset, a whole number of that size.

        Added to 1.5 * 2^52 its units are the sum's last bits: AVX2 cannot convert float64 to integers.
        """
        return (self + (1.5 * 2.0**self._mantissa_bits + offset))._as_bits()


def _bits_of(number, bits):
    """The bits of a floating-point number as an integer."""
    return int(np.array(number, f"f{bits // 8}").view(f"i{bits // 8}"))


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
equal_or_zero = elementwise(lambda value, a, b: value.where(value.builder.fcmp_ordered("==", a.value, b.value), 0.0))


# ------------------------------------------------------------------------------- vectors in memory


def address(context, builder, array_type, array, *steps):
    """The address of array[sum(steps)]; the first steps are hoisted out of loops over the last."""
    pointer = context.make_array(array_type)(context, builder, array).data
    for step in steps:
        pointer = builder.gep(pointer, [step])
    return pointer


def load_at(builder, pointer, vector):
    loaded = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    loaded.align = _bytes(vector)
    return loaded


def store_at(builder, value, pointer):
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    stored.align = _bytes(value.type)


def masked_store_at(builder, value, pointer, n):
    integers = ir.VectorType(n.type, value.type.count)
    mask = builder.icmp_signed("<", ir.Constant(integers, list(range(integers.count))), splat_of(builder, n, integers))
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    operands = [value, pointer, index(_bytes(value.type)), mask]
    signature = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    name = f"llvm.masked.store.v{value.type.count}f{8 * _bytes(value.type)}.p0"
    builder.call(cgutils.get_or_insert_function(builder.module, signature, name), operands)


def splat_of(builder, scalar, vector):
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, index(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def times(builder, step, number):
    return builder.mul(step, ir.Constant(step.type, number))


def index(number):
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
        return splat_of(builder, args[0], context.get_value_type(vector_type))

    return vector_type(scalar), codegen


@intrinsic
def load(typingctx, array, at):
    """array[at : at + lanes], an array of one dimension in C order."""
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        return load_at(builder, address(context, builder, array, *args), context.get_value_type(vector_type))

    return vector_type(array, at), codegen


@intrinsic
def store(typingctx, vector, array, at):
    """array[at : at + lanes] = vector."""

    def codegen(context, builder, signature, args):
        store_at(builder, args[0], address(context, builder, array, *args[1:]))
        return context.get_dummy_value()

    return types.void(vector, array, at), codegen


@intrinsic
def store_first(typingctx, vector, array, at, n):
    """array[at : at + n] = vector[:n] for n up to the number of lanes."""

    def codegen(context, builder, signature, args):
        value, array_, at_, n_ = args
        masked_store_at(builder, value, address(context, builder, array, array_, at_), n_)
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
        mask = builder.icmp_signed("<", lanes, splat_of(builder, n_, integers))
        return builder.select(mask, value, ir.Constant(value.type, [0.0] * value.type.count))

    return vector(vector, n), codegen


@intrinsic
def any_below(typingctx, vector, bound):
    """Whether a lane of the vector is below that of the other."""

    def codegen(context, builder, signature, args):
        mask = builder.fcmp_ordered("<", *args)
        bits = builder.bitcast(mask, ir.IntType(mask.type.count))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(vector, bound), codegen


@intrinsic
def prefetch(typingctx, array, at):
    """Fetch the cache line of array[at], to be written soon."""

    def codegen(context, builder, signature, args):
        pointer = builder.bitcast(address(context, builder, array, *args), ir.IntType(8).as_pointer())
        operands = [pointer, index(1), index(3), index(1)]  # for writing, into the nearest cache, data
        signature = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
        builder.call(cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0"), operands)
        return context.get_dummy_value()

    return types.void(array, at), codegen


@intrinsic
def take_ticket(typingctx, tickets):
    """tickets[0], which becomes one more: no two threads get the same."""

    def codegen(context, builder, signature, args):
        pointer = address(context, builder, tickets, args[0], index(0))
        return builder.atomic_rmw("add", pointer, ir.Constant(pointer.type.pointee, 1), "monotonic")

    return types.int64(tickets), codegen


def _exchanged(builder, a, b, half):
    """The lanes of two vectors, blocks of `half` of them changing places: from both the even blocks, then the odd."""
    lanes = a.type.count
    pick = lambda choice: ir.Constant(ir.VectorType(ir.IntType(32), lanes), choice)
    even = pick([lanes + j - half if j & half else j for j in range(lanes)])
    odd = pick([lanes + j if j & half else j + half for j in range(lanes)])
    return builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd)


def _transposed(builder, rows):
    """The transposed square of as many vectors as they have lanes: blocks of 1, 2, 4, ... change places."""
    lanes, half = len(rows), 1
    while half < lanes:
        for i in range(lanes):
            if not i & half:
                rows[i], rows[i + half] = _exchanged(builder, rows[i], rows[i + half], half)
        half *= 2
    return rows


def lane_sums_of(builder, vectors):
    """A vector of the sums over the lanes of as many vectors as there are lanes, or of fewer."""
    lanes, half = vectors[0].type.count, 1
    vectors = vectors + [ir.Constant(vectors[0].type, [0.0] * lanes)] * (lanes - len(vectors))
    while half < lanes:
        pairs = zip(vectors[::2], vectors[1::2])
        vectors, half = [builder.fadd(*_exchanged(builder, a, b, half)) for a, b in pairs], 2 * half
    return vectors[0]


@intrinsic
def store_transposed(typingctx, array, at, row_step, out, out_at, out_step, n):
    """out[out_at + j * out_step + i] = array[at + i * row_step + j] for i < lanes and j < n <= lanes.

    The whole square of lanes x lanes is read.
    """
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        array_, at_, row_step_, out_, out_at_, out_step_, n_ = args
        vector = context.get_value_type(vector_type)
        row = lambda i: address(context, builder, array, array_, at_, times(builder, row_step_, i))
        columns = _transposed(builder, [load_at(builder, row(i), vector) for i in range(vector.count)])
        for j, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", ir.Constant(n_.type, j), n_), likely=True):
                store_at(builder, column, address(context, builder, out, out_, out_at_, times(builder, out_step_, j)))
        return context.get_dummy_value()

    return types.void(array, at, row_step, out, out_at, out_step, n), codegen


@intrinsic
def scatter_columns(typingctx, array, rows, row_size, at, out, places, p_at):
    """out[places[p_at + j] + i] = array[rows[i] * row_size + at + j] for i and j < lanes."""
    vector_type = VecType(array.dtype)

    def codegen(context, builder, signature, args):
        array_, rows_, row_size_, at_, out_, places_, p_at_ = args
        vector = context.get_value_type(vector_type)
        own, table = address(context, builder, rows, rows_), address(context, builder, places, places_, p_at_)
        row = lambda i: builder.mul(builder.load(builder.gep(own, [index(i)])), row_size_)
        vectors = [
            load_at(builder, address(context, builder, array, array_, row(i), at_), vector) for i in range(vector.count)
        ]
        for j, column in enumerate(_transposed(builder, vectors)):
            place = builder.load(builder.gep(table, [index(j)]))
            store_at(builder, column, address(context, builder, out, out_, place))
        return context.get_dummy_value()

    return types.void(array, rows, row_size, at, out, places, p_at), codegen


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
        return builder.extract_element(value, index(0))

    return vector.scalar(vector), codegen
