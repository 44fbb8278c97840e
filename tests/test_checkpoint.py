"""Checkpoints: whatever ends a fit, another goes on from the file, with the same bits."""

import errno
import os
import pickle
import signal

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skdeep import Checkpoint, ConvNetClassifier, ConvNetRegressor, MLPBackpropClassifier, MLPBackpropRegressor
from tests import _models
from tests._subprocess import run_python

pytestmark = [
    pytest.mark.usefixtures("serial"),
    pytest.mark.filterwarnings("ignore:.*Maximum iterations.*:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning"),
]

N_EPOCHS = 6
SETTINGS = {"max_iter": N_EPOCHS, "batch_size": 50, "learning_rate_init": 0.01, "random_state": 0}
MLP = MLPBackpropClassifier((20,), **SETTINGS)
CONVNET = ConvNetClassifier(4, kernel_size=3, hidden_layer_sizes=10, **SETTINGS)
NETWORKS = [
    MLP,
    MLPBackpropRegressor(hidden_layer_sizes=(20,), **SETTINGS),
    CONVNET,
    ConvNetRegressor(4, kernel_size=3, hidden_layer_sizes=10, **SETTINGS),
]
EVERY = pytest.mark.parametrize("net", NETWORKS, ids=lambda net: type(net).__name__)
X, Y = _models.data(np.float64)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.joblib"


class Listener:
    """A callback that calls a function at the end of each epoch."""

    def __init__(self, heard):
        self.heard = heard

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.heard(context.task_id + 1)

    def teardown(self, estimator, context):
        pass


def interrupt_after(n_epochs):
    def interrupt(epoch):
        if epoch == n_epochs:
            raise KeyboardInterrupt

    return Listener(interrupt)


def goes_on(path):
    """The saved network, ready for the epochs that are left."""
    net = joblib.load(path)
    return net.set_params(warm_start=True, max_iter=N_EPOCHS - len(net.loss_curve_))


def stopped_twice(net, path):
    """A network that is trained in three fits, two of which are interrupted after two epochs."""
    for left in (6, 4):
        with pytest.raises(KeyboardInterrupt):
            net.set_callbacks(Checkpoint(path), interrupt_after(2)).fit(X, Y)
        net = goes_on(path)
        assert net.max_iter == left - 2
    return net.set_callbacks(Checkpoint(path)).fit(X, Y)


def assert_same(net, want):
    """The same bits in all that two networks have learned, and that they will need to go on."""
    for name in ("theta_", "_statistics", "grad_norm_curve_"):
        np.testing.assert_array_equal(getattr(net, name), getattr(want, name))
    for name in ("first", "second", "n_updates", "learning_rate"):
        np.testing.assert_array_equal(getattr(net._optimizer, name), getattr(want._optimizer, name))
    curves = "loss_curve_", "lr_curve_", "validation_scores_", "validation_loss_curve_"
    for name in (*curves, "best_loss_", "best_validation_score_", "best_epoch_", "t_", "_no_improvement_count"):
        assert getattr(net, name) == getattr(want, name)
    np.testing.assert_array_equal(net.predict(X), want.predict(X))


# ---------------------------------------------------------------------------------------- the same bits


COURSES = [
    {},
    {"shuffle": False},
    {"solver": "sgd"},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
    {"solver": "adamw", "weight_decay": 0.1, "clip_norm": 1.0},
    {"solver": "rmsprop", "lr_schedule": "one_cycle"},
    {"dropout": 0.3, "batch_norm": True},
    {"early_stopping": True},
    # The best epoch is one of the first, and its weights come back.
    {"early_stopping": True, "learning_rate_init": 0.3, "lr_schedule": "cosine"},
    {"augment": {"shift": 1, "flip": "both", "mixup": 0.3}, "conv_dropout": 0.2},
]
CASES = [(net, course) for course in COURSES for net in NETWORKS if set(course) <= set(net.get_params())]


@pytest.mark.parametrize(("net", "settings"), CASES, ids=lambda case: str(case).split("(")[0])
def test_a_stopped_fit_goes_on_as_if_it_had_not_been(net, settings, path):
    net = clone(net).set_params(**settings)
    whole = clone(net).fit(X, Y)
    in_three = stopped_twice(net, path)
    assert_same(in_three, whole)
    assert (in_three.n_iter_, whole.n_iter_) == (2, N_EPOCHS)
    # What only a fit that is to go on needs is gone.
    assert vars(in_three).keys() - {"_skl_callbacks"} == vars(whole).keys()
    history = in_three._history
    assert (history.start, history.n_before, history.best) == (None, 0, None)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(3)], ids=["global", "own"])
def test_draws_of_a_generator_that_moves_on(random_state, path, monkeypatch):
    net = clone(MLP).set_params(dropout=0.2, random_state=random_state)
    fits = []
    for fit in (lambda net: net.fit(X, Y), lambda net: stopped_twice(net, path)):
        monkeypatch.setattr(np.random.mtrand, "_rand", np.random.RandomState(5))
        fits.append(fit(clone(net)))
    assert_same(*fits)


def test_a_fit_that_went_on_after_another_goes_on(path):
    whole, net = (clone(MLP).set_params(warm_start=True, max_iter=3).fit(X, Y) for _ in range(2))
    whole.set_params(max_iter=N_EPOCHS, lr_schedule="cosine").fit(X, Y)
    net.set_params(max_iter=N_EPOCHS, lr_schedule="cosine")
    with pytest.raises(KeyboardInterrupt):
        net.set_callbacks(Checkpoint(path), interrupt_after(2)).fit(X, Y)
    assert_same(joblib.load(path).set_params(max_iter=N_EPOCHS - 2).fit(X, Y), whole)


def test_what_is_changed_in_between_is_minded(path):
    with pytest.raises(KeyboardInterrupt):
        clone(MLP).set_callbacks(Checkpoint(path), interrupt_after(2)).fit(X, Y)
    net = goes_on(path).set_params(learning_rate_init=0.001).fit(X, Y)
    assert net.lr_curve_ == [0.01] * 2 + [0.001] * 4
    # The same weights give another network where the solver forgets.
    other = goes_on(path).set_params(solver="rmsprop", max_iter=1).fit(X, Y)
    assert not np.array_equal(other.theta_, goes_on(path).set_params(max_iter=1).fit(X, Y).theta_)
    # Without warm_start it is a network like any other.
    np.testing.assert_array_equal(joblib.load(path).fit(X, Y).theta_, clone(MLP).fit(X, Y).theta_)


def test_lbfgs_begins_anew_at_the_weights(path):
    net = clone(CONVNET).set_params(solver="lbfgs", max_iter=20)
    with pytest.raises(KeyboardInterrupt):
        net.set_callbacks(Checkpoint(path), interrupt_after(5)).fit(X, Y)
    saved = joblib.load(path)
    before = list(saved.loss_curve_)
    saved.set_params(warm_start=True).fit(X, Y)
    assert saved.loss_curve_[:5] == before
    assert saved.loss_curve_[-1] < saved.loss_curve_[5] < before[-1]


@EVERY
def test_streams_go_on(net, path):
    first = {"classes": [0, 1]} if is_classifier(net) else {}
    whole, net = clone(net), clone(net).set_callbacks(Checkpoint(path))
    batches = np.array_split(np.arange(300), 4)
    for batch in batches:
        whole.partial_fit(X[batch], Y[batch], **first)
        net.partial_fit(X[batch], Y[batch], **first)
        net = joblib.load(path).set_callbacks(Checkpoint(path))
        first = {}
    assert_same(net, whole)


# ---------------------------------------------------------------------------------------- what is saved


