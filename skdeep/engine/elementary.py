"""Elementary functions on vectors, each a formula in Python."""

import math

from skdeep.engine.simd import elementwise

# ln 2 in two parts by the bits of a number, the first short: its product with an exponent is exact.
_LN2 = {32: (0.693359375, -2.12194440e-4), 64: (6.93145751953125e-1, 1.42860682030941723212e-6)}
_SMALLEST_NORMAL = {32: 2.0**-126, 64: 2.0**-1022}


# (exp(r) - 1 - r) / r^2 for |r| < 0.3467, of least relative error of exp(r): 3e-9 and 4e-18.
_EXPONENTIAL = {
    32: (0.0013814540176801306, 0.008368745108942591, 0.041668390783547914, 0.1666652039904253, 0.4999999343212929),
    64: (
        *(2.5000018833187374e-08, 2.76303062502936e-07, 2.7557586803895326e-06, 2.480149294963387e-05),
        *(0.00019841269505773776, 0.0013888888943759965, 0.008333333333494976, 0.041666666666529725),
        *(0.1666666666666641, 0.5000000000000011),
    ),
}


def exponential(x):
    """exp(x) to about 1 ulp: x = k ln 2 + r, a polynomial in r, and k into the exponent.

    Results below twice the smallest normal number are zero, since arithmetic on subnormal numbers is
    tens of times slower.
    """
    ln2_high, ln2_low = _LN2[x.bits]
    smallest, largest = (-86.6, 89.0) if x.bits == 32 else (-707.7, 710.0)
    bounded = x.full(largest).where(x > largest, x)
    k = (bounded * math.log2(math.e)).round()
    r = k.fma(-ln2_low, k.fma(-ln2_high, bounded))
    power = _horner(r, (*_EXPONENTIAL[x.bits], 1.0, 1.0))
    # 2 ** k overflows before the result does, 2 * 2 ** (k - 1) does not; beyond the largest number it is infinite.
    result = (power + power).times_power_of_two(k - 1.0)
    return x.full(0.0).where(x < smallest, result)


def logistic(x):
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + exponential(0.0 - x))


# Rational approximation of (tanh(x) - x) / x^3 in x^2 for |x| < 0.625, and the polynomial for single
# precision: S. L. Moshier, Cephes Math Library (1984), tanh.c and tanhf.c.
_TANH_NUMERATOR = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_TANH_DENOMINATOR = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)
_TANH_SINGLE = (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)


def tanh(x):
    """tanh(x) = 1 - 2 / (exp(2 |x|) + 1) with the sign of x, and a rational function near zero."""
    size = x.absolute()
    far = (1.0 - 2.0 / (exponential(size + size) + 1.0)).with_sign_of(x)
    square = x * x
    if x.bits == 32:
        quotient = _horner(square, _TANH_SINGLE)
    else:
        quotient = _horner(square, _TANH_NUMERATOR) / _horner(square, _TANH_DENOMINATOR)
    near = (x * square).fma(quotient, x)
    return far.where(size > 0.625, near)


def log1p_of_fraction(x):
    """log(1 + x) for 0 <= x <= 1: 2 atanh(s) with s = x / (2 + x), by its series in s^2 <= 1/9."""
    s = x / (x + 2.0)
    terms = 8 if x.bits == 32 else 17
    return (s + s) * _horner(s * s, [1 / (2 * k + 1) for k in range(terms, -1, -1)])


# Polynomials by the bits of a number, highest power first. Each has the least largest error (Remez exchange in 60
# digits) relative to the function it serves, below a tenth of an ulp.

# (2 atanh(s) - 2 s) / s^3 in s^2 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).
_ATANH = {
    32: (0.29873072223, 0.39977495623, 0.66666776717),
    64: (
        0.14797507658605685, 0.15313903297828368, 0.18183569735442331, 0.22222198476132016, 0.28571428743260424,
        0.39999999999411107, 0.6666666666666735,
    ),
}  # fmt: skip
# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4.
_SINE = {
    32: (-1.9514957946e-4, 8.3321584124e-3, -0.16666654573),
    64: (
        1.5896067767499578e-10, -2.5050745043289053e-08, 2.7557313604570335e-06, -0.00019841269829542772,
        0.008333333333322063, -0.1666666666666663,
    ),
}  # fmt: skip
_COSINE = {
    32: (2.4432784481e-5, -1.3887313057e-3, 0.041666645619),
    64: (
        -1.1358423562499327e-11, 2.0875698709198907e-09, -2.755731416397936e-07, 2.4801587288800028e-05,
        -0.0013888888888872975, 0.041666666666666595,
    ),
}  # fmt: skip
# (arcsin(z) - z) / z^3 in z^2 for |z| <= 1/2.
_ARCSINE = {
    32: (0.042178209287, 0.02417296816, 0.045471602556, 0.074952887241, 0.16666752679),
    64: (
        0.03193507520888227, -0.0162569605387342, 0.01954873578550931, 0.006520637480664623, 0.012170873643565006,
        0.013884987940667996, 0.017359729211982925, 0.022371756473454373, 0.030381959200690947, 0.04464285682683872,
        0.07500000000338743, 0.16666666666665403,
    ),
}  # fmt: skip


