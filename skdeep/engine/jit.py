"""The one way in which the engine is compiled and cached.

`compiled` marks the entry points that Python calls, `part` the functions that are compiled into
them. An entry point is a family of copies of one body: one for each dtype, and for a parallel
body a serial twin. A copy is compiled on its first use, with the one signature that its
annotations spell, and cached on disk under a name of its own: processes that compile at the same
time write the same bytes to the same file, and can never mix up each other's signatures.
"""

import functools
import hashlib
import pickle
import threading
import types as python_types
import warnings
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache

from skdeep.engine.target import CPU_FEATURES, CPU_NAME

# No "nnan" or "ninf": a diverging fit must see its NaN. No "reassoc": sums keep their order.
FLAGS = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "afn"}}


@dataclass(frozen=True)
class Parameter:
    """The type of an entry point's parameter, written as its annotation."""

    dtype: type | None  # None: the dtype of the copy
    ndim: int
    writable: bool = False

    def numba_type(self, dtype):
        scalar = numba.from_dtype(np.dtype(self.dtype or dtype))
        return types.Array(scalar, self.ndim, "C", readonly=not self.writable) if self.ndim else scalar


real, reals, reals_2d = (Parameter(None, ndim) for ndim in range(3))
out, out_2d = (Parameter(None, ndim, writable=True) for ndim in (1, 2))
integer, integers, integers_2d = (Parameter(np.int64, ndim) for ndim in range(3))
doubles, doubles_out = (Parameter(np.float64, 1, writable) for writable in (False, True))


def part(function):
    """A function that is compiled into the entry points that call it, with their dtype."""
    return numba.njit(function, **FLAGS)


def compiled(function=None, *, parallel=False):
    """An entry point; with `parallel`, its last parameter is `n_workers` and 1 selects the serial twin."""
    if function is None:
        return functools.partial(compiled, parallel=parallel)
    return EntryPoint(function, parallel)


class EntryPoint:
    """The copies of one body, by dtype and by twin."""

    def __init__(self, body, parallel):
        functools.update_wrapper(self, body)
        self.body, self.parallel, self.copies = body, parallel, {}
        self._parameters = list(body.__annotations__.values())
        self._dtype_at = next(i for i, p in enumerate(self._parameters) if p.dtype is None and p.ndim)
        self._lock = threading.Lock()

    def __call__(self, *args):
        key = args[self._dtype_at].dtype.char, self.parallel and args[-1] > 1
        copy = self.copies.get(key)
        if copy is None:
            with self._lock:
                copy = self.copies.get(key) or self._compile(*key)
        return copy(*args)

    def _compile(self, char, parallel):
        dtype = np.dtype(char)
        name = f"{self.body.__qualname__}_{dtype.name}_{'parallel' if parallel else 'serial'}"
        body = python_types.FunctionType(self.body.__code__, self.body.__globals__, name)
        body.__qualname__, body.__module__ = name, self.body.__module__
        dispatcher = numba.njit(body, parallel=parallel, nogil=True, **FLAGS)
        dispatcher._cache = _open_cache(body)
        dispatcher.compile(tuple(p.numba_type(dtype) for p in self._parameters))
        # From now on another type is a TypeError, not a second signature in the same cache file.
        dispatcher.disable_compile()
        self.copies[char, parallel] = dispatcher
        return dispatcher


# ------------------------------------------------------------------------------------ the disk cache


@functools.cache
def _stamp():
    """One hash over the whole folder and the flags: numba itself sees only the entry point's own file."""
    digest = hashlib.sha256(repr(sorted(FLAGS["fastmath"])).encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


class _CheckedFile(IndexDataCacheFile):
    """numba's cache file, its machine code behind a checksum."""

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(data).digest() + data)

    def _load_data(self, name):
        content = Path(self._data_path(name)).read_bytes()
        digest, data = content[:32], content[32:]
        if hashlib.sha256(data).digest() != digest:
            raise EOFError("truncated or corrupt")
        return pickle.loads(data)


class _GuardedCache(FunctionCache):
    """A disk cache whose troubles cost a warning and a compilation, never an exception."""

    def __init__(self, body):
        super().__init__(body)
        target = hashlib.sha256(f"{CPU_NAME} {CPU_FEATURES}".encode()).hexdigest()[:12]
        self._cache_file = _CheckedFile(self.cache_path, f"{self._impl.filename_base}-{target}", _stamp())

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            _warn_once(f"a file of the cache in {self.cache_path} is unreadable ({error!r}) and is written anew")
            self._forget()

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn_once(f"the cache in {self.cache_path} cannot be written ({error!r})")

    def _forget(self):
        try:
            self.flush()
        except OSError:
            self.disable()


def _open_cache(body):
    try:
        return _GuardedCache(body)
    except RuntimeError as error:  # no writable folder
        _warn_once(f"no folder for the cache is writable ({error})")
        return NullCache()


def cache_folder():
    """The folder of the compiled code, or None where no folder is writable."""
    try:
        return FunctionCache(cache_folder).cache_path
    except RuntimeError:
        return None


_troubles = []


def _warn_once(trouble):
    """One warning a process: the first trouble stands for those that follow."""
    if not _troubles:
        warnings.warn(f"skdeep: {trouble}; set NUMBA_CACHE_DIR to a writable folder", RuntimeWarning, stacklevel=2)
    _troubles.append(trouble)
