"""The engine's vectors against NumPy: elementary functions to the last places, memory and register tiles exactly.

Tiles are fed small integers, whose sums are exact in any order, so that equality is the right test.
"""

import numpy as np
import pytest
from numba import prange

from skdeep.engine.activations import ACTIVATIONS, CODES, activate, slope
from skdeep.engine.dense import DEPTH, matrix_product
from skdeep.engine.elementary import (
    angle_vector,
    arccos_vector,
    cos_vector,
    exp_vector,
    log1p_vector,
    log_vector,
    logistic_vector,
    sin_vector,
    tanh_vector,
)
from skdeep.engine.jit import compiled, integer, integers, integers_out, out, reals
from skdeep.engine.program import (
    CHANNEL_VECTORS,
    CHANNELS_IN_LANES,
    HIGH,
    MAXIMA_TILES,
    NARROW,
    PIXELS,
    SAMPLES_IN_LANES,
    WIDE,
)
from skdeep.engine.simd import (
    add,
    equal_or_zero,
    fma,
    lane_sum,
    lanes_of,
    load,
    multiply,
    splat,
    store,
    store_first,
    subtract,
    take_ticket,
)
from skdeep.engine.target import VECTOR_BITS, lanes
from skdeep.engine.tiles import (
    ROWS,
    VECS,
    correlation_tile,
    lane_products_tile,
    lowest_maxima,
    maxima_gradient_tile,
    store_tile,
    sum_absolute_differences,
    sum_products,
    sum_squared_differences,
    tap_gradient_tile,
    window_maxima,
)
from tests import _reference as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def integers_like(rng, shape, dtype, largest=8):
    return rng.integers(-largest, largest + 1, shape).astype(dtype)


# ------------------------------------------------------------------------------ elementary functions


@compiled
def _evaluate(code: integer, x: reals, y: out):
    for i in range(0, len(x), lanes_of(x)):
        v = load(x, i)
        if code == 0:
            v = exp_vector(v)
        elif code == 1:
            v = tanh_vector(v)
        elif code == 2:
            v = logistic_vector(v)
        elif code == 3:
            v = log_vector(v)
        elif code == 4:
            v = log1p_vector(v)
        elif code == 5:
            v = sin_vector(v)
        elif code == 6:
            v = cos_vector(v)
        elif code == 7:
            v = arccos_vector(v)
        elif code == 8:
            v = angle_vector(v)
        store(v, y, i)


# The references by name, in the order of the codes; the domains below are the documented ones.
FUNCTIONS = {
    "exp": np.exp,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "arccos": np.arccos,
    "angle": lambda w: 2 * np.arcsin(np.sqrt(w / 2)),
}


def evaluated(name, x):
    """A function of the engine on a vector of any length: padded to whole vectors."""
    padded = np.pad(x, (0, -x.size % lanes(x.dtype)))
    y = np.full_like(padded, 7)
    _evaluate(list(FUNCTIONS).index(name), padded, y)
    return y[: x.size]


def exact(name, x):
    return FUNCTIONS[name](x.astype(np.longdouble))


def last_place(dtype, want):
    """The unit of the last place of an extended-precision result, correctly rounded."""
    with np.errstate(under="ignore"):
        return np.spacing(np.abs(want).astype(dtype)).astype(np.longdouble)


def ulps(got, want):
    """Distance from an extended-precision result in units of the last place of the correctly rounded one."""
    return np.abs(got.astype(np.longdouble) - want) / last_place(got.dtype, want)


def spread(dtype, low, high, rng, n=20_000):
    """Numbers between two bounds, some uniform, some uniform in the logarithm of their size."""
    sizes = 10.0 ** rng.uniform(np.log10(np.finfo(dtype).tiny) * 0.99, np.log10(max(abs(low), high)), n)
    signed = np.concatenate([sizes, -sizes, rng.uniform(low, high, n)])
    return signed[(low <= signed) & (signed <= high)].astype(dtype)


def around(dtype, *centres, n=300):
    """The numbers of a dtype next to some places, n on either side."""
    centres = np.array(centres, dtype)
    return np.concatenate([centres + k * np.spacing(centres) for k in range(-n, n + 1)]).astype(dtype)


# Where the results are normal numbers, twice the smallest of them at the least.
EXP_RANGE = {np.float32: (-86.5, 88.722), np.float64: (-707.6, 709.7826)}


@DTYPES
def test_exp(dtype, rng):
    x = spread(dtype, *EXP_RANGE[dtype], rng)
    assert ulps(evaluated("exp", x), exact("exp", x)).max() <= 2


