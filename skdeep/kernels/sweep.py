"""Tile programs on data: what each source reads, launches, blocks of rows."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import scipy.sparse as sp

from skdeep.engine import gram as engine
from skdeep.engine import threads
from skdeep.engine import tile_program as kinds
from skdeep.engine.target import VECTOR_BITS, aligned_zeros, lanes
from skdeep.engine.tile_program import BLOCK, PANEL, TILE, TILE_ROWS
from skdeep.kernels.panels import FunctionValues, Norms, Packed, Scaled, SparseProducts, n_samples, squared_norms
from skdeep.kernels.program import ABSOLUTE_DISTANCE, DOT, GIVEN, SQUARED_DISTANCE, WEIGHT

# Above so many features a squared distance is |x|^2 + |y|^2 - 2 x.y of centred data, half the operations of
# the direct sum. Below, the direct sum is as fast, and exact for samples that are close to each other.
DIRECT_FEATURES = 64
# Operations per element from which half the tiles and a mirrored copy are cheaper than all tiles.
SYMMETRIC_WORK = 80 * VECTOR_BITS // 512
# Bytes of Y that stay in the cache while the rows of a block pass, and of the matrices that the engine is given.
CACHED_Y, GIVEN_BYTES = 2**19, 2**24
# Columns up to which a product is summed tile by tile; beyond, bytes of values that BLAS multiplies at a time, as few
# times as may be, since its threads do not rest at once; and columns whose terms are added in their own dtype.
OUTPUTS, PRODUCT_BYTES, COLUMNS = 32, 2**25, 4096
# Copies of a product by half the tiles, at most, and bytes of all of them: as many workers can add to it.
COPIES, COPIES_BYTES = 16, 2**27


class Sweep:
    """A program on the pairs of two sets of samples.

    Parameters
    ----------
    program : TileProgram
    X : ndarray or sparse array of shape (n_samples_X, n_features), or any sequence where all sources are given
    Y : the same, or None
        None stands for X.
    dtype : dtype
        Of the values, float32 or float64.
    """

    def __init__(self, program, X, Y, dtype):
        self.program, self.dtype, self._same = program, np.dtype(dtype), Y is None
        self.shape = n_samples(X), n_samples(X if Y is None else Y)
        self._constants = program.constants.astype(self.dtype)
        binder = _Binder(X, Y, self.dtype)
        self._sources = [binder.bind(source) for source in program.sources]
        self._x, self._y = binder.packed()
        self._n_given = sum(source.is_given for source in self._sources)
        self._work = sum(3 * source.n_features for source in self._sources) + 15 * len(program.instructions)

    @property
    def symmetric(self):
        """Whether half the tiles suffice and are cheaper."""
        return self._same and self._work >= SYMMETRIC_WORK and self._n_given == 0

    def fill(self, K, symmetric=False):
        """Write all values to K, a C-contiguous array; by half the tiles and a mirrored copy where `symmetric`."""
        self._fill(K, self._x, slice, symmetric)

    def fill_rows(self, K, indices):
        """Write the values of the rows `indices`, an array of integers, to K."""
        self._fill(K, self._x.take(indices), lambda start, stop: indices[start:stop], False)

    def _fill(self, K, x, selection, symmetric):
        for top, stop in self._spans(len(K)):
            given = self._given(selection(top, stop))
            self._launch(x, given, (top, stop), symmetric, K=K[top:stop].reshape(-1))

    def diagonal(self):
        """The values of the pairs (X[i], Y[i]), ndarray of shape (min(n_samples_X, n_samples_Y),)."""
        n_pairs = min(self.shape)
        values, nothing, no_sums = np.empty(n_pairs, self.dtype), np.empty(0, self.dtype), np.empty(0)
        given = self._joined([s.given.pairs(n_pairs) for s in self._sources if s.is_given])
        # As many workers as for the matrix, so that it is the same code that has to be loaded.
        workers = threads.n_workers(self.shape[0] * self.shape[1] * self._work)
        scratch = aligned_zeros(workers * self.program.n_registers * TILE, self.dtype)
        arguments = (
            *(self.program.instructions, self._constants, self._table(self._x, n_pairs)),
            *(self._x.panels, self._y.panels, given, n_pairs, n_pairs, 0, 1, 0, PANEL),
        )
        results = values, no_sums, nothing, 0, no_sums
        for first, stop in threads.launches(ceil(n_pairs / PANEL), threads.first_launch(PANEL * self._work)):
            engine.sweep(*arguments, first, stop, scratch, *results, 1, 1, np.zeros(1, np.int64), workers)
        return values

    def sums(self, W):
        """The program's sums over all pairs, its source `WEIGHT` being W, ndarray of shape (n_sums,), float64."""
        half = self._same and self._n_given == 1  # the weights alone
        n_rows, n_sums = self.shape[0], self.program.n_sums
        total = np.zeros(n_sums)
        for top, stop in [(0, n_rows)] if half else self._spans(n_rows):
            matrices = [
                W[top:stop] if s.given is None else s.given.rows(slice(top, stop)) for s in self._sources if s.is_given
            ]
            sums = np.zeros(ceil((stop - top) / BLOCK) * n_sums)
            self._launch(self._x, self._joined(matrices), (top, stop), half, sums=sums)
            # One block after the other, in an order that no number of threads changes.
            total += sums.reshape(-1, n_sums).sum(axis=0)
        return total

    def multiply(self, V, first=0):
        """The matrix of the values times V, which has the sweep's dtype, ndarray of shape (n_samples_X, n).

        Float64 wherever a sum is so long that its terms' dtype would tell. Rows before `first`, a multiple of BLOCK,
        are left out, and of a symmetric matrix as many columns: V must be zero there, as the product is.
        """
        return self._multiply_tiles(V, first) if 0 < V.shape[1] <= OUTPUTS else self._multiply_blocks(V, first)

    def _multiply_tiles(self, V, first):
        """By tiles that are never written, for few columns; by half of them where that is cheaper."""
        n_rows, n_outputs = self.shape[0], V.shape[1]
        n_copies = min(COPIES, COPIES_BYTES // (8 * max(n_rows, 1) * n_outputs)) if self.symmetric else 1
        product = np.zeros((max(n_copies, 1), n_outputs, n_rows))
        panels = np.zeros((self._y.n_panels * PANEL, n_outputs), self.dtype)
        panels[: len(V)] = V
        panels = panels.reshape(-1, PANEL, n_outputs).transpose(0, 2, 1).reshape(-1)
        for span in self._spans(n_rows, first):
            self._launch(self._x, self._given(slice(*span)), span, n_copies > 1, V=(panels, product))
        return np.ascontiguousarray(product.sum(axis=0).T)

    def _multiply_blocks(self, V, first):
        """By blocks of rows and BLAS, whose product with many columns costs more than the values themselves."""
        n_rows, n_columns = self.shape
        product = np.zeros((n_rows, V.shape[1]), self.dtype if n_columns <= COLUMNS else np.float64)
        for top, stop in self._spans(n_rows, first, PRODUCT_BYTES):
            given = self._given(slice(top, stop))
            K = np.empty((stop - top, n_columns), self.dtype)
            self._launch(self._x, given, (top, stop), K=K.reshape(-1))
            add_product(K, V, product[top:stop])
        return product

    def _spans(self, n_rows, first=0, n_bytes=None):
        """Spans of the rows from `first` on whose given matrices fit their memory, and whose values take n_bytes."""
        limits, row_bytes = [n_rows], max(self.shape[1] * self.dtype.itemsize, 1)
        if self._n_given:
            limits.append(GIVEN_BYTES // (row_bytes * self._n_given) // BLOCK * BLOCK)
        if n_bytes is not None:
            limits.append(n_bytes // row_bytes // BLOCK * BLOCK)
        size = max(min(limits), min(BLOCK, n_rows), 1)
        return [(top, min(top + size, n_rows)) for top in range(first, n_rows, size)]

    def _given(self, selection):
        """The matrices that the engine is given, for some rows."""
        return self._joined([source.given.rows(selection) for source in self._sources if source.is_given])

    def _joined(self, arrays):
        """The numbers of matrices behind each other; without a copy where there is but one."""
        flat = [np.ascontiguousarray(array, dtype=self.dtype).reshape(-1) for array in arrays]
        return flat[0] if len(flat) == 1 else np.concatenate([np.empty(0, self.dtype), *flat])

    def _launch(self, x, given, span, symmetric=False, *, K=None, sums=None, V=None):
        """Run the program over a span of rows, for their values, their sums or their products."""
        (top, stop), n_columns = span, self.shape[1]
        nothing, no_sums = np.empty(0, self.dtype), np.empty(0)
        V, product = (nothing, np.empty((1, 0, 0))) if V is None else V
        n_copies, n_outputs, _ = product.shape
        work = self._work + 2 * n_outputs
        workers = threads.n_workers((stop - top) * n_columns * work)
        registers = self.program.n_registers * TILE + TILE_ROWS * n_outputs * lanes(self.dtype)
        scratch = aligned_zeros(workers * registers, self.dtype)
        panel_bytes = max(1, self._y.panels.nbytes // max(1, self._y.n_panels))
        arguments = (
            *(self.program.instructions, self._constants, self._table(x, (stop - top) * n_columns)),
            *(x.rows, self._y.panels, given, stop, n_columns, int(symmetric)),
            *(max(1, CACHED_Y // panel_bytes), top),
        )
        results = nothing if K is None else K, no_sums if sums is None else sums, V, n_outputs, product.reshape(-1)
        # Sums are by whole blocks, mirrored elements by squares of them.
        height = BLOCK if symmetric or sums is not None else _block_height(stop - top, workers)
        n_blocks = ceil((stop - top) / height)
        # Each worker takes as many blocks as the others.
        first_launch = threads.first_launch(height * n_columns * work)
        for first, last in threads.launches(ceil(n_blocks / workers), first_launch):
            blocks = first * workers, min(last * workers, n_blocks)
            tickets = np.zeros(1, np.int64)
            engine.sweep(*arguments, height, *blocks, scratch, *results, n_copies, 0, tickets, workers)

    def _table(self, x, given_size):
        table, given_at = [], 0
        for source in self._sources:
            places = x.starts[source.left], self._y.starts[source.right]
            table.append((source.kind, source.n_features, *places, given_at))
            given_at += given_size if source.is_given else 0
        return np.array(table, dtype=np.int64).reshape(-1, 5)


@dataclass(frozen=True)
class _Bound:
    """A source of a program with its data: the engine's kind, and the places of its matrices among those packed."""

    kind: int
    n_features: int = 0
    left: int = 0
    right: int = 0
    given: object = None

    @property
    def is_given(self):
        return self.kind in (kinds.GIVEN, kinds.GIVEN_SQUARED_DISTANCE, kinds.WEIGHT)


class _Binder:
    """From the sources of a program to the matrices that they read, each made and packed once."""

    def __init__(self, X, Y, dtype):
        self._X, self._Y, self._same, self._dtype = X, X if Y is None else Y, Y is None, dtype
        self._left, self._right, self._matrices = {}, {}, {}

    def bind(self, source):
        if source.kind == WEIGHT:
            return _Bound(kinds.WEIGHT)
        if source.kind == GIVEN:
            X, Y = (Z if source.right is None else Z[:, list(source.right)] for Z in (self._X, self._Y))
            return _Bound(kinds.GIVEN, given=FunctionValues(source.left, X, Y))
        X, Y = self._matrix(source.left, self._X), self._matrix(source.right, self._Y)
        if sp.issparse(X):
            return self._bind_sparse(source, X, Y)
        n_features = X.shape[1]
        expanded = source.kind == SQUARED_DISTANCE and n_features > DIRECT_FEATURES
        direct = {DOT: kinds.DOT, SQUARED_DISTANCE: kinds.SQUARED_DISTANCE, ABSOLUTE_DISTANCE: kinds.ABSOLUTE_DISTANCE}
        kind = kinds.EXPANDED_SQUARED_DISTANCE if expanded else direct[source.kind]
        return _Bound(kind, n_features, *self._places(source, expanded))

    def _bind_sparse(self, source, X, Y):
        if source.kind == ABSOLUTE_DISTANCE:
            raise ValueError(
                "L1 distances of sparse data are dense work: give X.toarray(), or use a kernel of inner products or "
                "squared distances."
            )
        if source.left.scale is not None:
            factors = _factors(source.left).astype(self._dtype)
            X, Y = (sp.csr_array(Z.multiply(factors)) for Z in (X, Y))
        products = SparseProducts(X, Y)
        if source.kind == DOT:
            return _Bound(kinds.GIVEN, given=products)
        places = self._places(source, norms=(squared_norms(X, X), squared_norms(Y, Y)))
        return _Bound(kinds.GIVEN_SQUARED_DISTANCE, 0, *places, given=products)

    def _matrix(self, inputs, Z):
        key = inputs.columns, inputs.map, Z is self._X
        if key not in self._matrices:
            self._matrices[key] = inputs.matrix(Z)
        return self._matrices[key]

    def _places(self, source, expanded=False, norms=(None, None)):
        """The places of the source's matrices on both sides, shared by sources that read the same."""
        sides = (self._left, source.left, norms[0]), (self._right, source.right, norms[1])
        return [side.setdefault((inputs, expanded, own is None), (len(side), own))[0] for side, inputs, own in sides]

    def packed(self):
        """The packed matrices of X and of Y, the same object where they are."""
        y = self._pack(self._Y, self._right)
        return (y if self._same and list(self._left) == list(self._right) else self._pack(self._X, self._left)), y

    def _pack(self, Z, side):
        matrices = [
            self._scaled(inputs, Z, expanded) if norms is None else Norms(norms)
            for (inputs, expanded, _), (_, norms) in side.items()
        ]
        return Packed(n_samples(Z), matrices, self._dtype)

    def _scaled(self, inputs, Z, expanded):
        X = np.require(self._matrix(inputs, Z), self._dtype, requirements=["C", "A"])
        centre = self._matrix(inputs, self._Y).mean(axis=0, dtype=np.float64) if expanded else np.zeros(X.shape[1])
        factors = np.ones(X.shape[1]) if inputs.scale is None else _factors(inputs)
        return Scaled(X, centre.astype(self._dtype), factors.astype(self._dtype))


def add_product(K, V, product):
    """product += K V, in sums of COLUMNS terms in the dtype of K and V."""
    for left in range(0, len(V), COLUMNS):
        product += K[:, left : left + COLUMNS] @ V[left : left + COLUMNS]


def _block_height(n_rows, n_workers):
    """Rows of a block, whole tiles: as few as make few rows work for all workers."""
    return min(BLOCK, max(1, ceil(n_rows / (n_workers * TILE_ROWS))) * TILE_ROWS)


def _factors(inputs):
    return np.array([float(factor) for factor in inputs.scale])
