"""Short correlations with fewer products than terms, along rows and columns of planes.

For 3 taps, 2 outputs take 4 products in place of 6 (Winograd, 1980; Lavin & Gray, 2016). For 5 taps the even and the
odd pixels are correlated by themselves, three times for 4 outputs (Mou & Duhamel, 1991), which take 11 products in
place of 20. All else is additions and halves: whole numbers come out exact.
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


ALGORITHMS = {algorithm.n_taps: algorithm for algorithm in (_THREE, _in_two_phases(_THREE, _TWO))}


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


# How many vectors are transformed: as many as are given, or as the formula has inputs or outputs.
AS_GIVEN, AS_INPUTS, AS_OUTPUTS = range(3)


@intrinsic(prefer_literal=True)
def _transforms(typingctx, taps, x, at, along, step, out, to, out_along, out_step, n, WHICH, COUNT):
    """out[to + i * out_along + k * out_step :] = transformed vectors x[at + i * along + j * step :], for each i < n.

    By the algorithm for so many taps.
    """

    def codegen(context, builder, signature, args):
        taps_, x_, at_, along_, step_, out_, to_, out_along_, out_step_, n_ = args[:10]
        vector = context.get_value_type(VecType(x.dtype))
        for algorithm in ALGORITHMS.values():
            formula, size, n_outputs = formula_of(algorithm, WHICH.literal_value)
            count = (n_, n_.type(size), n_.type(n_outputs))[COUNT.literal_value]
            is_it = builder.icmp_signed("==", taps_, ir.Constant(taps_.type, algorithm.n_taps))
            with builder.if_then(is_it), cgutils.for_range(builder, count, intp=n_.type) as loop:
                places = at_, builder.mul(loop.index, along_)
                own = [address(context, builder, x, x_, *places, times(builder, step_, j)) for j in range(size)]
                values = formula([Vec(builder, load_at(builder, place, vector)) for place in own])
                places = to_, builder.mul(loop.index, out_along_)
                for k, value in enumerate(values):
                    place = address(context, builder, out, out_, *places, times(builder, out_step_, k))
                    store_at(builder, value.value, place)
        return context.get_dummy_value()

    return types.void(taps, x, at, along, step, out, to, out_along, out_step, n, WHICH, COUNT), codegen


def _few(WHICH, COUNT):
    @part
    def few(taps, x, at, along, step, out, to, out_along, out_step):
        """A pass over a patch."""
        _transforms(taps, x, at, along, step, out, to, out_along, out_step, 0, WHICH, COUNT)

    return few


def _many(WHICH):
    @part
    def many(taps, x, at, along, step, out, to, out_along, out_step, n):
        """A pass over many patches and channels."""
        _transforms(taps, x, at, along, step, out, to, out_along, out_step, n, WHICH, AS_GIVEN)

    return many


# Each transform in two passes, one along the rows of patches and one along their columns.
inputs_of_rows, inputs_of_columns = _few(INPUTS, AS_INPUTS), _few(INPUTS, AS_OUTPUTS)
weights_of_rows, weights_of_columns = _few(WEIGHTS, AS_INPUTS), _few(WEIGHTS, AS_OUTPUTS)
outputs_of_rows, outputs_of_columns = _many(OUTPUTS), _few(OUTPUTS, AS_OUTPUTS)
inputs_adjoint_of_rows, inputs_adjoint_of_columns = _many(INPUTS_ADJOINT), _few(INPUTS_ADJOINT, AS_OUTPUTS)
weights_adjoint_of_columns, weights_adjoint_of_rows = (_few(WEIGHTS_ADJOINT, n) for n in (AS_INPUTS, AS_OUTPUTS))
outputs_adjoint_of_columns, outputs_adjoint_of_rows = _few(OUTPUTS_ADJOINT, AS_INPUTS), _many(OUTPUTS_ADJOINT)