@DTYPES
def test_tanh(dtype, rng):
    # 0.625 is where one formula takes over from the other.
    x = np.concatenate([spread(dtype, -50.0, 50.0, rng), 0.625 + np.linspace(-1e-3, 1e-3, 999).astype(dtype)])
    assert ulps(evaluated("tanh", x), exact("tanh", x)).max() <= 2


@DTYPES
def test_logistic(dtype, rng):
    # Half an ulp each from sum and quotient, and that of exp may be two of the quotient's, which has another exponent.
    x = spread(dtype, EXP_RANGE[dtype][0], 50.0, rng)
    assert ulps(evaluated("logistic", x), exact("logistic", x)).max() <= 3


@DTYPES
def test_log(dtype, rng):
    limits = np.finfo(dtype)
    # All exponents, the places where they take their steps, and those beside the zero at 1.
    powers = 2.0 ** np.arange(limits.minexp, limits.maxexp)
    steps = np.concatenate([around(dtype, *powers, n=3), around(dtype, *(np.sqrt(0.5) * powers[1:]), n=3)])
    x = np.concatenate([spread(dtype, limits.tiny, limits.max, rng), spread(dtype, 0.5, 2.0, rng), steps, [limits.max]])
    x = x[x >= limits.tiny].astype(dtype)
    assert ulps(evaluated("log", x), exact("log", x)).max() <= 2


@DTYPES
def test_log1p(dtype, rng):
    limits = np.finfo(dtype)
    # Where the exponent of 1 + x takes its steps, and where 1 + x forgets x, or the 1.
    steps = around(dtype, *(2.0 ** np.arange(0.5, 70) - 1), *(2.0 ** np.arange(-70, 70)))
    below_zero = 2.0 ** -np.arange(1, 24) - 1
    x = np.concatenate([spread(dtype, 0.0, limits.max, rng), spread(dtype, -1.0, 4.0, rng), steps, [limits.max]])
    x = np.concatenate([x[x > -1], below_zero]).astype(dtype)
    assert ulps(evaluated("log1p", x), exact("log1p", x)).max() <= 2


# Up to here two ulp are promised, and how much of an argument may get lost where sine or cosine is all but zero.
WAVE_RANGE = {np.float32: 6400.0, np.float64: 1e5}
WAVE_LOSS = {np.float32: 1.2e-15, np.float64: 3e-28}


@DTYPES
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves(name, dtype, rng):
    largest = WAVE_RANGE[dtype]
    # All zeros of both, and all places where one takes over from the other.
    nearest = (np.arange(1, np.floor(largest * 4 / np.pi)) * (np.pi / 4)).astype(dtype)
    x = np.concatenate([spread(dtype, -largest, largest, rng), nearest, -nearest, around(dtype, *nearest[:20])])
    got, want = evaluated(name, x), exact(name, x)
    lost = WAVE_LOSS[dtype] * np.abs(x.astype(np.longdouble))
    assert (np.abs(got - want) <= 2 * last_place(dtype, want) + lost).all()
    assert np.abs(got).max() <= 1


@DTYPES
def test_sine_and_cosine_are_on_the_circle(dtype, rng):
    # Two ulp of a number below one are at most an eps, and twice an eps times |sin| + |cos| <= sqrt(2) is below three.
    x = spread(dtype, -WAVE_RANGE[dtype], WAVE_RANGE[dtype], rng)
    sine, cosine = (evaluated(name, x).astype(np.longdouble) for name in ("sin", "cos"))
    assert np.abs(sine**2 + cosine**2 - 1).max() <= 3 * np.finfo(dtype).eps


@DTYPES
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_far_out(name, dtype, rng):
    # As good as for an argument off by its last place, and no number at all has a result beyond -1 or 1.
    x = spread(dtype, 10 * WAVE_RANGE[dtype], 100 * WAVE_RANGE[dtype], rng)
    assert np.abs(evaluated(name, x) - exact(name, x)).max() <= np.spacing(x.max())
    x = spread(dtype, 1.0, np.finfo(dtype).max, rng)
    assert np.abs(evaluated(name, np.concatenate([x, -x]))).max() <= 1


@DTYPES
def test_arccos(dtype, rng):
    # 1/2 and -1/2 are where one formula takes over from another.
    ends = 1 - 2.0 ** -np.arange(30)
    x = np.concatenate([spread(dtype, -1.0, 1.0, rng), around(dtype, -0.5, 0.5), ends, -ends, [-1, 1]]).astype(dtype)
    assert ulps(evaluated("arccos", x), exact("arccos", x)).max() <= 2


@DTYPES
def test_angle(dtype, rng):
    places = around(dtype, 0.5, 1.0, 1.5)
    w = np.concatenate([spread(dtype, 0.0, 2.0, rng), places, 2 - 2.0 ** -np.arange(30), [2]]).astype(dtype)
    assert ulps(evaluated("angle", w), exact("angle", w)).max() <= 2


@DTYPES
def test_log_undoes_exp(dtype, rng):
    # Two ulp of exp(x), at most two eps of it, move the logarithm by two eps; and two ulp are its own.
    x, eps = rng.uniform(-80, 80, 20_000).astype(dtype), np.finfo(dtype).eps
    np.testing.assert_allclose(evaluated("log", evaluated("exp", x)), x, rtol=2 * eps, atol=2 * eps)


@DTYPES
def test_angle_undoes_the_sine_of_half_of_it(dtype, rng):
    # The square of a sine off by two eps is off by four, its angle by less, since tan(t / 2) < t; and two are its own.
    t = spread(dtype, np.sqrt(np.finfo(dtype).tiny), np.pi / 2, rng)
    w = 2 * evaluated("sin", t / 2) ** 2
    normal = w >= np.finfo(dtype).tiny
    np.testing.assert_allclose(evaluated("angle", w)[normal], t[normal], rtol=6 * np.finfo(dtype).eps, atol=0)


@DTYPES
@pytest.mark.parametrize(
    ("name", "low", "high", "slope"),
    [("log", 0.5, 3.0, 1), ("log1p", 0.0, 3.0, 1), ("arccos", -1.0, 1.0, -1), ("angle", 0.0, 2.0, 1)],
)
def test_monotone(name, low, high, slope, dtype):
    # Across all places where formulas change, in steps that are wide beside the last places of float32.
    y = evaluated(name, np.linspace(low, high, 100_000).astype(dtype))
    assert (np.diff(y) * slope > 0).all()


NAN = np.nan
POINTS = {
    "exp": ([-np.inf, 0.0, -0.0, np.inf, NAN], [0, 1, 1, np.inf, NAN]),
    "tanh": ([-np.inf, 0.0, -0.0, np.inf, NAN], [-1, 0, 0, 1, NAN]),
    "logistic": ([-np.inf, 0.0, -0.0, np.inf, NAN], [0, 0.5, 0.5, 1, NAN]),
    "log": ([-np.inf, -1.0, -1e-30, 0.0, -0.0, 1.0, np.inf, NAN], [NAN, NAN, NAN, -np.inf, -np.inf, 0, np.inf, NAN]),
    "log1p": ([-np.inf, -1.001, -1.0, 0.0, -0.0, np.inf, NAN], [NAN, NAN, -np.inf, 0, 0, np.inf, NAN]),
    "sin": ([-np.inf, 0.0, -0.0, np.inf, NAN], [NAN, 0, 0, NAN, NAN]),
    "cos": ([-np.inf, 0.0, -0.0, np.inf, NAN], [NAN, 1, 1, NAN, NAN]),
    "arccos": ([-np.inf, -1.001, 1.0, 1.001, np.inf, NAN], [NAN, NAN, 0, NAN, NAN, NAN]),
    "angle": ([-np.inf, -1e-30, 0.0, -0.0, 2.001, np.inf, NAN], [NAN, NAN, 0, 0, NAN, NAN, NAN]),
}


@DTYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_points(name, dtype):
    # The sign of a zero is not promised: the engine compiles with "nsz".
    points, values = POINTS[name]
    np.testing.assert_array_equal(evaluated(name, np.array(points, dtype)), np.array(values, dtype))


@DTYPES
def test_far_out(dtype):
    # Beyond the largest number, and below the smallest normal one, where subnormals are slow: infinity and zero.
    largest = np.finfo(dtype).max
    beyond = np.log(np.longdouble(largest)) + np.array([1e-3, 1, 1e3, 1e30])
    below = np.log(np.longdouble(np.finfo(dtype).tiny)) - np.array([1e-3, 1, 1e3, 1e30])
    x = np.array([*beyond, largest, *below, -largest], dtype)
    np.testing.assert_array_equal(evaluated("exp", x), [np.inf] * 5 + [0] * 5)
    x = np.array([1000, 1e30, largest], dtype)
    np.testing.assert_array_equal(evaluated("tanh", np.concatenate([x, -x])), [1, 1, 1, -1, -1, -1])
    np.testing.assert_array_equal(evaluated("logistic", np.concatenate([x, -x])), [1, 1, 1, 0, 0, 0])


