"""What maps each number by itself: activations of rows and of maps, and the two ends of a residual block."""

from skdeep.engine.activations import activate, slope
from skdeep.engine.jit import compiled, integer, out, part, reals
from skdeep.engine.program import (
    ACROSS,
    ACTIVATION,
    DELTA_AT,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_OUTPUTS,
    N_WINDOWS,
    OUT_AT,
    OUT_PIXELS_AT,
    OUT_STRIDE,
    PIXELS_AT,
    SECOND_AT,
    SECOND_PIXELS_AT,
    SECOND_STRIDE,
    SLOPE_AT,
)
from skdeep.engine.simd import add, lanes_of, load, multiply, splat, store


@compiled
def activations_and_slopes(code: integer, monotone: integer, z: reals, a: out, slopes: out):
    """a = f(z) and f'(z), of whole vectors."""
    for i in range(0, len(z), lanes_of(z)):
        numbers = load(z, i)
        outputs = activate(code, numbers)
        store(outputs, a, i)
        if monotone:
            store(slope(code, outputs), slopes, i)
        else:
            store(slope(code, numbers), slopes, i)


@part
def activate_rows_forward(op, rows, row, n_rows, training):
    for r in range(row, row + n_rows):
        for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
            z = load(rows, op[IN_AT] + r * op[IN_STRIDE] + c)
            store(activate(op[ACTIVATION], z), rows, op[OUT_AT] + r * op[OUT_STRIDE] + c)
            if training and op[SLOPE_AT] >= 0:
                store(slope(op[ACTIVATION], z), rows, op[SLOPE_AT] + r * op[OUT_STRIDE] + c)


@part
def copy_delta(op, rows, row, n_rows):
    """The delta by the input, where `delta_by_z` has made it."""
    if op[INPUT_DELTA_AT] >= 0:
        for r in range(row, row + n_rows):
            for c in range(0, op[N_OUTPUTS], lanes_of(rows)):
                at = r * op[OUT_STRIDE] + c
                store(load(rows, op[DELTA_AT] + at), rows, op[INPUT_DELTA_AT] + at)


@part
def input_place(op, tables, channel, pixel):
    """Where a pixel of the input is."""
    return op[IN_AT] + channel * op[IN_STRIDE] + tables[op[PIXELS_AT] + pixel]


@part
def output_place(op, tables, channel, pixel):
    """Where a pixel of the output is."""
    return op[OUT_AT] + channel * op[OUT_STRIDE] + tables[op[OUT_PIXELS_AT] + pixel]


@part
def map_numbers(op, ws, at):
    """What lies in maps from a number on, to meet `channel_numbers`: of as many samples as lanes, or of one."""
    return load(ws, at) if op[ACROSS] == 1 else splat(ws[at])


@part
def channel_numbers(op, array, at):
    """What belongs to the channels across a vector of maps, from array[at] on."""
    return splat(array[at]) if op[ACROSS] == 1 else load(array, at)


@part
def activate_maps_forward(op, tables, ws):
    for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
        for pixel in range(op[N_WINDOWS]):
            z = load(ws, input_place(op, tables, channel, pixel))
            store(activate(op[ACTIVATION], z), ws, output_place(op, tables, channel, pixel))


@part
def activate_maps_backward(op, tables, ws):
    """The delta by z, whose slope comes from z itself where SLOPE_AT says so, else from f(z)."""
    if op[INPUT_DELTA_AT] >= 0:
        for channel in range(op[N_OUTPUTS]):
            for pixel in range(op[N_WINDOWS]):
                if op[SLOPE_AT] >= 0:
                    at = input_place(op, tables, channel, pixel)
                else:
                    at = output_place(op, tables, channel, pixel)
                factor = slope(op[ACTIVATION], load(ws, at))
                at = (channel * op[N_WINDOWS] + pixel) * lanes_of(ws)
                store(multiply(load(ws, op[DELTA_AT] + at), factor), ws, op[INPUT_DELTA_AT] + at)


@part
def join_forward(op, tables, ws):
    """The sum of two maps; an activation is an operation of its own."""
    for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
        for pixel in range(op[N_WINDOWS]):
            at = op[SECOND_AT] + channel * op[SECOND_STRIDE] + tables[op[SECOND_PIXELS_AT] + pixel]
            total = add(load(ws, input_place(op, tables, channel, pixel)), load(ws, at))
            store(total, ws, output_place(op, tables, channel, pixel))


@part
def fork_backward(op, ws):
    """The delta by a map that went two ways: the sum of both."""
    if op[INPUT_DELTA_AT] >= 0:
        for i in range(0, op[N_OUTPUTS] * op[N_WINDOWS] * lanes_of(ws), lanes_of(ws)):
            total = add(load(ws, op[DELTA_AT] + i), load(ws, op[SECOND_AT] + i))
            store(total, ws, op[INPUT_DELTA_AT] + i)
