"""From a kernel to a tile program.

A kernel writes its formula with expressions: sources (inner products and squared distances of the samples), numbers,
and operations between them. Equal expressions are one node of a graph, so that what two terms share is
computed once. The graph becomes a list of instructions on the registers of a tile, which the engine runs.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from skdeep.engine.gram import ADD, AFFINE, CONSTANT, EXP, MULTIPLY, POWER, SOURCE

DOT, SQUARED_DISTANCE = "dot", "squared distance"


class Source(NamedTuple):
    """What is computed from a pair of samples: its kind, and the factors of the features before it (None: all 1)."""

    kind: str
    scale: tuple | None = None


@dataclass(frozen=True)
class TileProgram:
    """A kernel for the engine.

    Attributes
    ----------
    instructions : ndarray of shape (n_instructions, 4), int64
        Rows (operation, target register, a, b).
    constants : ndarray, float64
        The hyperparameters as the instructions need them.
    sources : tuple of Source
    n_registers : int
    """

    instructions: np.ndarray
    constants: np.ndarray
    sources: tuple
    n_registers: int


class _Node(NamedTuple):
    operation: int
    operands: tuple  # places of nodes
    data: tuple = ()  # what belongs to the operation itself


class Tile:
    """The graph of expressions of one kernel, and the sources that its formula starts from.

    Parameters
    ----------
    n_features : int
        Columns of the data.
    """

    def __init__(self, n_features):
        self.n_features = n_features
        self.nodes, self._places = [], {}

    def dot(self):
        """x . y."""
        return self._source(DOT)

    def squared_distance(self, length_scale=1.0):
        """|(x - y) / length_scale|^2, for one positive number or one for each feature."""
        scale = np.asarray(length_scale, dtype=np.float64)
        if scale.ndim > 1 or (scale.ndim == 1 and len(scale) != self.n_features):
            raise ValueError(
                f"length_scale has shape {scale.shape}, but X has {self.n_features} features; "
                "give one number, or one for each feature."
            )
        if not np.all(scale > 0):
            raise ValueError(f"Every length_scale must be positive, got {length_scale!r}.")
        if scale.ndim == 0 or np.all(scale == scale[0]):
            factor = 1.0 / float(scale.flat[0])
            return factor * factor * self._source(SQUARED_DISTANCE)
        return self._source(SQUARED_DISTANCE, tuple((1.0 / scale).tolist()))

    def _source(self, *source):
        return self._place(SOURCE, (), source)

    def _place(self, operation, operands, data=()):
        node = _Node(operation, operands, data)
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return Expression(self, self._places[node])


class Expression:
    """A value for each pair of samples, under construction; numbers beside it hold for all pairs."""

    def __init__(self, tile, place):
        self.tile, self.place = tile, place

    def _combine(self, operation, other):
        return self.tile._place(operation, tuple(sorted((self.place, other.place))))

    def _affine(self, factor, summand):
        node, place = self.tile.nodes[self.place], self.place
        if node.operation == AFFINE:
            (place,), (inner_factor, inner_summand) = node.operands, node.data
            factor, summand = factor * inner_factor, factor * inner_summand + summand
        if (factor, summand) == (1.0, 0.0):
            return Expression(self.tile, place)
        return self.tile._place(AFFINE, (place,), (factor, summand))

    def __add__(self, other):
        return self._affine(1.0, float(other)) if isinstance(other, Real) else self._combine(ADD, other)

    def __mul__(self, other):
        return self._affine(float(other), 0.0) if isinstance(other, Real) else self._combine(MULTIPLY, other)

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, exponent):
        if exponent == 0:
            return 1.0
        return self if exponent == 1 else self.tile._place(POWER, (self.place,), (int(exponent),))


def exp(expression):
    """The exponential of an expression or a number."""
    if isinstance(expression, Real):
        return math.exp(expression)
    return expression.tile._place(EXP, (expression.place,))


def compile_tile_program(kernel, n_features):
    """Compile a kernel.

    Parameters
    ----------
    kernel : Kernel
    n_features : int
        Columns of the data; parameters may depend on it.

    Returns
    -------
    TileProgram

    Raises
    ------
    ValueError, TypeError
        If a parameter of the kernel is out of its range or does not suit the number of features.
    """
    tile = Tile(n_features)
    result = kernel._emit(tile)
    if isinstance(result, Real):
        result = tile._place(CONSTANT, (), (float(result),))
    return _assemble(tile.nodes, result.place)


def _assemble(nodes, result):
    """The nodes that the result needs as instructions, each register free again after its last use."""
    needed = {result}
    for place in range(result, -1, -1):
        if place in needed:
            needed.update(nodes[place].operands)
    last_use = {operand: place for place in sorted(needed) for operand in nodes[place].operands}

    instructions, constants, sources = [], [], []
    register, free, n_registers = {}, [], 0
    for place in sorted(needed):
        operation, operands, data = nodes[place]
        fields = [register[operand] for operand in operands]
        free += {register[operand] for operand in operands if last_use[operand] == place}
        if free:
            register[place] = free.pop()
        else:
            register[place], n_registers = n_registers, n_registers + 1
        if operation == SOURCE:
            fields.append(len(sources))
            sources.append(Source(*data))
        elif operation == POWER:
            fields += data
        elif data:
            fields.append(len(constants))
            constants += data
        instructions.append([operation, register[place], *fields, 0, 0][:4])
    return TileProgram(
        np.array(instructions, dtype=np.int64), np.array(constants, dtype=np.float64), tuple(sources), n_registers
    )
