"""How many threads a launch may use: the one place that decides between the twins."""

import os
import threading
import time

import numba
from numba import config

# Below this many floating-point operations the launch costs more than the second thread saves.
SMALLEST_PARALLEL_WORK = 2_000_000
# A launch cannot be interrupted: longer work is cut, so that Ctrl-C is answered.
LONGEST_LAUNCH = 0.2

_forked = False


def _after_fork():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def n_workers(work):
    """Threads for `work` floating-point operations: 1 where more would be unsafe or slower.

    A forked child stays serial: OpenMP's threads do not survive a fork, and siblings fill the
    cores. So does any thread but the main one under numba's own `workqueue` layer, which ends
    the process when two threads enter it. `numba.set_num_threads` is respected.
    """
    if _forked or work < SMALLEST_PARALLEL_WORK or config.NUMBA_NUM_THREADS == 1:
        return 1
    allowed = numba.get_num_threads()  # starts the threading layer
    if numba.threading_layer() == "workqueue" and threading.current_thread() is not threading.main_thread():
        return 1
    return allowed


def first_launch(work):
    """Items, of so many floating-point operations each, of a launch whose speed is not known: at 10^10 a second."""
    return max(1, int(1e10 * LONGEST_LAUNCH / max(work, 1)))


def launches(n_items, first=1):
    """Cut range(n_items) into (start, stop) spans, each sized by the speed of the last to fit `LONGEST_LAUNCH`."""
    start, size = 0, first
    while start < n_items:
        stop = min(n_items, start + size)
        began = time.perf_counter()
        yield start, stop
        seconds = time.perf_counter() - began
        size = max(1, min(2 * size, int((stop - start) * 0.5 * LONGEST_LAUNCH / max(seconds, 1e-9))))
        start = stop
