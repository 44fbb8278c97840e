"""How the engine compiles: one signature a copy, twins, and a disk cache whose troubles cost a warning."""

import gc
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib import import_module
from itertools import product
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import CacheImpl, IndexDataCacheFile, UserProvidedCacheLocator
from numba.core.registry import cpu_target

from skdeep.engine import jit
from skdeep.engine.jit import EntryPoint
from tests import _compiled
from tests._subprocess import run_python

X = np.arange(10.0)
X.flags.writeable = False


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cold cache folder, in a process that had no trouble yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "_troubles", [])
    return tmp_path / "cache"


def anew(entry_point):
    """The entry point as a new process finds it: nothing in memory, the cache on disk as it is."""
    return EntryPoint(entry_point.body, entry_point.parallel)


def squares(dtypes=(np.float64,)):
    """Square numbers in a new "process", check them, and count its cache hits and misses."""
    jit._troubles.clear()
    entry_point = anew(_compiled.squares)
    for dtype in dtypes:
        x, y = X.astype(dtype), np.zeros(10, dtype)
        entry_point(x, y)
        np.testing.assert_array_equal(y, x * x)
    stats = [copy.stats for copy in entry_point.copies.values()]
    return sum(len(s.cache_hits) for s in stats), sum(len(s.cache_misses) for s in stats)


def twins(dtypes=(np.float64,)):
    """The same with both twins of doubled numbers."""
    jit._troubles.clear()
    entry_point = anew(_compiled.doubled)
    for dtype, n_workers in product(dtypes, (1, 2)):
        x, y = X.astype(dtype), np.zeros(10, dtype)
        entry_point(x, y, n_workers)
        np.testing.assert_array_equal(y, 2 * x)
    stats = [copy.stats for copy in entry_point.copies.values()]
    return sum(len(s.cache_hits) for s in stats), sum(len(s.cache_misses) for s in stats)


def files(cache, suffix):
    return sorted(cache.rglob(f"*{suffix}"))