@DTYPES
def test_exp_between_the_edges_is_off_by_less_than_a_smallest_number(dtype):
    # Between the last accurate point and the smallest normal number a zero may come early; never anything else.
    start = EXP_RANGE[dtype][0]
    x = np.linspace(start, start - 3, 2000).astype(dtype)
    got, want = evaluated("exp", x), exact("exp", x)
    assert np.all((got == 0) | (np.abs(got / want - 1) < 2 * np.finfo(dtype).eps))
    assert np.abs(got - want).max() < 4 * np.finfo(dtype).tiny


@DTYPES
def test_subnormal_arguments(dtype):
    x = np.array([1, -1], dtype) * np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(evaluated("exp", x), [1, 1])
    np.testing.assert_array_equal(evaluated("tanh", x), x)
    np.testing.assert_array_equal(evaluated("logistic", x), [0.5, 0.5])
    np.testing.assert_array_equal(evaluated("log", x), [-np.inf, np.nan])
    np.testing.assert_array_equal(evaluated("log1p", x), x)
    np.testing.assert_array_equal(evaluated("sin", x), x)
    np.testing.assert_array_equal(evaluated("cos", x), [1, 1])


@DTYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_lane_makes_no_difference(name, dtype, rng):
    x = spread(dtype, 0.0, 1.0, rng, n=500)
    np.testing.assert_array_equal(evaluated(name, x[1:]), evaluated(name, x)[1:])


# ------------------------------------------------------------------------------------- activations


@compiled
def _activate(code: integer, of_input: integer, z: reals, a: out, derivative: out):
    for i in range(0, len(z), lanes_of(z)):
        store(activate(code, load(z, i)), a, i)
        store(slope(code, load(z if of_input else a, i)), derivative, i)


def test_every_activation_has_a_reference():
    assert set(ACTIVATIONS) == set(reference.ACTIVATIONS) == set(reference.SLOPES)
    assert {name for name in ACTIVATIONS if ACTIVATIONS[name].monotone} == set(reference.MONOTONE)


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_and_slope(name, dtype, rng):
    z = np.append(rng.normal(scale=3, size=16 * 64 - 1), 0).astype(dtype)
    a, derivative = np.empty_like(z), np.empty_like(z)
    _activate(CODES[name], not ACTIVATIONS[name].monotone, z, a, derivative)
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    np.testing.assert_allclose(a, reference.ACTIVATIONS[name](z.astype(float)), **tolerance)
    # The slope is taken from a, rounded: 1 - a^2 is exact to an eps of 1, not of itself.
    np.testing.assert_allclose(derivative, reference.SLOPES[name](z.astype(float)), **tolerance)


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_nan(name, dtype):
    z = np.full(64, np.nan, dtype)
    a, derivative = np.zeros_like(z), np.zeros_like(z)
    _activate(CODES[name], not ACTIVATIONS[name].monotone, z, a, derivative)
    assert np.isnan(a).all()


# ----------------------------------------------------------------------------------------- memory


@compiled
def _copy(x: reals, at: integer, n: integer, y: out):
    if n < 0:
        store(load(x, at), y, at)
    else:
        store_first(load(x, at), y, at, n)


@DTYPES
@pytest.mark.parametrize("at", [0, 1, 5])
def test_load_and_store_at_any_place(at, dtype, rng):
    width = lanes(np.dtype(dtype))
    x = rng.normal(size=width + 8).astype(dtype)
    y = np.full_like(x, 7)
    _copy(x, at, -1, y)
    np.testing.assert_array_equal(y[at : at + width], x[at : at + width])
    assert (np.delete(y, slice(at, at + width)) == 7).all()


@DTYPES
def test_store_first_leaves_the_rest(dtype, rng):
    width = lanes(np.dtype(dtype))
    x = rng.normal(size=width + 3).astype(dtype)
    for n in range(width + 1):
        y = np.full_like(x, 7)
        _copy(x, 3, n, y)
        np.testing.assert_array_equal(y[3 : 3 + n], x[3 : 3 + n])
        assert (np.delete(y, slice(3, 3 + n)) == 7).all()


