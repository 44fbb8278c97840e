"""Elementary functions on vectors, each a formula in Python."""

import math

from skdeep.engine.simd import (
    elementwise,
)


def exponential(x):
    """exp(x) to about 1 ulp: x = k ln 2 + r, a Taylor polynomial in r, and k into the exponent.

    Results below twice the smallest normal number are zero, since arithmetic on subnormal numbers is
    tens of times slower.
    """
    single = x.bits == 32
    ln2_high, ln2_low = (0.693359375, -2.12194440e-4) if single else (6.93145751953125e-1, 1.42860682030941723212e-6)
    smallest, largest = (-86.6, 88.7228) if single else (-707.7, 709.7827)
    bounded = x.where(x > smallest, smallest)
    bounded = bounded.where(bounded < largest, largest)
    k = (bounded * math.log2(math.e)).round()
    r = k.fma(-ln2_low, k.fma(-ln2_high, bounded))
    power = r.full(1.0 / math.factorial(7 if single else 13))
    for n in range(6 if single else 12, -1, -1):
        power = power.fma(r, 1.0 / math.factorial(n))
    # 2 ** k overflows for the largest k, 2 * 2 ** (k - 1) does not.
    result = (power + power).times_power_of_two(k - 1.0)
    result = result.where(x < largest, math.inf)
    result = result.where(x > smallest, 0.0)
    return result.where(x.is_number(), x)


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


def _horner(x, coefficients):
    total = x.full(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total.fma(x, coefficient)
    return total


exp_vector = elementwise(exponential)
tanh_vector = elementwise(tanh)
logistic_vector = elementwise(logistic)
