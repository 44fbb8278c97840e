"""Convolutional layers on blocks of samples, one sample to a lane: forward and backward side by side.

Where predictions are of few samples, a block is one sample and the lanes are channels: the same sums in order.
Geometry (stride, padding, dilation, pooling) is in the tables of the block program; here a convolution is
a list of pixels, a list of taps and a matrix of weights. Where Winograd's algorithm is faster, it takes its place.
"""

import math

from skdeep.engine.activations import IDENTITY, RELU, activate, slope
from skdeep.engine.jit import part
from skdeep.engine.maxima import maxima_gradient
from skdeep.engine.pointwise import output_place
from skdeep.engine.program import (
    ACROSS,
    ACTIVATION,
    ALGORITHM,
    ARGMAX_AT,
    B_AT,
    BACK_N_PIXELS,
    BACK_N_TAPS,
    BACK_N_TILES,
    BACK_N_WIDE,
    BACK_OUT_PIXELS_AT,
    BACK_PACKED_AT,
    BACK_PIXELS_AT,
    BACK_SPANS_AT,
    BACK_TAP_ROWS_AT,
    BACK_TAPS_AT,
    BACK_TILES_AT,
    BROAD,
    CHANNEL_VECTORS,
    CHANNELS_IN_LANES,
    DELTA_AT,
    GRADIENT_PIXELS,
    HIGH,
    IN_AT,
    IN_STRIDE,
    INPUT_DELTA_AT,
    IS_BROAD,
    MAXIMA_TILE,
    N_INPUTS,
    N_OUTPUTS,
    N_PATCHES,
    N_PIXELS,
    N_TAPS,
    N_TILES,
    N_WIDE,
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
    SAMPLES_IN_LANES,
    SLOTS,
    TAP_ROWS_AT,
    TAPS_AT,
    TILES_AT,
    W_AT,
    W_STRIDE,
    WIDE,
    WINDOW,
    WINOGRAD_BACKWARD,
    WINOGRAD_FORWARD,
    WINOGRAD_GRADIENT,
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
    scatter_columns,
    splat,
    store,
    store_transposed,
)
from skdeep.engine.tiles import (
    correlation_tile,
    lowest_maxima,
    rectified_tile,
    scatter_tile,
    store_lane_sums,
    store_tile,
    tap_gradient_tile,
    window_maxima,
)
from skdeep.engine.winograd import winograd_backward, winograd_forward, winograd_pack

# Windows, or pixels, that tiles of one width take before those of the other: a whole number of tiles.
SPAN = 8 * PIXELS


