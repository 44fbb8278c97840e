"""Entry points that compile in a fraction of a second, for the tests of how the engine compiles."""

from numba import prange

from skdeep.engine.jit import compiled, integer, out, part, reals


@part
def size(x):
    return max(x, -x)


@part
def square(x):
    return size(x) * size(x)


@compiled
def squares(x: reals, y: out):
    """y = x * x."""
    for i in range(len(x)):
        y[i] = square(x[i])


@compiled(parallel=True)
def doubled(x: reals, y: out, n_workers: integer):
    """y = 2 x, worker by worker."""
    for worker in prange(n_workers):
        for i in range(worker, len(x), n_workers):
            y[i] = 2 * x[i]
