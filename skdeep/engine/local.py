"""Locally connected layers: convolutions whose filters differ from place to place, forward and backward."""

from skdeep.engine.activations import activate, slope
from skdeep.engine.jit import part
from skdeep.engine.pointwise import channel_numbers, map_numbers, output_place
from skdeep.engine.program import (
    ACROSS,
    ACTIVATION,
    B_AT,
    DELTA_AT,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    N_PIXELS,
    N_TAPS,
    N_WINDOWS,
    PIXELS_AT,
    TAPS_AT,
    W_AT,
    Z_PIXELS_AT,
)
from skdeep.engine.simd import fma, lane_sum, lanes_of, load, multiply, splat, store


@part
def local_forward(op, tables, ws, theta):
    """out[window, k] = f(b[window, k] + sum over t of x[window, t] w[window, t, k])."""
    n_out, n_taps = op[N_OUTPUTS], op[N_TAPS]
    for window in range(op[N_WINDOWS]):
        x_at = tables[op[PIXELS_AT] + window]
        for k in range(0, n_out, op[ACROSS]):
            w_at = op[W_AT] + window * n_taps * n_out + k
            z = channel_numbers(op, theta, op[B_AT] + window * n_out + k)
            for t in range(n_taps):
                x = map_numbers(op, ws, x_at + tables[op[TAPS_AT] + t])
                z = fma(x, channel_numbers(op, theta, w_at + t * n_out), z)
            store(activate(op[ACTIVATION], z), ws, output_place(op, tables, k, window))


@part
def local_backward(op, tables, ws, theta, partial):
    """From the gradient by the outputs to those by the bias, the weights and the input."""
    lanes, n_out, n_taps = lanes_of(ws), op[N_OUTPUTS], op[N_TAPS]
    if op[INPUT_DELTA_AT] >= 0:
        for i in range(0, op[N_INPUTS] * op[N_PIXELS] * lanes, lanes):
            store(splat(ws.dtype.type(0)), ws, op[INPUT_DELTA_AT] + i)
    for window in range(op[N_WINDOWS]):
        x_at = tables[op[PIXELS_AT] + window]
        for k in range(n_out):
            w_at = op[W_AT] + window * n_taps * n_out + k
            output = load(ws, output_place(op, tables, k, window))
            delta = load(ws, op[DELTA_AT] + (k * op[N_WINDOWS] + window) * lanes)
            delta = multiply(delta, slope(op[ACTIVATION], output))
            partial[op[B_AT] + window * n_out + k] += lane_sum(delta)
            for t in range(n_taps):
                product = multiply(load(ws, x_at + tables[op[TAPS_AT] + t]), delta)
                partial[w_at + t * n_out] += lane_sum(product)
                pixel = tables[op[Z_PIXELS_AT] + window * n_taps + t]
                if op[INPUT_DELTA_AT] >= 0 and pixel >= 0:
                    to = op[INPUT_DELTA_AT] + pixel
                    store(fma(delta, splat(theta[w_at + t * n_out]), load(ws, to)), ws, to)
