"""Short correlations with fewer products than terms, along rows and columns of planes.

For 3 taps, 2 outputs take 4 products in place of 6 (Winograd, 1980; Lavin & Gray, 2016). For 5 taps the even and the
odd pixels are correlated by themselves, three times (Mou & Duhamel, 1991): 4 outputs take 11 products in place of 20,
10 outputs 25 in place of 50. All else is additions and halves: whole numbers come out exact.
"""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skdeep.engine.jit import part
from skdeep.engine.simd import Vec, VecType, address, load_at, store_at, times


class Algorithm(NamedTuple):
    """A short correlation: y[i] = sum over k of w[k] x[i + k] as outputs(weights(w) * inputs(x)).

    The three are functions of lists of numbers, of vectors or of whatever else can be added and halved.
    """

    n_taps: int
    n_outputs: int
    n_points: int
    inputs: Callable
    weights: Callable
    outputs: Callable

    @property
    def n_inputs(self):
        return self.n_outputs + self.n_taps - 1


class _Sum:
    """A number in a formula of sums, with its terms as (factor, number)."""

    def __init__(self, tape, *terms):
        self.tape, self.terms, self.delta = tape, terms, None
        tape.append(self)

    def __add__(self, other):
        return _Sum(self.tape, (1, self), (1, other))

    def __sub__(self, other):
        return _Sum(self.tape, (1, self), (-1, other))

    def __mul__(self, factor):
        return _Sum(self.tape, (factor, self))

    def __neg__(self):
        return self * -1

    def receive(self, factor, delta):
        if abs(factor) != 1:
            delta = delta * abs(factor)
        if self.delta is None:
            self.delta = delta if factor > 0 else -delta
        else:
            self.delta = self.delta + delta if factor > 0 else self.delta - delta


def adjoint(formula, n_inputs):
    """The adjoint of a formula of sums, by backpropagation through it: with as many additions (Bordewijk, 1956)."""

    def backwards(deltas):
        tape = []
        inputs = [_Sum(tape) for _ in range(n_inputs)]
        for output, delta in zip(formula(inputs), deltas, strict=True):
            output.receive(1, delta)
        for number in reversed(tape):
            for factor, term in number.terms:
                term.receive(factor, number.delta)
        return [number.delta for number in inputs]

    return backwards


def _three_weights(w):
    ends = w[0] + w[2]
    return [w[0], (ends + w[1]) * 0.5, (ends - w[1]) * 0.5, w[2]]


# Two outputs of two taps from 3 products in place of 4, and of three taps from 4 in place of 6.
_TWO = Algorithm(
    n_taps=2,
    n_outputs=2,
    n_points=3,
    inputs=lambda x: [x[0] - x[1], x[1], x[2] - x[1]],
    weights=lambda w: [w[0], w[0] + w[1], w[1]],
    outputs=lambda m: [m[0] + m[1], m[1] + m[2]],
)
_THREE = Algorithm(
    n_taps=3,
    n_outputs=2,
    n_points=4,
    inputs=lambda x: [x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]],
    weights=_three_weights,
    outputs=lambda m: [m[0] + m[1] + m[2], m[1] - m[2] - m[3]],
)


def _in_two_phases(even, odd):
    """Twice as many outputs of the taps of both, the even and the odd ones by themselves.

    With inputs x, taps w and outputs y in their phases 0 and 1, and x2 the even inputs from the second on:
    y0 = w0 (x0 - x1) + (w0 + w1) x1, y1 = w1 (x2 - x1) + (w0 + w1) x1.
    """
    first, last = even.n_points, 2 * even.n_points

    def inputs(x):
        zero, one = x[::2], x[1::2]
        ahead = [zero[i] - one[i] for i in range(even.n_inputs)]
        behind = [zero[i + 1] - one[i] for i in range(odd.n_inputs)]
        return even.inputs(ahead) + even.inputs(one) + odd.inputs(behind)

    def weights(w):
        zero, one = w[::2], w[1::2]
        both = [zero[i] + one[i] for i in range(odd.n_taps)] + zero[odd.n_taps :]
        return even.weights(zero) + even.weights(both) + odd.weights(one)

    def outputs(m):
        ahead, middle, behind = even.outputs(m[:first]), even.outputs(m[first:last]), odd.outputs(m[last:])
        return [y for a, b, c in zip(ahead, middle, behind, strict=True) for y in (a + b, c + b)]

    n_taps, n_points = even.n_taps + odd.n_taps, last + odd.n_points
    return Algorithm(n_taps, 2 * even.n_outputs, n_points, inputs, weights, outputs)


