"""Pools of maps by themselves; a maximum right behind a convolution is part of it."""

from skdeep.engine.jit import part
from skdeep.engine.pointwise import output_place
from skdeep.engine.program import (
    ACROSS,
    ARGMAX_AT,
    DELTA_AT,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    N_OUTPUTS,
    N_PIXELS,
    N_WINDOWS,
    OVERLAPPING,
    PIXELS_AT,
    WINDOW,
    Z_PIXELS_AT,
)
from skdeep.engine.simd import add, equal_or_zero, lanes_of, load, multiply, splat, store
from skdeep.engine.tiles import lowest_maxima, store_tile, window_maxima


@part
def max_pool_forward(op, tables, ws, training):
    """The maximum of each window, and in training which pixel it was."""
    lanes = lanes_of(ws)
    for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
        plane = op[IN_AT] + channel * op[IN_STRIDE]
        for window in range(op[N_WINDOWS]):
            maxima = lowest_maxima(ws, 1)
            for pixel in range(op[WINDOW]):
                value = load(ws, plane + tables[op[PIXELS_AT] + window * op[WINDOW] + pixel])
                maxima = window_maxima(maxima, (value,), pixel, 1, 1)
            store_tile(maxima, ws, 0, lanes, lanes, 1)
            store(load(ws, 0), ws, output_place(op, tables, channel, window))
            if training:
                store(load(ws, lanes), ws, op[ARGMAX_AT] + (channel * op[N_WINDOWS] + window) * lanes)


@part
def average_pool_forward(op, tables, ws):
    share = splat(ws.dtype.type(1 / op[WINDOW]))
    for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
        plane = op[IN_AT] + channel * op[IN_STRIDE]
        for window in range(op[N_WINDOWS]):
            total = splat(ws.dtype.type(0))
            for pixel in range(op[WINDOW]):
                total = add(total, load(ws, plane + tables[op[PIXELS_AT] + window * op[WINDOW] + pixel]))
            store(multiply(share, total), ws, output_place(op, tables, channel, window))


@part
def pool_backward(op, tables, ws, is_maximum):
    """Each window's delta to the pixel that was its maximum, or in equal shares to all of its pixels."""
    if op[INPUT_DELTA_AT] < 0:
        return
    lanes, zero = lanes_of(ws), splat(ws.dtype.type(0))
    share = splat(ws.dtype.type(1 / op[WINDOW]))
    for channel in range(op[N_OUTPUTS]):
        plane = op[INPUT_DELTA_AT] + channel * op[N_PIXELS] * lanes
        if op[OVERLAPPING]:
            for pixel in range(op[N_PIXELS]):
                store(zero, ws, plane + pixel * lanes)
        for window in range(op[N_WINDOWS]):
            at = (channel * op[N_WINDOWS] + window) * lanes
            delta = load(ws, op[DELTA_AT] + at)
            largest = load(ws, op[ARGMAX_AT] + at) if is_maximum else zero
            for pixel in range(op[WINDOW]):
                to = plane + tables[op[Z_PIXELS_AT] + window * op[WINDOW] + pixel]
                if is_maximum:
                    part_of_delta = equal_or_zero(delta, largest, splat(ws.dtype.type(pixel)))
                else:
                    part_of_delta = multiply(share, delta)
                if op[OVERLAPPING]:
                    part_of_delta = add(load(ws, to), part_of_delta)
                store(part_of_delta, ws, to)
