"""Kernel ridge regression on data in blocks that two processes read: the same model as from one pass.

Needs `pip install skdeep[dask]`. Each task sums one block into a copy of an empty model and returns the copy; the sums
are merged in the end, and have the size of the matrix of the landmarks however many samples there were. When a
worker dies dask gives its blocks to another, and nothing is counted twice.
"""

import copy
import functools

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from skdeep import KernelRidgeDual
from skdeep.kernels import RBF


def summed(model, X, y):
    """A copy of the model that has seen these samples as well."""
    return copy.deepcopy(model).partial_fit(X, y)


def fit_blocks(client, model, X, y):
    """The model of all samples of two dask arrays, X with its columns in one block."""
    blocks = zip(X.to_delayed()[:, 0], y.to_delayed(), strict=True)
    # pure=False: tasks are kept apart even where blocks are equal.
    futures = [client.submit(summed, model, *client.compute([x, t]), pure=False) for x, t in blocks]
    return functools.reduce(lambda merged, other: merged.merge(other), client.gather(futures))


def main(n_samples=200_000, n_blocks=20):
    """Fit in two processes and in this one, and print how far the predictions are apart."""
    size = n_samples // n_blocks
    X = da.random.default_rng(0).normal(size=(n_samples, 5), chunks=(size, 5))
    y = da.sin(X[:, 0]) * X[:, 1] + 0.1 * da.random.default_rng(1).normal(size=n_samples, chunks=size)
    landmarks = X[:300].compute()
    empty = KernelRidgeDual(0.1, kernel=RBF(2.0), solver="nystroem", landmarks=landmarks, fit_intercept=True)
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        model = fit_blocks(client, empty, X, y)
    X, y = X.compute(), y.compute()
    difference = np.abs(model.predict(X) - empty.fit(X, y).predict(X)).max()
    print(f"R2 {model.score(X, y):.4f}; predictions differ from those of one local fit by {difference:.1e}")


if __name__ == "__main__":
    main()