def contents(cache):
    """Every file below the folder, with its bytes and the time of its last change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in cache.rglob("*") if path.is_file()}


def one_warning(match):
    return pytest.warns(RuntimeWarning, match=match)


# ---------------------------------------------------------------------------------------- signatures


def test_copies_and_twins_have_names_of_their_own(cache):
    entry_point = anew(_compiled.doubled)
    for dtype, n_workers in product((np.float32, np.float64), (1, 2)):
        entry_point(X.astype(dtype), np.zeros(10, dtype), n_workers)
    assert {copy.py_func.__qualname__ for copy in entry_point.copies.values()} == {
        f"doubled_{dtype}_{twin}" for dtype in ("float32", "float64") for twin in ("serial", "parallel")
    }
    assert all(len(copy.signatures) == 1 for copy in entry_point.copies.values())
    assert len(files(cache, ".nbi")) == len(files(cache, ".nbc")) == 4


def test_read_only_and_writable_arrays_share_a_copy(cache):
    entry_point = anew(_compiled.squares)
    for x in (X, X.copy(), X[2:], np.zeros(0), np.frombuffer(bytes(80))):
        y = np.zeros(len(x))
        entry_point(x, y)
        np.testing.assert_array_equal(y, x * x)
    (copy,) = entry_point.copies.values()
    assert len(copy.signatures) == 1


def read_only(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros(10, np.float32), np.zeros(10)),
        (np.zeros(10), np.zeros(10, np.float32)),
        (np.zeros(10, np.int64), np.zeros(10)),
        (np.zeros(10, np.float16), np.zeros(10)),
        (np.zeros(10, np.complex128), np.zeros(10)),
        (np.zeros(10, ">f8"), np.zeros(10)),
        (np.zeros(81, np.uint8)[1:].view(np.float64), np.zeros(10)),
        (np.zeros(20)[::2], np.zeros(10)),
        (np.zeros((10, 1)), np.zeros(10)),
        (np.zeros(10), read_only(np.zeros(10))),
        (np.zeros(10), [0.0] * 10),
    ],
    ids=[
        "float32 in",
        "float32 out",
        "integer",
        "half",
        "complex",
        "byte order",
        "misaligned",
        "strided",
        "2d",
        "read-only out",
        "list",
    ],
)
def test_a_wrong_type_is_a_type_error_and_no_second_signature(cache, x, y):
    entry_point = anew(_compiled.squares)
    for dtype in (np.float32, np.float64):
        entry_point(X.astype(dtype), np.zeros(10, dtype))
    before = contents(cache)
    with pytest.raises(TypeError):
        entry_point(x, y)
    assert len(entry_point.copies) == 2
    assert all(len(copy.signatures) == 1 for copy in entry_point.copies.values())
    assert contents(cache) == before


def test_without_the_compiler_the_error_says_what_to_change(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(RuntimeError, match="unset NUMBA_DISABLE_JIT"):
        anew(_compiled.squares)(X, np.zeros(10))


# ---------------------------------------------------------------------------------------- the cache


def test_a_second_process_compiles_and_writes_nothing(cache):
    assert twins((np.float32, np.float64)) == (0, 4)
    before = contents(cache)
    assert twins((np.float32, np.float64)) == (4, 0)
    assert contents(cache) == before


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(1000)),
    "text": lambda path: path.write_text("<html>502</html>"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_damaged_file_costs_one_warning_and_is_healed(cache, suffix, damage):
    squares((np.float32, np.float64))
    for path in files(cache, suffix):
        damage(path)
    with one_warning("unreadable") as record:
        assert squares((np.float32, np.float64)) == (0, 2)
    assert len(record) == 1
    assert squares((np.float32, np.float64)) == (2, 0)


def test_a_flipped_bit_of_machine_code_is_seen(cache):
    squares()
    flip(*files(cache, ".nbc"))
    with one_warning("unreadable"):
        assert squares() == (0, 1)
    assert squares() == (1, 0)


def swap(first, second):
    first_content, second_content = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_content)
    second.write_bytes(first_content)


@pytest.mark.parametrize(
    ("process", "dtypes", "suffix", "warns"),
    [
        (squares, (np.float32, np.float64), ".nbc", True),
        (twins, (np.float64,), ".nbc", True),
        (twins, (np.float64,), ".nbi", True),
        # The index names the signature: the other one's is a plain miss.
        (squares, (np.float32, np.float64), ".nbi", False),
    ],
    ids=["code of dtypes", "code of twins", "index of twins", "index of dtypes"],
)
def test_swapped_files_do_not_pass(cache, process, dtypes, suffix, warns):
    process(dtypes)
    swap(*files(cache, suffix))
    with one_warning("unreadable") if warns else nullcontext([]) as record:
        assert process(dtypes) == (0, 2)
    assert len(record) == warns
    assert process(dtypes) == (2, 0)


def test_a_lost_data_file_is_a_plain_miss(cache):
    squares()
    files(cache, ".nbc")[0].unlink()
    assert squares() == (0, 1)
    assert squares() == (1, 0)


def test_a_full_disk_costs_one_warning(cache, monkeypatch):
    def full(file, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", full)
    with one_warning("No space left") as record:
        assert squares((np.float32, np.float64)) == (0, 2)
    assert len(record) == 1
    monkeypatch.undo()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The entry points in a module whose own `__pycache__` takes what the cache folder refuses."""
    shutil.copy(_compiled.__file__, tmp_path / "elsewhere.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_compiled, "squares", import_module("elsewhere").squares)
    yield tmp_path / "__pycache__"
    del sys.modules["elsewhere"]


@pytest.mark.parametrize("below", [".", "folder"], ids=["a file", "below a file"])
def test_an_unwritable_cache_folder_costs_one_warning(cache, elsewhere, monkeypatch, below):
    cache.write_text("not a folder")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache / below))
    for expected in ((0, 2), (2, 0)):
        with one_warning("not writable") as record:
            assert squares((np.float32, np.float64)) == expected
        assert len(record) == 1
        assert f"the cache is in {elsewhere}" in str(record[0].message)


