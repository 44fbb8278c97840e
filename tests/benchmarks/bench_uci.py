"""Kernel ridge regression on four UCI tables: root mean squared test errors over 20 splits, against four goals.

Run `python -m tests.benchmarks.bench_uci FOLDER`; FOLDER holds concrete.npz, energy.npz, kin8nm.npz and power.npz with
X and y. `--only energy --n-splits 3` runs less. Splits, their seed and the standardisation by the training part are
those of Hernandez-Lobato & Adams (2015). Hyperparameters and the penalty are fitted by gradient on each training part
alone, of which at most 1000 samples are looked at; then all of it is fitted once. No test part decides anything.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from skdeep import KernelRidgeDual, KernelRidgeDualCV
from skdeep.kernels import RBF, Laplacian, Linear

GOALS = {"concrete": 3.8, "energy": 0.36, "kin8nm": 0.0705, "power": 3.35}
N_SPLITS, N_SEEN = 20, 1000


def splits(n_samples, n_splits):
    """Pairs of training and test indices, nine tenths and one."""
    rng, n_train = np.random.RandomState(1), round(0.9 * n_samples)
    for _ in range(n_splits):
        order = rng.choice(range(n_samples), n_samples, replace=False)
        yield order[:n_train], order[n_train:]


def fitted(X, y):
    """A model whose kernel and penalty minimise the leave-one-out error of some of the samples."""
    d = X.shape[1]
    kernel = 1.0 * Laplacian([4.0] * d) + 1.0 * RBF([2.0] * d) + 0.1 * Linear()
    seen = np.random.RandomState(0).permutation(len(X))[:N_SEEN]
    search = KernelRidgeDualCV(
        [0.001, 0.01, 0.1],
        kernel=kernel,
        fit_intercept=True,
        optimizer="fmin_l_bfgs_b",
        bounds=(1e-4, 1e4),
    ).fit(X[seen], y[seen])
    return KernelRidgeDual(search.alpha_, kernel=search.kernel_, fit_intercept=True).fit(X, y)


def bench(name, folder, n_splits):
    """Print a row of the table."""
    with np.load(folder / f"{name}.npz") as arrays:
        X, y = arrays["X"].astype(float), arrays["y"].astype(float)
    errors, start = [], time.perf_counter()
    for train, test in splits(len(X), n_splits):
        scaler, mean, deviation = StandardScaler().fit(X[train]), y[train].mean(), y[train].std()
        model = fitted(scaler.transform(X[train]), (y[train] - mean) / deviation)
        errors.append(root_mean_squared_error(y[test], mean + deviation * model.predict(scaler.transform(X[test]))))
    seconds = (time.perf_counter() - start) / n_splits
    error = np.std(errors) / np.sqrt(n_splits)
    print(f"| {name} | {np.mean(errors):.4f} +- {error:.4f} | <= {GOALS[name]} | {seconds:.1f} |", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path, help="of the .npz files")
    arguments.add_argument("--only", nargs="+", choices=GOALS, default=list(GOALS), metavar="NAME")
    arguments.add_argument("--n-splits", type=int, default=N_SPLITS)
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    print("| table | RMSE, mean and its error | goal | seconds a split |")
    print("|---" * 4 + "|")
    for name in arguments.only:
        bench(name, arguments.folder, arguments.n_splits)


if __name__ == "__main__":
    main()
