"""Augmented images: mirrored, turned, shifted, cut out and mixed by draws that are functions of (seed, epoch, sample).

An image is `n_planes` planes of height x width pixels of `depth` numbers: one plane of pixels with all their channels
(NHWC), or one plane for each channel (NCHW).

Indices are made unsigned where they count: numba tests a signed one for an index from the end, which keeps loops from
being vectorised.
"""

import math

import numpy as np
from numba import prange

from skdeep.engine.counters import ahead, below, key, mixed, symmetric_beta, uniform
from skdeep.engine.jit import compiled, doubles, integer, integers, out, part, reals

# Parameters: the largest shift in pixels, down and across; the probability of a mirror image, left to right and upside
# down; the largest angle in degrees; the side of the cutout in pixels; the parameter of mixup's Beta distribution.
SHIFT_DOWN, SHIFT_ACROSS, FLIP_HORIZONTAL, FLIP_VERTICAL, ROTATE, CUTOUT, MIXUP, N_PARAMETERS = range(8)

# The first counter of the streams, so that they are not those of dropout.
_AUGMENTATION = 0x61756D656E74
# The places of the draws in the stream of a sample.
_DOWN, _ACROSS, _MIRROR, _HEAD_OVER, _ANGLE, _CUT_ROW, _CUT_COLUMN, _PARTNER, _SHARE = range(1, 10)

# Points between pixels are integers, multiples of 2^-32 pixels: sums of them are exact and the same on every machine,
# and quarter turns hit the pixels.
_BITS = 32
_PIXEL = 1 << _BITS


@compiled(parallel=True)
def augment_images(
    data: reals,
    targets: reals,
    samples: integers,
    start: integer,
    stop: integer,
    n_planes: integer,
    height: integer,
    width: integer,
    depth: integer,
    n_outputs: integer,
    parameters: doubles,
    seed: integer,
    epoch: integer,
    images: out,
    image_targets: out,
    n_workers: integer,
):
    """Write what becomes of samples[i], its image and its targets, to the place i, for start <= i < stop."""
    shape = n_planes, height, width, depth
    for worker in prange(n_workers):
        for i in range(start + worker, stop, n_workers):
            _augment(data, targets, samples[i], shape, n_outputs, parameters, seed, epoch, images, image_targets, i)


