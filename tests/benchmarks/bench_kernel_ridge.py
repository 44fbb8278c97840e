"""Kernel ridge regression against scikit-learn: time, memory and accuracy of seven kinds of work, each with its goal.

Run `python -m tests.benchmarks.bench_kernel_ridge --data FOLDER` on a quiet Linux machine; FOLDER holds kin8nm.npz and
california.npz (X, y) and fashion_mnist.npz (X_train, y_train, X_test, y_test). `--only fit alphas` runs these alone;
"fit", "alphas" and "grid" need no data. Ratios are seconds of the peer over seconds of ours, median and range over
rounds that take each in turn, or of one call where a call takes minutes. Peaks are the resident memory of a process of
its own for each fit, above what it had right before. Compilation, in a fit on few samples, is not counted.
"""

import argparse
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as theirs
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import KernelRidgeDual, KernelRidgeDualCV
from skdeep.kernels import RBF, Matern
from tests.benchmarks._common import rounds, seconds, spread

ALPHAS = np.geomspace(1e-4, 1e2, 50)


def synthetic(n, d, dtype="float64"):
    """Samples of variance 1 and a smooth target with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)).astype(dtype)
    return X, (np.sin(X[:, :3]).sum(axis=1) + 0.1 * rng.normal(size=n)).astype(dtype)


def standardised(path, n_train, dtype="float64"):
    """A random training and test part of a regression data set, standardised on the training part."""
    with np.load(path) as arrays:
        X, y = arrays["X"], arrays["y"]
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:n_train], order[n_train:]
    scaler, mean, deviation = StandardScaler().fit(X[train]), y[train].mean(), y[train].std()
    X, y = scaler.transform(X).astype(dtype), ((y - mean) / deviation).astype(dtype)
    return X[train], y[train], X[test], y[test]


def fashion(path):
    """Training and test images in float32, roots of pixels in [0, 1], and targets -1/+1 of each class."""
    with np.load(path) as arrays:
        X, X_test = (np.sqrt(arrays[f"X_{part}"].reshape(-1, 784) / np.float32(255)) for part in ("train", "test"))
        y, y_test = arrays["y_train"], arrays["y_test"]
    return X, 2 * np.eye(10, dtype="float32")[y] - 1, X_test, y_test


def warmed(estimator, X, y):
    """The estimator, after a fit and a prediction on few samples that compile what it needs."""
    estimator.fit(X[:300], y[:300]).predict(X[:300])
    return estimator


# ------------------------------------------------------------- fits whose memory is asked, each in a process of its own


def fit_ours(data, dtype):
    X, y = synthetic(5000, 20, dtype)
    model = warmed(KernelRidgeDual(kernel="rbf", gamma=1 / 40), X, y)
    return model, lambda: model.fit(X, y).predict(X)


def fit_theirs(data, dtype):
    X, y = synthetic(5000, 20, dtype)
    model = KernelRidge(kernel="rbf", gamma=1 / 40)
    return model, lambda: model.fit(X, y).predict(X)


def california_ours(data):
    X, y, *_ = standardised(data / "california.npz", 20640)
    options = {"kernel": RBF(1.5), "solver": "pcg", "tol": 1e-3, "random_state": 0}
    model = warmed(KernelRidgeDual(0.1, **options), X, y)
    return model, lambda: model.fit(X, y)


def california_theirs(data):
    X, y, *_ = standardised(data / "california.npz", 20640)
    model = KernelRidge(0.1, kernel="rbf", gamma=0.5 / 1.5**2)
    return model, lambda: model.fit(X, y)


def fashion_ours(data):
    X, Y, *_ = fashion(data / "fashion_mnist.npz")
    # Roots, kernel and penalty by fits to 8000 of the training images and their scores on others.
    options = {"solver": "pcg", "tol": 1e-2, "n_components": 4000, "memory_limit": 2 * 10**9, "random_state": 0}
    model = warmed(KernelRidgeDual(0.3, kernel=Matern(8.0, nu=1.5), **options), X, Y)
    return model, lambda: model.fit(X, Y)


FITS = {
    "fit ours float32": lambda data: fit_ours(data, "float32"),
    "fit ours float64": lambda data: fit_ours(data, "float64"),
    "fit theirs float32": lambda data: fit_theirs(data, "float32"),
    "fit theirs float64": lambda data: fit_theirs(data, "float64"),
    "california ours": california_ours,
    "california theirs": california_theirs,
    "fashion ours": fashion_ours,
}


def resident_memory(field):
    """Bytes of this process: now by "VmRSS", at most by "VmHWM"."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE).group(1))


