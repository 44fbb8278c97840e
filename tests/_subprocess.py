"""Snippets that need a Python of their own: imports, environment variables, forks, crashes."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

TOP = Path(__file__).parents[1]


def run_python(code, *, timeout=120, check=True, **env):
    """Run `code` in a fresh interpreter that inherits the environment, NUMBA_CACHE_DIR included.

    Parameters
    ----------
    code : str
        Source, dedented before it runs; the checkout is importable.
    timeout : float
        Seconds until the process and its children are killed and the test fails.
    check : bool
        Whether an exit status other than 0 fails the test, showing what the process printed.
    **env
        Environment variables to set; None removes one.

    Returns
    -------
    subprocess.CompletedProcess
        With `returncode`, `stdout` and `stderr` as text.
    """
    variables = {name: str(value) for name, value in (os.environ | env).items() if value is not None}
    # A shell lets its background jobs ignore Ctrl-C, and they their children.
    answering = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [sys.executable, "-X", "faulthandler", "-c", answering + textwrap.dedent(code)]
    process = subprocess.Popen(
        command,
        cwd=TOP,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # Forked children hold the pipes open: the whole group goes, or communicate would wait for them.
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"no end within {timeout} s\n{stdout}\n{stderr}") from None
    if check and process.returncode:
        raise AssertionError(f"exit status {process.returncode}\n{stdout}\n{stderr}")
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
