"""Convolutions of stride 1 with fewer products, and their gradients: Winograd's algorithm on patches of outputs."""

from skdeep.engine.jit import part
from skdeep.engine.program import PATCH_ROWS
from skdeep.engine.squares import square_backward, square_forward, square_pack
from skdeep.engine.strips import strip_backward, strip_forward, strip_pack


@part
def winograd_pack(op, theta, packed, scratch, worker, n_workers):
    """The transformed weights of one worker's share of the inputs."""
    if op[PATCH_ROWS] > 0:
        strip_pack(op, theta, packed, scratch, worker, n_workers)
    else:
        square_pack(op, theta, packed, scratch, worker, n_workers)


@part
def winograd_forward(op, tables, ws, packed, theta, scratch, floor, patches, training):
    """Correlation, maximum over each window, bias and activation, of the patches from the first to the last of two."""
    if op[PATCH_ROWS] > 0:
        strip_forward(op, tables, ws, packed, theta, scratch, floor, patches, training)
    else:
        square_forward(op, tables, ws, packed, theta, scratch, floor, patches, training)


@part
def winograd_backward(op, tables, ws, packed, scratch, partial):
    """From the gradient by the outputs, in the frame Z, to that by the input, and to that by the weights."""
    if op[PATCH_ROWS] > 0:
        strip_backward(op, tables, ws, packed, scratch, partial)
    else:
        square_backward(op, tables, ws, packed, scratch, partial)
