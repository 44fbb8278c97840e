"""A network as a table, and the names of its layers."""

import math
from collections import Counter
from html import escape

import numpy as np

from skdeep.networks.layers import Fork, Join

# What automatic names begin with, where it is not the lower-case class.
_STEMS = {"conv2d": "conv", "locallyconnected2d": "local", "maxpool2d": "pool", "avgpool2d": "pool"}
_STEMS |= {"globalavgpool2d": "pool", "batchnorm": "norm"}


def layer_names(layers):
    """A name for each layer: what it is and which of them, as in conv1, pool1, conv2."""
    counts, names = Counter(), []
    for layer in layers:
        stem = type(layer).__name__.lower()
        stem = _STEMS.get(stem, stem)
        counts[stem] += 1
        names.append(f"{stem}{counts[stem]}")
    return names


def summary_table(network, names, dtype):
    """The header, a line for each bound layer and the totals: cells of text, the layer first.

    Parameters
    ----------
    network : Network
    names : list of str
        Of the network's layers.
    dtype : numpy.dtype

    Returns
    -------
    lines : list of tuple of str
        Name, what it is, the shape of its output, parameters, multiply-adds, and bytes of a sample's output.
    """
    lines = [("name", "layer", "output", "parameters", "multiply-adds", "bytes")]
    totals, name_at = np.zeros(3, int), dict(zip(network.ends, names, strict=True))
    for i, bound in enumerate(network.bound):
        numbers = (
            sum(math.prod(slot.shape) for slot in (bound.weights, bound.bias) if slot is not None),
            bound.layer.multiply_adds(bound.input_shape),
            math.prod(bound.output_shape) * np.dtype(dtype).itemsize,
        )
        totals += numbers
        shape = " x ".join(map(str, bound.output_shape))
        kind = "Residual" if isinstance(bound.layer, Join) else type(bound.layer).__name__
        if not isinstance(bound.layer, Fork):
            lines.append((name_at.get(i, ""), kind, shape, *(f"{number:,}" for number in numbers)))
    lines.append(("total", "", "", *(f"{number:,}" for number in totals)))
    return lines


def as_text(lines):
    """A table as text, the numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = lambda i, cell: cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i])
    return "\n".join("  ".join(aligned(i, cell) for i, cell in enumerate(line)) for line in lines)


def as_html(lines):
    """A table as HTML."""
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in lines[1:]]
    header = "".join(f"<th>{cell}</th>" for cell in lines[0])
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"