def measure(name, data):
    """Print what one fit takes, as JSON; the model is the same in every process."""
    model, call = FITS[name](data)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: what compilation took is not the fit's
    before = resident_memory("VmRSS")
    result = {"seconds": seconds(call)}
    result["peak"] = resident_memory("VmHWM") - before
    for attribute in ("n_iter_", "error_bound_", "solver_"):
        result[attribute] = getattr(model, attribute, None)
    if name == "fashion ours":
        *_, X_test, y_test = fashion(data / "fashion_mnist.npz")
        result["accuracy"] = float((model.predict(X_test).argmax(axis=1) == y_test).mean())
    print(json.dumps(result, default=float))


def in_a_process(name, data):
    """What `measure` prints, from a new process."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_kernel_ridge", "--data", str(data), "--measure", name]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# ------------------------------------------------------------- the rows of the table


def bench_fit(data):
    """Goal: 3 times as fast, at most 1.2 copies of K."""
    for dtype in ("float32", "float64"):
        calls = [FITS[f"fit {whose} {dtype}"](data)[1] for whose in ("ours", "theirs")]
        ours, other = rounds(calls, n_rounds=5).T
        peaks = [in_a_process(f"fit {whose} {dtype}", data)["peak"] for whose in ("ours", "theirs")]
        copies = np.array(peaks) / (5000**2 * np.dtype(dtype).itemsize)
        yield (
            f"fit and predict, n = 5000, d = 20, RBF, {dtype}: {np.median(ours):.2f} s, ratio {spread(other / ours)}; "
            f"copies of K {copies[0]:.2f}, scikit-learn {copies[1]:.2f}"
        )


def bench_alphas(data):
    """Goal: 50 times as fast."""
    X, y = synthetic(3000, 8)
    model = warmed(KernelRidgeDualCV(ALPHAS, kernel="rbf", gamma=1 / 16), X, y)
    search = GridSearchCV(KernelRidge(kernel="rbf", gamma=1 / 16), {"alpha": ALPHAS}, cv=5)
    ours = [seconds(lambda: model.fit(X, y)) for _ in range(3)]
    other = seconds(lambda: search.fit(X, y))
    yield (
        f"50 alphas, exact leave-one-out, n = 3000: {np.median(ours):.2f} s, ratio {spread(other / np.array(ours))}; "
        f"alpha {model.alpha_:.3g}, of five folds {search.best_params_['alpha']:.3g}"
    )


def bench_grid(data):
    """Goal: 30 times as fast."""
    X, y = synthetic(2000, 8)
    scales = np.geomspace(1, 10, 10)
    models = [KernelRidgeDualCV(ALPHAS, kernel=RBF(l)) for l in scales]
    warmed(models[0], X, y)
    ours = [seconds(lambda: max(model.fit(X, y).best_score_ for model in models)) for _ in range(3)]
    # One of the ten length scales stands for all: the peer's work does not depend on it.
    search = GridSearchCV(KernelRidge(kernel="rbf"), {"alpha": ALPHAS, "gamma": [0.5 / scales[5] ** 2]}, cv=5)
    other = 10 * seconds(lambda: search.fit(X, y))
    yield f"50 alphas x 10 length scales, n = 2000: {np.median(ours):.2f} s, ratio {spread(other / np.array(ours))}"


def bench_ard(data):
    """Goal: 4 times as fast at no worse test RMSE."""
    X, y, X_test, y_test = standardised(data / "kin8nm.npz", 2000)
    d, n_restarts = X.shape[1], 1
    # The same model, criterion, starts and bounds: amplitude, length scales and noise by marginal likelihood.
    options = {"optimizer": "fmin_l_bfgs_b", "criterion": "log_marginal_likelihood", "random_state": 0}
    kernel = 1.0 * RBF(np.full(d, 2.0))
    ours = warmed(KernelRidgeDualCV([1.0], kernel=kernel, n_restarts_optimizer=n_restarts, **options), X, y)
    kernel = theirs.ConstantKernel() * theirs.RBF(np.full(d, 2.0)) + theirs.WhiteKernel()
    peer = GaussianProcessRegressor(kernel, n_restarts_optimizer=n_restarts, random_state=0)
    taken = [seconds(lambda model=model: model.fit(X, y)) for model in (ours, peer)]
    errors = [root_mean_squared_error(y_test, model.predict(X_test)) for model in (ours, peer)]
    yield (
        f"ARD length scales by gradient, kin8nm, n = 2000: {taken[0]:.1f} s, ratio {taken[1] / taken[0]:.1f}; "
        f"test RMSE in standard deviations {errors[0]:.4f}, GaussianProcessRegressor {errors[1]:.4f}"
    )


def bench_california(data):
    """Goal: 4 times as fast as a direct solution, in a tenth of its memory."""
    ours, other = (in_a_process(f"california {whose}", data) for whose in ("ours", "theirs"))
    yield (
        f"California, n = 20 640, PCG to 1e-3: {ours['seconds']:.1f} s, {ours['n_iter_']} iterations, error bound "
        f"{ours['error_bound_']:.1e}, ratio {other['seconds'] / ours['seconds']:.1f}; "
        f"peak {ours['peak'] / 2**20:.0f} MiB, scikit-learn {other['peak'] / 2**20:.0f} MiB"
    )


def bench_fashion(data):
    """Goal: under 10 minutes and under 4 GB; K alone would take 14 GB in float32."""
    ours = in_a_process("fashion ours", data)
    yield (
        f"Fashion-MNIST, n = 60 000, 10 targets, PCG to 1e-2: {ours['seconds']:.0f} s, {ours['n_iter_']} iterations, "
        f"error bound {ours['error_bound_']:.1e}, peak {ours['peak'] / 2**30:.2f} GiB; "
        f"test accuracy {ours['accuracy']:.4f}"
    )


def bench_nystroem(data):
    """Goal: 4 times as fast at no worse accuracy."""
    X, Y, X_test, y_test = fashion(data / "fashion_mnist.npz")
    m, alpha, scale = 2000, 1e-2, 6.0
    options = {"solver": "nystroem", "n_components": m, "random_state": 0}
    features = lambda: Nystroem(kernel="rbf", gamma=0.5 / scale**2, n_components=m, random_state=0)
    models = {
        "ours": KernelRidgeDual(alpha, kernel=RBF(scale), **options),
        "ours, uniform landmarks": KernelRidgeDual(alpha, kernel=RBF(scale), landmarks="uniform", **options),
        "Nystroem + Ridge": make_pipeline(features(), Ridge(alpha, fit_intercept=False)),
    }
    warmed(KernelRidgeDual(alpha, kernel=RBF(scale), solver="nystroem", n_components=100), X, Y)
    taken = rounds([lambda model=model: model.fit(X, Y) for model in models.values()], n_rounds=3)
    for (name, model), column in zip(models.items(), taken.T, strict=True):
        accuracy = (model.predict(X_test).argmax(axis=1) == y_test).mean()
        yield (
            f"Nystroem, m = {m}, n = 60 000, {name}: {np.median(column):.1f} s, ratio {spread(taken[:, -1] / column)}, "
            f"test accuracy {accuracy:.4f}"
        )


ROWS = {
    "fit": bench_fit,
    "alphas": bench_alphas,
    "grid": bench_grid,
    "ard": bench_ard,
    "california": bench_california,
    "fashion": bench_fashion,
    "nystroem": bench_nystroem,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(), metavar="FOLDER", help="with the .npz files")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--measure", choices=FITS, help="one fit in this process, for its memory")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.measure:
        measure(arguments.measure, arguments.data)
        return
    for name in arguments.only:
        print(ROWS[name].__doc__)
        for line in ROWS[name](arguments.data):
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
