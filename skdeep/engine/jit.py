"""The one way in which the engine is compiled and cached.

`compiled` marks the entry points that Python calls, `part` the functions that are compiled into
them. An entry point is a family of copies of one body: one for each dtype, and for a parallel
body a serial twin. A copy is compiled on its first use, with the one signature that its
annotations spell, and cached on disk under a name of its own: processes that compile at the same
time write the same bytes to the same file, and can never mix up each other's signatures.
"""

import contextlib
import functools
import gc
import hashlib
import os
import pickle
import threading
import types as python_types
import warnings
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from llvmlite.binding import Linkage
from numba import config, types
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

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


reals, reals_2d = (Parameter(None, ndim) for ndim in (1, 2))
out, out_2d = (Parameter(None, ndim, writable=True) for ndim in (1, 2))
integer, integers, integers_2d = (Parameter(np.int64, ndim) for ndim in range(3))
integers_out = Parameter(np.int64, 1, writable=True)
doubles, doubles_out = (Parameter(np.float64, 1, writable) for writable in (False, True))


def part(function):
    """A function that is compiled into the entry points that call it, with their dtype."""
    return numba.njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, **FLAGS)


def compiled(function=None, *, parallel=False):
    """An entry point; with `parallel`, its last parameter is `n_workers` and 1 selects the serial twin."""
    if function is None:
        return functools.partial(compiled, parallel=parallel)
    return EntryPoint(function, parallel)


# One compilation at a time. A fork waits for its end: the child would inherit the lock, and nobody to open it.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class EntryPoint:
    """The copies of one body, by dtype and by twin."""

    def __init__(self, body, parallel):
        functools.update_wrapper(self, body)
        self.body, self.parallel, self.copies = body, parallel, {}
        self._parameters = list(body.__annotations__.values())
        self._dtype_at = next(i for i, p in enumerate(self._parameters) if p.dtype is None and p.ndim)

    def __call__(self, *args):
        key = args[self._dtype_at].dtype.char, self.parallel and args[-1] > 1
        copy = self.copies.get(key)
        if copy is None:
            with _lock:
                copy = self.copies.get(key) or self._compile(*key)
        return copy(*args)

    def _compile(self, char, parallel):
        dtype = np.dtype(char)
        if config.DISABLE_JIT:
            raise RuntimeError("skdeep has no uncompiled form: unset NUMBA_DISABLE_JIT")
        if char not in "fd":
            raise TypeError(f"{self.body.__qualname__} takes arrays of float32 or float64, not of {dtype}")
        name = f"{self.body.__qualname__}_{dtype.name}_{'parallel' if parallel else 'serial'}"
        body = python_types.FunctionType(self.body.__code__, self.body.__globals__, name)
        body.__qualname__, body.__module__ = name, self.body.__module__
        dispatcher = numba.njit(body, parallel=parallel, nogil=True, _nrt=False, **FLAGS)
        dispatcher._cache = _open_cache(body)
        with _in_one_piece(name), _functions_typed_once(), _seldom_collected():
            dispatcher.compile(tuple(p.numba_type(dtype) for p in self._parameters))
        # From now on another type is a TypeError, not a second signature in the same cache file.
        dispatcher.disable_compile()
        self.copies[char, parallel] = dispatcher
        return dispatcher


class _PartLibrary(JITCodeLibrary):
    """The code of one function on its way into entry points, where it becomes machine code."""

    def finalize(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self):
        """The code with all that it calls, for a library that is none of ours: numba keeps what it may need again."""
        whole = _EntryLibrary(self._codegen, self.name)
        whole.add_linking_library(self)
        whole.link()
        return whole._final_module

    def get_pointer_to_function(self, name):
        self._ensure_finalized()
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, env):
        """There is no machine code that would look for its environment."""


class _EntryLibrary(JITCodeLibrary):
    """The code of an entry point, into which each part that it calls, directly or not, is linked once."""

    def finalize(self):
        self.link()
        super().finalize()

    def link(self):
        """Link all that is called, and leave nothing to link."""
        own = {function.name for function in self.get_defined_functions()}
        parts, others = {}, {}
        _reach(self._linking_libraries, parts, others)
        self._linking_libraries.clear()
        # The parts first: of other libraries LLVM takes what is called by then, and only that.
        for library in [*parts, *others]:
            module = library._final_module if library in parts else library._get_module_for_linking()
            self._final_module.link_in(module, preserve=True)
            self._reload_init.update(library._reload_init)
        for function in self.get_defined_functions():
            if function.name not in own and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"  # nobody calls it from elsewhere: it may go where it is inlined


