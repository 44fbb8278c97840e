"""Initialisers: draw the weights and bias of a layer.

Each is a function (rng, shape, fan_in, fan_out, dtype) -> array. Draws are made in float64, so that
float32 and float64 networks of one seed start alike.
"""

import math


def xavier_uniform(rng, shape, fan_in, fan_out, dtype, factor=6.0):
    """Uniform in +-sqrt(factor / (fan_in + fan_out)): variance 2 / (fan_in + fan_out) for the factor 6.

    Glorot & Bengio (2010). scikit-learn takes the factor 2 for logistic units.
    """
    bound = math.sqrt(factor / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(dtype)


def xavier_normal(rng, shape, fan_in, fan_out, dtype):
    """Normal with standard deviation sqrt(2 / (fan_in + fan_out)); Glorot & Bengio (2010)."""
    return rng.normal(0.0, math.sqrt(2.0 / (fan_in + fan_out)), shape).astype(dtype)


INITIALISERS = {"xavier_uniform": xavier_uniform, "xavier_normal": xavier_normal}
