"""The Gram matrix of a kernel as a lazy operator."""

import numpy as np
from sklearn.utils._chunking import get_chunk_n_rows

from skdeep.engine import memory
from skdeep.engine.tile_program import BLOCK
from skdeep.kernels.program import compile_tile_program
from skdeep.kernels.sweep import Sweep

# Bytes of K that a product takes at a time, and columns whose terms are added in K's dtype.
CACHED_K, COLUMNS = 2**23, 4096


class Gram:
    """The matrix K[i, j] = k(X[i], Y[j]), computed when and where it is asked for.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray or sparse array of shape (n_samples_X, n_features), float32 or float64
        Any sequence for kernels that read no numbers.
    Y : the same, default=None
        None stands for X.
    feature_names : ndarray of str or None, default=None
        Names of the features, for kernels that choose columns by name.

    Attributes
    ----------
    shape : tuple of int
        (n_samples_X, n_samples_Y)
    dtype : dtype
    T : Gram
        The transposed matrix.

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

    def __init__(self, kernel, X, Y=None, feature_names=None):
        self.kernel = kernel
        self._data = X, Y, feature_names
        numbers = getattr(X, "ndim", 0) == 2 and X.dtype.kind == "f"
        program = compile_tile_program(kernel, X.shape[1] if numbers else None, feature_names)
        self._sweep = Sweep(program, X, Y, X.dtype if numbers else np.float64)
        self.shape, self.dtype = self._sweep.shape, self._sweep.dtype

    @property
    def T(self):
        X, Y, feature_names = self._data
        return self if Y is None else Gram(self.kernel, Y, X, feature_names)

    def toarray(self):
        """The whole matrix, ndarray of shape (n_samples_X, n_samples_Y).

        Raises
        ------
        MemoryError
            If it does not fit in the memory that is free.
        """
        n_bytes, free = self.shape[0] * self.shape[1] * self.dtype.itemsize, memory.available()
        if n_bytes > free:
            raise MemoryError(
                f"A Gram matrix of shape {self.shape} in {self.dtype} takes {n_bytes / 2**30:.1f} GiB, and "
                f"{free / 2**30:.1f} GiB are free: use products `kernel.gram(X) @ V`, which store no matrix, "
                "or landmarks."
            )
        K = np.empty(self.shape, self.dtype)
        self._sweep.fill(K, self._sweep.symmetric)
        return K

    def rows(self, indices):
        """The rows that `indices` (integers, a slice or a mask) selects, ndarray of shape (n_selected, n_samples_Y)."""
        chosen = np.arange(self.shape[0])[indices].reshape(-1)
        K = np.empty((len(chosen), self.shape[1]), self.dtype)
        self._sweep.fill_rows(K, chosen)
        return K

    def diagonal(self):
        """k(X[i], Y[i]), ndarray of shape (min(n_samples_X, n_samples_Y),)."""
        return self._sweep.diagonal()

    def __matmul__(self, V):
        """K @ V by blocks of rows, within scikit-learn's `working_memory`.

        Parameters
        ----------
        V : array-like of shape (n_samples_Y,) or (n_samples_Y, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Where K is float32 and V is float64, products are rounded as K's elements are, and long sums are not.
        """
        V = np.asarray(V)
        n_rows, n_columns = self.shape
        if V.ndim not in (1, 2) or len(V) != n_columns:
            raise ValueError(f"A Gram matrix of shape {self.shape} cannot multiply an array of shape {V.shape}.")
        row_bytes = max(n_columns, 1) * self.dtype.itemsize
        height = min(get_chunk_n_rows(row_bytes), max(CACHED_K // row_bytes, 1))
        height = min(max(height // BLOCK, 1) * BLOCK, n_rows)
        product = np.zeros((n_rows, *V.shape[1:]), np.result_type(self.dtype, V))
        factor = V.astype(self.dtype, copy=False)
        K = np.empty((height, n_columns), self.dtype)
        for top in range(0, n_rows, max(height, 1)):
            block = K[: n_rows - top]
            self._sweep.fill_span(block, top)
            for left in range(0, n_columns, COLUMNS):
                product[top : top + height] += block[:, left : left + COLUMNS] @ factor[left : left + COLUMNS]
        return product
