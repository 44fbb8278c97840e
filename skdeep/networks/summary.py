"""A network as a table."""

import math

import numpy as np

from skdeep.networks.layers import Conv2D


def summary(network, dtype):
    """One line for each layer: what it is, its output, parameters, multiply-adds and bytes of a sample's output.

    Parameters
    ----------
    network : Network
    dtype : numpy.dtype

    Returns
    -------
    table : str
    """
    lines = [("layer", "output", "parameters", "multiply-adds", "bytes")]
    totals = np.zeros(3, int)
    for bound in network.bound:
        slots = [slot for slot in (bound.weights, bound.bias) if slot is not None]
        weights = math.prod(bound.weights.shape) if bound.weights is not None else 0
        places = math.prod(bound.output_shape[:2]) if isinstance(bound.layer, Conv2D) else 1
        numbers = (
            sum(math.prod(slot.shape) for slot in slots),
            weights * places,
            math.prod(bound.output_shape) * np.dtype(dtype).itemsize,
        )
        totals += numbers
        shape = " x ".join(map(str, bound.output_shape))
        lines.append((type(bound.layer).__name__, shape, *(f"{number:,}" for number in numbers)))
    lines.append(("total", "", *(f"{number:,}" for number in totals)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([f"{line[0]:<{widths[0]}}", *(f"{cell:>{w}}" for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )
