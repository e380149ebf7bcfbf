"""The same definition compiled for the CPU with Numba: equal to reference.py bit for bit, about 30 times faster.

No fast-math and no contraction: every operation rounds as IEEE 754 says. Loops run over separate slices of constant
length, which is what lets LLVM vectorise them (two stores into one array at a variable distance stop it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.layout import ELEMENT_DRAW, HOUSEHOLDER_DRAW, LANES, MAX_ATTEMPTS, TILE, counter_tag

_MASK, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ONE, _TWO, _HALF, _ZERO = np.float32(1), np.float32(2), np.float32(0.5), np.float32(0)
_2_31, _2_32 = np.float32(2.0**-31), np.float32(2.0**-32)
_A0, _A1, _A2, _A3, _A4 = c.ATANH
_C0, _C1, _C2, _C3 = c.COS
_S0, _S1, _S2, _S3 = c.SIN
_LN2_HIGH, _LN2_LOW, _SQRT_HALF = c.LN2_HIGH, c.LN2_LOW, c.SQRT_HALF_BITS
_LN2_HIGH64, _LN2_LOW64, _ATANH64 = c.LN2_HIGH64, c.LN2_LOW64, c.ATANH64
_CN, _CD = c.CENTRAL_NUMERATOR, c.CENTRAL_DENOMINATOR
_MN, _MD = c.MIDDLE_NUMERATOR, c.MIDDLE_DENOMINATOR
_TN, _TD = c.TAIL_NUMERATOR, c.TAIL_DENOMINATOR
_ELEMENT_TAG = np.uint64(counter_tag(ELEMENT_DRAW, 0))
_HOUSEHOLDER_TAG = np.uint64(counter_tag(HOUSEHOLDER_DRAW, 0))


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = numba.njit(**options, cache=True)(function)
    except RuntimeError:  # no folder that Numba may write its cache to: compile in memory
        compiled = numba.njit(**options)(function)
    return cast("Callable[..., Any]", compiled)


def _inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a step that LLVM must inline: a call left in the loop over lanes stops its vectorisation."""
    compiled = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return cast("Callable[..., Any]", compiled)


@_inline
def _round(x0, x1, x2, x3, k0, k1):  # type: ignore[no-untyped-def]
    p0 = x0 * _M0
    p1 = x2 * _M1
    return (p1 >> _32) ^ x1 ^ k0, p1 & _MASK, (p0 >> _32) ^ x3 ^ k1, p0 & _MASK


@_inline
def _philox(block, tag, word, k0, k1):  # type: ignore[no-untyped-def]
    x0, x1, x2, x3 = block & _MASK, block >> _32, tag, word
    # Written out ten times: LLVM vectorises over the lanes only when no inner loop is left.
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, k0, k1)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + _W0) & _MASK, (k1 + _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(2) * _W0) & _MASK, (k1 + np.uint64(2) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(3) * _W0) & _MASK, (k1 + np.uint64(3) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(4) * _W0) & _MASK, (k1 + np.uint64(4) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(5) * _W0) & _MASK, (k1 + np.uint64(5) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(6) * _W0) & _MASK, (k1 + np.uint64(6) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(7) * _W0) & _MASK, (k1 + np.uint64(7) * _W1) & _MASK)
    x0, x1, x2, x3 = _round(x0, x1, x2, x3, (k0 + np.uint64(8) * _W0) & _MASK, (k1 + np.uint64(8) * _W1) & _MASK)
    return _round(x0, x1, x2, x3, (k0 + np.uint64(9) * _W0) & _MASK, (k1 + np.uint64(9) * _W1) & _MASK)


@_compile
def _draw_words(tile, tag, word, k0, k1, w0, w1, w2, w3):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        x0, x1, x2, x3 = _philox(np.uint64(tile * LANES + lane), tag, word, k0, k1)
        w0[lane] = np.uint32(x0)
        w1[lane] = np.uint32(x1)
        w2[lane] = np.uint32(x2)
        w3[lane] = np.uint32(x3)


@_inline
def _radius(word):  # type: ignore[no-untyped-def]
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


@_inline
def _direction(word):  # type: ignore[no-untyped-def]
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


@_compile
def _normal_pairs(radius_words, angle_words, first, second, std, mean):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        r = _radius(radius_words[lane])
        cosine, sine = _direction(angle_words[lane])
        first[lane] = (r * cosine) * std + mean
        second[lane] = (r * sine) * std + mean


@_compile
def _uniform_lanes(words, out, half, middle):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        out[lane] = np.float32(np.int32(words[lane])) * _2_31 * half + middle


