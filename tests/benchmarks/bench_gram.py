"""Gram matrices, their products and their gradients against scikit-learn.

Each row prints seconds of the peer over seconds of ours, median and range over rounds that take each in turn, and
ours in nanoseconds per element of the matrix, beside what the machine can do: copies in memory and matrix products.
Each call makes its own matrix, on both sides, and X is taken against itself. Rows of gradients and products print
the memory at the peak, beyond data and result, too. Run: python -m tests.benchmarks.bench_gram [--only WORDS]
[--samples N] [--rounds N]; with --only, the rows whose names hold one of the words.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import sklearn
from sklearn.gaussian_process import kernels as theirs
from sklearn.metrics import pairwise
from sklearn.utils import gen_batches

from skdeep.kernels import RBF, Kernel, Laplacian, Linear, Matern, Periodic, Polynomial, RationalQuadratic
from tests.benchmarks._common import rounds, seconds, spread, start_up

DTYPES = np.float32, np.float64
START_UP = """
import numpy as np
from skdeep.kernels import RBF
RBF()(np.ones((500, 8), np.float32))
"""


@dataclass(frozen=True)
class Row:
    """A kernel and what computes the same in scikit-learn, for one number of features."""

    name: str
    n_features: int
    kernel: Kernel
    peer: Callable
    n_rounds: int = 7


def fills():
    """Matrices of one kernel or of many."""
    for d in (8, 20, 100, 784):
        yield Row("RBF", d, RBF(np.sqrt(d)), lambda X, d=d: pairwise.rbf_kernel(X, gamma=0.5 / d))
    for d in (20, 784):
        peer = lambda X, d=d: pairwise.polynomial_kernel(X, degree=3, gamma=1 / d)
        yield Row("Polynomial(3)", d, Polynomial(3, 1.0, 1 / d), peer)
    for d in (20, 100):
        yield Row("Laplacian", d, Laplacian(d), lambda X, d=d: pairwise.laplacian_kernel(X, gamma=1 / d), 3)
    for d in (20, 100, 784):
        l = float(np.sqrt(d))
        # scikit-learn's DotProduct is x . y + sigma_0^2.
        product = theirs.RationalQuadratic(l, 1.5) * theirs.DotProduct(0.0)
        peer = 2.0 * theirs.RBF(l) + product + theirs.Matern(l, nu=2.5)
        yield Row("composite", d, 2.0 * RBF(l) + RationalQuadratic(l, 1.5) * Linear() + Matern(l, 2.5), peer, 2)


def samples(n, d, dtype):
    return np.random.default_rng(0).standard_normal((n, d)).astype(dtype)


def error(kernel, peer, X):
    """The largest difference from the peer in float64, relative to the largest value."""
    expected = peer(X[:300].astype(np.float64))
    return np.abs(kernel(X[:300]) - expected).max() / np.abs(expected).max()


def peak(function):
    """Bytes at the peak of a call, those of its result included, as Python's allocators and NumPy's report them."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def report(name, dtype, d, n_elements, functions, n_rounds, note):
    """One line of the table, for the functions (ours, peer)."""
    ours, other = rounds(functions, n_rounds).T
    ns = ours / n_elements * 1e9
    print(f"{name:14} {dtype.__name__:8} {d:4}  {spread(other / ours):22} {spread(ns):20} {note}", flush=True)


def fill_rows(only, n, most_rounds):
    for row in fills():
        for dtype in DTYPES:
            if wanted(row.name, only):
                X = samples(n, row.n_features, dtype)
                functions = [lambda: row.kernel(X), lambda: row.peer(X)]  # noqa: B023
                note = f"error {error(row.kernel, row.peer, X):.0e}"
                report(row.name, dtype, row.n_features, n * n, functions, min(row.n_rounds, most_rounds), note)


def gradient_rows(only, n, most_rounds, d=50):
    """Value and derivatives by 50 length scales: <Q, dK> of ours, and scikit-learn's array of all dK."""
    l = np.linspace(0.5, 2, d) * np.sqrt(d)
    for dtype in DTYPES:
        if not wanted("ARD gradient", only):
            continue
        X, Q = samples(n, d, dtype), samples(n, n, dtype)
        kernel, peer = RBF(l), theirs.RBF(l)

        def theirs_contracted():
            K, slopes = peer(X, eval_gradient=True)  # noqa: B023
            return K, np.einsum("ij,ijk->k", Q, slopes)  # noqa: B023

        functions = [lambda: (kernel(X), kernel.gradient(X, Q)), theirs_contracted]  # noqa: B023
        (_, gradient), (_, expected) = (function() for function in functions)
        wrong = np.abs(gradient["length_scale"] - expected).max() / np.abs(expected).max()
        ours, other = map(peak, functions)
        note = f"error {wrong:.0e}, peak {ours / 1e6:.0f} MB, peer {other / 1e6:.0f} MB ({other / ours:.0f}x)"
        report("ARD gradient", dtype, d, n * n, functions, min(2, most_rounds), note)