@part
def input_maps(op, tables, data, samples, n_samples, ws):
    """Spread rows of X over the lanes of the input planes; lanes without a sample are zero."""
    lanes, n_features = lanes_of(ws), op[N_INPUTS]
    whole = n_features // lanes * lanes if n_samples == lanes else 0
    for feature in range(0, whole, lanes):
        scatter_columns(data, samples, n_features, feature, ws, tables, op[TAPS_AT] + feature)
    for lane in range(lanes // op[ACROSS]):
        for feature in range(whole, n_features):
            at = tables[op[TAPS_AT] + feature] + lane
            ws[at] = data[samples[lane] * n_features + feature] if lane < n_samples else 0


@part
def _pack_taps(theta, w_at, n_outputs, output_step, tables, rows_at, n_taps, tiles, packed, packed_at):
    """packed[tile][tap][channel] = theta[w_at + row of the tap + channel * output_step], zero beyond the last.

    `tiles` are the first, the one behind the last, and the step from one to the next.
    """
    for tile in range(tiles[0], tiles[1], tiles[2]):
        first, width = tables[tile], tables[tile + 1] - tables[tile]
        n_valid = min(width, n_outputs - first)
        for t in range(n_taps):
            at, to = w_at + tables[rows_at + t] + first * output_step, packed_at + first * n_taps + t * width
            for q in range(n_valid):
                packed[to + q] = theta[at + q * output_step]
            for q in range(n_valid, width):
                packed[to + q] = 0


@part
def _pack_vectors(op, tables, theta, tiles, packed):
    """packed[tile][tap][channel], whole vectors of channels: what lies beyond the last is multiplied for nobody."""
    n_taps = op[N_TAPS]
    for tile in range(tiles[0], tiles[1], tiles[2]):
        first, width = tables[tile], tables[tile + 1] - tables[tile]
        for t in range(n_taps):
            at, to = op[W_AT] + tables[op[TAP_ROWS_AT] + t] + first, op[PACKED_AT] + first * n_taps + t * width
            for q in range(0, width, lanes_of(packed)):
                store(load(theta, at + q), packed, to + q)


@part
def convolution_pack(op, tables, theta, packed, scratch, worker, n_workers):
    """One worker's share of the tiles of weights, packed for the forward correlation and for the one backward.

    Backward, inputs and outputs are exchanged. Transformed weights serve both.
    """
    if op[ALGORITHM] >= 0:
        winograd_pack(op, theta, packed, scratch, worker, n_workers)
    n_in, n_out, w_at, rows_at = op[N_INPUTS], op[N_OUTPUTS], op[W_AT], op[TAP_ROWS_AT]
    tiles = op[TILES_AT] + worker, op[TILES_AT] + op[N_TILES], n_workers
    if op[WINOGRAD_FORWARD] != 1 and op[ACROSS] == 1:
        _pack_taps(theta, w_at, n_out, 1, tables, rows_at, op[N_TAPS], tiles, packed, op[PACKED_AT])
    elif op[WINOGRAD_FORWARD] != 1:
        _pack_vectors(op, tables, theta, tiles, packed)
    if op[INPUT_DELTA_AT] >= 0 and op[WINOGRAD_BACKWARD] != 1:
        rows_at, n_taps, packed_at = op[BACK_TAP_ROWS_AT], op[BACK_N_TAPS], op[BACK_PACKED_AT]
        tiles = op[BACK_TILES_AT] + worker, op[BACK_TILES_AT] + op[BACK_N_TILES], n_workers
        _pack_taps(theta, w_at, n_in, op[W_STRIDE], tables, rows_at, n_taps, tiles, packed, packed_at)


def _outputs_of(WIDTH, IN_LANES):
    @part
    def outputs(op, tables, ws, packed, theta, floor, windows, tiles, training):
        """Correlation, maximum over each window, and bias, for spans of windows and of tiles of WIDTH vectors.

        All channels of a window come before the next: what they read of the input stays in the nearest cache.
        Activations are monotone, so the maximum may be taken before them.
        """
        lanes, n, taps_at, step = lanes_of(ws), op[N_TAPS], op[TAPS_AT], op[OUT_STRIDE] * op[ACROSS]
        for window in range(windows[0], windows[1], PIXELS if op[WINDOW] == 1 else 1):
            out_pixels_at = op[OUT_PIXELS_AT] + window
            for tile_at in range(tiles[0], tiles[1]):
                channel = tables[tile_at]
                width = min(WIDTH, (op[N_OUTPUTS] - channel + op[ACROSS] - 1) // op[ACROSS])
                w_at, b_at = op[PACKED_AT] + channel * n, op[B_AT] + channel
                to = op[OUT_AT] + channel * op[OUT_STRIDE]
                if op[WINDOW] == 1:
                    at = op[PIXELS_AT] + window
                    tile = correlation_tile(
                        ws, tables, at, tables, taps_at, 1, 0, n, packed, w_at, PIXELS, WIDTH, IN_LANES
                    )
                    tile = rectified_tile(tile, theta, b_at, floor, WIDTH, IN_LANES)
                    scatter_tile(tile, ws, to, step, tables, out_pixels_at, width, WIDTH)
                else:
                    maxima = lowest_maxima(ws, WIDTH)
                    for slot in range(0, op[SLOTS], PIXELS):
                        at = op[PIXELS_AT] + window * op[SLOTS] + slot
                        tile = correlation_tile(
                            ws, tables, at, tables, taps_at, 1, 0, n, packed, w_at, PIXELS, WIDTH, IN_LANES
                        )
                        maxima = window_maxima(maxima, tile, slot, PIXELS, WIDTH)
                    largest = rectified_tile(maxima[:WIDTH], theta, b_at, floor, WIDTH, IN_LANES)
                    scatter_tile(largest, ws, to, step, tables, out_pixels_at, width, WIDTH)
                    if training:
                        at = op[ARGMAX_AT] + (channel * op[N_WINDOWS] + window) * lanes
                        store_tile(maxima[WIDTH:], ws, at, 0, op[N_WINDOWS] * lanes, WIDTH)

    return outputs


_outputs_wide, _outputs_narrow = _outputs_of(WIDE, SAMPLES_IN_LANES), _outputs_of(NARROW, SAMPLES_IN_LANES)
_outputs_of_one_sample = _outputs_of(CHANNEL_VECTORS, CHANNELS_IN_LANES)


@part
def convolution_forward(op, tables, ws, packed, theta, scratch, training):
    floor = _floor(op, ws)
    if op[WINOGRAD_FORWARD] == 1:
        winograd_forward(op, tables, ws, packed, theta, scratch, floor, (0, op[N_PATCHES]), training)
    else:
        tiles = op[TILES_AT], op[TILES_AT] + op[N_TILES]
        middle = tiles[0] + op[N_WIDE]
        for first in range(0, op[N_WINDOWS], SPAN):
            windows = first, min(first + SPAN, op[N_WINDOWS])
            _outputs_wide(op, tables, ws, packed, theta, floor, windows, (tiles[0], middle), training)
            _outputs_narrow(op, tables, ws, packed, theta, floor, windows, (middle, tiles[1]), training)
        _activate_outputs(op, tables, ws, (0, op[N_WINDOWS]))


@part
def convolution_of_one_sample(op, tables, ws, packed, theta, scratch, windows):
    """Some of the outputs of each channel, with channels in the lanes: those of windows, or of patches."""
    if op[WINOGRAD_FORWARD] == 1:
        winograd_forward(op, tables, ws, packed, theta, scratch, _floor(op, ws), windows, False)
    else:
        tiles = op[TILES_AT], op[TILES_AT] + op[N_TILES]
        _outputs_of_one_sample(op, tables, ws, packed, theta, _floor(op, ws), windows, tiles, False)
        _activate_outputs(op, tables, ws, windows)


@part
def _floor(op, ws):
    """What outputs are at least."""
    return splat(ws.dtype.type(0 if op[ACTIVATION] == RELU else -math.inf))


@part
def _activate_outputs(op, tables, ws, windows):
    """Take activations, but those that a floor has brought about."""
    if op[ACTIVATION] != RELU and op[ACTIVATION] != IDENTITY:
        for channel in range(0, op[N_OUTPUTS], op[ACROSS]):
            for window in range(windows[0], windows[1]):
                at = output_place(op, tables, channel, window)
                store(activate(op[ACTIVATION], load(ws, at)), ws, at)


@part
def convolution_backward(op, tables, ws, packed, scratch, partial):
    """From the gradient by the outputs to those by the bias, the weights and the input."""
    _spread_delta(op, tables, ws, partial)
    if op[WINOGRAD_BACKWARD] == 1:
        winograd_backward(op, tables, ws, packed, scratch, partial)
    if op[MAXIMA_TILE] >= 0:
        maxima_gradient(op, tables, ws, partial)
    elif op[WINOGRAD_GRADIENT] != 1:
        for first in range(0, op[N_PIXELS], GRADIENT_PIXELS):
            n_pixels = min(GRADIENT_PIXELS, op[N_PIXELS] - first)
            if op[IS_BROAD]:
                _broad_weight_gradient(op, tables, ws, partial, first, n_pixels)
            else:
                _high_weight_gradient(op, tables, ws, partial, first, n_pixels)
    if op[INPUT_DELTA_AT] >= 0 and op[WINOGRAD_BACKWARD] != 1:
        tiles = op[BACK_TILES_AT], op[BACK_TILES_AT] + op[BACK_N_TILES]
        middle = tiles[0] + op[BACK_N_WIDE]
        for first in range(0, op[BACK_N_PIXELS], SPAN):
            pixels = first, min(first + SPAN, op[BACK_N_PIXELS])
            _input_delta_wide(op, tables, ws, packed, pixels, (tiles[0], middle))
            _input_delta_narrow(op, tables, ws, packed, pixels, (middle, tiles[1]))


@part
def _spread_delta(op, tables, ws, partial):
    """Gradient by the convolution's own outputs: of each window, only the maximum has one, in the frame Z or alone."""
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
            delta = load(ws, delta_at)
            if op[ACTIVATION] != IDENTITY:  # outputs have left the cache
                output = load(ws, output_place(op, tables, channel, window))
                delta = multiply(delta, slope(op[ACTIVATION], output))
            bias = add(bias, delta)
            pixels_at = op[Z_PIXELS_AT] + window * window_size
            if op[MAXIMA_TILE] >= 0:
                store(delta, ws, z_at + window * lanes)
            elif window_size == 1:
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


def _weight_gradient_of(TAPS, CHANNELS):
    @part
    def weight_gradient(op, tables, ws, partial, first, n_pixels):
        """Add what some of the pixels give to the gradient by the weights."""
        n_out, n_taps, pairs_at = op[N_OUTPUTS], op[N_TAPS], op[PIXEL_PAIRS_AT] + 2 * first
        for channel in range(0, n_out, CHANNELS):
            z_at = op[Z_AT] + channel * op[Z_STRIDE]
            for tap in range(0, n_taps, TAPS):
                taps_at = op[TAPS_AT] + tap
                tile = tap_gradient_tile(
                    ws, tables, taps_at, ws, z_at, op[Z_STRIDE], tables, pairs_at, n_pixels, TAPS, CHANNELS
                )
                store_lane_sums(tile, ws, 0)
                for t in range(min(TAPS, n_taps - tap)):
                    w_at = op[W_AT] + tables[op[TAP_ROWS_AT] + tap + t] + channel
                    for q in range(min(CHANNELS, n_out - channel)):
                        partial[w_at + q] += ws[t * CHANNELS + q]

    return weight_gradient


_high_weight_gradient, _broad_weight_gradient = _weight_gradient_of(*HIGH), _weight_gradient_of(*BROAD)


def _input_delta_of(CHANNELS):
    @part
    def input_delta(op, tables, ws, packed, pixels, tiles):
        """Gradient by the input for spans of pixels and tiles: a correlation of Z with the transposed weights."""
        plane, n_taps, n_out = op[BACK_N_PIXELS] * lanes_of(ws), op[BACK_N_TAPS], op[N_OUTPUTS]
        area = n_taps // n_out
        for pixel in range(pixels[0], pixels[1], PIXELS):
            at, out_pixels_at = op[BACK_PIXELS_AT] + pixel, op[BACK_OUT_PIXELS_AT] + pixel
            # Rows of the window that would reach beyond all outputs find only zeros.
            span = op[BACK_SPANS_AT] + 2 * (pixel // PIXELS)
            first, n = tables[span], tables[span + 1] - tables[span]
            taps_at = op[BACK_TAPS_AT] + first
            for tile_at in range(tiles[0], tiles[1]):
                channel = tables[tile_at]
                w_at = op[BACK_PACKED_AT] + channel * n_taps + first * CHANNELS
                tile = correlation_tile(
                    ws, tables, at, tables, taps_at, n_out, area, n, packed, w_at, PIXELS, CHANNELS, SAMPLES_IN_LANES
                )
                to, n_channels = op[INPUT_DELTA_AT] + channel * plane, min(CHANNELS, op[N_INPUTS] - channel)
                scatter_tile(tile, ws, to, plane, tables, out_pixels_at, n_channels, CHANNELS)

    return input_delta


_input_delta_wide, _input_delta_narrow = _input_delta_of(WIDE), _input_delta_of(NARROW)


@part
def flatten_forward(op, tables, ws, rows, row, n_samples):
    """Rows of the dense part from maps: pixel by pixel, the channels side by side."""
    lanes, n_channels, stride = lanes_of(ws), op[N_INPUTS], op[OUT_STRIDE]
    whole = n_channels // lanes * lanes
    for pixel in range(op[N_WINDOWS]):
        x, at = op[IN_AT] + tables[op[PIXELS_AT] + pixel], op[OUT_AT] + row * stride + pixel * n_channels
        for channel in range(0, whole, lanes):
            if op[ACROSS] == 1:
                plane = x + channel * op[IN_STRIDE]
                store_transposed(ws, plane, op[IN_STRIDE], rows, at + channel, stride, n_samples)
            else:
                store(load(ws, x + channel), rows, at + channel)
        for channel in range(whole, n_channels):
            for lane in range(n_samples):
                rows[at + lane * stride + channel] = ws[x + channel * op[IN_STRIDE] + lane]


@part
def flatten_backward(op, ws, rows, row, n_samples):
    """The gradient by the maps from that by the rows; lanes without a sample get none."""
    lanes, n_channels, n_pixels, stride = lanes_of(ws), op[N_INPUTS], op[N_WINDOWS], op[OUT_STRIDE]
    whole = n_channels // lanes * lanes if n_samples == lanes else 0
    for pixel in range(n_pixels):
        at, to = op[DELTA_AT] + row * stride + pixel * n_channels, op[INPUT_DELTA_AT] + pixel * lanes
        for channel in range(0, whole, lanes):
            store_transposed(rows, at + channel, stride, ws, to + channel * n_pixels * lanes, n_pixels * lanes, lanes)
        for channel in range(whole, n_channels):
            for lane in range(lanes):
                delta = rows[at + lane * stride + channel] if lane < n_samples else 0
                ws[to + channel * n_pixels * lanes + lane] = delta
