"""Derivatives of kernels by the logarithms of their hyperparameters, as expressions of the same graph.

The adjoint of a node is the derivative of the kernel by its value (reverse mode; Linnainmaa, 1970). Where a
hyperparameter enters a constant, its derivative is the adjoint times a value of the node; where it scales the
features of a distance, that times what each feature adds to the distance.
"""

from skdeep.engine import tile_program as engine
from skdeep.kernels.inputs import Beside, Circle, CircleSlope, Inputs, Rows
from skdeep.kernels.program import (
    ABSOLUTE_DISTANCE,
    DOT,
    SQUARED_DISTANCE,
    Expression,
    Number,
    Source,
    inverse_root,
    reciprocal,
)


def derivatives(graph, result, seed):
    """The derivatives of `seed` times an expression by each hyperparameter in it.

    Parameters
    ----------
    graph : Graph
    result : Expression
        The formula of a kernel whose hyperparameters are `Number`s.
    seed : Expression
        What each pair is weighed with.

    Returns
    -------
    by_key : dict from key to Expression
    by_scale : list of (Expression, Source)
        For each distance whose features have hyperparameters of their own: feature k adds to the derivative by the
        logarithm of its factor the expression times its part of the distance, twice for squared distances.
    """
    sweep = _Sweep(graph)
    sweep.adjoints[result.place] = seed
    for place in range(result.place, -1, -1):
        if place in sweep.adjoints and sweep.depends(place):
            sweep.visit(place)
    return sweep.by_key, sweep.by_scale


class _Sweep:
    def __init__(self, graph):
        self.graph, self.adjoints, self.by_key, self.by_scale, self._depends = graph, {}, {}, [], {}

    def depends(self, place):
        """Whether a hyperparameter is in the node or below it."""
        if place not in self._depends:
            node = self.graph.nodes[place]
            own = any(isinstance(item, Number) and item.slopes for item in node.data)
            own = own or (node.operation == engine.SOURCE and self._is_tracked(Source(*node.data)))
            self._depends[place] = own or any(map(self.depends, node.operands))
        return self._depends[place]

    @staticmethod
    def _is_tracked(source):
        inputs = source.left
        if not isinstance(inputs, Inputs):
            return False
        scaled = inputs.scale is not None and isinstance(inputs.scale[0], Number)
        turned = isinstance(inputs.map, Circle) and isinstance(inputs.map.period, Number)
        return scaled or turned or (isinstance(inputs.map, Rows) and bool(getattr(inputs.map.function, "keys", ())))

    def add(self, place, adjoint):
        self.adjoints[place] = self.adjoints[place] + adjoint if place in self.adjoints else adjoint

    def add_slopes(self, number, expression):
        for key, slope in getattr(number, "slopes", ()):
            if slope:
                term = slope * expression
                self.by_key[key] = self.by_key[key] + term if key in self.by_key else term

    def visit(self, place):
        """Hand the adjoint of a node down to its operands."""
        operation, operands, data = self.graph.nodes[place]
        adjoint, value = self.adjoints[place], Expression(self.graph, place)
        x = Expression(self.graph, operands[0]) if operands else None
        if operation == engine.SOURCE:
            self._source(Source(*data), adjoint)
        elif operation == engine.CONSTANT:
            self.add_slopes(data[0], adjoint)
        elif operation == engine.AFFINE:
            self.add_slopes(data[0], adjoint * x)
            self.add_slopes(data[1], adjoint)
            self.add(x.place, adjoint * float(data[0]))
        elif operation == engine.ADD:
            for operand in operands:
                self.add(operand, adjoint)
        elif operation == engine.MULTIPLY:
            for operand, other in (operands, reversed(operands)):
                self.add(operand, adjoint * Expression(self.graph, other))
        elif operation == engine.POWER:
            (n,) = data
            self.add(x.place, adjoint * (n * x ** (n - 1)))
        else:
            self.add(x.place, adjoint * _slope(operation, x, value))

    def _source(self, source, adjoint):
        inputs = source.left
        if inputs.scale is not None and isinstance(inputs.scale[0], Number):
            self.by_scale.append((adjoint, source))
        if isinstance(inputs.map, Circle) and isinstance(inputs.map.period, Number):
            # d/dlog p of sum_i s_i^2 |phi(x_i) - phi(y_i)|^2 is -2 sum_i s_i^2 (a_i - b_i) sin(a_i - b_i).
            left, right = (Inputs(inputs.columns, CircleSlope(inputs.map.period, side)) for side in (True, False))
            if inputs.scale is not None:
                squares = tuple(float(s) ** 2 for s in inputs.scale)
                left = Inputs(left.columns, left.map, squares * 2)
            self.add_slopes(_log(inputs.map.period), -2.0 * adjoint * self.graph.source(DOT, left, right))
        if isinstance(inputs.map, Rows):
            values = inputs.map.function
            for key in getattr(values, "keys", ()):
                # The derivative of f(x) f(y) is f'(x) f(y) + f(x) f'(y).
                slope = Rows(values.slope(key))
                left, right = Beside(slope, inputs.map), Beside(inputs.map, slope)
                product = self.graph.source(DOT, Inputs(inputs.columns, left), Inputs(inputs.columns, right))
                self.add_slopes(Number(0.0, ((key, 1.0),)), adjoint * product)


def _log(number):
    """The derivatives of the number's logarithm."""
    return Number(0.0, tuple((key, slope / number.value) for key, slope in number.slopes))


def _slope(operation, x, value):
    """The derivative of a function of one register, whose value is there."""
    if operation == engine.EXP:
        return value
    if operation == engine.LOG1P:
        return reciprocal(x + 1.0)
    if operation == engine.ROOT:
        return 0.5 * inverse_root(x)
    if operation == engine.TANH:
        return 1.0 - value * value
    if operation == engine.ANGLE:
        return inverse_root(x * (2.0 - x))
    raise NotImplementedError(f"operation {operation} has no derivative")


def parts_of_scale(adjoint, source):
    """The derivatives by the logarithm of each factor of a distance's features, pairs (factor, expression)."""
    inputs, width = source.left, len(source.left.scale)
    n = width // 2 if isinstance(inputs.map, Circle) else width
    columns = range(n) if inputs.columns is None else inputs.columns
    twice = 2.0 if source.kind == SQUARED_DISTANCE else 1.0
    for k in range(n):
        factors = tuple(float(inputs.scale[i]) for i in range(k, width, n))
        alone = Inputs((columns[k],), inputs.map, factors)
        yield inputs.scale[k], twice * adjoint * adjoint.graph.source(source.kind, alone, alone)


def scale_slopes(source, sums):
    """From the sums of products with each feature's part of a distance to (key, derivative) of its length scales."""
    twice = {SQUARED_DISTANCE: 2.0, ABSOLUTE_DISTANCE: 1.0}[source.kind]
    for scale, total in zip(source.left.scale, sums, strict=True):
        for key, slope in _log(scale).slopes:
            yield key, twice * slope * total
