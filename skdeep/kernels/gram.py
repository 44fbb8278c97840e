"""The Gram matrix of a kernel as a lazy operator: data packed for the engine, launches, row blocks."""

from math import ceil

import numpy as np
from sklearn.utils._chunking import get_chunk_n_rows

from skdeep.engine import gram as engine
from skdeep.engine import threads
from skdeep.engine.gram import BLOCK, PANEL
from skdeep.engine.target import aligned_zeros
from skdeep.kernels.program import DOT, compile_tile_program

# Above so many features a squared distance is |x|^2 + |y|^2 - 2 x.y of centred data, half the operations of
# the direct sum. Below, the direct sum is as fast, and exact for samples that are close to each other.
DIRECT_FEATURES = 64
# Operations per element from which half the tiles and a mirrored copy are cheaper than all tiles.
SYMMETRIC_WORK = 150
# Bytes of Y that stay in the cache while the rows of a block pass, and of K that a product takes at a time.
CACHED_Y, CACHED_K = 2**18, 2**23


class Gram:
    """The matrix K[i, j] = k(X[i], Y[j]), computed when and where it is asked for.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray of shape (n_samples_X, n_features), float32 or float64
    Y : ndarray of shape (n_samples_Y, n_features), same dtype, default=None
        None stands for X.

    Attributes
    ----------
    shape : tuple of int
        (n_samples_X, n_samples_Y)
    dtype : dtype

    Notes
    -----
    An element is the same number, to the last bit, in `toarray`, in `rows` and whatever the number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep.kernels import Linear
    >>> K = Linear().gram(np.array([[1.0, 2.0], [0.0, 1.0]]))
    >>> K @ np.array([1.0, 1.0])
    array([7., 3.])
    >>> K.toarray()
    array([[5., 2.],
           [2., 1.]])
    """

    def __init__(self, kernel, X, Y=None):
        columns = X if Y is None else Y
        self.kernel, self.shape, self.dtype = kernel, (len(X), len(columns)), X.dtype
        self._symmetric = Y is None
        n_features = X.shape[1]
        self._program = compile_tile_program(kernel, n_features)
        self._constants = self._program.constants.astype(self.dtype)
        expanded = n_features > DIRECT_FEATURES
        # Sources that scale and centre alike read the same panels.
        prepared = [(source.scale, expanded and source.kind != DOT) for source in self._program.sources]
        preparations = list(dict.fromkeys(prepared))
        centre = columns.mean(axis=0, dtype=np.float64) if any(centred for _, centred in preparations) else 0.0
        self._y = _pack(columns, preparations, centre)
        self._x = self._y if Y is None else _pack(X, preparations, centre)
        distance = engine.EXPANDED_SQUARED_DISTANCE if expanded else engine.SQUARED_DISTANCE
        self._sources = [
            (engine.DOT if source.kind == DOT else distance, n_features, preparations.index(preparation))
            for source, preparation in zip(self._program.sources, prepared, strict=True)
        ]
        self._work = 3 * n_features * len(self._sources) + 15 * len(self._program.instructions)

    def toarray(self):
        """The whole matrix, ndarray of shape (n_samples_X, n_samples_Y)."""
        K = np.empty(self.shape, self.dtype)
        self._fill(K, self._x, symmetric=self._symmetric and self._work >= SYMMETRIC_WORK)
        return K

    def rows(self, indices):
        """The rows that `indices` (integers, a slice or a mask) selects, ndarray of shape (n_selected, n_samples_Y)."""
        selected = self._x.take(np.arange(self.shape[0])[indices].reshape(-1))
        K = np.empty((selected.n_samples, self.shape[1]), self.dtype)
        self._fill(K, selected)
        return K

    def diagonal(self):
        """k(X[i], Y[i]), ndarray of shape (min(n_samples_X, n_samples_Y),)."""
        values = np.empty(min(self.shape), self.dtype)
        scratch = aligned_zeros(self._program.n_registers * engine.TILE, self.dtype)
        program = self._program.instructions, self._constants, self._source_table(self._x)
        for first, stop in threads.launches(ceil(len(values) / PANEL), first=64):
            engine.fill_diagonal(*program, self._x.flat, self._y.flat, len(values), first, stop, scratch, values)
        return values

    def __matmul__(self, V):
        """K @ V by blocks of rows, within scikit-learn's `working_memory`.

        Parameters
        ----------
        V : array-like of shape (n_samples_Y,) or (n_samples_Y, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
        """
        V = np.asarray(V)
        n_rows, n_columns = self.shape
        if V.ndim not in (1, 2) or len(V) != n_columns:
            raise ValueError(f"A Gram matrix of shape {self.shape} cannot multiply an array of shape {V.shape}.")
        row_bytes = n_columns * self.dtype.itemsize
        height = min(get_chunk_n_rows(row_bytes), max(CACHED_K // row_bytes, 1))
        height = min(max(height // BLOCK, 1) * BLOCK, n_rows)
        product = np.empty((n_rows, *V.shape[1:]), np.result_type(self.dtype, V))
        K = np.empty((height, n_columns), self.dtype)
        for top in range(0, n_rows, height):
            block = K[: n_rows - top]
            self._fill(block, self._x, top)
            np.matmul(block, V, out=product[top : top + height])
        return product

    def _fill(self, K, x, top=0, symmetric=False):
        """K = the rows of the matrix from `top`, a multiple of BLOCK, on."""
        n_rows, n_columns = K.shape
        workers = threads.n_workers(n_rows * n_columns * self._work)
        scratch = aligned_zeros(workers * self._program.n_registers * engine.TILE, self.dtype)
        panel_bytes = max(1, self._y.flat.nbytes // max(1, self._y.n_panels))
        arguments = (
            *(self._program.instructions, self._constants, self._source_table(x), x.flat, self._y.flat),
            *(top + n_rows, n_columns, int(symmetric), max(1, CACHED_Y // panel_bytes), top),
        )
        n_blocks = ceil(n_rows / BLOCK)
        # Each worker takes as many blocks as the others; the first launch supposes 10^10 operations a second.
        first_launch = max(1, int(1e10 * threads.LONGEST_LAUNCH / (BLOCK * n_columns * self._work)))
        for first, stop in threads.launches(ceil(n_blocks / workers), first_launch):
            blocks = top // BLOCK + first * workers, top // BLOCK + min(stop * workers, n_blocks)
            engine.fill_gram(*arguments, *blocks, scratch, K.reshape(-1), workers)

    def _source_table(self, x):
        table = [(kind, n, at * x.size, at * self._y.size) for kind, n, at in self._sources]
        return np.array(table, dtype=np.int64).reshape(-1, 4)


class _Panels:
    """Samples as the engine reads them, `[preparation, panel, feature, column]` in one flat array."""

    def __init__(self, n_samples, n_features, n_preparations, dtype):
        self.n_samples, self.n_panels = n_samples, ceil(n_samples / PANEL)
        self.size = self.n_panels * (n_features + 1) * PANEL  # of one preparation
        self.flat = aligned_zeros(n_preparations * self.size, dtype)
        self.blocks = self.flat.reshape(n_preparations, self.n_panels, n_features + 1, PANEL)

    def take(self, indices):
        """The panels of chosen samples."""
        n_preparations, _, n_rows, _ = self.blocks.shape
        chosen = _Panels(len(indices), n_rows - 1, n_preparations, self.flat.dtype)
        chosen.flat[:] = 0
        places = np.arange(len(indices))
        samples = self.blocks[:, indices // PANEL, :, indices % PANEL]
        chosen.blocks[:, places // PANEL, :, places % PANEL] = samples
        return chosen


def _pack(X, preparations, centre):
    """Panels of X, once for each preparation: (factors of the features, whether centred)."""
    panels = _Panels(*X.shape, len(preparations), X.dtype)
    X = np.require(X, requirements=["C", "A"])
    workers = threads.n_workers(4 * X.size)
    for place, (scale, centred) in enumerate(preparations):
        shift = np.full(X.shape[1], centre if centred else 0.0, X.dtype)
        factors = np.full(X.shape[1], 1.0 if scale is None else scale, X.dtype)
        for first, stop in threads.launches(ceil(panels.n_panels / workers), 64):
            span = first * workers, min(stop * workers, panels.n_panels)
            engine.pack(X, shift, factors, place * panels.size, *span, panels.flat, workers)
    return panels
