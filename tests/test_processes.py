"""Threads, forks, processes and interrupts around real estimators: nothing hangs, and the bits do not change."""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from statistics import median
from types import SimpleNamespace

import numba
import pytest

from skdeep.engine import threads
from tests import _models
from tests._subprocess import run_python

LAYERS = pytest.mark.parametrize(
    "layer",
    [
        pytest.param(name, marks=pytest.mark.skipif(not find_spec(f"numba.np.ufunc.{module}"), reason="not built in"))
        for name, module in (("omp", "omppool"), ("workqueue", "workqueue"))
    ],
)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")


# ---------------------------------------------------------------------------------------- imports


def test_import_compiles_nothing_and_starts_no_threads():
    code = """
    from importlib import import_module
    from pkgutil import walk_packages
    from threading import active_count
    import numba
    from numba.core import event
    import skdeep

    with event.install_recorder("numba:compile") as compilations:
        for module in walk_packages(skdeep.__path__, "skdeep."):
            import_module(module.name)
        for name in skdeep.__all__:
            getattr(skdeep, name)
    print(len(compilations.buffer), active_count())
    numba.threading_layer()
    """
    done = run_python(code, check=False)
    assert done.stdout == "0 1\n"
    assert "Threading layer is not initialized" in done.stderr


def test_import_costs_little_beyond_numba_and_scikit_learn(tmp_path):
    # The issue is an import that computes or compiles; the best of three keeps a busy machine out of it, and the
    # bytecode of the first process what Python itself compiles.
    bytecode = {"PYTHONPYCACHEPREFIX": tmp_path, "PYTHONDONTWRITEBYTECODE": None}
    code = """
    import sys, time
    from importlib import import_module
    from pkgutil import walk_packages

    for name in {theirs}:
        import_module(name)
    start = time.perf_counter()
    import skdeep
    for module in walk_packages(skdeep.__path__, "skdeep."):
        import_module(module.name)
    seconds = time.perf_counter() - start
    print([name for name in sys.modules if name.split(".")[0] in {{"numpy", "scipy", "sklearn", "numba"}}])
    print(seconds)
    """
    theirs = run_python(code.format(theirs=[]), **bytecode).stdout.splitlines()[0]
    runs = [run_python(code.format(theirs=theirs), **bytecode) for _ in range(3)]
    assert min(float(run.stdout.splitlines()[1]) for run in runs) < 0.3


# ---------------------------------------------------------------------------------------- the cold cache


def test_four_processes_compile_at_once_and_a_fifth_not_at_all(tmp_path):
    code = """
    import os, sys, time
    from pathlib import Path

    written = set()

    def note(event, args):
        if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
            written.add(args[0])
        elif event in ("os.mkdir", "os.rename"):
            written.add(args[event == "os.rename"])

    sys.addaudithook(note)
    from numba.core import event
    from tests import _models

    rank, n_processes, folder = {rank}, {n_processes}, Path({folder!r})
    (folder / str(rank)).touch()
    while len(list(folder.glob("[0-9]"))) < n_processes:
        time.sleep(0.01)
    with event.install_recorder("numba:compile") as compilations:
        digests = {{dtype: _models.digests(dtype) for dtype in ("float32", "float64")[:: 1 if rank % 2 else -1]}}
    print(sorted(digests.items()))
    print(len(compilations.buffer))
    print([path for path in written if not path.startswith((str(folder), "/dev/"))])
    """

    def process(rank, n_processes):
        program = code.format(rank=rank, n_processes=n_processes, folder=str(tmp_path))
        env = {"NUMBA_CACHE_DIR": tmp_path / "cache", "NUMBA_NUM_THREADS": 1, "PYTHONDONTWRITEBYTECODE": 1}
        done = run_python(program, timeout=300, **env)
        assert not done.stderr
        digests, n_compilations, written_elsewhere = done.stdout.splitlines()
        assert written_elsewhere == "[]"
        return digests, int(n_compilations)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(process, range(4), [4] * 4))
    assert all(n_compilations > 0 for _, n_compilations in results)
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    assert {path.suffix for path in cached if path.is_file()} == {".nbi", ".nbc"}
    results.append(process(4, 1))
    assert results[-1][1] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == cached
    # Right answers: those of this process, which has another cache.
    expected = str([(dtype, _models.digests(dtype)) for dtype in ("float32", "float64")])
    assert {digests for digests, _ in results} == {expected}


# ---------------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_number_of_threads(dtype):
    code = f"""
    from tests import _models

    print(_models.digests("{dtype}"), _models.twins())
    """
    one, two, five = (run_python(code, NUMBA_NUM_THREADS=n).stdout for n in (1, 2, 5))
    assert one.endswith("['serial']\n")
    assert two.endswith("['parallel']\n")
    assert one.replace("serial", "parallel") == two == five