def _at_roots(a):
    """A polynomial at 1, at -1 and at the imaginary unit, of which the real and the imaginary part and their sum."""
    even, odd, real, imaginary = *a[:2], *a[:2]
    for k, number in enumerate(a[2:], 2):
        if k % 2:
            odd, imaginary = odd + number, imaginary + number if k % 4 == 1 else imaginary - number
        else:
            even, real = even + number, real + number if k % 4 == 0 else real - number
    return [even + odd, even - odd, real, imaginary, real + imaginary]


def _weights_at_roots(w):
    one, minus_one, *unit = _at_roots(w)
    return [one * 0.25, minus_one * 0.25, *(part * 0.5 for part in unit)]


def _from_roots(m):
    """Sums of the coefficients of a product of polynomials, from its values where `_at_roots` took them.

    Those of 0, 4, 8, ..., of 1, 5, ..., of 2, 6, ... and of 3, 7, ....
    """
    even, odd, real, imaginary = m[0] + m[1], m[0] - m[1], m[2] - m[3], m[4] - m[2] - m[3]
    return even + real, odd + imaginary, even - real, odd - imaginary


def _product_of_five_and_two(m):
    zero, one, two, three = _from_roots(m[1:6])
    return [m[0], one - m[6], two, three, zero - m[0], m[6]]


def _product_of_five_and_three(m):
    zero, one, two, three = _from_roots(m[3:8])
    second = m[1] + m[2]
    return [m[0], second, two - m[8], three, zero - m[0], one - second, m[8]]


# Five outputs by the transpose of a product of polynomials (Winograd, 1980), which is known from its values at 0, 1,
# -1, the imaginary unit, where three products of numbers make one, and infinity; of three taps also from its slope
# at 0.
_FIVE_OF_TWO = Algorithm(
    n_taps=2,
    n_outputs=5,
    n_points=7,
    inputs=adjoint(_product_of_five_and_two, 7),
    weights=lambda w: [w[0], *_weights_at_roots(w), w[1]],
    outputs=adjoint(lambda a: [a[0], *_at_roots(a), a[4]], 5),
)
_FIVE_OF_THREE = Algorithm(
    n_taps=3,
    n_outputs=5,
    n_points=9,
    inputs=adjoint(_product_of_five_and_three, 9),
    weights=lambda w: [w[0], w[1], w[0], *_weights_at_roots(w), w[2]],
    outputs=adjoint(lambda a: [a[0], a[0], a[1], *_at_roots(a), a[4]], 5),
)

THREE, FIVE, LONG_FIVE = range(3)
ALGORITHMS = _THREE, _in_two_phases(_THREE, _TWO), _in_two_phases(_FIVE_OF_THREE, _FIVE_OF_TWO)


INPUTS, WEIGHTS, OUTPUTS, INPUTS_ADJOINT, WEIGHTS_ADJOINT, OUTPUTS_ADJOINT = range(6)


def formula_of(algorithm, which):
    """One of the transforms of an algorithm, with the numbers of its inputs and outputs."""
    formula, n_inputs, n_outputs = [
        (algorithm.inputs, algorithm.n_inputs, algorithm.n_points),
        (algorithm.weights, algorithm.n_taps, algorithm.n_points),
        (algorithm.outputs, algorithm.n_points, algorithm.n_outputs),
    ][which % 3]
    if which < INPUTS_ADJOINT:
        return formula, n_inputs, n_outputs
    return adjoint(formula, n_inputs), n_outputs, n_inputs


