"""Names of parametrised tests that are the same in every process, so that a test that failed can be named again."""

import re


def spelled(value):
    """repr(value), functions by their names alone, without the addresses that another process will not have."""
    return re.sub(r"<function (\w+) at \w+>", r"\1", repr(value))
