"""Activations: each a record of the function and its derivative, the latter in terms of the output."""

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir
from numba.extending import intrinsic

from skdeep.engine.elementary import logistic, tanh
from skdeep.engine.simd import Vec


@dataclass(frozen=True)
class Activation:
    """a = function(z) and da/dz = slope(a), both formulas on vectors."""

    function: Callable
    slope: Callable


ACTIVATIONS = {
    "identity": Activation(lambda z: z, lambda a: a.full(1.0)),
    "logistic": Activation(logistic, lambda a: a * (1.0 - a)),
    "tanh": Activation(tanh, lambda a: 1.0 - a * a),
    # NaN stays NaN; the slope at zero is zero.
    "relu": Activation(lambda z: z.where(z.not_below(0.0), 0.0), lambda a: a.full(1.0).where(a > 0.0, 0.0)),
}
CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


def _chosen(formulas):
    """The intrinsic (code, vector) that branches to one of the formulas."""

    @intrinsic
    def chosen(typingctx, code, vector):
        def codegen(context, builder, signature, args):
            blocks = [builder.append_basic_block() for _ in formulas]
            end = builder.append_basic_block()
            switch = builder.switch(args[0], blocks[0])
            values = []
            for number, (block, formula) in enumerate(zip(blocks, formulas, strict=True)):
                if number:
                    switch.add_case(ir.Constant(args[0].type, number), block)
                builder.position_at_end(block)
                values.append(formula(Vec(builder, args[1])).value)
                builder.branch(end)
            builder.position_at_end(end)
            phi = builder.phi(args[1].type)
            for value, block in zip(values, blocks, strict=True):
                phi.add_incoming(value, block)
            return phi

        return vector(code, vector), codegen

    return chosen


activate = _chosen([activation.function for activation in ACTIVATIONS.values()])
slope = _chosen([activation.slope for activation in ACTIVATIONS.values()])
