"""Long calls of LAPACK on another thread, so that Ctrl-C is answered."""

from concurrent.futures import ThreadPoolExecutor

# Elements of a matrix whose decomposition takes no longer than a thread may take to start on a busy machine.
SHORT = 2**18


def in_background(function, matrix, **keywords):
    """function(matrix, ...); interrupted, the caller goes on at once and the result is computed in vain."""
    if matrix.size <= SHORT:
        return function(matrix, **keywords)
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function, matrix, **keywords).result()
    finally:
        pool.shutdown(wait=False)
