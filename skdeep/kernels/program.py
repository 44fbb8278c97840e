"""From a kernel to a tile program.

A kernel writes its formula with expressions: sources (inner products and distances of the samples), numbers, and
operations between them. Equal expressions are one node of a graph, so that what two terms share is computed once. The
graph becomes a list of instructions on the registers of a tile, which the engine runs.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from skdeep.engine import tile_program as engine
from skdeep.kernels.inputs import Circle, Inputs, Rows

DOT, SQUARED_DISTANCE, ABSOLUTE_DISTANCE, GIVEN, WEIGHT = "dot", "squared distance", "L1 distance", "given", "weight"


class Source(NamedTuple):
    """What is computed from a pair of samples: its kind, and what it reads of the one sample and of the other.

    A `GIVEN` source is a function of the data instead, `left(X, Y)` being its matrix.
    """

    kind: str
    left: object = None
    right: object = None


@dataclass(frozen=True)
class Number:
    """A number that knows its derivatives by the logarithms of hyperparameters.

    Attributes
    ----------
    value : float
    slopes : tuple of (key, float)
        The derivatives; a key is (name, None), or (name, i) for the entry i of a hyperparameter that is a list.
    """

    value: float
    slopes: tuple = ()

    def __float__(self):
        return float(self.value)

    def _linear(self, value, *terms):
        slopes = {}
        for number, factor in terms:
            for key, slope in getattr(number, "slopes", ()):
                slopes[key] = slopes.get(key, 0.0) + factor * slope
        return Number(value, tuple(slopes.items()))

    def __add__(self, other):
        if isinstance(other, Number | Real):
            return self._linear(self.value + float(other), (self, 1.0), (other, 1.0))
        return NotImplemented

    def __mul__(self, other):
        if isinstance(other, Number | Real):
            return self._linear(self.value * float(other), (self, float(other)), (other, self.value))
        return NotImplemented

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, exponent):
        return self._linear(self.value**exponent, (self, exponent * self.value ** (exponent - 1)))

    def __neg__(self):
        return self * -1.0

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def exp(self):
        value = math.exp(self.value)
        return self._linear(value, (self, value))


@dataclass(frozen=True)
class TileProgram:
    """A kernel, or sums over a Gram matrix, for the engine.

    Attributes
    ----------
    instructions : ndarray of shape (n_instructions, 4), int64
        Rows (operation, target register, a, b).
    constants : ndarray, float64
        The hyperparameters as the instructions need them.
    sources : tuple of Source
    n_registers : int
    n_sums : int
        What the instructions sum over all pairs.
    """

    instructions: np.ndarray
    constants: np.ndarray
    sources: tuple
    n_registers: int
    n_sums: int = 0


class Node(NamedTuple):
    """An operation of the engine with its operands; equal ones are the same node of a graph."""

    operation: int
    operands: tuple  # places of nodes
    data: tuple = ()  # what belongs to the operation itself


class Graph:
    """The expressions of one kernel, equal ones at one place."""

    def __init__(self):
        self.nodes, self._places = [], {}

    def place(self, operation, operands=(), data=()):
        node = Node(operation, operands, data)
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return Expression(self, self._places[node])

    def source(self, kind, left=None, right=None):
        return self.place(engine.SOURCE, (), Source(kind, left, right))

    def outer(self, function, inputs):
        """f(x) f(y): an inner product of one feature."""
        values = Inputs(inputs.columns, Rows(function))
        return self.source(DOT, values, values)


class Tile:
    """The sources that a formula starts from, of some or all features of the data.

    Parameters
    ----------
    graph : Graph
    n_features : int or None
        Features that the formula reads; None for data that are no numbers.
    feature_names : ndarray of str or None
        Their names.
    inputs : Inputs
        What the sources read.
    """

    def __init__(self, graph, n_features, feature_names=None, inputs=None):
        self.graph, self.n_features, self.feature_names = graph, n_features, feature_names
        self.inputs = Inputs() if inputs is None else inputs

    def on(self, columns):
        """The tile of selected features: a position, name, list of either, slice or mask."""
        chosen = _positions(columns, self.n_features, self.feature_names)
        before = self.inputs.columns
        absolute = chosen if before is None else np.asarray(before)[chosen]
        names = None if self.feature_names is None else np.asarray(self.feature_names)[chosen]
        return Tile(self.graph, len(chosen), names, Inputs(tuple(absolute.tolist()), self.inputs.map))

    def mapped(self, function):
        """The tile of samples that a function of the rows maps to others."""
        return Tile(self.graph, self.n_features, self.feature_names, Inputs(self.inputs.columns, function))

    def dot(self):
        """x . y."""
        return self.graph.source(DOT, self.inputs, self.inputs)

    def squared_distance(self, length_scale=1.0):
        """|(x - y) / length_scale|^2, for one positive number or one for each feature."""
        factor, inputs = self._scaled(length_scale)
        return factor * factor * self.graph.source(SQUARED_DISTANCE, inputs, inputs)

    def distance(self, length_scale=1.0):
        """|(x - y) / length_scale|."""
        factor, inputs = self._scaled(length_scale)
        return factor * root(self.graph.source(SQUARED_DISTANCE, inputs, inputs))

    def absolute_distance(self, length_scale=1.0):
        """sum_i |x_i - y_i| / length_scale_i."""
        factor, inputs = self._scaled(length_scale)
        return factor * self.graph.source(ABSOLUTE_DISTANCE, inputs, inputs)

    def outer(self, function):
        """f(x) f(y) for a function of the rows, an array (n_samples, n_features) -> (n_samples,)."""
        return self.graph.outer(function, self.inputs)

    def given(self, function):
        """What a function (X, Y) -> matrix says."""
        return self.graph.source(GIVEN, function, self.inputs.columns)

    def _scaled(self, length_scale):
        """One factor for all features, and the inputs with one for each."""
        if isinstance(length_scale, Number):
            return 1.0 / length_scale, self.inputs
        values = np.asarray([float(l) for l in length_scale] if isinstance(length_scale, tuple) else length_scale)
        if values.ndim > 1 or (values.ndim == 1 and len(values) != self.n_features):
            raise ValueError(
                f"length_scale has shape {values.shape}, but X has {self.n_features} features; "
                "give one number, or one for each feature."
            )
        if values.dtype.kind not in "fiu" or not np.all((values > 0) & np.isfinite(values)):
            raise ValueError(f"Every length_scale must be a positive finite number, got {length_scale!r}.")
        tracked = isinstance(length_scale, tuple) and isinstance(length_scale[0], Number)
        if not tracked and (values.ndim == 0 or np.all(values == values[0])):
            return 1.0 / float(values.flat[0]), self.inputs
        scale = tuple(1.0 / l for l in length_scale) if tracked else tuple((1.0 / values).tolist())
        scale = scale * 2 if isinstance(self.inputs.map, Circle) else scale
        return 1.0, Inputs(self.inputs.columns, self.inputs.map, scale)


def _positions(columns, n_features, names):
    """The positions that a selection of features means, ndarray of int."""
    if isinstance(columns, str) or (isinstance(columns, list | tuple | np.ndarray) and _all_strings(columns)):
        if names is None:
            raise ValueError(f"The columns {columns!r} are chosen by name, but X has no names: give a DataFrame.")
        known = {name: i for i, name in enumerate(names)}
        wanted = np.atleast_1d(np.asarray(columns, dtype=object)).tolist()
        missing = [name for name in wanted if name not in known]
        if missing:
            raise ValueError(f"X has no columns {missing!r}, only {list(known)!r}.")
        return np.array([known[name] for name in wanted], dtype=np.intp)
    if n_features is None:
        raise ValueError(f"The columns {columns!r} cannot be chosen from data that are no numbers.")
    try:
        key = columns if isinstance(columns, slice | Integral) else np.asarray(columns)
        key = key if np.size(key) else slice(0)  # whose type says nothing
        chosen = np.atleast_1d(np.arange(n_features)[key])
    except IndexError as error:
        raise ValueError(f"The columns {columns!r} do not fit X with {n_features} features: {error}.") from error
    if chosen.ndim != 1 or chosen.size == 0:
        raise ValueError(f"The columns {columns!r} select none of the {n_features} features of X in one dimension.")
    return chosen


def _all_strings(columns):
    return len(columns) > 0 and all(isinstance(name, str) for name in columns)


class Expression:
    """A value for each pair of samples, under construction; numbers beside it hold for all pairs."""

    def __init__(self, graph, place):
        self.graph, self.place = graph, place

    def _combine(self, operation, other):
        return self.graph.place(operation, tuple(sorted((self.place, other.place))))

    def _affine(self, factor, summand):
        node, place = self.graph.nodes[self.place], self.place
        if node.operation == engine.AFFINE:
            (place,), (inner_factor, inner_summand) = node.operands, node.data
            factor, summand = factor * inner_factor, factor * inner_summand + summand
        if (factor, summand) == (1.0, 0.0):
            return Expression(self.graph, place)
        return self.graph.place(engine.AFFINE, (place,), (factor, summand))

    def __add__(self, other):
        if isinstance(other, Number | Real):
            return self._affine(1.0, _constant(other))
        return self._combine(engine.ADD, other)

    def __mul__(self, other):
        if isinstance(other, Number | Real):
            return self._affine(_constant(other), 0.0)
        return self._combine(engine.MULTIPLY, other)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -1.0 * other

    def __rsub__(self, other):
        return other + -self

    def __pow__(self, exponent):
        if exponent == 0:
            return 1.0
        return self if exponent == 1 else self.graph.place(engine.POWER, (self.place,), (int(exponent),))


def _constant(number):
    return number if isinstance(number, Number) else float(number)


def exp(expression):
    """The exponential of an expression or a number."""
    if isinstance(expression, Real):
        return math.exp(expression)
    return expression.exp() if isinstance(expression, Number) else _apply(engine.EXP, expression)


def _apply(operation, expression):
    return expression.graph.place(operation, (expression.place,))


def log1p(expression):
    """log(1 + x) of what is not negative."""
    return _apply(engine.LOG1P, expression)


def root(expression):
    """The square root of what is not negative."""
    return _apply(engine.ROOT, expression)


def inverse_root(expression):
    """1 / sqrt(x), and 0 where x is 0."""
    return _apply(engine.INVERSE_ROOT, expression)


def reciprocal(expression):
    return _apply(engine.RECIPROCAL, expression)


def tanh(expression):
    return _apply(engine.TANH, expression)


def angle(expression):
    """The angle t in [0, pi] with 1 - cos(t) = x."""
    return _apply(engine.ANGLE, expression)


def compile_tile_program(kernel, n_features, feature_names=None):
    """Compile a kernel.

    Parameters
    ----------
    kernel : Kernel
    n_features : int or None
        Columns of the data; parameters may depend on it. None for data that are no numbers.
    feature_names : ndarray of str or None
        Their names, for kernels that choose columns by name.

    Returns
    -------
    TileProgram

    Raises
    ------
    ValueError, TypeError
        If a parameter of the kernel is out of its range or does not suit the number of features.
    """
    graph = Graph()
    return assemble(graph, as_expression(graph, kernel._emit(Tile(graph, n_features, feature_names))))


def as_expression(graph, result):
    """The result of a formula, which may be a number."""
    return result if isinstance(result, Expression) else graph.place(engine.CONSTANT, (), (result,))


def assemble(graph, *results):
    """The nodes that results need as instructions, each register free again after its last use.

    A result is an expression whose values are asked for, or a pair (expression, source) whose sums are: the sum of the
    expression for None, else of the products with what each feature adds to the source. Sums come in that order.
    """
    sums = [(r[0].place, r[1]) for r in results if isinstance(r, tuple)]
    values = [r.place for r in results if isinstance(r, Expression)]
    nodes, needed = graph.nodes, {place for place, _ in sums} | set(values)
    for place in range(len(nodes) - 1, -1, -1):
        if place in needed:
            needed.update(nodes[place].operands)
    last_use = {operand: place for place in sorted(needed) for operand in nodes[place].operands}
    # What is asked for lasts to the end.
    last_use |= dict.fromkeys([place for place, _ in sums] + values, len(nodes))

    constants, sources, instructions = [], {}, []
    register, free, n_registers = {}, [], 1  # the first is the engine's
    for place in sorted(needed):
        operation, operands, data = nodes[place]
        fields = [register[operand] for operand in operands]
        free += {register[operand] for operand in operands if last_use[operand] == place}
        if free:
            register[place] = free.pop()
        else:
            register[place], n_registers = n_registers, n_registers + 1
        if operation == engine.SOURCE:
            fields.append(sources.setdefault(Source(*data), len(sources)))
        elif operation == engine.POWER:
            fields += data
        elif data:
            fields.append(len(constants))
            constants += map(float, data)
        instructions.append([operation, register[place], *fields, 0, 0][:4])

    n_sums = 0
    for place, source in sums:
        if source is None:
            instructions.append([engine.SUM, n_sums, register[place], 0])
            n_sums += 1
        else:
            at = sources.setdefault(source, len(sources))
            instructions.append([engine.PRODUCT_SUMS, n_sums, register[place], at])
            n_sums += len(source.left.scale)
    instructions, constants = np.array(instructions, dtype=np.int64), np.array(constants, dtype=np.float64)
    return TileProgram(instructions, constants, tuple(sources), n_registers, n_sums)
