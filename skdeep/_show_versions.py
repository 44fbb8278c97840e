"""What a bug report needs to know about the host."""

import os
import platform
import sys
from importlib import import_module
from importlib.metadata import version

import numba

from skdeep import __version__
from skdeep.engine.jit import cache_folder
from skdeep.engine.target import VECTOR_BITS

LAYER_MODULES = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


def _threading_layer():
    """Name of the running layer, or the loadable ones while none runs: asking must not start it."""
    try:
        return numba.threading_layer()
    except ValueError:
        return f"not started, available: {', '.join(filter(_loadable, LAYER_MODULES))}"


def _loadable(layer):
    try:
        import_module(f"numba.np.ufunc.{LAYER_MODULES[layer]}")
    except ImportError:
        return False
    return True


def show_versions():
    """Print the versions, threads, vector width and cache folder that skdeep works with.

    Starts no threads and compiles nothing.
    """
    packages = ("numpy", "scipy", "scikit-learn", "numba", "llvmlite")
    rows = {
        "skdeep": __version__,
        "python": sys.version.replace("\n", " "),
        "platform": platform.platform(),
        **{name: version(name) for name in packages},
        "threading layer": _threading_layer(),
        "numba threads": numba.config.NUMBA_NUM_THREADS,
        "logical cores": os.cpu_count(),
        "vector width": f"{VECTOR_BITS} bits",
        "cache folder": cache_folder() or "not writable: every process compiles anew",
    }
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:>{width}}: {value}")
