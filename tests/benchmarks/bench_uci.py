"""Kernel ridge regression on five UCI tables: test errors of regression over 20 splits, and one accuracy, with goals.

Run `python -m tests.benchmarks.bench_uci FOLDER`; FOLDER holds concrete.npz, energy.npz, kin8nm.npz, power.npz and
letter.npz with X and y. `--only energy --n-splits 3` runs less. The splits of the four regressions, their seed and the
standardisation by the training part are those of Hernandez-Lobato & Adams (2015); letters are split once, 16 000 to
4000. Hyperparameters are fitted by the gradient of the likelihood on at most 1000 samples of each training part, for
two forms of the kernel, of which others of its samples choose one. Of letters, kernel and penalty were chosen by fits
to 13 000 of the training part and their scores on the rest. No test part decides anything.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from skdeep import KernelRidgeDual, KernelRidgeDualClassifier, KernelRidgeDualCV
from skdeep.kernels import RBF, Laplacian
from tests.benchmarks._common import seconds

GOALS = {"concrete": 3.8, "energy": 0.36, "kin8nm": 0.0705, "power": 3.35, "letter": 0.970}
N_SPLITS, N_SEEN, N_LETTERS = 20, 1000, 16_000
# Of L-BFGS-B: with two length scales for each feature it takes hundreds, and most change the errors of others little.
MAX_STEPS = 50


def splits(n_samples, n_splits):
    """Pairs of training and test indices, nine tenths and one."""
    rng, n_train = np.random.RandomState(1), round(0.9 * n_samples)
    for _ in range(n_splits):
        order = rng.choice(range(n_samples), n_samples, replace=False)
        yield order[:n_train], order[n_train:]


def short_search(objective, theta, bounds):
    """An optimizer for `KernelRidgeDualCV` that ends after some steps."""
    options = {"maxiter": MAX_STEPS}
    found = minimize(objective, theta, method="L-BFGS-B", jac=True, bounds=bounds, options=options)
    return found.x, found.fun


def hyperparameters(X, y):
    """The penalty and the kernel, of two forms fitted to some of the samples, that errs less on samples left out."""
    d, order = X.shape[1], np.random.RandomState(0).permutation(len(X))
    seen, held, others = order[:N_SEEN], order[-N_SEEN:], order[:-N_SEEN]
    settings = {"criterion": "log_marginal_likelihood", "optimizer": short_search, "bounds": (1e-4, 1e4)}
    options, errors = [], []
    for kernel in (1.0 * RBF([2.0] * d), 1.0 * Laplacian([4.0] * d) + 1.0 * RBF([2.0] * d)):
        search = KernelRidgeDualCV([0.001, 0.01, 0.1], kernel=kernel, fit_intercept=True, **settings)
        search.fit(X[seen], y[seen])
        options.append({"alpha": search.alpha_, "kernel": search.kernel_, "fit_intercept": True})
        if len(seen) == len(X):
            errors.append(-search.best_score_)
        else:
            model = KernelRidgeDual(**options[-1]).fit(X[others], y[others])
            errors.append(root_mean_squared_error(y[held], model.predict(X[held])))
    return options[np.argmin(errors)]


def bench_regression(name, folder, n_splits):
    """Print a row of the table."""
    with np.load(folder / f"{name}.npz") as arrays:
        X, y = arrays["X"].astype(float), arrays["y"].astype(float)
    errors, start = [], time.perf_counter()
    for train, test in splits(len(X), n_splits):
        scaler, mean, deviation = StandardScaler().fit(X[train]), y[train].mean(), y[train].std()
        table, target = scaler.transform(X[train]), (y[train] - mean) / deviation
        model = KernelRidgeDual(**hyperparameters(table, target)).fit(table, target)
        errors.append(root_mean_squared_error(y[test], mean + deviation * model.predict(scaler.transform(X[test]))))
    taken = (time.perf_counter() - start) / n_splits
    error = np.std(errors) / np.sqrt(n_splits)
    print(f"| {name} | {np.mean(errors):.4f} +- {error:.4f} | <= {GOALS[name]} | {taken:.1f} |", flush=True)


def bench_letter(folder):
    """Print the row of the letters."""
    with np.load(folder / "letter.npz") as arrays:
        X, y = arrays["X"].astype(float), arrays["y"]
    order = np.random.RandomState(1).permutation(len(X))
    train, test = order[:N_LETTERS], order[N_LETTERS:]
    kernel = 0.5 * Laplacian(10.0) + 0.5 * RBF(1.7)
    model = KernelRidgeDualClassifier(0.02, kernel=kernel, fit_intercept=True)
    taken = seconds(lambda: model.fit(X[train], y[train]))
    print(
        f"| letter, accuracy | {model.score(X[test], y[test]):.4f} | >= {GOALS['letter']} | {taken:.1f} |", flush=True
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path, help="of the .npz files")
    arguments.add_argument("--only", nargs="+", choices=GOALS, default=list(GOALS), metavar="NAME")
    arguments.add_argument("--n-splits", type=int, default=N_SPLITS)
    arguments = arguments.parse_args()
    warnings.simplefilter("ignore")
    print("| table | mean RMSE and its error | goal | seconds a split |")
    print("|---" * 4 + "|")
    for name in arguments.only:
        if name == "letter":
            bench_letter(arguments.folder)
        else:
            bench_regression(name, arguments.folder, arguments.n_splits)


if __name__ == "__main__":
    main()
