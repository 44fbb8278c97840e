"""Convolutional layers on blocks of samples, one sample to a lane: forward and backward side by side.

Geometry (stride, padding, dilation, pooling) is in the tables of the block program; here a convolution is
a list of pixels, a list of taps and a matrix of weights.
"""

from skdeep.engine.activations import activate, slope
from skdeep.engine.jit import part
from skdeep.engine.program import (
    ACTIVATION,
    ARGMAX_AT,
    B_AT,
    BACK_GROUP,
    BACK_N_PIXELS,
    BACK_N_TAPS,
    BACK_PACKED_AT,
    BACK_PIXELS_AT,
    BACK_TAP_ROWS_AT,
    BACK_TAPS_AT,
    DELTA_AT,
    GRADIENT_CHANNELS,
    GROUP,
    IN_AT,
    INPUT_DELTA_AT,
    N_INPUTS,
    N_OUTPUTS,
    N_PIXELS,
    N_TAPS,
    N_WINDOWS,
    NARROW,
    OUT_AT,
    OUT_PIXELS_AT,
    OUT_STRIDE,
    OVERLAPPING,
    PACKED_AT,
    PIXEL_PAIRS_AT,
    PIXELS,
    PIXELS_AT,
    SLOTS,
    TAP_ROWS_AT,
    TAPS,
    TAPS_AT,
    W_AT,
    W_STRIDE,
    WIDE,
    WINDOW,
    Z_AT,
    Z_PIXELS_AT,
    Z_STRIDE,
)
from skdeep.engine.simd import (
    add,
    equal_or_zero,
    lane_sum,
    lanes_of,
    load,
    multiply,
    splat,
    store,
)
from skdeep.engine.tiles import (
    correlation_tile,
    lowest_maxima,
    store_tile,
    tap_gradient_tile,
    window_maxima,
)


@part
def input_maps(op, tables, data, samples, n_samples, ws):
    """Spread rows of X over the lanes of the input planes; lanes without a sample are zero."""
    for lane in range(lanes_of(ws)):
        for feature in range(op[N_INPUTS]):
            at = tables[op[TAPS_AT] + feature] + lane
            ws[at] = data[samples[lane] * op[N_INPUTS] + feature] if lane < n_samples else 0


@part
def pack_taps(theta, w_at, n_outputs, output_step, tables, rows_at, n_taps, group, packed, packed_at):
    """packed[group][tap][channel] = theta[w_at + row of the tap + channel * output_step], zero beyond the last."""
    for first in range(0, n_outputs, group):
        for t in range(n_taps):
            at = packed_at + first * n_taps + t * group
            for q in range(group):
                if first + q < n_outputs:
                    packed[at + q] = theta[w_at + tables[rows_at + t] + (first + q) * output_step]
                else:
                    packed[at + q] = 0


@part
def convolution_pack(op, tables, theta, packed):
    """Pack the weights for the forward correlation and, inputs and outputs exchanged, for the one backward."""
    n_in, n_out, w_at = op[N_INPUTS], op[N_OUTPUTS], op[W_AT]
    pack_taps(theta, w_at, n_out, 1, tables, op[TAP_ROWS_AT], op[N_TAPS], op[GROUP], packed, op[PACKED_AT])
    if op[INPUT_DELTA_AT] >= 0:
        rows_at, n_taps, packed_at = op[BACK_TAP_ROWS_AT], op[BACK_N_TAPS], op[BACK_PACKED_AT]
        pack_taps(theta, w_at, n_in, op[W_STRIDE], tables, rows_at, n_taps, op[BACK_GROUP], packed, packed_at)


@part
def _finish(op, tables, ws, theta, channel, n_channels, window, scratch):
    """Bias and activation of one window's outputs, which wait in the scratch."""
    lanes = lanes_of(ws)
    at = op[OUT_AT] + tables[op[OUT_PIXELS_AT] + window] + channel * op[OUT_STRIDE]
    for q in range(n_channels):
        z = add(load(ws, scratch + q * lanes), splat(theta[op[B_AT] + channel + q]))
        store(activate(op[ACTIVATION], z), ws, at + q * op[OUT_STRIDE])


