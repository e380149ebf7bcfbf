"""Standard draws in float64: uniforms and normals from 64 bits (docs/sampler.md, sections 5 and 6)."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.kernels.compiled import compiled, inlined
from wellbegun.sampler.kernels.philox import SHIFT, draw_words, philox
from wellbegun.sampler.layout import LANES, LOW_HALF, TILE, counter_tag

LOW_TAG = np.uint64(counter_tag(LOW_HALF, 0))
_LN2_HIGH, _LN2_LOW, _SQRT_HALF = c.LN2_HIGH64, c.LN2_LOW64, np.int64(c.SQRT_HALF_BITS64)
_SQRT_HALF_WORD = np.uint64(c.SQRT_HALF_WORD64)
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11 = c.ATANH64
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = c.COS64
_S0, _S1, _S2, _S3, _S4, _S5, _S6, _S7 = c.SIN64


@inlined
def _atanh_series(t):  # type: ignore[no-untyped-def]
    y = _T10 + t * _T11
    y = _T8 + t * (_T9 + t * y)
    y = _T6 + t * (_T7 + t * y)
    y = _T4 + t * (_T5 + t * y)
    y = _T2 + t * (_T3 + t * y)
    return _T0 + t * (_T1 + t * y)


@inlined
def log64(value):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal float64."""
    bits = np.float64(value).view(np.int64)
    exponent = (bits - _SQRT_HALF) >> np.int64(52)
    mantissa = np.int64(bits - (exponent << np.int64(52))).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    k = np.float64(exponent)
    return k * _LN2_HIGH + (k * _LN2_LOW + s * _atanh_series(s * s))


@inlined
def radius(word):  # type: ignore[no-untyped-def]
    """The Box-Muller radius of 64 bits."""
    near_one = word >= _SQRT_HALF_WORD
    smaller = np.float64(~word if near_one else word) + 0.5
    bits = np.float64(smaller).view(np.int64)
    exponent = (bits - _SQRT_HALF) >> np.int64(52)
    mantissa = np.int64(bits - (exponent << np.int64(52))).view(np.float64)
    rest = smaller * 2.0**-64
    numerator = rest if near_one else 1.0 - mantissa
    denominator = 2.0 - rest if near_one else 1.0 + mantissa
    k = 0.0 if near_one else np.float64(np.int64(64) - exponent)
    s = numerator / denominator
    log = k * _LN2_HIGH + (k * _LN2_LOW + s * _atanh_series(s * s))
    return np.sqrt(log + log)


@inlined
def direction(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of the angle of 64 bits."""
    x = np.float64(np.uint64(word << np.uint64(2)).view(np.int64)) * 2.0**-64
    t = x * x
    cosine = 1.0 - (t + t * (_C0 + t * (_C1 + t * (_C2 + t * (_C3 + t * (_C4 + t * (_C5 + t * _C6)))))))
    sine = x + x * (_S0 + t * (_S1 + t * (_S2 + t * (_S3 + t * (_S4 + t * (_S5 + t * (_S6 + t * _S7)))))))
    swap = (word & np.uint64(1 << 62)) != np.uint64(0)
    first = sine if swap else cosine
    second = cosine if swap else sine
    sign_of_cosine = np.uint64(word ^ np.uint64(word << np.uint64(1))) & np.uint64(1 << 63)
    sign_of_sine = word & np.uint64(1 << 63)
    return (
        np.uint64(np.float64(first).view(np.uint64) ^ sign_of_cosine).view(np.float64),
        np.uint64(np.float64(second).view(np.uint64) ^ sign_of_sine).view(np.float64),
    )


@inlined
def joined(words, j, lane):  # type: ignore[no-untyped-def]
    """Return 64 bits: the words of a purpose in rows 0 to 3, those that extend them in rows 4 to 7."""
    return np.uint64(words[j, lane]) << SHIFT | np.uint64(words[j + 4, lane])


@compiled
def low_words(words, tiles, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Write the words that extend rows 0 to 3 of `words` to 64 bits into rows 4 to 7."""
    draw_words(block, tiles * LANES, tag + LOW_TAG, word, k0, k1, words[4], words[5], words[6], words[7])


@compiled
def uniforms(words, tiles, z):  # type: ignore[no-untyped-def]
    """Write the symmetric uniforms of so many tiles."""
    for tile in range(tiles):
        for j in range(4):
            for lane in range(LANES):
                word = joined(words, j, tile * LANES + lane)
                z[tile * TILE + j * LANES + lane] = np.float64(np.int64(word)) * 2.0**-63


@compiled
def normals(words, tiles, z):  # type: ignore[no-untyped-def]
    """Write the standard normals of so many tiles."""
    for tile in range(tiles):
        for j in range(0, 4, 2):
            at = tile * TILE + j * LANES
            for lane in range(LANES):
                r = radius(joined(words, j, tile * LANES + lane))
                cosine, sine = direction(joined(words, j + 1, tile * LANES + lane))
                z[at + lane] = r * cosine
                z[at + LANES + lane] = r * sine


@compiled
def fresh_batch(words, fresh, tiles, block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Write the standard normals of so many tiles under another tag; `words` is scratch."""
    draw_words(block, tiles * LANES, tag, word, k0, k1, words[0], words[1], words[2], words[3])
    low_words(words, tiles, block, tag, word, k0, k1)
    normals(words, tiles, fresh)


@inlined
def fresh_one(i, counter, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    """Return the standard normal of place i of a batch under another tag."""
    x0, x1, x2, x3 = philox(counter, tag, word, k0, k1)
    y0, y1, y2, y3 = philox(counter, tag + LOW_TAG, word, k0, k1)
    first_pair = (i & (2 * LANES)) == 0
    r = radius(x0 << SHIFT | y0 if first_pair else x2 << SHIFT | y2)
    cosine, sine = direction(x1 << SHIFT | y1 if first_pair else x3 << SHIFT | y3)
    return r * (cosine if (i & LANES) == 0 else sine)
