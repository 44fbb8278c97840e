"""Products with the triangle of landmarks, in place, on shapes that leave a rest in every block and register tile."""

import numpy as np
import pytest

from skdeep.engine import threads
from skdeep.solvers.landmarks import HEIGHT, multiply_rows


def integers(rng, n_rows, n, dtype):
    L = np.tril(rng.integers(-3, 4, (n, n))).astype(dtype)
    return L, rng.integers(-3, 4, (n_rows, n)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 47, 48, 49, 100, 193])
@pytest.mark.parametrize("n_rows", [0, 1, 8, HEIGHT - 1, HEIGHT + 1, 3 * HEIGHT])
def test_multiply_rows(n_rows, n, dtype, rng):
    L, K = integers(rng, n_rows, n, dtype)
    want = K @ L.T  # sums of integers of that size are exact
    multiply_rows(L, K)
    np.testing.assert_array_equal(K, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_launches_change_no_bit(dtype, monkeypatch, rng):
    L, K = np.tril(rng.normal(size=(70, 70))).astype(dtype), rng.normal(size=(5 * HEIGHT + 3, 70)).astype(dtype)
    want = K.copy()
    multiply_rows(L, want)
    for n_workers in (1, 2, 3):
        monkeypatch.setattr(threads, "n_workers", lambda work, n=n_workers: n)
        monkeypatch.setattr(threads, "launches", lambda n, first: [(0, 1), (1, n)])
        got = K.copy()
        multiply_rows(L, got)
        np.testing.assert_array_equal(got, want)


def test_what_is_no_number_stays_in_its_row(rng):
    L, K = integers(rng, 5, 150, np.float64)
    want = K @ L.T
    K[2, 149] = np.nan
    multiply_rows(L, K)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(K[others], want[others])
    assert np.isnan(K[2, 149])
