"""Standard draws in float32: from words to uniforms and normals (docs/sampler.md, sections 5 and 6)."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.kernels.compiled import compiled, inlined
from wellbegun.sampler.kernels.philox import draw_words, philox
from wellbegun.sampler.layout import LANES, TILE

_ONE, _TWO, _HALF, _ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)
_2_31, _2_32 = np.float32(2.0**-31), np.float32(2.0**-32)
_A0, _A1, _A2, _A3, _A4 = c.ATANH
_C0, _C1, _C2, _C3 = c.COS
_S0, _S1, _S2, _S3 = c.SIN
_LN2_HIGH, _LN2_LOW, _SQRT_HALF = c.LN2_HIGH, c.LN2_LOW, c.SQRT_HALF_BITS


@inlined
def radius(word):  # type: ignore[no-untyped-def]
    """The Box-Muller radius of a word."""
    near_one = word >= np.uint32(0x80000000)
    smaller = np.float32(np.int32(~word if near_one else word)) + _HALF
    bits = np.float32(smaller).view(np.int32)
    exponent = np.int32(np.int32(bits - _SQRT_HALF) >> np.int32(23))
    mantissa = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    rest = smaller * _2_32
    numerator = rest if near_one else _ONE - mantissa
    denominator = _TWO - rest if near_one else _ONE + mantissa
    k = _ZERO if near_one else np.float32(np.int32(32) - exponent)
    s = numerator / denominator
    t = s * s
    series = s * (_TWO + t * (_A0 + t * (_A1 + t * (_A2 + t * (_A3 + t * _A4)))))
    log = k * _LN2_HIGH + (k * _LN2_LOW + series)
    return np.sqrt(log + log)


@inlined
def direction(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of the angle of a word."""
    x = np.float32(np.uint32(word << np.uint32(2)).view(np.int32)) * _2_32
    t = x * x
    cosine = _ONE - (t + t * (_C0 + t * (_C1 + t * (_C2 + t * _C3))))
    sine = x + x * (_S0 + t * (_S1 + t * (_S2 + t * _S3)))
    swap = (word & np.uint32(0x40000000)) != np.uint32(0)
    first = sine if swap else cosine
    second = cosine if swap else sine
    sign_of_cosine = np.uint32(word ^ np.uint32(word << np.uint32(1))) & np.uint32(0x80000000)
    sign_of_sine = word & np.uint32(0x80000000)
    return (
        np.uint32(np.float32(first).view(np.uint32) ^ sign_of_cosine).view(np.float32),
        np.uint32(np.float32(second).view(np.uint32) ^ sign_of_sine).view(np.float32),
    )


@compiled
def uniforms(words, tiles, z):  # type: ignore[no-untyped-def]
    """Write the symmetric uniforms of so many tiles."""
    for tile in range(tiles):
        for j in range(4):
            for lane in range(LANES):
                z[tile * TILE + j * LANES + lane] = np.float32(np.int32(words[j, tile * LANES + lane])) * _2_31


@compiled
def normals(words, tiles, z):  # type: ignore[no-untyped-def]
    """Write the standard normals of so many tiles."""
    for tile in range(tiles):
        for j in range(0, 4, 2):
            at = tile * TILE + j * LANES
            for lane in range(LANES):
                r = radius(words[j, tile * LANES + lane])
                cosine, sine = direction(words[j + 1, tile * LANES + lane])
                z[at + lane] = r * cosine
                z[at + LANES + lane] = r * sine


@compiled
def fresh_batch(words, fresh, tiles, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Write the standard normals of so many tiles under another tag; rows 4 to 7 of `words` are scratch."""
    draw_words(block, tiles * LANES, tag, word, k0, k1, words[4], words[5], words[6], words[7])
    normals(words[4:], tiles, fresh)


@inlined
def fresh_one(i, counter, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Return the standard normal of place i of a batch under another tag."""
    x0, x1, x2, x3 = philox(counter, tag, word, k0, k1)
    first_pair = (i & (2 * LANES)) == 0
    r = radius(np.uint32(x0 if first_pair else x2))
    cosine, sine = direction(np.uint32(x1 if first_pair else x3))
    return r * (cosine if (i & LANES) == 0 else sine)
