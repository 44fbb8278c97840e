"""Random numbers that are functions of counters: the same for any number of threads, in any order, and nowhere stored.

The generator is SplitMix64 (Steele, Lea & Flood, 2014). Its n-th number is `mixed(ahead(state, n))`, and a `key` of
seed, step, sample or whatever tells one stream from another is the state to begin with.
"""

import math

import numpy as np

from skdeep.engine.jit import part

# The increment and the finaliser of SplitMix64.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = (np.uint64(n) for n in (30, 27, 31, 11))


@part
def ahead(state, n):
    """The state after n steps."""
    return state + np.uint64(n) * _STEP


@part
def mixed(state):
    """64 random bits from a state, a different number from each."""
    state = (state ^ (state >> _30)) * _FIRST
    state = (state ^ (state >> _27)) * _SECOND
    return state ^ (state >> _31)


@part
def key(*counters):
    """One hash of several integers."""
    state = np.uint64(0)
    for counter in counters:
        state = mixed(ahead(state + np.uint64(counter), 1))
    return state


@part
def uniform(state):
    """A float64 from [0, 1), a multiple of 2^-53."""
    return np.int64(mixed(state) >> _11) * 2.0**-53


@part
def below(state, n):
    """An integer from 0, ..., n - 1."""
    # The product stays below n even for the largest uniform number, 1 - 2^-53.
    return np.int64(uniform(state) * n)


@part
def normal(state):
    """A standard normal number, from the first two of a stream (Box & Muller, 1958)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(ahead(state, 1))))
    return radius * math.cos(2.0 * math.pi * uniform(ahead(state, 2)))


@part
def gamma_over_scale(state, shape):
    """v such that (shape - 1/3) v is Gamma(shape)-distributed, for shape >= 1 (Marsaglia & Tsang, 2000).

    Without their squeeze, which saves a logarithm and changes no result. More than 95 % of the attempts succeed.
    """
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(state)
        log_u = math.log(1.0 - uniform(ahead(state, 3)))
        state = ahead(state, 3)
        cube_root = 1.0 + c * x
        v = cube_root * cube_root * cube_root
        if v > 0.0 and log_u < 0.5 * x * x + d * (1.0 - v + math.log(v)):
            return v


@part
def symmetric_beta(state, alpha):
    """A Beta(alpha, alpha)-distributed number: the share a / (a + b) of Gamma(alpha)-distributed a and b.

    Each is one of shape alpha + 1 times U^(1 / alpha), U uniform (Marsaglia & Tsang, 2000, section 6). The quotient
    of the powers is taken from logarithms, since for a small alpha both are 0.
    """
    a = gamma_over_scale(mixed(ahead(state, 1)), alpha + 1.0)
    b = gamma_over_scale(mixed(ahead(state, 2)), alpha + 1.0)
    log_u_a = math.log(1.0 - uniform(ahead(state, 3)))
    log_u_b = math.log(1.0 - uniform(ahead(state, 4)))
    return 1.0 / (1.0 + b / a * math.exp((log_u_b - log_u_a) / alpha))
