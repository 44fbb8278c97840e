"""Multilayer perceptrons: a whole fit with Adam, and predictions, against scikit-learn and PyTorch.

Run `python -m tests.benchmarks.bench_mlp` on a quiet machine, after `pip install torch==2.13.0` (CPU). Prints, for each
net, microseconds per sample and epoch and the ratios peer / skdeep, medians and ranges over rounds that alternate;
then peak memory of a fit beside scikit-learn's. `--accuracy PATH` takes `fashion_mnist.npz` and prints the mean test
accuracy of (100,) ReLU units over five seeds.
"""

import argparse
import time
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skdeep import MLPBackpropClassifier
from tests.benchmarks._common import rounds, spread, start_up

NETS = [((20, 64, 64, 3), 32), ((64, 100, 10), 200), ((784, 100, 10), 200), ((784, 256, 256, 10), 128)]
N_SAMPLES, N_EPOCHS, N_THREADS = 20_000, 3, 2


def torch_fit(sizes, batch_size, X, y):
    """A function that trains a fresh PyTorch net for as many epochs, with the fused Adam."""
    import torch
    from torch import nn

    torch.set_num_threads(N_THREADS)
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def fit():
        layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
        net, loss = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for _ in range(N_EPOCHS):
            order = torch.randperm(len(X))
            for start in range(0, len(X), batch_size):
                batch = order[start : start + batch_size]
                optimiser.zero_grad(set_to_none=True)
                loss(net(X[batch]), y[batch]).backward()
                optimiser.step()
        return net

    return fit


def data(sizes, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, sizes[0])).astype(dtype)
    return X, (X[:, : sizes[-1]]).argmax(axis=1)


def bench_net(sizes, batch_size):
    settings = {"batch_size": batch_size, "max_iter": N_EPOCHS, "random_state": 0}
    single, double = data(sizes, np.float32), data(sizes, np.float64)
    fits, nets = [], []
    for estimator in (MLPBackpropClassifier, MLPClassifier):
        for X, y in (single, double):
            net = estimator(sizes[1:-1], **settings)
            nets.append((net, X))
            fits.append(lambda net=net, X=X, y=y: net.fit(X, y))
    taken = rounds([*fits, torch_fit(sizes, batch_size, *single)], n_rounds=5)
    microseconds = np.median(taken, axis=0) / N_SAMPLES / N_EPOCHS * 1e6
    name = "-".join(map(str, sizes))
    print(
        f"| {name} | {batch_size} | {microseconds[0]:.2f} / {microseconds[1]:.2f} "
        f"| {microseconds[2]:.2f}: {spread(taken[:, 2] / taken[:, 0])} "
        f"| {microseconds[3]:.2f}: {spread(taken[:, 3] / taken[:, 1])} "
        f"| {microseconds[4]:.2f}: {spread(taken[:, 4] / taken[:, 0])} ",
        end="",
    )
    taken = rounds([lambda net=net, X=X: net.predict(X) for net, X in nets], n_rounds=7)
    microseconds = np.median(taken, axis=0) / N_SAMPLES * 1e6
    print(
        f"| {microseconds[0]:.2f} / {microseconds[1]:.2f} | {microseconds[2]:.2f}: {spread(taken[:, 2] / taken[:, 0])} "
        f"| {microseconds[3]:.2f}: {spread(taken[:, 3] / taken[:, 1])} ",
        end="",
    )
    peaks = [peak(fit) for fit in fits]
    print(f"| {peaks[0]:.1f} / {peaks[2]:.1f} | {peaks[1]:.1f} / {peaks[3]:.1f} |", flush=True)


def peak(function):
    """MiB that a call allocates at most at a time, as NumPy reports them."""
    tracemalloc.start()
    function()
    most = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return most


def accuracy(path):
    """Mean and spread of the test accuracy on Fashion-MNIST; the number of epochs is early stopping's."""
    with np.load(path) as arrays:
        X, X_test = (arrays[name].reshape(-1, 784).astype(np.float32) for name in ("X_train", "X_test"))
        y, y_test = arrays["y_train"], arrays["y_test"]
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    start, scores = time.perf_counter(), []
    for seed in range(5):
        net = MLPBackpropClassifier((100,), early_stopping=True, random_state=seed).fit(X, y)
        scores.append(net.score(X_test, y_test))
    took = (time.perf_counter() - start) / 5
    print(f"Fashion-MNIST, (100,) ReLU, early stopping: test accuracy {np.mean(scores):.4f} "
          f"({min(scores):.4f}-{max(scores):.4f}) over 5 seeds, {took:.1f} s a fit")  # fmt: skip


START_UP = """
import numpy as np
from skdeep import MLPBackpropClassifier
X = np.random.default_rng(0).normal(size=(300, 64)).astype("f")
MLPBackpropClassifier(max_iter=2, tol=1e9, n_iter_no_change=1).fit(X, X[:, 0] > 0)
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--accuracy", metavar="PATH", help="fashion_mnist.npz")
    path = arguments.parse_args().accuracy
    warnings.simplefilter("ignore")
    print(f"{N_SAMPLES} samples, Adam, {N_EPOCHS} epochs, {N_THREADS} threads; us per sample and epoch, MiB")
    print("| net | batch | fit float32 / float64 | scikit-learn float32 | float64 | PyTorch float32 "
          "| predict | scikit-learn float32 | float64 | peak float32, ours / scikit-learn | float64 |")  # fmt: skip
    print("|---" * 11 + "|")
    for sizes, batch_size in NETS:
        bench_net(sizes, batch_size)
    if path:
        accuracy(path)
    cold, warm = start_up(START_UP)
    print(f"first fit in a new process, imports included: {cold:.1f} s cold, {warm:.1f} s warm")


if __name__ == "__main__":
    main()
