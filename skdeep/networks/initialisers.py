"""Initialisers: draw the weights and bias of a layer.

Each is a function (rng, shape, fan_in, fan_out, dtype) -> array. Draws are made in float64, so that
float32 and float64 networks of one seed start alike. Biases, of one dimension, are zero but where
scikit-learn draws them.
"""

import math

import numpy as np


def xavier_uniform(rng, shape, fan_in, fan_out, dtype, factor=6.0):
    """Uniform in +-sqrt(factor / (fan_in + fan_out)): variance 2 / (fan_in + fan_out) for the factor 6.

    Glorot & Bengio (2010). As in scikit-learn, biases are drawn likewise, and logistic units take the factor 2.
    """
    bound = math.sqrt(factor / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(dtype)


def _of_weights(draw):
    """An initialiser from (rng, shape, fan_in, fan_out) -> weights."""

    def initialiser(rng, shape, fan_in, fan_out, dtype):
        if len(shape) == 1:
            return np.zeros(shape, dtype)
        return draw(rng, shape, fan_in, fan_out).astype(dtype)

    return initialiser


def _orthogonal(rng, shape, fan_in, fan_out):
    """Matrices (inputs, outputs) whose shorter side is orthonormal (Saxe, McClelland & Ganguli, 2014).

    Each place without shared weights has its own, and so has each group of channels.
    """
    area = fan_in // shape[-2]
    n_inputs, n_outputs = fan_in, fan_out // area
    matrices = (math.prod(shape[:-1]) // n_inputs, shape[-1] // n_outputs)
    Q, R = np.linalg.qr(rng.normal(size=(*matrices, max(n_inputs, n_outputs), min(n_inputs, n_outputs))))
    Q *= np.sign(np.diagonal(R, axis1=-2, axis2=-1))[..., None, :]  # uniform among all such matrices
    Q = Q if n_inputs >= n_outputs else Q.swapaxes(-1, -2)
    return Q.swapaxes(1, 2).reshape(shape)  # (place, input, group, output)


def _uniform_of_variance(rng, shape, variance):
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


# Glorot & Bengio (2010).
xavier_normal = _of_weights(lambda rng, shape, n, m: rng.normal(0.0, math.sqrt(2 / (n + m)), shape))
INITIALISERS = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    # He, Zhang, Ren & Sun (2015): variance 2 / fan_in.
    "he_normal": _of_weights(lambda rng, shape, n, m: rng.normal(0.0, math.sqrt(2 / n), shape)),
    "he_uniform": _of_weights(lambda rng, shape, n, m: _uniform_of_variance(rng, shape, 2 / n)),
    # LeCun, Bottou, Orr & Mueller (1998): variance 1 / fan_in.
    "lecun_normal": _of_weights(lambda rng, shape, n, m: rng.normal(0.0, math.sqrt(1 / n), shape)),
    "orthogonal": _of_weights(_orthogonal),
    # What networks of 1986 began with, and what cannot learn.
    "small_normal": _of_weights(lambda rng, shape, n, m: rng.normal(0.0, 0.01, shape)),
    "zeros": _of_weights(lambda rng, shape, n, m: np.zeros(shape)),
}
