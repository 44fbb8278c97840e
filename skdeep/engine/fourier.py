"""Cosines and sines of random frequencies, from samples to features in one pass."""

from numba import prange

from skdeep.engine.elementary import cos_vector, sin_vector
from skdeep.engine.jit import compiled, integer, out, part, reals
from skdeep.engine.simd import add, lanes_of, load, multiply, store, store_span
from skdeep.engine.tiles import ROWS, VECS, sum_products

# Tiles of ROWS samples that meet the same frequencies one after the other, while these are in the nearest cache.
TILES = 8


@part
def _copy_angles(x, row, n_frequencies, panel, angles, to):
    lanes = lanes_of(x)
    for r in range(ROWS):
        for v in range(0, VECS * lanes, lanes):
            store(load(x, (row + r) * n_frequencies + panel + v), angles, to + r * VECS * lanes + v)


@compiled(parallel=True)
def fourier_features(
    x: reals,
    weights: reals,
    offset: reals,
    amplitudes: reals,
    n_samples: integer,
    n_features: integer,
    n_frequencies: integer,
    n_paired: integer,
    first: integer,
    stop: integer,
    scratch: out,
    features: out,
    n_workers: integer,
):
    """features[r] = the cosines of W x_r + offset, then the sines of the first n_paired, each times its amplitude.

    Of the tiles first..stop of ROWS samples. x holds at least ROWS rows of n_features numbers, features rows of
    n_frequencies + n_paired. W lies in panels `[panel, feature, frequency]` of VECS vectors, and `offset` and
    `amplitudes` end with whole ones, too. Where `weights` is empty x holds the products W x_r themselves, and a panel
    behind the last.
    """
    lanes = lanes_of(x)
    width, n_columns = VECS * lanes, n_frequencies + n_paired
    for worker in prange(n_workers):
        angles = worker * ROWS * width
        for block in range(first + worker * TILES, stop, n_workers * TILES):
            for panel in range(0, n_frequencies, width):
                for tile in range(block, min(block + TILES, stop)):
                    # The last tile begins before its first new sample, so that it is whole.
                    row = max(0, min(tile * ROWS, n_samples - ROWS))
                    if weights.size:
                        sum_products(
                            x, row * n_features, n_features, 1, weights, panel * n_features, width, lanes, n_features,
                            ROWS, VECS, scratch, angles, width, width, 0,
                        )  # fmt: skip
                    else:
                        _copy_angles(x, row, n_frequencies, panel, scratch, angles)
                    for r in range(tile * ROWS, min(tile * ROWS + ROWS, n_samples)):
                        for v in range(0, min(width, n_frequencies - panel), lanes):
                            j = panel + v
                            angle = add(load(scratch, angles + (r - row) * width + v), load(offset, j))
                            amplitude = load(amplitudes, j)
                            to = r * n_columns + j
                            store_span(multiply(cos_vector(angle), amplitude), features, to, n_frequencies - j)
                            if j < n_paired:
                                sines = multiply(sin_vector(angle), amplitude)
                                store_span(sines, features, to + n_frequencies, n_paired - j)