@EVERY
@pytest.mark.parametrize("every", [1, 2])
def test_the_file_is_the_network_of_each_epoch(net, every, path):
    files = []
    listener = Listener(lambda epoch: files.append(joblib.load(path) if path.exists() else None))
    ended = clone(net).set_callbacks(Checkpoint(path, every=every), listener).fit(X, Y)
    assert [len(file.loss_curve_) if file else None for file in files] == (
        [1, 2, 3, 4, 5, 5] if every == 1 else [None, 2, 2, 4, 4, 4]
    )
    want = clone(net).set_params(max_iter=2).fit(X, Y)
    np.testing.assert_array_equal(files[1].theta_, want.theta_)
    np.testing.assert_array_equal(files[1].predict(X), want.predict(X))
    assert vars(files[1]).keys() == vars(want).keys()
    assert files[1].get_params() == net.get_params()
    assert_same(joblib.load(path), ended)
    assert os.listdir(path.parent) == [path.name]


def test_the_end_is_saved_with_the_best_weights(path):
    net = clone(CONVNET).set_params(early_stopping=True, learning_rate_init=0.3, n_iter_no_change=1, max_iter=50)
    net.set_callbacks(Checkpoint(path, every=1000)).fit(X, Y)
    assert net.best_epoch_ < net.n_iter_ < 50
    assert_same(joblib.load(path), net)


def test_networks_in_pipelines(path):
    pipe = make_pipeline(MinMaxScaler(), clone(CONVNET))
    whole = clone(pipe).fit(X, Y)
    pipe[-1].set_callbacks(Checkpoint(path), interrupt_after(2))
    pipe = clone(pipe)  # which has the same callbacks
    with pytest.raises(KeyboardInterrupt):
        pipe.fit(X, Y)
    pipe.set_params(convnetclassifier=goes_on(path)).fit(X, Y)
    assert_same(pipe[-1], whole[-1])
    np.testing.assert_array_equal(pipe.predict(X), whole.predict(X))


def test_networks_that_share_a_checkpoint(path):
    # A misuse: each candidate writes over the others' file. It is one of them nevertheless.
    net = clone(MLP).set_callbacks(Checkpoint(path))
    with joblib.parallel_config("threading", n_jobs=2):
        search = GridSearchCV(net, {"alpha": [0.0, 1.0]}, cv=2, refit=False).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert joblib.load(path).alpha in (0.0, 1.0)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("form", [str, os.fspath, lambda path: path])
def test_forms_of_paths(form, path):
    checkpoint = Checkpoint(form(path))
    clone(MLP).set_callbacks(checkpoint).fit(X, Y)
    assert path.exists()
    assert repr(checkpoint) == f"Checkpoint(path={form(path)!r}, every=1)"
    assert pickle.loads(pickle.dumps(checkpoint)) == checkpoint


# ---------------------------------------------------------------------------------------- what ends a process

KILLABLE = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform has no SIGKILL")
CHILD = """
    import os, signal, threading
    from unittest import mock
    import joblib
    from skdeep import Checkpoint
    from tests import test_checkpoint as here

    def end(number):
        os.kill(os.getpid(), number)

    net, checkpoint = here.clone(here.NETWORKS[{which}]), Checkpoint({path!r})
"""


def run_child(code, net, path):
    which = next(i for i, each in enumerate(NETWORKS) if each is net)
    head = CHILD.format(which=which, path=str(path))
    return run_python(head + code, check=False, NUMBA_NUM_THREADS=1, PYTHONWARNINGS="ignore")


@KILLABLE
@pytest.mark.parametrize("net", [MLP, CONVNET], ids=lambda net: type(net).__name__)
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_processes_that_end_somewhere_in_an_epoch(net, name, path):
    code = f"""
    saved = threading.Event()

    def heard(epoch):
        if epoch == 2:
            saved.set()
        if epoch == 5:
            threading.Event().wait()  # for the signal, should it be late

    def send():
        saved.wait()
        end(signal.{name})

    threading.Thread(target=send, daemon=True).start()
    net.set_callbacks(checkpoint, here.Listener(heard)).fit(here.X, here.Y)
    """
    done = run_child(code, net, path)
    assert done.returncode == -getattr(signal, name), done.stderr
    saved = joblib.load(path)
    assert 2 <= len(saved.loss_curve_) <= 5
    assert_same(goes_on(path).fit(X, Y), clone(net).fit(X, Y))