def _forward_of(CHANNELS):
    @part
    def forward(op, tables, ws, packed, theta, channel, training):
        """Correlation, maximum over each window, bias and activation for CHANNELS channels.

        Activations are monotone, so the maximum may be taken before them.
        """
        lanes = lanes_of(ws)
        n_channels = min(CHANNELS, op[N_OUTPUTS] - channel)
        n_windows, slots, n_taps, taps_at = op[N_WINDOWS], op[SLOTS], op[N_TAPS], op[TAPS_AT]
        w_at = op[PACKED_AT] + channel * n_taps
        if op[WINDOW] == 1:
            for window in range(0, n_windows, PIXELS):
                at = op[PIXELS_AT] + window
                tile = correlation_tile(ws, tables, at, tables, taps_at, n_taps, packed, w_at, PIXELS, CHANNELS)
                store_tile(tile, ws, 0, CHANNELS * lanes, lanes, CHANNELS)
                for p in range(min(PIXELS, n_windows - window)):
                    _finish(op, tables, ws, theta, channel, n_channels, window + p, p * CHANNELS * lanes)
        else:
            for window in range(n_windows):
                maxima = lowest_maxima(ws, CHANNELS)
                for slot in range(0, slots, PIXELS):
                    at = op[PIXELS_AT] + window * slots + slot
                    tile = correlation_tile(ws, tables, at, tables, taps_at, n_taps, packed, w_at, PIXELS, CHANNELS)
                    maxima = window_maxima(maxima, tile, slot, PIXELS, CHANNELS)
                store_tile(maxima, ws, 0, CHANNELS * lanes, lanes, CHANNELS)
                _finish(op, tables, ws, theta, channel, n_channels, window, 0)
                if training:
                    for q in range(n_channels):
                        at = op[ARGMAX_AT] + ((channel + q) * n_windows + window) * lanes
                        store(load(ws, (CHANNELS + q) * lanes), ws, at)

    return forward


_forward_narrow, _forward_wide = _forward_of(NARROW), _forward_of(WIDE)


@part
def convolution_forward(op, tables, ws, packed, theta, training):
    for channel in range(0, op[N_OUTPUTS], op[GROUP]):
        if op[GROUP] == NARROW:
            _forward_narrow(op, tables, ws, packed, theta, channel, training)
        else:
            _forward_wide(op, tables, ws, packed, theta, channel, training)


@part
def convolution_backward(op, tables, ws, packed, partial):
    """From the gradient by the outputs to those by the bias, the weights and the input."""
    _spread_delta(op, tables, ws, partial)
    _weight_gradient(op, tables, ws, partial)
    if op[INPUT_DELTA_AT] >= 0:
        for channel in range(0, op[N_INPUTS], op[BACK_GROUP]):
            if op[BACK_GROUP] == NARROW:
                _input_delta_narrow(op, tables, ws, packed, channel)
            else:
                _input_delta_wide(op, tables, ws, packed, channel)


@part
def _spread_delta(op, tables, ws, partial):
    """Gradient by the convolution's own outputs, in the frame Z: of each window, only the maximum has one."""
    lanes = lanes_of(ws)
    n_windows, window_size = op[N_WINDOWS], op[WINDOW]
    for channel in range(op[N_OUTPUTS]):
        z_at = op[Z_AT] + channel * op[Z_STRIDE]
        if op[OVERLAPPING]:
            for pixel in range(op[N_PIXELS]):
                store(splat(ws.dtype.type(0)), ws, z_at + tables[op[PIXEL_PAIRS_AT] + 2 * pixel + 1])
        bias = splat(ws.dtype.type(0))
        for window in range(n_windows):
            delta_at = op[DELTA_AT] + (channel * n_windows + window) * lanes
            output = load(ws, op[OUT_AT] + channel * op[OUT_STRIDE] + tables[op[OUT_PIXELS_AT] + window])
            delta = multiply(load(ws, delta_at), slope(op[ACTIVATION], output))
            bias = add(bias, delta)
            pixels_at = op[Z_PIXELS_AT] + window * window_size
            if window_size == 1:
                store(delta, ws, z_at + tables[pixels_at])
            else:
                largest = load(ws, op[ARGMAX_AT] + (channel * n_windows + window) * lanes)
                for pixel in range(window_size):
                    at = z_at + tables[pixels_at + pixel]
                    share = equal_or_zero(delta, largest, splat(ws.dtype.type(pixel)))
                    if op[OVERLAPPING]:
                        share = add(share, load(ws, at))
                    store(share, ws, at)
        partial[op[B_AT] + channel] += lane_sum(bias)


