"""Images in the shapes that users have them: tables, grey maps, NHWC and NCHW arrays."""

import math

import numpy as np


def as_rows(X, data_format):
    """A table of one row an image, and the shape (height, width, channels) that X itself tells.

    Parameters
    ----------
    X : array-like of shape (n, features), (n, height, width), (n, height, width, channels) or, for
        "NCHW", (n, channels, height, width)
    data_format : {"NHWC", "NCHW"}

    Returns
    -------
    X : array of shape (n, features), or X itself if it has not more than two dimensions
    shape : tuple of int or None
        None where X tells no shape.
    """
    if getattr(X, "ndim", 2) < 3:
        return X, None
    X = np.asarray(X)
    if X.ndim > 4:
        raise ValueError(f"Expected images in at most 4 dimensions ({data_format}), got an array of shape {X.shape}.")
    if X.ndim == 3:
        return X.reshape(len(X), -1), (*X.shape[1:], 1)
    first, middle, last = X.shape[1:]
    other = "NCHW" if data_format == "NHWC" else "NHWC"
    # Square images of one or three channels, seen from the wrong end.
    looks_like_nchw, looks_like_nhwc = first in (1, 3) and middle == last > 4, last in (1, 3) and first == middle > 4
    if looks_like_nchw if data_format == "NHWC" else looks_like_nhwc:
        raise ValueError(f'X of shape {X.shape} does not look like {data_format}: set data_format="{other}".')
    return X.reshape(len(X), -1), image_shape_of(X.shape[1:], data_format)


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
        shape = image_shape_of(asked, data_format) if len(asked) in (2, 3) else ()
        if math.prod(shape) != n_features or not shape:
            raise ValueError(f"image_shape={asked!r} does not fit X of {n_features} features.")
        if told is not None and told != shape:
            raise ValueError(f"image_shape={asked!r} does not fit images of (height, width, channels) {told}.")
        return shape
    if told is not None:
        return told
    side = math.isqrt(n_features)
    return (side, side, 1) if side * side == n_features else (1, n_features, 1)
