"""What the benchmarks share: rounds that alternate between peers, and start-up in a process of its own.

A virtual machine that gives free memory back gets it again slowly, and at random on either side. A process that keeps
its memory, in the environment GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=20000000000, is free
of that; neither side then pays for new pages.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

# Seconds between calls: threads of OpenBLAS and of others spin for a tenth of one after their work, and would
# take a core from whoever comes next.
REST = 0.25


def seconds(function):
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def rounds(functions, n_rounds=7, rest=REST):
    """Seconds of each function, array of shape (n_rounds, n_functions), in rounds that take each in turn.

    At its turn the threads of the function before have come to rest, and a call that is not counted has woken its
    own: a scheduler may let threads that slept wait for milliseconds. Functions that share their threads need no rest.
    """
    for function in functions:
        function()
    taken = np.empty((n_rounds, len(functions)))
    for row in taken:
        for i, function in enumerate(functions):
            time.sleep(rest)
            function()
            row[i] = seconds(function)
    return taken


def spread(values):
    """Median and range, as text."""
    return f"{np.median(values):.2f} ({np.min(values):.2f}-{np.max(values):.2f})"


def start_up(code):
    """Seconds that `code` takes in new processes, with a cold cache and again with a warm one."""
    timed = f"import time; start = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", timed]
        run = lambda: float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        return run(), run()