@part
def _augment(data, targets, sample, shape, n_outputs, parameters, seed, epoch, images, image_targets, i):
    """The augmented sample, or its weighted mean with a partner, one of all samples augmented by its own draws."""
    n_planes, height, width, depth = shape
    size, alpha = n_planes * height * width * depth, parameters[MIXUP]
    state = key(_AUGMENTATION, seed, epoch, sample)
    share = symmetric_beta(mixed(ahead(state, _SHARE)), alpha) if alpha > 0 else 1.0
    _clear(images, i * size, size)
    _clear(image_targets, i * n_outputs, n_outputs)
    _add_image(data, sample * size, shape, parameters, state, share, images, i * size)
    _add_span(targets, sample * n_outputs, n_outputs, share, image_targets, i * n_outputs)
    if alpha > 0:
        partner = below(ahead(state, _PARTNER), data.size // size)
        state, share = key(_AUGMENTATION, seed, epoch, partner), 1.0 - share
        _add_image(data, partner * size, shape, parameters, state, share, images, i * size)
        _add_span(targets, partner * n_outputs, n_outputs, share, image_targets, i * n_outputs)


@part
def _clear(target, to, n):
    for k in range(n):
        target[np.uint64(to + k)] = 0


@part
def _add_span(source, at, n, weight, target, to):
    """target[to : to + n] += weight * source[at : at + n]."""
    weight = target.dtype.type(weight)
    for k in range(n):
        target[np.uint64(to + k)] += weight * source[np.uint64(at + k)]


@part
def _add_image(data, at, shape, parameters, state, weight, images, to):
    """Add the image at data[at], augmented by the draws of a stream and times weight, to the one at images[to]."""
    n_planes, height, width, depth = shape
    down = _shift(ahead(state, _DOWN), parameters[SHIFT_DOWN])
    across = _shift(ahead(state, _ACROSS), parameters[SHIFT_ACROSS])
    is_mirrored = uniform(ahead(state, _MIRROR)) < parameters[FLIP_HORIZONTAL]
    is_head_over = uniform(ahead(state, _HEAD_OVER)) < parameters[FLIP_VERTICAL]
    is_turned = parameters[ROTATE] > 0
    angle = (2.0 * uniform(ahead(state, _ANGLE)) - 1.0) * parameters[ROTATE]
    turn = _turn(height, width, down, across, is_mirrored, is_head_over, angle)
    cut = np.int64(parameters[CUTOUT])
    top = below(ahead(state, _CUT_ROW), height) - cut // 2
    left = below(ahead(state, _CUT_COLUMN), width) - cut // 2
    for row in range(n_planes * height):
        plane, row = row // height, row % height
        plane_at, row_to = at + plane * height * width * depth, to + (plane * height + row) * width * depth
        is_cut = top <= row < top + cut
        # The columns before and behind the cut.
        stop, restart = (max(left, 0), min(left + cut, width)) if is_cut else (width, width)
        for first, last in ((0, stop), (restart, width)):
            if is_turned:
                _add_turned_row(data, plane_at, shape, turn, row, first, last, weight, images, row_to)
                continue
            row_from = height - 1 - (row - down) if is_head_over else row - down
            if 0 <= row_from < height:
                row_at = plane_at + row_from * width * depth
                _add_row(data, row_at, width, depth, across, is_mirrored, first, last, weight, images, row_to)


@part
def _shift(state, largest):
    """An integer from -largest, ..., largest."""
    return below(state, 2 * np.int64(largest) + 1) - np.int64(largest)


@part
def _add_row(data, at, width, depth, across, is_mirrored, first, last, weight, images, to):
    """The pixels first..last of a row that is shifted, and perhaps mirrored before."""
    first, last = max(first, across), min(last, width + across)
    if not is_mirrored:
        _add_span(data, at + (first - across) * depth, (last - first) * depth, weight, images, to + first * depth)
        return
    weight = images.dtype.type(weight)
    for column in range(first, last):
        pixel_at, pixel_to = at + (width - 1 - (column - across)) * depth, to + column * depth
        for k in range(depth):
            images[np.uint64(pixel_to + k)] += weight * data[np.uint64(pixel_at + k)]


# ------------------------------------------------------------------------------------------ rotation


@part
def _turn(height, width, down, across, is_mirrored, is_head_over, degrees):
    """Where the first pixel of an image comes from, and how far that moves with each row and with each column.

    The image is mirrored, then turned to the left about its centre, then shifted.

    Returns
    -------
    y, x, y_by_row, x_by_row, y_by_column, x_by_column : int64
        Multiples of 2^-32 pixels.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    vertical, horizontal = -1.0 if is_head_over else 1.0, -1.0 if is_mirrored else 1.0
    y_by_row, y_by_column = _fixed(vertical * cosine), _fixed(vertical * sine)
    x_by_row, x_by_column = _fixed(-horizontal * sine), _fixed(horizontal * cosine)
    # Twice the place of the centre, before and after the shift.
    y, x = height - 1, width - 1
    new_y, new_x = y + 2 * down, x + 2 * across
    y_at = (y * _PIXEL - new_y * y_by_row - new_x * y_by_column) >> 1
    x_at = (x * _PIXEL - new_y * x_by_row - new_x * x_by_column) >> 1
    return y_at, x_at, y_by_row, x_by_row, y_by_column, x_by_column


@part
def _fixed(number):
    return np.int64(math.floor(number * _PIXEL + 0.5))


@part
def _add_turned_row(data, at, shape, turn, row, first, last, weight, images, to):
    """The pixels first..last of a row, each a bilinear mean of the four pixels around the point that it comes from."""
    height, width, depth = shape[1:]
    y_at, x_at, y_by_row, x_by_row, y_by_column, x_by_column = turn
    real = images.dtype.type
    weight, unit = real(weight), real(1.0 / _PIXEL)
    # Channel by channel: a loop over few channels inside costs more than to follow the points anew.
    for k in range(depth):
        y = y_at + row * y_by_row + first * y_by_column
        x = x_at + row * x_by_row + first * x_by_column
        for column in range(first, last):
            above, before = y >> _BITS, x >> _BITS
            down, across = real(y & (_PIXEL - 1)) * unit, real(x & (_PIXEL - 1)) * unit
            pixel_at = at + (above * width + before) * depth + k
            value = _bilinear(data, pixel_at, height, width, depth, above, before, down, across)
            images[np.uint64(to + column * depth + k)] += weight * value
            y += y_by_column
            x += x_by_column


@part
def _bilinear(data, at, height, width, depth, above, before, down, across):
    """The mean of data[at], the pixel (above, before), and its neighbours behind and below; outside are zeros."""
    behind_at, below_at, diagonal_at = at + depth, at + width * depth, at + (width + 1) * depth
    if 0 <= above < height - 1 and 0 <= before < width - 1:
        upper = _between(data[np.uint64(at)], data[np.uint64(behind_at)], across)
        lower = _between(data[np.uint64(below_at)], data[np.uint64(diagonal_at)], across)
        return _between(upper, lower, down)
    if not (-1 <= above < height and -1 <= before < width):
        return data.dtype.type(0)
    has_above, has_below, has_before, has_behind = above >= 0, above < height - 1, before >= 0, before < width - 1
    upper_left, upper_right = has_above and has_before, has_above and has_behind
    lower_left, lower_right = has_below and has_before, has_below and has_behind
    upper = _between(_or_zero(data, at, upper_left), _or_zero(data, behind_at, upper_right), across)
    lower = _between(_or_zero(data, below_at, lower_left), _or_zero(data, diagonal_at, lower_right), across)
    return _between(upper, lower, down)


@part
def _between(a, b, share):
    # Of all forms the one that returns a where a and b are equal, and that can be fused in one way only.
    return a + share * (b - a)


@part
def _or_zero(data, at, is_inside):
    return data[np.uint64(at)] if is_inside else data.dtype.type(0)
