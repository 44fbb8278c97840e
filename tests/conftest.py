"""Set up the run before anything imports numba."""

import atexit
import os
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import settings


def _remove(folder, owner):
    # A forked child that exits normally must not take its parent's cache away.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


# scikit-learn leaves a check out without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# No window of a figure opens, whatever screen there is.
os.environ.setdefault("MPLBACKEND", "Agg")

# One cold cache for the run and its subprocesses: tests neither trust nor touch the user's.
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="skdeep-numba-")
    atexit.register(_remove, os.environ["NUMBA_CACHE_DIR"], os.getpid())

# The same examples in every run, however long each takes.
settings.register_profile("skdeep", deadline=None, derandomize=True, database=None)
settings.load_profile("skdeep")

# --doctest-modules would import the benchmarks and with them their optional peers.
collect_ignore_glob = ["benchmarks/bench_*.py"]


@pytest.fixture
def rng():
    """Draws that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def serial(monkeypatch):
    """No launch on several threads: where thousands are tiny, each would wait longer for a busy core than it runs."""
    # Here, since conftest must not import numba before its cache has a folder.
    from skdeep.engine import threads

    monkeypatch.setattr(threads, "SMALLEST_PARALLEL_WORK", np.inf)
