"""Schedules: the factor of the learning rate as a function of progress, 0 at the first step and 1 after the last."""

import math
from numbers import Real

import numpy as np


def cosine(progress):
    """Half a wave from 1 to 0 (Loshchilov & Hutter, 2017)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress):
    """Half waves from 0.04 up to 1 in the first quarter, then down to 1e-5 (Smith & Topin, 2019)."""
    if progress < 0.25:
        return 1 - 0.96 * cosine(4 * progress)
    return 1e-5 + (1 - 1e-5) * cosine((progress - 0.25) / 0.75)


def step(progress):
    """A tenth from one half on, a hundredth from three quarters on (He, Zhang, Ren & Sun, 2016)."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


SCHEDULES = {"cosine": cosine, "one_cycle": one_cycle, "step": step}


def factors(schedule, first, n_steps, n_total):
    """The factors of n_steps steps, of which `first` of n_total are done.

    Parameters
    ----------
    schedule : str, callable or None
        A name, a function from progress to factor, or None for ones.
    first, n_steps, n_total : int

    Returns
    -------
    factors : float64 array of shape (n_steps,)

    Raises
    ------
    ValueError
        If the schedule returns what is no factor.
    """
    if schedule is None:
        return np.ones(n_steps)
    function = SCHEDULES.get(schedule, schedule)
    values = [function(min(1.0, (first + i) / n_total)) for i in range(n_steps)]
    for value in values:
        if not (isinstance(value, Real) and 0 <= value < math.inf):
            raise ValueError(f"lr_schedule must give finite factors of at least 0, got {value!r}.")
    return np.array(values, np.float64)