def test_the_users_thread_mask_is_respected_and_kept():
    code = """
    import numba
    from tests import _models

    both = _models.digests()
    print(numba.get_num_threads(), _models.twins())
    numba.set_num_threads(1)
    assert _models.digests() == both
    print(numba.get_num_threads(), _models.twins())
    """
    assert run_python(code, NUMBA_NUM_THREADS=2).stdout == "2 ['parallel']\n1 ['parallel', 'serial']\n"


# ---------------------------------------------------------------------------------------- forks, threads, workers


@needs_fork
@LAYERS
def test_fit_then_predict_and_fit_in_forked_children(layer):
    code = """
    import multiprocessing, os
    import numba
    from tests import _models

    models = {name: _models.fitted(name) for name in _models.MODELS}
    expected = [_models.digest(model) for model in models.values()]
    print(numba.threading_layer(), _models.twins())

    def same(_=None):
        predicted = [_models.digest(model) for model in models.values()]
        return predicted == expected == _models.digests()

    child = os.fork()
    if child == 0:
        os._exit(0 if same() else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(same, range(4)), same())
    """
    done = run_python(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert done.stdout == f"{layer} ['parallel']\n0\n[True, True, True, True] True\n"


@LAYERS
def test_eight_threads_fit_and_predict_at_once(layer):
    code = """
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier
    import numba
    from tests import _models

    numba.set_num_threads(1)
    shared = [_models.fitted(name) for name in _models.MODELS]
    expected = [_models.digest(model) for model in shared]
    numba.set_num_threads(2)
    barrier = Barrier(9)

    def same(_=None):
        barrier.wait()
        rounds = [(_models.digests(), [_models.digest(model) for model in shared]) for _ in range(3)]
        return all(expected == fresh == predicted for fresh, predicted in rounds)

    with ThreadPoolExecutor(8) as pool:
        others = pool.map(same, range(8))
        print(same(), *others)
    print(numba.threading_layer(), _models.twins())
    """
    done = run_python(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert done.stdout == f"{' '.join(['True'] * 9)}\n{layer} ['parallel', 'serial']\n"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_grid_search_over_workers(layer):
    code = """
    import numpy as np
    from joblib import parallel_config
    from sklearn.base import is_classifier
    from sklearn.model_selection import GridSearchCV
    from tests import _models

    def search(name, n_jobs):
        model, (X, y) = _models.MODELS[name](), _models.data("float64")
        scoring = "neg_log_loss" if is_classifier(model) else "neg_mean_squared_error"
        grid = GridSearchCV(model, {"alpha": [1e-4, 1.0]}, scoring=scoring, cv=2, n_jobs=n_jobs).fit(X, y)
        scores = [grid.cv_results_[f"split{i}_test_score"] for i in range(2)]
        return np.array(scores), _models.digest(grid.best_estimator_, "float64")

    for name in _models.MODELS:
        expected, best = search(name, 1)
        for backend in ("loky", "threading"):
            with parallel_config(backend):
                scores, same = search(name, 2)
            # Up to what LAPACK's own threads round otherwise.
            np.testing.assert_allclose(scores, expected, rtol=1e-9)
            assert same == best
    """
    run_python(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)


# ---------------------------------------------------------------------------------------- interrupts


def check_interrupts(stdout):
    seconds = [float(line) for line in stdout.splitlines()]
    assert len(seconds) == 3
    # The median, so that a busy machine fails no test.
    assert median(seconds) < 0.5


# An epoch of each takes seconds.
LONG_FITS = [
    "ConvNetClassifier((20, 50), image_shape=(8, 8), max_iter=1000)",
    "MLPBackpropClassifier((512, 512), batch_size=2000, max_iter=1000)",
]


@pytest.mark.parametrize("long_fit", LONG_FITS, ids=["convnet", "mlp"])
def test_ctrl_c_ends_a_fit_and_leaves_the_estimator_as_it_was(long_fit):
    code = f"""
    import signal, threading, time
    import numpy as np
    from skdeep import ConvNetClassifier, MLPBackpropClassifier

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100_000, 64)).astype("f"), rng.integers(10, size=100_000)
    model, warm = {long_fit}, {long_fit}
    warm.set_params(max_iter=1).fit(X[:2000], y[:2000])

    def state():
        return {{name: id(value) for name, value in vars(model).items()}}

    def interrupt():
        times.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    for fitted in (False, True, True):
        if fitted:
            model.set_params(max_iter=1).fit(X[:2000], y[:2000])
        model.set_params(max_iter=1000)
        before, times = state(), []
        threading.Timer(1.5, interrupt).start()
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            print(time.perf_counter() - times[0])
        assert state() == before
        assert hasattr(model, "classes_") == fitted
    """
    check_interrupts(run_python(code).stdout)


# The factorisation takes seconds, and the eigenvalues that solve a singular system longer.
@pytest.mark.parametrize("kernel", ["RBF(10.0)", "Linear()"], ids=["cholesky", "singular"])
def test_ctrl_c_ends_kernel_ridge(kernel):
    code = f"""
    import os, signal, threading, time
    import numpy as np
    from skdeep import KernelRidgeDual
    from skdeep.kernels import RBF, Linear

    X = np.random.default_rng(0).normal(size=(9000, 20))
    KernelRidgeDual(0.0, kernel={kernel} + 1.0).fit(X[:30], X[:30, 0])
    model = KernelRidgeDual(0.0, kernel={kernel} + 1.0)

    def interrupt():
        times.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)  # unlike raise_signal it wakes a waiting main thread

    for seconds in (1.0, 1.3, 1.6):
        times = []
        threading.Timer(seconds, interrupt).start()
        try:
            model.fit(X, X[:, 0])
        except KeyboardInterrupt:
            print(time.perf_counter() - times[0], flush=True)
        assert not hasattr(model, "dual_coef_")
    os._exit(0)  # without the eigenvalues that nobody waits for
    """
    check_interrupts(run_python(code).stdout)


def test_ctrl_c_ends_a_gram_matrix():
    code = """
    import signal, threading, time
    import numpy as np
    from skdeep.kernels import RBF, Linear

    X = np.random.default_rng(0).normal(size=(20000, 50))
    K = (RBF(10.0) + Linear() ** 2).gram(X)
    K.rows(slice(100)) @ X

    def interrupt():
        times.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    for _ in range(3):
        times = []
        threading.Timer(0.7, interrupt).start()
        try:
            while True:
                K @ X
        except KeyboardInterrupt:
            print(time.perf_counter() - times[0])
    """
    check_interrupts(run_python(code).stdout)


# ---------------------------------------------------------------------------------------- launches


class Work:
    """A clock that each item of work moves on."""

    def __init__(self, monkeypatch, seconds_each, overhead=0.0):
        self.seconds_each, self.overhead, self.now, self.launches = seconds_each, overhead, 0.0, []
        monkeypatch.setattr(threads, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def run(self, n_items):
        for start, stop in threads.launches(n_items):
            seconds = sum(self.seconds_each(i) for i in range(start, stop))
            self.launches.append((start, stop, seconds))
            self.now += seconds + self.overhead
            self.overhead = 0.0
        return self


@pytest.mark.parametrize("n_items", [0, 1, 1000])
@pytest.mark.parametrize("seconds", [0.0, 1e-7, 1e-4, 1e-3, 0.03, 0.15, 0.2])
def test_launches_cover_the_work_and_end_soon(monkeypatch, seconds, n_items):
    work = Work(monkeypatch, lambda i: seconds).run(n_items)
    starts, stops, durations = zip(*work.launches, strict=True) if n_items else ((), (), ())
    assert (*starts, n_items) == (0, *stops)
    assert all(duration <= 0.2 for duration in durations)
    # Few of them: they double until they take 0.05 s.
    assert len(durations) <= 12 + sum(durations) / 0.05


def test_launches_shrink_where_the_work_slows_down(monkeypatch):
    work = Work(monkeypatch, lambda i: 0.001 if i < 300 else 0.002).run(1000)
    assert max(duration for *_, duration in work.launches) <= 0.2
    assert max(stop - start for start, stop, _ in work.launches[-5:]) <= 50


def test_a_first_launch_that_compiles_makes_the_next_ones_no_longer(monkeypatch):
    work = Work(monkeypatch, lambda i: 0.001, overhead=10.0).run(1000)
    assert [stop - start for start, stop, _ in work.launches[:4]] == [1, 1, 2, 4]


def test_an_item_longer_than_a_launch_is_a_launch_of_its_own(monkeypatch):
    work = Work(monkeypatch, lambda i: 1.0).run(5)
    assert len(work.launches) == 5


# ---------------------------------------------------------------------------------------- the twin


def workers(work=10 * threads.SMALLEST_PARALLEL_WORK):
    return threads.n_workers(work)


def test_large_work_takes_the_threads_that_the_user_allows():
    assert workers() == numba.get_num_threads()


def test_small_work_stays_serial():
    assert workers(threads.SMALLEST_PARALLEL_WORK - 1) == 1


def test_a_forked_child_stays_serial(monkeypatch):
    monkeypatch.setattr(threads, "_forked", True)
    assert workers() == 1


def test_a_thread_stays_serial_under_the_layer_workqueue_alone(monkeypatch):
    monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", 2)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 2)
    for layer, expected in (("omp", 2), ("tbb", 2), ("workqueue", 1)):
        monkeypatch.setattr(numba, "threading_layer", lambda name=layer: name)
        assert workers() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(workers).result() == expected
