"""Augmentation: what training images are changed by, anew in each epoch."""

import math
from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

from skdeep.engine import augment as engine
from skdeep.engine import threads

# What a number of an image takes, as operations of a core that does some 10^11 a second: copied or turned.
_COPYING, _TURNING = 100, 400


class Augmentation:
    """Random changes of images and of their targets, a function of seed, epoch and sample.

    An image is mirrored, then turned about its centre, then shifted, and at last cut. The first three are one map,
    and the image is read once: exactly, or with `rotate` as bilinear means of four pixels. Where the map points
    outside of the image, it reads zeros, and so does the cut: let zero be the background.

    Parameters
    ----------
    augment : dict
        With any of the keys:

        - "shift", int or (int, int): the most pixels down and across; each is uniform between minus and plus that.
        - "flip", "horizontal", "vertical" or "both": mirrors left to right, upside down, or one independently of the
          other, each with probability 1/2.
        - "rotate", float: the largest angle in degrees; the angle is uniform between minus and plus that.
        - "cutout", int: the side in pixels of a square of zeros, whose centre is a uniformly drawn pixel; what lies
          outside of the image is lost (DeVries & Taylor, 2017).
        - "mixup", float: alpha. Image and targets become ``share * a + (1 - share) * b``, where share is
          Beta(alpha, alpha)-distributed and b one of all samples, augmented as in its own place in this epoch (Zhang,
          Cisse, Dauphin & Lopez-Paz, 2018).

    image_shape : (int, int, int)
        Height, width and channels.
    data_format : {"NHWC", "NCHW"}, default="NHWC"
        The order of the numbers of a row of X. The results are the same numbers.

    Raises
    ------
    ValueError
        If `augment` is no such dict, or asks for more than the images have pixels.
    """

    def __init__(self, augment, image_shape, data_format="NHWC"):
        if not isinstance(augment, Mapping):
            raise ValueError(f'augment must be a dict such as {{"shift": 2, "rotate": 10}}, got {augment!r}.')
        unknown = [key for key in augment if key not in _READERS]
        if unknown:
            raise ValueError(f"augment has unknown keys {unknown}: it may have {sorted(_READERS)}.")
        height, width, channels = image_shape
        self._shape = (1, height, width, channels) if data_format == "NHWC" else (channels, height, width, 1)
        self._parameters = np.zeros(engine.N_PARAMETERS)
        for key, value in augment.items():
            for place, number in _READERS[key](value, height, width).items():
                self._parameters[place] = number

    def apply(self, X, Y, samples, seed, epoch, out=None):
        """The augmented samples.

        What becomes of a sample depends neither on the others in `samples` nor on the number of threads.

        Parameters
        ----------
        X : array of shape (n, height * width * channels), float32 or float64, C-contiguous
            All images of the training, of which partners are drawn.
        Y : array of shape (n, n_outputs), of X's dtype, C-contiguous
        samples : int64 array of shape (n_samples,)
            Rows of X and Y.
        seed, epoch : int
        out : (array, array) or None, default=None
            Where to write what is returned, C-contiguous, or None for new arrays.

        Returns
        -------
        X_new : array of shape (n_samples, height * width * channels), of X's dtype
        Y_new : array of shape (n_samples, n_outputs), of X's dtype
        """
        X, Y = (np.require(array, requirements="CA") for array in (X, Y))
        samples = np.require(samples, np.int64, "CA")
        n_samples = len(samples)
        if out is None:
            out = tuple(np.empty((n_samples, array.shape[1]), array.dtype) for array in (X, Y))
        X_new, Y_new = out
        work = self._work(X.shape[1])
        n_workers = threads.n_workers(work * n_samples)
        for start, stop in threads.launches(n_samples, threads.first_launch(work)):
            engine.augment_images(
                X.reshape(-1),
                Y.reshape(-1),
                samples,
                start,
                stop,
                *self._shape,
                Y.shape[1],
                self._parameters,
                seed,
                epoch,
                X_new.reshape(-1),
                Y_new.reshape(-1),
                n_workers,
            )
        return X_new, Y_new

    def _work(self, n_features):
        """Operations for one sample."""
        n_images = 2 if self._parameters[engine.MIXUP] else 1
        return n_images * n_features * (_TURNING if self._parameters[engine.ROTATE] else _COPYING)


def _shift(value, height, width):
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(_is_integer(pixels) and pixels >= 0 for pixels in pair):
        raise ValueError(
            f'augment["shift"] must be an integer of at least 0, or two of them for down and across, got {value!r}.'
        )
    if pair[0] >= height or pair[1] >= width:
        raise ValueError(
            f'augment["shift"]={value!r} must leave something of images of {height} x {width} pixels: '
            f"at most {(height - 1, width - 1)} does."
        )
    return {engine.SHIFT_DOWN: pair[0], engine.SHIFT_ACROSS: pair[1]}


def _flip(value, height, width):
    if not isinstance(value, str) or value not in ("horizontal", "vertical", "both"):
        raise ValueError(f'augment["flip"] must be "horizontal", "vertical" or "both", got {value!r}.')
    return {
        engine.FLIP_HORIZONTAL: 0.5 * (value != "vertical"),
        engine.FLIP_VERTICAL: 0.5 * (value != "horizontal"),
    }


def _rotate(value, height, width):
    if not _is_finite(value) or value < 0:
        raise ValueError(f'augment["rotate"] must be an angle of at least 0 degrees, got {value!r}.')
    return {engine.ROTATE: value}


def _cutout(value, height, width):
    if not _is_integer(value) or value < 1:
        raise ValueError(f'augment["cutout"] must be an integer of at least 1, got {value!r}.')
    if value > min(height, width):
        raise ValueError(
            f'augment["cutout"]={value!r} must fit into images of {height} x {width} pixels: at most '
            f"{min(height, width)} does."
        )
    return {engine.CUTOUT: value}


def _mixup(value, height, width):
    if not _is_finite(value) or value <= 0:
        raise ValueError(f'augment["mixup"] must be a finite number above 0, got {value!r}.')
    return {engine.MIXUP: value}


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_finite(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


# What each key means to the engine.
_READERS = {"shift": _shift, "flip": _flip, "rotate": _rotate, "cutout": _cutout, "mixup": _mixup}