def test_no_writable_folder_at_all_costs_one_warning(cache, monkeypatch):
    cache.write_text("not a folder")
    monkeypatch.setattr(CacheImpl, "_locator_classes", [UserProvidedCacheLocator])
    for _ in range(2):
        with one_warning("no folder for the cache is writable") as record:
            squares((np.float32, np.float64))
        assert len(record) == 1
    assert jit.cache_folder() is None


def test_a_warning_that_is_an_error_is_raised_once(cache):
    squares()
    cut(*files(cache, ".nbc"))
    entry_point = anew(_compiled.squares)
    with pytest.raises(RuntimeWarning, match="unreadable"):
        entry_point(X, np.zeros(10))
    entry_point(X, np.zeros(10))
    assert squares() == (1, 0)


# ---------------------------------------------------------------------------------------- what invalidates


def test_the_stamp_covers_every_file_of_the_engine(tmp_path):
    engine = Path(jit.__file__).parent
    sources = sorted(path.name for path in engine.glob("*.py"))
    assert {"jit.py", "simd.py", "steps.py"} <= set(sources)
    copy = shutil.copytree(engine, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    stamps = {jit._stamp(copy)}
    for edited in [*sources, "new.py"]:
        with (copy / edited).open("a") as file:
            file.write("\n# edited\n")
        stamps.add(jit._stamp(copy))
    (copy / "new.py").rename(copy / "renamed.py")
    stamps.add(jit._stamp(copy))
    assert len(stamps) == len(sources) + 3


@pytest.mark.parametrize(("flag", "value"), [("fastmath", {"contract"}), ("error_model", "python")])
def test_the_stamp_covers_the_flags(monkeypatch, flag, value):
    before = jit._stamp()
    monkeypatch.setitem(jit.FLAGS, flag, value)
    assert jit._stamp() != before


def test_an_edit_invalidates_the_cache(cache, monkeypatch):
    squares()
    n_files = len(contents(cache))
    monkeypatch.setattr(jit, "STAMP", "after the edit")
    assert squares() == (0, 1)
    assert squares() == (1, 0)
    assert len(contents(cache)) == n_files


def test_outdated_code_under_a_new_index_does_not_pass(cache, monkeypatch):
    # What a process leaves that is killed between its two files.
    squares()
    (index,), (code,) = files(cache, ".nbi"), files(cache, ".nbc")
    outdated = code.read_bytes()
    monkeypatch.setattr(jit, "STAMP", "after the edit")
    squares()
    code.write_bytes(outdated)
    with one_warning("unreadable"):
        assert squares() == (0, 1)
    assert code.read_bytes() != outdated
    assert index.exists()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [(jit, "CPU_NAME", "another"), (jit, "CPU_FEATURES", "-avx"), (numba.config, "BOUNDSCHECK", 1)],
    ids=["processor", "features", "bounds check"],
)
def test_targets_and_switches_have_files_of_their_own(cache, monkeypatch, owner, name, value):
    squares()
    before = contents(cache)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, value)
        assert squares() == (0, 1)
        assert squares() == (1, 0)
    assert contents(cache).items() > before.items()
    assert squares() == (1, 0)


# ---------------------------------------------------------------------------------------- threads, forks, failures


def test_eight_threads_compile_each_copy_once(cache):
    entry_point, barrier = anew(_compiled.doubled), threading.Barrier(8)

    def call(i):
        dtype = (np.float32, np.float64)[i % 2]
        y = np.zeros(10, dtype)
        barrier.wait()
        entry_point(X.astype(dtype), y, 1)
        return y

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(8)))
    assert all((y == 2 * X).all() for y in results)
    assert len(entry_point.copies) == 2
    assert all(sum(copy.stats.cache_misses.values()) == 1 for copy in entry_point.copies.values())