def _reach(libraries, parts, others):
    """Add libraries, and those of the parts among them, to dicts in the order in which they are called."""
    for library in libraries:
        if not isinstance(library, _PartLibrary):
            others[library] = None
        elif library not in parts:
            parts[library] = None
            _reach(library._linking_libraries, parts, others)


@contextlib.contextmanager
def _in_one_piece(name):
    """Let what is compiled meanwhile become machine code once, as a part of the entry point of that name.

    By itself numba optimises and emits each function in a library of its own, and once more in those of its callers
    and of theirs: most of the time of a compilation.
    """
    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock:  # nobody else compiles
        codegen.create_library = lambda own: (_EntryLibrary if own == name else _PartLibrary)(codegen, own)
        try:
            yield
        finally:
            del codegen.create_library


@contextlib.contextmanager
def _functions_typed_once():
    """Let the types of a function of numba and its arguments be looked up once, and not at each of its uses.

    For some, as `+`, numba tries a dozen templates each time: a third of the time of a compilation.
    """
    resolve, signatures = types.Function.get_call_type, {}

    def resolve_once(function, context, args, keywords):
        if keywords:
            return resolve(function, context, args, keywords)
        key = function, tuple(args)
        if key not in signatures:
            signatures[key] = resolve(function, context, args, keywords)
        return signatures[key]

    types.Function.get_call_type = resolve_once
    try:
        yield
    finally:
        del types.Function.get_call_type


@contextlib.contextmanager
def _seldom_collected():
    """Let Python collect its garbage seldom: what numba builds lives on, and to walk through it takes a seventh."""
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


# ------------------------------------------------------------------------------------ the disk cache


def _stamp(folder=Path(__file__).parent):
    """One hash over the flags and the whole folder: numba itself sees only the entry point's own file."""
    digest = hashlib.sha256(repr((FLAGS["error_model"], sorted(FLAGS["fastmath"]))).encode())
    for file in sorted(folder.glob("*.py")):
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


# Taken at import: what this process compiles later is the source of now, even if the files change.
STAMP = _stamp()


def _target():
    """A hash of what else makes the machine code, and may differ between processes that share a folder."""
    switches = str(config.OPT), config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT
    return hashlib.sha256(repr((CPU_NAME, CPU_FEATURES, *switches)).encode()).hexdigest()[:12]


class _SealedFile(IndexDataCacheFile):
    """numba's pair of index and data file for its one signature, the machine code under a seal.

    The seal is a hash over the content, the name and the stamp: cut, swapped and outdated files do not pass.
    """

    def save(self, key, data):
        # The data first: an index must not promise what an older version, or nobody, has written.
        name = self._data_name(1)
        self._save_data(name, data)
        self._save_index({key: name})

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(self._seal(data) + data)

    def _load_data(self, name):
        content = Path(self._data_path(name)).read_bytes()
        seal, data = content[:32], content[32:]
        if self._seal(data) != seal:
            raise EOFError(f"{name} is cut, swapped or outdated")
        return pickle.loads(data)

    def _seal(self, data):
        identity = repr((self._index_name, self._version, self._source_stamp)).encode()
        return hashlib.sha256(identity + data).digest()


class _GuardedCache(FunctionCache):
    """A disk cache whose troubles cost a warning and a compilation, never an exception."""

    def __init__(self, body):
        super().__init__(body)
        self._cache_file = _SealedFile(self.cache_path, f"{self._impl.filename_base}-{_target()}", STAMP)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            _warn_once(f"a file of the cache in {self.cache_path} is unreadable ({error!r}) and written anew")

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn_once(f"the cache in {self.cache_path} cannot be written ({error!r}){HINT}")


def _open_cache(body):
    try:
        cache = _GuardedCache(body)
    except RuntimeError as error:  # no writable folder
        _warn_once(f"no folder for the cache is writable ({error}){HINT}")
        return NullCache()
    if config.CACHE_DIR and not Path(cache.cache_path).is_relative_to(config.CACHE_DIR):
        _warn_once(f"NUMBA_CACHE_DIR={config.CACHE_DIR} is not writable, the cache is in {cache.cache_path}{HINT}")
    return cache


def cache_folder():
    """The folder of the compiled code, or None where no folder is writable."""
    try:
        return FunctionCache(cache_folder).cache_path
    except RuntimeError:
        return None


HINT = "; set NUMBA_CACHE_DIR to a writable folder"
_troubles = []


def _warn_once(trouble):
    """One warning a process: the first trouble stands for those that follow."""
    _troubles.append(trouble)
    if len(_troubles) == 1:
        warnings.warn(f"skdeep: {trouble}", RuntimeWarning, stacklevel=2)
