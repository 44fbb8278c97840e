"""The Gram matrix of a kernel as a lazy operator."""

import numpy as np

from skdeep.engine import memory
from skdeep.engine.tile_program import BLOCK
from skdeep.kernels.program import compile_tile_program
from skdeep.kernels.sweep import Sweep, add_product


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
    X and Y are not copied: they must stay as they are while the operator is in use.

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
        n_bytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        if n_bytes > memory.NEGLIGIBLE and n_bytes > (free := memory.available()):
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
        """K @ V, without K in memory.

        Parameters
        ----------
        V : array-like of shape (n_samples_Y,) or (n_samples_Y, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples_X,) or (n_samples_X, n_outputs)
            Float64 where V is, though V is rounded to K's dtype. Terms are added in K's dtype, long sums in float64.
        """
        V = np.asarray(V)
        if V.ndim not in (1, 2) or len(V) != self.shape[1]:
            raise ValueError(f"A Gram matrix of shape {self.shape} cannot multiply an array of shape {V.shape}.")
        product = self._sweep.multiply(V.reshape(len(V), -1).astype(self.dtype, copy=False))
        return product.reshape(self.shape[0], *V.shape[1:]).astype(np.result_type(self.dtype, V.dtype), copy=False)


class PartlyStoredGram:
    """A symmetric Gram matrix with its first rows in memory, and so its first columns.

    Of a product is computed what the other samples have among themselves: less work where there are many products.

    Parameters
    ----------
    K : Gram
        Of one set of samples.
    n_rows : int
        At most so many rows are in memory, whole blocks of them.
    """

    def __init__(self, K, n_rows):
        self._K, self.shape, self.dtype = K, K.shape, K.dtype
        self._stored = K.rows(slice(n_rows if n_rows >= K.shape[0] else n_rows // BLOCK * BLOCK))

    def rows(self, indices):
        return self._K.rows(indices)

    def diagonal(self):
        return self._K.diagonal()

    def __matmul__(self, V):
        """K @ V in float64, for V of shape (n_samples, n_outputs)."""
        stored, V = self._stored, V.astype(self.dtype)
        product, m = np.zeros(V.shape), len(stored)
        add_product(stored, V, product[:m])
        add_product(stored[:, m:].T, V[:m], product[m:])
        V[:m] = 0.0
        return product + self._K._sweep.multiply(V, first=m)


def require_finite(K, kernel):
    """Raise where a kernel's matrix overflows: its diagonal tells, |k(x, y)|^2 <= k(x, x) k(y, y)."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(K.diagonal()).all()
    if not finite:
        raise overflow(kernel, K.dtype)


def overflow(kernel, dtype):
    """The error that a kernel overflows."""
    return ValueError(f"The kernel {kernel!r} overflows {dtype} on X; scale X, with StandardScaler for example.")
