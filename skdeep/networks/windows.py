"""Windows over maps: where convolutions and pools look."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np


@dataclass(frozen=True)
class Windows:
    """A grid of windows over a padded map.

    Attributes
    ----------
    size, stride, dilation : (int, int)
        Pixels that a window takes down and across, and the steps, in pixels, between windows and between
        the pixels of one.
    before, after : (int, int)
        Rows and columns of zeros above and left of the map, and below and right of it.
    count : (int, int)
        Windows down and across.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    count: tuple[int, int]

    @property
    def reach(self):
        """Height and width from a window's first pixel to its last, in pixels."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))


def pair(value, name, least=1):
    """(value, value) for an int, else the pair of ints that it is."""
    values = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value, value)
    if len(values) != 2 or not all(isinstance(v, Integral) and v >= least for v in values):
        raise ValueError(f"{name} must be an integer of at least {least} or a pair of them, got {value!r}.")
    return values


def windows(shape, size, stride, padding="valid", dilation=(1, 1)):
    """Lay windows over a map of `shape` (height, width); a count below 1 says that none fits."""
    before, after, count = [], [], []
    for axis, (length, k, s, d) in enumerate(zip(shape, size, stride, dilation, strict=True)):
        reach = d * (k - 1) + 1
        if padding == "same":
            # One window for each step; an odd zero goes after the map.
            total = max((-(-length // s) - 1) * s + reach - length, 0)
            ahead, behind = total // 2, total - total // 2
        else:
            ahead = behind = 0 if padding == "valid" else pair(padding, "padding", 0)[axis]
        before.append(ahead)
        after.append(behind)
        count.append((length + ahead + behind - reach) // s + 1)
    return Windows(*map(tuple, (size, stride, dilation, before, after, count)))
