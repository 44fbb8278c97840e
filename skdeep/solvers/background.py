"""Long calls of LAPACK on another thread, so that Ctrl-C is answered."""

from concurrent.futures import ThreadPoolExecutor


def in_background(function, *arguments, **keywords):
    """What the function returns; interrupted, the caller goes on at once and the result is computed in vain."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(function, *arguments, **keywords).result()
    finally:
        pool.shutdown(wait=False)