@part
def _weight_gradient(op, tables, ws, partial):
    lanes = lanes_of(ws)
    n_out, n_taps, pairs_at = op[N_OUTPUTS], op[N_TAPS], op[PIXEL_PAIRS_AT]
    for channel in range(0, n_out, GRADIENT_CHANNELS):
        z_at = op[Z_AT] + channel * op[Z_STRIDE]
        for tap in range(0, n_taps, TAPS):
            tile = tap_gradient_tile(
                ws,
                tables,
                op[TAPS_AT] + tap,
                ws,
                z_at,
                op[Z_STRIDE],
                tables,
                pairs_at,
                op[N_PIXELS],
                TAPS,
                GRADIENT_CHANNELS,
            )
            store_tile(tile, ws, 0, GRADIENT_CHANNELS * lanes, lanes, GRADIENT_CHANNELS)
            for t in range(min(TAPS, n_taps - tap)):
                w_at = op[W_AT] + tables[op[TAP_ROWS_AT] + tap + t] + channel
                for q in range(min(GRADIENT_CHANNELS, n_out - channel)):
                    partial[w_at + q] += lane_sum(load(ws, (t * GRADIENT_CHANNELS + q) * lanes))


def _input_delta_of(CHANNELS):
    @part
    def input_delta(op, tables, ws, packed, channel):
        """Gradient by the input: a correlation of Z with the transposed weights."""
        lanes = lanes_of(ws)
        n_pixels, n_taps, taps_at = op[BACK_N_PIXELS], op[BACK_N_TAPS], op[BACK_TAPS_AT]
        w_at = op[BACK_PACKED_AT] + channel * n_taps
        for pixel in range(0, n_pixels, PIXELS):
            at = op[BACK_PIXELS_AT] + pixel
            tile = correlation_tile(ws, tables, at, tables, taps_at, n_taps, packed, w_at, PIXELS, CHANNELS)
            store_tile(tile, ws, 0, CHANNELS * lanes, lanes, CHANNELS)
            for p in range(min(PIXELS, n_pixels - pixel)):
                for q in range(min(CHANNELS, op[N_INPUTS] - channel)):
                    to = op[INPUT_DELTA_AT] + ((channel + q) * n_pixels + pixel + p) * lanes
                    store(load(ws, (p * CHANNELS + q) * lanes), ws, to)

    return input_delta


_input_delta_narrow, _input_delta_wide = _input_delta_of(NARROW), _input_delta_of(WIDE)


@part
def flatten_forward(op, ws, rows, row, n_samples):
    """Rows of the dense part from maps: pixel by pixel, the channels side by side."""
    lanes = lanes_of(ws)
    n_channels, n_pixels = op[N_INPUTS], op[N_WINDOWS]
    for lane in range(n_samples):
        at = op[OUT_AT] + (row + lane) * op[OUT_STRIDE]
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                rows[at + pixel * n_channels + channel] = ws[op[IN_AT] + (channel * n_pixels + pixel) * lanes + lane]


@part
def flatten_backward(op, ws, rows, row, n_samples):
    """The gradient by the maps from that by the rows; lanes without a sample get none."""
    lanes = lanes_of(ws)
    n_channels, n_pixels = op[N_INPUTS], op[N_WINDOWS]
    for lane in range(lanes):
        at = op[DELTA_AT] + (row + lane) * op[OUT_STRIDE]
        for channel in range(n_channels):
            for pixel in range(n_pixels):
                to = op[INPUT_DELTA_AT] + (channel * n_pixels + pixel) * lanes + lane
                ws[to] = rows[at + pixel * n_channels + channel] if lane < n_samples else 0
