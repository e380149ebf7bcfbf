"""The normal quantile in float64 as Triton functions, equal to reference.py bit for bit; imported by kernels.py.

A minus is written as a product with -1, which flips the sign of a zero too; some releases of Triton compile a minus as
a difference from 0, which does not. Without a rounding mode in its name, float64 division and square root are exact on
a GPU (only float32 has approximate ones); a test reads the compiled code for it.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wellbegun.sampler import coefficients as c

ATANH64 = tl.constexpr(c.ATANH64)
LN2_HIGH64, LN2_LOW64 = tl.constexpr(c.LN2_HIGH64), tl.constexpr(c.LN2_LOW64)
CENTRAL_NUMERATOR, CENTRAL_DENOMINATOR = tl.constexpr(c.CENTRAL_NUMERATOR), tl.constexpr(c.CENTRAL_DENOMINATOR)
MIDDLE_NUMERATOR, MIDDLE_DENOMINATOR = tl.constexpr(c.MIDDLE_NUMERATOR), tl.constexpr(c.MIDDLE_DENOMINATOR)
TAIL_NUMERATOR, TAIL_DENOMINATOR = tl.constexpr(c.TAIL_NUMERATOR), tl.constexpr(c.TAIL_DENOMINATOR)


@triton.jit
def _horner(x, COEFFICIENTS: tl.constexpr):
    value = x * COEFFICIENTS[7] + COEFFICIENTS[6]
    for i in tl.static_range(6):
        value = value * x + COEFFICIENTS[5 - i]
    return value


@triton.jit
def _log64(value):
    bits = value.to(tl.int64, bitcast=True)
    exponent = (bits - 0x3FE6A09E667F3BCD) >> 52
    mantissa = (bits - (exponent << 52)).to(tl.float64, bitcast=True)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    t = s * s
    series = t * ATANH64[11] + ATANH64[10]
    for i in tl.static_range(10):
        series = series * t + ATANH64[9 - i]
    k = exponent.to(tl.float64)
    return k * LN2_HIGH64 + (k * LN2_LOW64 + s * series)


@triton.jit
def _upper_quantile(upper):
    centre = upper - 0.5
    central = tl.abs(centre) <= 0.425
    t = 0.180625 - centre * centre
    r = tl.sqrt(_log64(tl.where(upper > 0.5, 0.5, upper)) * -1.0)
    middle = r <= 5.0
    numerator = tl.where(middle, _horner(r - 1.6, MIDDLE_NUMERATOR), _horner(r - 5.0, TAIL_NUMERATOR))
    denominator = tl.where(middle, _horner(r - 1.6, MIDDLE_DENOMINATOR), _horner(r - 5.0, TAIL_DENOMINATOR))
    numerator = tl.where(central, (centre * -1.0) * _horner(t, CENTRAL_NUMERATOR), numerator)
    return numerator / tl.where(central, _horner(t, CENTRAL_DENOMINATOR), denominator)


@triton.jit
def quantile(word, near, far, upper_tail, mass, REFLECTED: tl.constexpr):
    """A truncated standard normal of a word (uint32) by the quantile function."""
    u = (word.to(tl.float64) + 0.5) * 2.3283064365386963e-10
    value = _upper_quantile(upper_tail - u * mass)
    value = tl.where(value < near, near, value)
    value = tl.where(value > far, far, value)
    if REFLECTED:
        value = value * -1.0
    return value.to(tl.float32)