def logarithm(x):
    """log(x) to 2 ulp. Zero and subnormal numbers, zero to `exponential`, have -inf, negative numbers NaN."""
    exponent, mantissa = x.split()
    return _logarithm(x, exponent, mantissa - 1.0)


def log1p(x):
    """log(1 + x) to 2 ulp, also of an x that 1 + x forgets. -1 has -inf, numbers below NaN."""
    u = x + 1.0
    exponent, mantissa = u.split()
    # What the rounding of u took from x is zero long before 2 ** -exponent is subnormal.
    lost = (x - (u - 1.0)).times_power_of_two(0.0 - exponent.where(exponent < 64.0, 64.0))
    return _logarithm(u, exponent, (mantissa - 1.0) + lost)


def _logarithm(x, exponent, f):
    """log(x) for x = (1 + f) 2 ** exponent.

    log(1 + f) = 2 atanh(s) = f - s (f - s^2 P(s^2)) with s = f / (2 + f), a small correction of an exact f.
    """
    ln2_high, ln2_low = _LN2[x.bits]
    s = f / (f + 2.0)
    square = s * s
    correction = s * (f - square * _horner(square, _ATANH[x.bits]))
    result = exponent.fma(ln2_high, f - (correction - exponent * ln2_low))
    result = result.where(x.not_below(_SMALLEST_NORMAL[x.bits]), -math.inf)
    result = result.where(x.not_below(0.0), math.nan)
    return result.where(x < math.inf, x)


def sine(x):
    """sin(x) for |x| up to 6400 (float32) or 1e5 (float64) to 2 ulp and, beside its zeros, 1.2e-15 |x| or 3e-28 |x|.

    Up to a hundred times that, it is the sine of an argument off by less than a unit of its last place. In [-1, 1]
    for all finite numbers, NaN for infinities.
    """
    return _sine_after_quarters(x, 0.0)


def cosine(x):
    """cos(x), as good as `sine` and for the same x."""
    return _sine_after_quarters(x, 1.0)


# pi / 2 in parts, the products of all but the last with counts of 12 (float32) or 16 bits exact.
_HALF_PI = {
    32: (1.57080078125, -4.470348358154297e-06, 1.58932547735e-8),
    64: (1.5707963267923333, 2.563344151594519e-12),
}


def _sine_after_quarters(x, quarters):
    """sin(x + quarters pi / 2) from sine and cosine of r = x - k pi / 2, |r| <= pi / 4 (Cody & Waite, 1980)."""
    k = (x * (2.0 / math.pi)).round()
    r = x
    for part in _HALF_PI[x.bits]:
        r = k.fma(-part, r)
    # Where k is beyond all precision, r may be anything.
    r = r.full(1.0).where(r > 1.0, r)
    r = r.full(-1.0).where(r < -1.0, r)
    square = r * r
    sine_of_r = (r * square).fma(_horner(square, _SINE[x.bits]), r)
    cosine_of_r = (square * square).fma(_horner(square, _COSINE[x.bits]), 1.0 - 0.5 * square)
    k = k + quarters
    result = cosine_of_r.where(k.bit(0), sine_of_r)
    return (0.0 - result).where(k.bit(1), result)


def arccos(x):
    """arccos(x) to 2 ulp, NaN outside [-1, 1]."""
    return _arccos(x, 0.5 - 0.5 * x.absolute())


def angle(w):
    """arccos(1 - w) = 2 arcsin(sqrt(w / 2)) to 2 ulp, also of a tiny w that 1 - w forgets; NaN outside [0, 2]."""
    return _arccos(1.0 - w, 0.5 * w.where(w < 1.0, 2.0 - w))


def _arccos(x, t):
    """arccos(x), given t = (1 - |x|) / 2: pi / 2 - arcsin(x) in the middle and 2 arcsin(sqrt(t)), or pi minus that."""
    middle = t > 0.25
    z = x.where(middle, t.square_root())
    square = (x * x).where(middle, t)
    arcsine = (z * square).fma(_horner(square, _ARCSINE[x.bits]), z)
    twice = arcsine + arcsine
    outside = twice.where(x > 0.0, math.pi - twice)
    return (0.5 * math.pi - arcsine).where(middle, outside)


def _horner(x, coefficients):
    total = x.full(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total.fma(x, coefficient)
    return total


exp_vector = elementwise(exponential)
tanh_vector = elementwise(tanh)
logistic_vector = elementwise(logistic)
log_vector = elementwise(logarithm)
log1p_vector = elementwise(log1p)
sin_vector = elementwise(sine)
cos_vector = elementwise(cosine)
arccos_vector = elementwise(arccos)
angle_vector = elementwise(angle)