@_compile
def _redraw(index, low, high, word, k0, k1, value):  # type: ignore[no-untyped-def]
    place = index % TILE
    block = np.uint64((index // TILE) * LANES + place % LANES)
    own = place // LANES
    attempt = 1
    while (value < low or value > high) and attempt < MAX_ATTEMPTS:
        x0, x1, x2, x3 = _philox(block, _ELEMENT_TAG + np.uint64(attempt), word, k0, k1)
        r = _radius(np.uint32(x0 if own < 2 else x2))
        cosine, sine = _direction(np.uint32(x1 if own < 2 else x3))
        value = r * (cosine if own % 2 == 0 else sine)
        attempt += 1
    return min(max(value, low), high)


@_inline
def _horner(coefficients, x):  # type: ignore[no-untyped-def]
    value = coefficients[7]
    for i in range(6, -1, -1):
        value = value * x + coefficients[i]
    return value


@_inline
def _log64(value):  # type: ignore[no-untyped-def]
    bits = np.float64(value).view(np.int64)
    exponent = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    mantissa = np.int64(bits - (exponent << np.int64(52))).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    t = s * s
    series = 0.0
    for i in range(11, -1, -1):
        series = series * t + _ATANH64[i]
    k = np.float64(exponent)
    return k * _LN2_HIGH64 + (k * _LN2_LOW64 + s * series)


@_inline
def _upper_quantile(upper):  # type: ignore[no-untyped-def]
    centre = upper - 0.5
    if abs(centre) <= 0.425:
        t = 0.180625 - centre * centre
        return -centre * _horner(_CN, t) / _horner(_CD, t)
    r = np.sqrt(-_log64(upper))
    if r <= 5.0:
        return _horner(_MN, r - 1.6) / _horner(_MD, r - 1.6)
    return _horner(_TN, r - 5.0) / _horner(_TD, r - 5.0)


@_compile
def fill_uniform(out, start, k0, k1, word, middle, half):  # type: ignore[no-untyped-def]
    """Write uniforms start, start+1, ... of a stream into a contiguous float32 vector."""
    words = np.empty((4, LANES), np.uint32)
    scratch = np.empty(TILE, np.float32)
    done = 0
    while done < out.size:
        tile, place = (start + done) // TILE, (start + done) % TILE
        take = min(TILE - place, out.size - done)
        target = out[done : done + TILE] if take == TILE else scratch
        _draw_words(tile, _ELEMENT_TAG, word, k0, k1, words[0], words[1], words[2], words[3])
        for j in range(4):
            _uniform_lanes(words[j], target[j * LANES : (j + 1) * LANES], half, middle)
        if take < TILE:
            out[done : done + take] = scratch[place : place + take]
        done += take


@_compile
def _fill_normal(out, start, tag, k0, k1, word, mean, std):  # type: ignore[no-untyped-def]
    words = np.empty((4, LANES), np.uint32)
    scratch = np.empty(TILE, np.float32)
    done = 0
    while done < out.size:
        tile, place = (start + done) // TILE, (start + done) % TILE
        take = min(TILE - place, out.size - done)
        target = out[done : done + TILE] if take == TILE else scratch
        _draw_words(tile, tag, word, k0, k1, words[0], words[1], words[2], words[3])
        for j in range(0, 4, 2):
            first, second = target[j * LANES : (j + 1) * LANES], target[(j + 1) * LANES : (j + 2) * LANES]
            _normal_pairs(words[j], words[j + 1], first, second, std, mean)
        if take < TILE:
            out[done : done + take] = scratch[place : place + take]
        done += take


@_compile
def fill_normal(out, start, k0, k1, word, mean, std):  # type: ignore[no-untyped-def]
    """Write normals start, start+1, ... of a stream into a contiguous float32 vector."""
    _fill_normal(out, start, _ELEMENT_TAG, k0, k1, word, mean, std)


@_compile
def fill_householder(out, start, k0, k1, word):  # type: ignore[no-untyped-def]
    """Write the standard normals that Householder vectors are made of (their own counters, see layout.py)."""
    _fill_normal(out, start, _HOUSEHOLDER_TAG, k0, k1, word, _ZERO, _ONE)


@_compile
def fill_truncated(out, start, k0, k1, word, mean, std, low, high):  # type: ignore[no-untyped-def]
    """Write truncated normals by redrawing single elements; low and high in units of sigma."""
    _fill_normal(out, start, _ELEMENT_TAG, k0, k1, word, _ZERO, _ONE)
    for i in range(out.size):
        value = out[i]
        if value < low or value > high:
            value = _redraw(start + i, low, high, word, k0, k1, value)
        out[i] = value * std + mean


@_compile
def fill_quantile(out, start, k0, k1, word, mean, std, near, far, upper_tail, mass, sign):  # type: ignore[no-untyped-def]
    """Write truncated normals of an improbable window by the quantile function in float64."""
    words = np.empty((4, LANES), np.uint32)
    done = 0
    while done < out.size:
        tile, place = (start + done) // TILE, (start + done) % TILE
        take = min(TILE - place, out.size - done)
        _draw_words(tile, _ELEMENT_TAG, word, k0, k1, words[0], words[1], words[2], words[3])
        for i in range(take):
            own = words[(place + i) // LANES, (place + i) % LANES]
            u = (np.float64(own) + 0.5) * 2.0**-32
            value = min(max(_upper_quantile(upper_tail - u * mass), near), far)
            out[done + i] = np.float32(sign * value) * std + mean
        done += take