@compiled
def _arithmetic(a: reals, b: reals, c: reals, y: out):
    n = lanes_of(a)
    store(add(load(a, 0), load(b, 0)), y, 0)
    store(subtract(load(a, 0), load(b, 0)), y, n)
    store(multiply(load(a, 0), load(b, 0)), y, 2 * n)
    store(fma(load(a, 0), load(b, 0), load(c, 0)), y, 3 * n)
    store(splat(a[1]), y, 4 * n)
    store(equal_or_zero(load(a, 0), load(b, 0), load(c, 0)), y, 5 * n)
    y[6 * n] = lane_sum(load(a, 0))


@DTYPES
def test_arithmetic(dtype, rng):
    width = lanes(np.dtype(dtype))
    assert width == VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    a, b, c = integers_like(rng, (3, width), dtype, largest=2)
    y = np.zeros(6 * width + 1, dtype)
    _arithmetic(a, b, c, y)
    want = [a + b, a - b, a * b, a * b + c, np.full(width, a[1]), np.where(b == c, a, 0)]
    np.testing.assert_array_equal(y[:-1].reshape(6, width), want)


@DTYPES
def test_lane_sum_is_a_tree_of_halves(dtype, rng):
    width = lanes(np.dtype(dtype))
    a = rng.normal(size=width).astype(dtype)
    y = np.zeros(6 * width + 1, dtype)
    _arithmetic(a, a, a, y)
    while a.size > 1:
        a = a[: a.size // 2] + a[a.size // 2 :]
    assert y[-1] == a[0]


# ------------------------------------------------------------------------------------------ tiles


@compiled
def _row_tiles(
    x: reals, x_row: integer, x_step: integer, y: reals, y_step: integer, n: integer, half: integer, to: out
):
    width = lanes_of(x)
    size = ROWS * VECS * width
    row = VECS * width
    # They sum the first half, and go on with the second.
    for first in range(0, n, half):
        x_at, y_at, n_now = first * x_step, first * y_step, min(half, n - first)
        sum_products(x, x_at, x_row, x_step, y, y_at, y_step, width, n_now, ROWS, VECS, to, 0, row, row, first)
        sum_squared_differences(
            x, x_at, x_row, x_step, y, y_at, y_step, width, n_now, ROWS, VECS, to, size, row, row, first
        )
        sum_absolute_differences(
            x, x_at, x_row, x_step, y, y_at, y_step, width, n_now, ROWS, VECS, to, 2 * size, row, row, first
        )


@DTYPES
@pytest.mark.parametrize("n", [1, 2, 13])
@pytest.mark.parametrize("order", ["C", "F"], ids=["rows", "columns"])
def test_row_tiles(n, order, dtype, rng):
    width = lanes(np.dtype(dtype))
    X, Y = integers_like(rng, (ROWS, n), dtype), integers_like(rng, (n, VECS * width), dtype)
    steps = (n, 1) if order == "C" else (1, ROWS)
    tiles = np.full((3, ROWS, VECS * width), 7, dtype)
    flat_x, flat_y = np.pad(X.ravel(order), (0, 1)), np.pad(Y.ravel(), (0, 1))
    _row_tiles(flat_x, *steps, flat_y, VECS * width, n, n - n // 2, tiles.reshape(-1))
    differences = X[:, :, None] - Y
    np.testing.assert_array_equal(tiles[0], X @ Y)
    np.testing.assert_array_equal(tiles[1], (differences**2).sum(axis=1))
    np.testing.assert_array_equal(tiles[2], np.abs(differences).sum(axis=1))


@compiled
def _columns(x: reals, n: integer, row_step: integer, to: out):
    sum_products(
        x, 0, 0, 1, x, 0, 0, lanes_of(x), 1, ROWS, VECS, to, 1, row_step, n, 0
    )  # every row x[0] * x[: VECS * width]


@DTYPES
def test_row_tile_leaves_what_is_behind_its_columns(dtype, rng):
    width = lanes(np.dtype(dtype))
    x = integers_like(rng, VECS * width, dtype)
    x[0] = 1
    for n in range(VECS * width + 1):
        step = n + 2
        to = np.full(ROWS * step + 1, 7, dtype)
        _columns(x, n, step, to)
        rows = to[1:].reshape(ROWS, step)
        np.testing.assert_array_equal(rows[:, :n], np.tile(x[:n], (ROWS, 1)))
        assert to[0] == 7
        assert (rows[:, n:] == 7).all()


@compiled
def _product(x: reals, x_row: integer, x_step: integer, y: reals, n: integer, rows: integer, columns: integer, to: out):
    matrix_product(x, 1, x_row, x_step, y, 2, columns, n, to, 3, columns + 1, rows, columns)


@DTYPES
@pytest.mark.parametrize("rows", [*range(1, ROWS + 5), 3 * ROWS - 1])
@pytest.mark.parametrize("order", ["C", "F"], ids=["rows", "columns"])
def test_matrix_product_of_any_shape(rows, order, dtype, rng):
    width = lanes(np.dtype(dtype))
    shapes = [(1, 1), (3, width - 1), (5, width), (2, 2 * width + 1), (7, 3 * width), (4, 5 * width + 3)]
    for n, columns in [*shapes, (DEPTH + 1, width + 1), (2 * DEPTH + 3, VECS * width + 1)]:
        X, Y = integers_like(rng, (rows, n), dtype), integers_like(rng, (n, columns), dtype)
        # What a whole vector reads beyond the last column is not a number: it must not matter.
        y = np.pad(Y.ravel(), (2, VECS * width), constant_values=np.nan)
        to = np.full(3 + rows * (columns + 1) + VECS * width, 7, dtype)
        steps = (n, 1) if order == "C" else (1, rows)
        _product(np.pad(X.ravel(order), (1, 0)), *steps, y, n, rows, columns, to)
        got = to[3 : 3 + rows * (columns + 1)].reshape(rows, columns + 1)
        np.testing.assert_array_equal(got[:, :-1], X @ Y)
        assert (to[:3] == 7).all()
        assert (got[:, -1] == 7).all()


@compiled
def _product_of_vectors(x: reals, y: reals, y_vec: integer, n: integer, rows: integer, columns: integer, to: out):
    matrix_product(x, 0, n, 1, y, 0, lanes_of(x), n, to, 0, columns, rows, columns, 0, y_vec)


@DTYPES
@pytest.mark.parametrize("n_vectors", [1, 2, VECS + 1, VECS + 2])
def test_matrix_product_of_vectors_that_are_apart(n_vectors, dtype, rng):
    """Each row of Y begins a vector later than the one before: what it is made of lies in windows of one array."""
    width, rows, n, apart = lanes(np.dtype(dtype)), ROWS + 1, 5, 3
    X, y = integers_like(rng, (rows, n), dtype), integers_like(rng, (n + apart * n_vectors, width), dtype)
    Y = np.array([[y[k + apart * v] for v in range(n_vectors)] for k in range(n)]).reshape(n, -1)
    to = np.zeros((rows, n_vectors * width), dtype)
    _product_of_vectors(X.ravel(), y.ravel(), apart * width, n, rows, n_vectors * width, to.reshape(-1))
    np.testing.assert_array_equal(to, X @ Y)


@compiled
def _correlations(
    x: reals, pixels: integers, taps: integers, w: reals, n_rows: integer, row: integer, n: integer, narrow: out,
    wide: out,
):  # fmt: skip
    width = lanes_of(x)
    tile = correlation_tile(x, pixels, 1, taps, 2, n_rows, row, n, w, 3, PIXELS, NARROW, SAMPLES_IN_LANES)
    store_tile(tile, narrow, 0, NARROW * width, width, NARROW)
    tile = correlation_tile(x, pixels, 1, taps, 2, n_rows, row, n, w, 3, PIXELS, WIDE, SAMPLES_IN_LANES)
    store_tile(tile, wide, 0, WIDE * width, width, WIDE)


@DTYPES
@pytest.mark.parametrize(("n_rows", "row", "n"), [(1, 0, 0), (1, 0, 1), (1, 0, 9), (0, 4, 3), (3, 4, 3), (2, 5, 5)])
def test_correlation_tile(n_rows, row, n, dtype, rng):
    width, n_taps = lanes(np.dtype(dtype)), max(n, n_rows * row)
    x = integers_like(rng, (40, width), dtype)
    pixels, taps = rng.integers(0, 20, PIXELS), rng.integers(0, 20, n_taps)
    taken = [r * row + t for r in range(n_rows) for t in range(n)]
    for channels in (NARROW, WIDE):
        w = integers_like(rng, (n_taps, channels), dtype)
        narrow, wide = np.zeros((PIXELS, NARROW, width), dtype), np.zeros((PIXELS, WIDE, width), dtype)
        # The tile of the other width reads as many weights as are there for the wider of the two.
        flat = np.pad(w.ravel(), (3, (n_taps + 1) * WIDE))
        tables = np.pad(pixels * width, (1, 0)), np.pad(taps * width, (2, 1))
        _correlations(x.ravel(), *tables, flat, n_rows, row, n, narrow.reshape(-1), wide.reshape(-1))
        want = np.einsum("ptl,tq->pql", x[pixels[:, None] + taps[taken]], w[taken])
        np.testing.assert_array_equal(narrow if channels == NARROW else wide, want)


@compiled
def _correlations_across(
    x: reals, pixels: integers, taps: integers, w: reals, n_rows: integer, row: integer, n: integer, to: out,
):  # fmt: skip
    width = lanes_of(x)
    tile = correlation_tile(x, pixels, 1, taps, 2, n_rows, row, n, w, 3, PIXELS, CHANNEL_VECTORS, CHANNELS_IN_LANES)
    store_tile(tile, to, 0, CHANNEL_VECTORS * width, width, CHANNEL_VECTORS)


@DTYPES
@pytest.mark.parametrize(("n_rows", "row", "n"), [(1, 0, 0), (1, 0, 9), (3, 4, 3)])
def test_correlation_tile_with_channels_in_the_lanes(n_rows, row, n, dtype, rng):
    n_channels, n_taps = CHANNEL_VECTORS * lanes(np.dtype(dtype)), max(n, n_rows * row)
    x, w = integers_like(rng, 40, dtype), integers_like(rng, (n_taps, n_channels), dtype)
    pixels, taps = rng.integers(0, 20, PIXELS), rng.integers(0, 20, n_taps)
    taken = [r * row + t for r in range(n_rows) for t in range(n)]
    tables, to = (np.pad(pixels, (1, 0)), np.pad(taps, (2, 1))), np.zeros((PIXELS, n_channels), dtype)
    _correlations_across(x, *tables, np.pad(w.ravel(), (3, n_channels)), n_rows, row, n, to.reshape(-1))
    np.testing.assert_array_equal(to, x[pixels[:, None] + taps[taken]] @ w[taken])


TAPS, CHANNELS = HIGH


@compiled
def _tap_gradients(x: reals, taps: integers, z: reals, plane: integer, pairs: integers, n_pixels: integer, to: out):
    width = lanes_of(x)
    tile = tap_gradient_tile(x, taps, 1, z, width, plane, pairs, 2, n_pixels, TAPS, CHANNELS)
    store_tile(tile, to, 0, CHANNELS * width, width, CHANNELS)


@DTYPES
@pytest.mark.parametrize("n_pixels", [0, 1, 11])
def test_tap_gradient_tile(n_pixels, dtype, rng):
    width, plane = lanes(np.dtype(dtype)), 15
    x, z = integers_like(rng, (40, width), dtype), integers_like(rng, (CHANNELS, plane, width), dtype)
    taps, (x_at, z_at) = rng.integers(0, 20, TAPS), rng.integers(0, plane, (2, n_pixels))
    pairs = np.pad(np.column_stack([x_at, z_at]).ravel() * width, (2, 1))
    to = np.zeros((TAPS, CHANNELS, width), dtype)
    shifted = np.pad(z.ravel(), (width, 0))
    _tap_gradients(x.ravel(), np.pad(taps * width, (1, 0)), shifted, plane * width, pairs, n_pixels, to.reshape(-1))
    np.testing.assert_array_equal(to, np.einsum("tpl,qpl->tql", x[taps[:, None] + x_at], z[:, z_at]))


@compiled
def _lane_products(
    x: reals, x_row: integer, x_step: integer, z: reals, z_row: integer, z_step: integer, n: integer, to: out
):
    width = lanes_of(x)
    tile = lane_products_tile(x, 1, x_row, x_step, z, 2, z_row, z_step, n, TAPS, CHANNELS)
    store_tile(tile, to, 0, CHANNELS * width, width, CHANNELS)


@DTYPES
@pytest.mark.parametrize("n", [0, 1, 11])
def test_lane_products_tile(n, dtype, rng):
    width = lanes(np.dtype(dtype))
    # Rows lie one after the other in x, terms in z.
    x, z = integers_like(rng, (TAPS, 11, width), dtype), integers_like(rng, (11, CHANNELS, width), dtype)
    to = np.zeros((TAPS, CHANNELS, width), dtype)
    flat_x, flat_z = np.pad(x.ravel(), (1, 0)), np.pad(z.ravel(), (2, 0))
    _lane_products(flat_x, 11 * width, width, flat_z, width, CHANNELS * width, n, to.reshape(-1))
    np.testing.assert_array_equal(to, np.einsum("akl,kbl->abl", x[:, :n], z[:n]))


MAXIMA_ROWS, MAXIMA_COLUMNS = MAXIMA_TILES[1]


@compiled
def _maxima_gradients(
    ws: reals, pixels: integers, row: integer, z_at: integer, argmax_at: integer, n_windows: integer, to: out
):
    width = lanes_of(ws)
    tile = maxima_gradient_tile(ws, width, pixels, 1, 2, row, z_at, argmax_at, n_windows, MAXIMA_ROWS, MAXIMA_COLUMNS)
    store_tile(tile, to, 0, MAXIMA_COLUMNS * width, width, MAXIMA_COLUMNS)


@DTYPES
@pytest.mark.parametrize("n_windows", [0, 1, 11])
def test_maxima_gradient_tile(n_windows, dtype, rng):
    width, (height, breadth) = lanes(np.dtype(dtype)), (9, 12)
    x, z = integers_like(rng, (height, breadth, width), dtype), integers_like(rng, (n_windows, width), dtype)
    argmax, top = rng.integers(0, 4, (n_windows, width)), rng.integers(0, height - MAXIMA_ROWS, n_windows)
    left = rng.integers(0, breadth - MAXIMA_COLUMNS, n_windows)
    ws = np.concatenate([np.zeros(width, dtype), x.ravel(), z.ravel(), argmax.ravel().astype(dtype)])
    pixels = np.pad(np.repeat((top * breadth + left) * width, 2), (1, 0))
    z_at, to = width + x.size, np.zeros((MAXIMA_ROWS, MAXIMA_COLUMNS, width), dtype)
    _maxima_gradients(ws, pixels, breadth * width, z_at, z_at + z.size, n_windows, to.reshape(-1))
    r, s = np.ogrid[:MAXIMA_ROWS, :MAXIMA_COLUMNS]
    for w, lane in np.ndindex(argmax.shape):
        below, right = divmod(argmax[w, lane], 2)
        to[..., lane] -= x[top[w] + below + r, left[w] + right + s, lane] * z[w, lane]
    assert not to.any()


@compiled
def _maxima(x: reals, n_slots: integer, to: out):
    """The maxima over slots of maps [slot][channel][lane] of two channels, and where they are."""
    width = lanes_of(x)
    maxima = lowest_maxima(x, 2)
    for slot in range(0, n_slots, 2):
        at = 2 * slot * width
        tile = (load(x, at), load(x, at + width), load(x, at + 2 * width), load(x, at + 3 * width))
        maxima = window_maxima(maxima, tile, slot, 2, 2)
    store_tile(maxima, to, 0, 2 * width, width, 2)


def maxima_of(x):
    """Largest value over the first axis and its first place, as the engine finds them."""
    to = np.zeros((2, *x.shape[1:]), x.dtype)
    _maxima(x.ravel(), len(x), to.reshape(-1))
    return to


@DTYPES
def test_window_maxima_are_the_first_of_equals(dtype, rng):
    x = integers_like(rng, (10, 2, lanes(np.dtype(dtype))), dtype, largest=2)
    best, where = maxima_of(x)
    np.testing.assert_array_equal(best, x.max(axis=0))
    np.testing.assert_array_equal(where, x.argmax(axis=0))


@DTYPES
def test_window_maxima_show_nan_and_infinity(dtype, rng):
    x = integers_like(rng, (6, 2, lanes(np.dtype(dtype))), dtype, largest=2)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.2] = np.inf
    best, where = maxima_of(x)
    # NumPy's max and argmax, too, let the first NaN win.
    np.testing.assert_array_equal(best, x.max(axis=0))
    np.testing.assert_array_equal(where, x.argmax(axis=0))
    lowest = np.full_like(x, -np.inf)
    np.testing.assert_array_equal(maxima_of(lowest), [lowest[0], np.zeros_like(lowest[0])])


@compiled(parallel=True)
def _marks(tickets: integers_out, times: out, n_workers: integer):
    for _ in prange(n_workers):
        ticket = take_ticket(tickets)
        while ticket < len(times):
            times[ticket] += 1
            ticket = take_ticket(tickets)


@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_each_ticket_is_taken_once(n_workers):
    times, tickets = np.zeros(100_000), np.zeros(1, np.int64)
    _marks(tickets, times, n_workers)
    np.testing.assert_array_equal(times, 1)
    assert tickets[0] == len(times) + n_workers  # each worker has found that none is left