# Those by which squares are transformed, along both of their sides.
SQUARE = THREE, FIVE
# How many vectors are transformed: as many as are given, or as the formula has inputs or outputs.
AS_GIVEN, AS_INPUTS, AS_OUTPUTS = range(3)


@intrinsic(prefer_literal=True)
def _transforms(typingctx, algorithm, x, at, along, step, out, to, out_along, out_step, n, WHICH, COUNT):
    """out[to + i * out_along + k * out_step :] = transformed vectors x[at + i * along + j * step :], for each i < n."""

    def codegen(context, builder, signature, args):
        algorithm_, x_, at_, along_, step_, out_, to_, out_along_, out_step_, n_ = args[:10]
        vector = context.get_value_type(VecType(x.dtype))
        for number in range(len(ALGORITHMS)) if COUNT.literal_value == AS_GIVEN else SQUARE:
            formula, size, n_outputs = formula_of(ALGORITHMS[number], WHICH.literal_value)
            count = (n_, n_.type(size), n_.type(n_outputs))[COUNT.literal_value]
            is_it = builder.icmp_signed("==", algorithm_, ir.Constant(algorithm_.type, number))
            with builder.if_then(is_it), cgutils.for_range(builder, count, intp=n_.type) as loop:
                places = at_, builder.mul(loop.index, along_)
                own = [address(context, builder, x, x_, *places, times(builder, step_, j)) for j in range(size)]
                values = formula([Vec(builder, load_at(builder, place, vector)) for place in own])
                places = to_, builder.mul(loop.index, out_along_)
                for k, value in enumerate(values):
                    place = address(context, builder, out, out_, *places, times(builder, out_step_, k))
                    store_at(builder, value.value, place)
        return context.get_dummy_value()

    return types.void(algorithm, x, at, along, step, out, to, out_along, out_step, n, WHICH, COUNT), codegen


def _few(WHICH, COUNT):
    @part
    def few(algorithm, x, at, along, step, out, to, out_along, out_step):
        """A pass over a square."""
        _transforms(algorithm, x, at, along, step, out, to, out_along, out_step, 0, WHICH, COUNT)

    return few


def _many(WHICH):
    @part
    def many(algorithm, x, at, along, step, out, to, out_along, out_step, n):
        """A pass over many rows, patches or channels."""
        _transforms(algorithm, x, at, along, step, out, to, out_along, out_step, n, WHICH, AS_GIVEN)

    return many


transformed_inputs, transformed_weights, transformed_outputs = (_many(which) for which in (INPUTS, WEIGHTS, OUTPUTS))
adjoint_inputs, adjoint_weights, adjoint_outputs = (
    _many(which) for which in (INPUTS_ADJOINT, WEIGHTS_ADJOINT, OUTPUTS_ADJOINT)
)
# Of squares, those that take one at a time: each transform in two passes, along the rows and along the columns.
inputs_of_rows, inputs_of_columns = _few(INPUTS, AS_INPUTS), _few(INPUTS, AS_OUTPUTS)
weights_of_rows, weights_of_columns = _few(WEIGHTS, AS_INPUTS), _few(WEIGHTS, AS_OUTPUTS)
outputs_of_columns, inputs_adjoint_of_columns = _few(OUTPUTS, AS_OUTPUTS), _few(INPUTS_ADJOINT, AS_OUTPUTS)
weights_adjoint_of_columns, weights_adjoint_of_rows = (_few(WEIGHTS_ADJOINT, n) for n in (AS_INPUTS, AS_OUTPUTS))
outputs_adjoint_of_columns = _few(OUTPUTS_ADJOINT, AS_INPUTS)
