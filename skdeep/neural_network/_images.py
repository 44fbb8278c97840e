"""Images in the shapes that users have them: tables, grey maps, NHWC and NCHW arrays."""

import math
from numbers import Integral

import numpy as np
from scipy import sparse

from skdeep._sklearn import refuse_dates_and_masks


def as_rows(X, data_format, asked):
    """A table of one row an image, and the shape (height, width, channels) that X itself tells.

    Parameters
    ----------
    X : array-like of shape (n, features), (n, height, width), (n, height, width, channels) or, for
        "NCHW", (n, channels, height, width)
    data_format : {"NHWC", "NCHW"}
    asked : sequence of int or None
        The estimator's `image_shape`: whoever gives it is believed.

    Returns
    -------
    X : array of shape (n, features), or X itself if it has not more than two dimensions
    shape : tuple of int or None
        None where X tells no shape.

    Raises
    ------
    ValueError
        If X is no array of images, has too many dimensions or masked elements, or looks like the other format.
    """
    if isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and X.dtype == object):
        X = _stacked(list(X))
    n_dimensions = getattr(X, "ndim", 2)
    if n_dimensions < 3 or sparse.issparse(X):
        return X, None
    if n_dimensions > 4:
        raise ValueError(f"Expected images in at most 4 dimensions ({data_format}), got an array of shape {X.shape}.")
    refuse_dates_and_masks(X, "X")
    X = np.asarray(X)
    rows = X.reshape(len(X), math.prod(X.shape[1:]))
    if n_dimensions == 3:
        return rows, (*X.shape[1:], 1)
    first, middle, last = X.shape[1:]
    # Square images of one or three channels, seen from the wrong end.
    other_way_round = {
        "NHWC": first in (1, 3) and middle == last > 4,
        "NCHW": last in (1, 3) and first == middle > 4,
    }
    if asked is None and other_way_round[data_format]:
        other = "NCHW" if data_format == "NHWC" else "NHWC"
        raise ValueError(
            f'X of shape {X.shape} does not look like {data_format}: set data_format="{other}", '
            "or image_shape if it is."
        )
    return rows, image_shape_of(X.shape[1:], data_format)


def _stacked(images):
    """One array from a list, of images or of anything nested."""
    try:
        return np.asarray(images)
    except ValueError as error:
        raise ValueError(
            f"X makes no array: {error} Images must have one shape: resize, crop or pad those that have another."
        ) from error


def image_shape_of(sizes, data_format):
    """(height, width, channels) from a user's image shape: (H, W), (H, W, C) or, for "NCHW", (C, H, W)."""
    sizes = tuple(int(size) for size in sizes)
    if len(sizes) == 2:
        return (*sizes, 1)
    return sizes if data_format == "NHWC" else (*sizes[1:], sizes[0])


def image_shape(n_features, asked, told, data_format):
    """The shape (height, width, channels) of images of n_features numbers.

    Parameters
    ----------
    n_features : int
    asked : sequence of int or None
        The estimator's `image_shape`.
    told : tuple of int or None
        What X's own dimensions say.
    data_format : {"NHWC", "NCHW"}

    Raises
    ------
    ValueError
        If the shapes contradict each other or the number of features.
    """
    if asked is not None:
        if len(asked) not in (2, 3) or not all(isinstance(size, Integral) and size > 0 for size in asked):
            raise ValueError(f"image_shape must be two or three positive integers, got {asked!r}.")
        shape = image_shape_of(asked, data_format)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={asked!r} does not fit X of {n_features} features: it has {math.prod(shape)} numbers."
            )
        if told is not None and told != shape:
            raise ValueError(f"image_shape={asked!r} does not fit images of (height, width, channels) {told}.")
        return shape
    if told is not None:
        return told
    side = math.isqrt(n_features)
    return (side, side, 1) if side * side == n_features else (1, n_features, 1)