@pytest.mark.parametrize("step", ["load_overload", "save_overload"])
def test_an_interrupted_compilation_leaves_no_half_state(cache, monkeypatch, step):
    def interrupt(*args):
        raise KeyboardInterrupt

    def lent():
        """What numba and Python lend to a compilation."""
        return gc.get_threshold(), *(set(vars(lender)) for lender in lenders)

    lenders = numba.types.Function, cpu_target.target_context.codegen()
    entry_point, before = anew(_compiled.squares), lent()
    with monkeypatch.context() as patch:
        patch.setattr(jit._GuardedCache, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            entry_point(X, np.zeros(10))
    assert not entry_point.copies
    assert lent() == before
    y = np.zeros(10)
    entry_point(X, y)
    np.testing.assert_array_equal(y, X * X)
    assert squares() == (1, 0)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_code_is_shared_with_functions_that_are_not_ours(cache, first):
    code = f"""
    import numba
    import numpy as np
    from tests._compiled import square, squares

    @numba.njit
    def theirs(x):
        return square(x) + max(x, -x)

    def ours(x):
        y = np.zeros(1)
        squares(np.array([x]), y)
        return y[0]

    print({first}(-3.0), theirs(-3.0), ours(-3.0))
    """
    expected = {"ours": "9.0 12.0 9.0\n", "theirs": "12.0 12.0 9.0\n"}
    assert run_python(code, timeout=60, NUMBA_CACHE_DIR=cache).stdout == expected[first]
    assert run_python(code, timeout=60, NUMBA_CACHE_DIR=cache).stdout == expected[first]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_fork_while_a_thread_compiles():
    code = """
    import os, threading, time
    import numpy as np
    from skdeep.engine import jit
    from tests._compiled import squares

    opens, open_cache = threading.Event(), jit._open_cache

    def open_slowly(body):
        opens.set()
        time.sleep(0.5)
        return open_cache(body)

    jit._open_cache = open_slowly
    x, y = np.arange(3.0), np.zeros(3)
    thread = threading.Thread(target=squares, args=(x, np.zeros(3)))
    thread.start()
    opens.wait()
    child = os.fork()
    if child == 0:
        squares(x, y)
        squares(x.astype("f"), y.astype("f"))
        os._exit(int(y[2] != 4))
    thread.join()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_python(code, timeout=30).stdout == "0\n"


def test_processes_that_compile_at_once_never_mix_up_their_code(tmp_path):
    code = """
    import sys, time
    from itertools import product
    from pathlib import Path
    import numba
    import numpy as np
    from skdeep.engine.jit import EntryPoint
    from tests import _compiled

    folder, rank, n_processes, n_rounds = Path({folder!r}), {rank}, {n_processes}, 5
    copies = list(product((np.float32, np.float64), (1, 2)))
    n_hits = 0
    for i in range(n_rounds):
        numba.config.CACHE_DIR = str(folder / f"cache {{i}}")
        (folder / f"{{i}} {{rank}}").touch()
        while len(list(folder.glob(f"{{i}} *"))) < n_processes:
            time.sleep(0.001)
        doubled = EntryPoint(_compiled.doubled.body, True)
        for dtype, n_workers in copies[rank:] + copies[:rank]:
            x, y = np.arange(9, dtype=dtype), np.zeros(9, dtype)
            doubled(x, y, n_workers)
            assert (y == 2 * x).all(), (dtype, n_workers, y)
        n_hits += sum(len(copy.stats.cache_hits) for copy in doubled.copies.values())
    print(n_hits, "of", n_rounds * len(copies))
    """

    def process(rank, n_processes):
        program = code.format(folder=str(tmp_path), rank=rank, n_processes=n_processes)
        done = run_python(program, timeout=120)
        assert not done.stderr
        return done.stdout

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(process, range(4), [4] * 4))
    assert process(0, 1) == "20 of 20\n"