@KILLABLE
@pytest.mark.parametrize("function", ["joblib.dump", "os.replace"])
def test_processes_killed_while_they_write(function, path):
    code = f"""
    n_epochs, real = 0, {function}

    def killed(*args):
        if n_epochs == 2:
            if hasattr(args[-1], "write"):
                args[-1].write(b"half of it")
                args[-1].flush()
            end(signal.SIGKILL)
        return real(*args)

    def heard(epoch):
        global n_epochs
        n_epochs = epoch

    with mock.patch("{function}", killed):
        net.set_callbacks(checkpoint, here.Listener(heard)).fit(here.X, here.Y)
    """
    done = run_child(code, CONVNET, path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    # The third epoch is lost: what was written of it is a file that nobody reads.
    assert len(joblib.load(path).loss_curve_) == 2
    (part,) = set(os.listdir(path.parent)) - {path.name}
    assert part.startswith(".net.joblib.")
    assert part.endswith(".part")
    net = goes_on(path).set_callbacks(Checkpoint(path)).fit(X, Y)
    assert_same(joblib.load(path), net)
    assert_same(net, clone(CONVNET).fit(X, Y))
    assert set(os.listdir(path.parent)) == {path.name, part}


# ---------------------------------------------------------------------------------------- errors


def assert_no_epoch(net, error, match):
    """That a fit with callbacks raises before its first epoch, and changes nothing."""
    begun = []
    listener = Listener(begun.append)
    net.set_callbacks(*net._skl_callbacks, listener)
    before = vars(net).copy()
    with pytest.raises(error, match=match):
        net.fit(X, Y)
    assert vars(net) == before
    assert not begun


@EVERY
def test_files_that_cannot_be_written(net, tmp_path):
    (tmp_path / "file").write_text("")
    cases = {"missing/net.joblib": FileNotFoundError, "file/net.joblib": NotADirectoryError, "": IsADirectoryError}
    for name, error in cases.items():
        path = tmp_path / name
        fitted = clone(net).set_callbacks(Checkpoint(path))
        assert_no_epoch(fitted, error, f"Checkpoint cannot write '{path}'.*Choose a file in a folder that exists")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folders_that_may_not_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    net = clone(MLP).set_callbacks(Checkpoint(tmp_path / "net.joblib"))
    assert_no_epoch(net, PermissionError, "Checkpoint cannot write.*may be written to")


@EVERY
def test_parameters_that_cannot_be_pickled(net, path):
    net = clone(net).set_params(lr_schedule=lambda progress: 1.0).set_callbacks(Checkpoint(path))
    assert_no_epoch(net, TypeError, f"Checkpoint cannot pickle {type(net).__name__}.*lambda.*lr_schedule")
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("kind", [lambda net: make_pipeline(MinMaxScaler(), net), lambda net: GridSearchCV(net, {})])
def test_what_is_no_network(kind, path):
    outer = kind(clone(MLP)).set_callbacks(Checkpoint(path))
    with pytest.raises(TypeError, match=rf"Checkpoint saves networks.*got {type(outer).__name__}.*\[-1\]"):
        outer.fit(X, Y)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", None, True])
def test_numbers_of_epochs_that_are_none(every, path):
    with pytest.raises(ValueError, match="every must be an integer of at least 1, got"):
        Checkpoint(path, every=every)


@pytest.mark.parametrize("path", [None, 3, b"net.joblib"])
def test_paths_that_are_none(path):
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        Checkpoint(path)


def test_disks_that_fill_up(path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    def heard(epoch):
        if epoch == 2:
            monkeypatch.setattr(os, "fsync", full)

    net = clone(MLP).set_callbacks(Checkpoint(path), Listener(heard))
    before = vars(net).copy()
    with pytest.raises(OSError, match="No space left on device"):
        net.fit(X, Y)
    assert vars(net) == before
    # The last whole file stays, and no part of one.
    assert os.listdir(path.parent) == [path.name]
    monkeypatch.undo()
    assert_same(goes_on(path).fit(X, Y), clone(MLP).fit(X, Y))