def product_rows(only, n, most_rounds, d=10):
    """K @ V without K; scikit-learn's in chunks of its working memory."""
    for dtype in DTYPES:
        for n_columns in (1, 10):
            if not wanted("K @ V", only):
                continue
            X, V = samples(n, d, dtype), samples(n, n_columns, dtype)
            kernel = RBF(np.sqrt(d))

            height = max(1, sklearn.get_config()["working_memory"] * 2**20 // (n * X.itemsize))

            def in_chunks():
                chunks = gen_batches(n, height)  # noqa: B023
                return np.concatenate([pairwise.rbf_kernel(X[c], X, gamma=0.5 / d) @ V for c in chunks])  # noqa: B023

            functions = [lambda: kernel.gram(X) @ V, in_chunks]  # noqa: B023
            (product, expected), (ours, other) = [f() for f in functions], map(peak, functions)
            wrong = np.abs(product - expected).max() / np.abs(expected).max()
            beyond = [(most - product.nbytes) / 1e6 for most in (ours, other)]
            note = f"{n_columns} columns, error {wrong:.0e}, peak {beyond[0]:.0f} MB, peer {beyond[1]:.0f} MB"
            report("K @ V", dtype, d, n * n, functions, min(2, most_rounds), note)


def machine():
    """Bytes copied and operations of matrix products a second, in 10^9, and nanoseconds to write an element."""
    for dtype in DTYPES:
        A = np.ones((3000, 3000), dtype)
        source, target = np.ones(200_000_000 // A.itemsize, dtype), np.ones(200_000_000 // A.itemsize, dtype)
        copy, product = (min(map(seconds, [f] * 5)) for f in (lambda: np.copyto(target, source), lambda: A @ A))  # noqa: B023
        ns = copy / source.size * 1e9
        print(
            f"{dtype.__name__}: copies {2 * source.nbytes / copy / 1e9:.0f} GB/s (one thread, {ns:.2f} ns each), "
            f"matrix product {2 * len(A) ** 3 / product / 1e9:.0f} GFLOP/s"
        )


def starts():
    """What the first matrix costs in a process, and what the first of another expression does."""
    cold, warm = start_up(START_UP)
    print(
        f"import and first matrix of 500 samples in a new process: {cold:.1f} s compiling, {warm:.1f} s from the cache"
    )
    X = samples(50, 8, np.float32)
    RBF()(X)
    others = [
        RBF(2.0) * Laplacian() + Linear() ** 2,
        (Matern(nu=2.5) + 0.5 * Polynomial(3)).normalize(),
        (0.1 * RationalQuadratic() * Periodic().on([0, 1])).exp(),
    ]
    for kernel in others:
        start = time.perf_counter()
        kernel(X)
        first = time.perf_counter() - start
        again = np.median([seconds(lambda: kernel(X)) for _ in range(20)])  # noqa: B023
        print(f"first matrix of another expression: {1e3 * (first - again):.1f} ms beyond its run, {kernel!r}")


def wanted(name, only):
    return not only or any(word.lower() in name.lower() for word in only)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="words of the rows' names: RBF, gradient, '@', start, ...")
    parser.add_argument("--samples", type=int, help="in place of 5000, 2000 for gradients and 50 000 for products")
    parser.add_argument("--rounds", type=int, default=7, help="at most so many")
    arguments = parser.parse_args()
    only, n = arguments.only, arguments.samples
    print(f"n = {n or 5000}, {numba.get_num_threads()} threads, numba {numba.__version__}")
    machine()
    print(f"{'work':14} {'dtype':8} {'d':>4}  {'peer / ours':22} {'ns per element':20}")
    fill_rows(only, n or 5000, arguments.rounds)
    gradient_rows(only, n or 2000, arguments.rounds)
    product_rows(only, n or 50_000, arguments.rounds)
    if wanted("start", only):
        starts()


if __name__ == "__main__":
    main()
