"""Cosines and sines of angles, the features of random frequencies."""

from numba import prange

from skdeep.engine.elementary import cos_vector, sin_vector
from skdeep.engine.jit import compiled, integer, out, reals
from skdeep.engine.simd import add, lanes_of, load, multiply, store_span

# Numbers that arrays need behind their last one, since whole vectors are read.
PADDING = 16


@compiled(parallel=True)
def fourier_features(
    angles: reals,
    offset: reals,
    amplitudes: reals,
    n_samples: integer,
    n_frequencies: integer,
    n_paired: integer,
    features: out,
    n_workers: integer,
):
    """features[r] = the cosines of angles[r] + offset, then the sines of the first n_paired, each times its amplitude.

    angles has rows of n_frequencies numbers, features rows of n_frequencies + n_paired; angles, offset and amplitudes
    have PADDING numbers more.
    """
    lanes, width = lanes_of(angles), n_frequencies + n_paired
    for worker in prange(n_workers):
        for r in range(worker * n_samples // n_workers, (worker + 1) * n_samples // n_workers):
            for j in range(0, n_frequencies, lanes):
                angle, amplitude = add(load(angles, r * n_frequencies + j), load(offset, j)), load(amplitudes, j)
                cosines = multiply(cos_vector(angle), amplitude)
                store_span(cosines, features, r * width + j, n_frequencies - j)
                if j < n_paired:
                    sines = multiply(sin_vector(angle), amplitude)
                    store_span(sines, features, r * width + n_frequencies + j, n_paired - j)
