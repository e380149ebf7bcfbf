"""The steps of the definition as Triton functions: equal to reference.py bit for bit. Imported only by kernels.py.

Sums and products are written with the tensor on the left: Triton's interpreter calls Python's own operators, and a
`tl.constexpr` on the left would wrap the result.
"""

from __future__ import annotations

from typing import SupportsFloat

import triton
import triton.language as tl

from wellbegun.sampler import coefficients as c


def _constant(value: SupportsFloat) -> tl.constexpr:
    """A number as Triton takes it: a float32 is exact as a Python float, and becomes the type of the other operand."""
    return tl.constexpr(float(value))


A0, A1, A2, A3, A4 = (_constant(value) for value in c.ATANH)
C0, C1, C2, C3 = (_constant(value) for value in c.COS)
S0, S1, S2, S3 = (_constant(value) for value in c.SIN)
LN2_HIGH, LN2_LOW = _constant(c.LN2_HIGH), _constant(c.LN2_LOW)
SQRT_HALF = tl.constexpr(int(c.SQRT_HALF_BITS))
TWO_31, TWO_32 = _constant(2.0**-31), _constant(2.0**-32)

FLOAT32, BFLOAT16, FLOAT16, FLOAT8_E5M2, FLOAT8_E4M3FN = (tl.constexpr(code) for code in range(5))


@triton.jit
def _round(x0, x1, x2, x3, k0, k1):
    p0 = x0.to(tl.uint64) * 0xD2511F53
    p1 = x2.to(tl.uint64) * 0xCD9E8D57
    y0 = (p1 >> 32).to(tl.uint32) ^ x1 ^ k0
    y2 = (p0 >> 32).to(tl.uint32) ^ x3 ^ k1
    return y0, p1.to(tl.uint32), y2, p0.to(tl.uint32)


@triton.jit
def philox(block_low, block_high, tag, word, k0, k1):
    """Philox4x32-10: the four words of a counter; all arguments are uint32."""
    x0, x1, x2, x3 = _round(block_low, block_high, tag, word, k0, k1)
    for _ in tl.static_range(9):
        k0 = k0 + 0x9E3779B9
        k1 = k1 + 0xBB67AE85
        x0, x1, x2, x3 = _round(x0, x1, x2, x3, k0, k1)
    return x0, x1, x2, x3


@triton.jit
def symmetric_uniform(word):
    """32 bits to [-1, 1]."""
    return word.to(tl.int32, bitcast=True).to(tl.float32) * TWO_31


@triton.jit
def radius(word):
    """The Box-Muller radius of a word."""
    near_one = word >= 0x80000000
    smaller = tl.where(near_one, ~word, word).to(tl.int32, bitcast=True).to(tl.float32) + 0.5
    bits = smaller.to(tl.int32, bitcast=True)
    exponent = (bits - SQRT_HALF) >> 23
    mantissa = (bits - (exponent << 23)).to(tl.float32, bitcast=True)
    rest = smaller * TWO_32
    numerator = tl.where(near_one, rest, 1.0 - mantissa)
    denominator = tl.where(near_one, 2.0 - rest, mantissa + 1.0)
    k = tl.where(near_one, 0, 32 - exponent).to(tl.float32)
    s = tl.math.div_rn(numerator, denominator)
    t = s * s
    series = s * (t * (t * (t * (t * (t * A4 + A3) + A2) + A1) + A0) + 2.0)
    log = k * LN2_HIGH + (k * LN2_LOW + series)
    return tl.math.sqrt_rn(log + log)


@triton.jit
def direction(word):
    """Cosine and sine of the angle of a word."""
    x = (word << 2).to(tl.int32, bitcast=True).to(tl.float32) * TWO_32
    t = x * x
    cosine = 1.0 - (t + t * (t * (t * (t * C3 + C2) + C1) + C0))
    sine = x + x * (t * (t * (t * S3 + S2) + S1) + S0)
    swap = (word & 0x40000000) != 0
    first = tl.where(swap, sine, cosine).to(tl.uint32, bitcast=True) ^ ((word ^ (word << 1)) & 0x80000000)
    second = tl.where(swap, cosine, sine).to(tl.uint32, bitcast=True) ^ (word & 0x80000000)
    return first.to(tl.float32, bitcast=True), second.to(tl.float32, bitcast=True)


@triton.jit
def clamp(value, low, high):
    """min(max(value, low), high) where of equal numbers the first stays."""
    value = tl.where(value < low, low, value)
    return tl.where(value > high, high, value)


@triton.jit
def _narrow(
    value, SHIFT: tl.constexpr, REBIAS: tl.constexpr, SMALLEST: tl.constexpr, MAGIC: tl.constexpr, SIGN: tl.constexpr
):
    bits = value.to(tl.uint32, bitcast=True)
    magnitude = bits & 0x7FFFFFFF
    half = (1 << (SHIFT - 1)) - 1
    normal = (magnitude + half + ((magnitude >> SHIFT) & 1) - (REBIAS << 23)) >> SHIFT
    # the last place of MAGIC is the type's smallest subnormal, so float32's own addition rounds to a multiple of it
    raised = magnitude.to(tl.float32, bitcast=True) + MAGIC
    subnormal = raised.to(tl.uint32, bitcast=True) & 0x7FFFFF
    return tl.where(magnitude < SMALLEST, subnormal, normal) | ((bits >> (32 - SIGN)) & (1 << (SIGN - 1)))


@triton.jit
def stored(value, STORAGE: tl.constexpr):
    """Round a finite float32, to nearest even, to the code of a storage type; the result must not overflow it."""
    if STORAGE == FLOAT32:
        return value
    elif STORAGE == BFLOAT16:  # noqa: RET505 (Triton compiles both sides of a plain `if`)
        bits = value.to(tl.uint32, bitcast=True)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).to(tl.uint16)
    elif STORAGE == FLOAT16:
        return _narrow(value, 13, 112, 0x38800000, 0.5, 16).to(tl.uint16)
    elif STORAGE == FLOAT8_E5M2:
        return _narrow(value, 21, 112, 0x38800000, 128.0, 8).to(tl.uint8)
    else:
        return _narrow(value, 20, 120, 0x3C800000, 16384.0, 8).to(tl.uint8)
