"""Activations: each a record of the function and its derivative."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from skdeep.engine.elementary import exponential, log1p_of_fraction, logistic, tanh
from skdeep.engine.jit import part
from skdeep.engine.simd import Vec, VecType, address, load_at, store_at


@dataclass(frozen=True)
class Activation:
    """a = function(z) and da/dz = slope(a), both formulas on vectors.

    Where the output does not tell the slope, as the function is not monotone, `slope` takes z instead.
    """

    function: Callable
    slope: Callable
    monotone: bool = True


def _positive_part(z):
    """max(z, 0), NaN staying NaN."""
    return z.where(z.not_below(0.0), 0.0)


def _elu(z):
    # exp(z) - 1 = 2 t / (1 - t) with t = tanh(z / 2), exact for small z, too.
    t = tanh(z.where(z < 0.0, 0.0) * 0.5)
    return z.where(z.not_below(0.0), (t + t) / (1.0 - t))


def _silu_slope(z):
    s = logistic(z)
    return s * (1.0 + z * (1.0 - s))


_GELU = math.sqrt(8 / math.pi)


def _gelu_gate(z):
    """(1 + tanh(u)) / 2 = logistic(2 u) with u = sqrt(2 / pi) (z + 0.044715 z^3)."""
    return logistic(_GELU * z * (1.0 + 0.044715 * z * z))


def _gelu_slope(z):
    s = _gelu_gate(z)
    return s + z * s * (1.0 - s) * (_GELU * (1.0 + 3 * 0.044715 * z * z))


def _softplus(z):
    return _positive_part(z) + log1p_of_fraction(exponential(0.0 - z.absolute()))


ACTIVATIONS = {
    "identity": Activation(lambda z: z, lambda a: a.full(1.0)),
    "logistic": Activation(logistic, lambda a: a * (1.0 - a)),
    "tanh": Activation(tanh, lambda a: 1.0 - a * a),
    # The slope at zero is zero.
    "relu": Activation(_positive_part, lambda a: a.full(1.0).where(a > 0.0, 0.0)),
    # Maas, Hannun & Ng (2013).
    "leaky_relu": Activation(lambda z: z.where(z.not_below(0.0), 0.01 * z), lambda a: a.full(1.0).where(a > 0.0, 0.01)),
    # Clevert, Unterthiner & Hochreiter (2016).
    "elu": Activation(_elu, lambda a: a.full(1.0).where(a > 0.0, a + 1.0)),
    # Hendrycks & Gimpel (2016), in their approximation by tanh.
    "gelu": Activation(lambda z: z * _gelu_gate(z), _gelu_slope, monotone=False),
    # Elfwing, Uchibe & Doya (2018).
    "silu": Activation(lambda z: z * logistic(z), _silu_slope, monotone=False),
    # Dugas, Bengio, Belisle, Nadeau & Garcia (2001).
    "softplus": Activation(_softplus, lambda a: 1.0 - exponential(0.0 - a)),
}
CODES = {name: code for code, name in enumerate(ACTIVATIONS)}
IDENTITY, RELU = CODES["identity"], CODES["relu"]


def _branches(builder, code, formulas):
    """Code for each formula in turn, of which one is reached, and ways on from all to the same end."""
    blocks = [builder.append_basic_block() for _ in formulas]
    end = builder.append_basic_block()
    switch = builder.switch(code, blocks[0])
    for number, (block, formula) in enumerate(zip(blocks, formulas, strict=True)):
        if number:
            switch.add_case(ir.Constant(code.type, number), block)
        builder.position_at_end(block)
        yield formula
        builder.branch(end)
    builder.position_at_end(end)


def _chosen(formulas):
    """The intrinsic (code, vector) that branches to one of the formulas."""

    @intrinsic
    def chosen(typingctx, code, vector):
        def codegen(context, builder, signature, args):
            values = []
            for formula in _branches(builder, args[0], formulas):
                values.append((formula(Vec(builder, args[1])).value, builder.block))
            phi = builder.phi(args[1].type)
            for value, block in values:
                phi.add_incoming(value, block)
            return phi

        return vector(code, vector), codegen

    return chosen


@intrinsic
def activate_row(typingctx, code, array, at, bias, b_at, n):
    """array[at : at + n] = f(array[at : at + n] + bias[b_at : b_at + n]) in whole vectors, the code saying which f."""

    def codegen(context, builder, signature, args):
        code_, array_, at_, bias_, b_at_, n_ = args
        vector = context.get_value_type(VecType(array.dtype))
        start, terms = address(context, builder, array, array_, at_), address(context, builder, bias, bias_, b_at_)
        step = ir.Constant(n_.type, vector.count)
        for formula in _branches(builder, code_, _FUNCTIONS):
            with cgutils.for_range_slice(builder, n_.type(0), n_, step, n_.type) as (c, _):
                place = builder.gep(start, [c])
                term = load_at(builder, builder.gep(terms, [c]), vector)
                z = Vec(builder, builder.fadd(load_at(builder, place, vector), term))
                store_at(builder, formula(z).value, place)
        return context.get_dummy_value()

    return types.void(code, array, at, bias, b_at, n), codegen


_FUNCTIONS = [activation.function for activation in ACTIVATIONS.values()]
_activate = _chosen(_FUNCTIONS)
_slope = _chosen([activation.slope for activation in ACTIVATIONS.values()])


@part
def activate(code, z):
    """f(z), the code saying which f."""
    return _activate(code, z)


@part
def slope(code, vector):
    """f'(z) from f(z), or from z where f is not monotone."""
    return _slope(code, vector)
