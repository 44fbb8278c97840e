"""Gram matrices against scikit-learn: one RBF, and a composite of four leaves.

Prints seconds of the peer over seconds of ours, median and range over rounds that take each in turn, and ours in
nanoseconds per element, beside what the machine can do: copies in memory and matrix products. Each call makes its
own matrix, on both sides. Run: python -m tests.benchmarks.bench_gram [n_samples]
"""

import sys

import numba
import numpy as np
from sklearn.gaussian_process import kernels as theirs
from sklearn.metrics.pairwise import rbf_kernel

from skdeep.kernels import RBF, Linear, Polynomial
from tests.benchmarks._common import rounds, seconds, spread, start_up

START_UP = """
import numpy as np
from skdeep.kernels import RBF
RBF()(np.ones((500, 8), np.float32))
"""


def pairs(d):
    """Name, our kernel, the peer's function and the rounds to measure."""
    l = np.sqrt(d)
    composite = 2.0 * RBF(l) + Polynomial(2, 1.0, 1.0 / d) * Linear() + RBF(3.0 * l)
    # (x . y / d + 1)^2 = (x . y + d)^2 / d^2, and DotProduct is x . y + sigma_0^2.
    peer = 2.0 * theirs.RBF(l) + 1.0 / d**2 * theirs.DotProduct(l) ** 2 * theirs.DotProduct(0.0) + theirs.RBF(3.0 * l)
    yield "RBF", RBF(l), lambda X: rbf_kernel(X, gamma=0.5 / d), 7
    yield "four leaves", composite, peer, 3


def machine():
    """Bytes copied and operations of matrix products a second, in 10^9."""
    for dtype in (np.float32, np.float64):
        A = np.ones((3000, 3000), dtype)
        source, target = np.ones(200_000_000 // A.itemsize, dtype), np.ones(200_000_000 // A.itemsize, dtype)
        copy, product = (min(map(seconds, [f] * 5)) for f in (lambda: np.copyto(target, source), lambda: A @ A))  # noqa: B023
        print(
            f"{dtype.__name__}: copies {2 * source.nbytes / copy / 1e9:.0f} GB/s (one thread), "
            f"matrix product {2 * len(A) ** 3 / product / 1e9:.0f} GFLOP/s"
        )


def main(n=5000):
    print(f"n = {n}, {numba.get_num_threads()} threads, numba {numba.__version__}")
    machine()
    print(f"{'kernel':12} {'dtype':8} {'d':>4}  {'peer / ours':20} {'ns per element':20} {'error':>8}")
    for d in (8, 20, 100, 784):
        for dtype in (np.float32, np.float64):
            X = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
            for name, kernel, peer, n_rounds in pairs(d):
                ours, other = rounds([lambda: kernel(X), lambda: peer(X)], n_rounds).T  # noqa: B023
                few = X[:300]
                expected = peer(few.astype(np.float64))
                error = np.abs(kernel(few) - expected).max() / np.abs(expected).max()
                print(
                    f"{name:12} {dtype.__name__:8} {d:4}  {spread(other / ours):20} {spread(ours / n**2 * 1e9):20} "
                    f"{error:8.0e}",
                    flush=True,
                )
    cold, warm = start_up(START_UP)
    print(
        f"import and first matrix of 500 samples in a new process: {cold:.1f} s compiling, {warm:.1f} s from the cache"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
