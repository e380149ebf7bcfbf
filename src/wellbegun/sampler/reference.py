"""The sampler in plain NumPy: docs/sampler.md, written to be read. The kernels must equal it bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.layout import ELEMENT_DRAW, LANES, MAX_ATTEMPTS, TILE, counter_tag
from wellbegun.sampler.stream import Stream
from wellbegun.sampler.window import Window

Words = NDArray[np.uint32]
Floats = NDArray[np.float32]
Indices = NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)


def philox(counter: Sequence[Any], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """Philox4x32-10: four 32-bit words for each 128-bit counter (Salmon et al. 2011).

    >>> [hex(int(word)) for word in philox((0, 0, 0, 0), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']

    Args:
        counter: four arrays (or integers) of 32-bit words, least significant first.
        key: two 32-bit words.
    """
    x0, x1, x2, x3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1, x2, x3 = (
            (p1 >> _SHIFT) ^ x1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ x3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return x0, x1, x2, x3


def blocks(
    stream: Stream, index: Indices, attempt: int = 0, purpose: int = ELEMENT_DRAW
) -> tuple[Words, NDArray[np.int64]]:
    """Return the four words of each element's counter, shape (4, n), and which of the four is the element's own."""
    tile, place = index // np.uint64(TILE), index % np.uint64(TILE)
    block = tile * np.uint64(LANES) + place % np.uint64(LANES)
    counter = (block & _LOW, block >> _SHIFT, counter_tag(purpose, attempt), stream.word)
    words = np.stack(np.broadcast_arrays(*philox(counter, stream.key))).astype(np.uint32)
    return words, (place // np.uint64(LANES)).astype(np.int64)


def own_words(stream: Stream, index: Indices, attempt: int = 0, purpose: int = ELEMENT_DRAW) -> Words:
    """Return the 32 random bits of each element."""
    words, own = blocks(stream, index, attempt, purpose)
    return words[own, np.arange(index.size)]


def symmetric_uniform(word: Words) -> Floats:
    """Map 32 bits to [-1, 1]: the signed word, rounded to float32, times 2^-31."""
    return word.view(np.int32).astype(np.float32) * np.float32(2.0**-31)


def radius(word: Words) -> Floats:
    """The Box-Muller radius sqrt(-2 ln u) of u = (word + 1/2)·2^-32, resolved at both ends of (0, 1)."""
    one, two = np.float32(1), np.float32(2)
    near_one = word >= np.uint32(0x80000000)
    smaller = np.where(near_one, ~word, word).astype(np.float32) + np.float32(0.5)
    bits = smaller.view(np.int32)
    exponent = (bits - c.SQRT_HALF_BITS) >> np.int32(23)
    mantissa = (bits - (exponent << np.int32(23))).view(np.float32)
    rest = smaller * np.float32(2.0**-32)
    numerator = np.where(near_one, rest, one - mantissa)
    denominator = np.where(near_one, two - rest, one + mantissa)
    k = np.where(near_one, np.int32(0), np.int32(32) - exponent).astype(np.float32)
    s = numerator / denominator
    t = s * s
    a = c.ATANH
    series = s * (two + t * (a[0] + t * (a[1] + t * (a[2] + t * (a[3] + t * a[4])))))
    log = k * c.LN2_HIGH + (k * c.LN2_LOW + series)
    return np.sqrt(log + log)


def direction(word: Words) -> tuple[Floats, Floats]:
    """Cosine and sine of a uniform angle: the top two bits choose the quadrant, the others the place in it."""
    x = (word << np.uint32(2)).view(np.int32).astype(np.float32) * np.float32(2.0**-32)
    t = x * x
    a, b = c.COS, c.SIN
    cosine = np.float32(1) - (t + t * (a[0] + t * (a[1] + t * (a[2] + t * a[3]))))
    sine = x + x * (b[0] + t * (b[1] + t * (b[2] + t * b[3])))
    swap = (word & np.uint32(0x40000000)) != 0
    sign_of_cosine = (word ^ (word << np.uint32(1))) & np.uint32(0x80000000)
    sign_of_sine = word & np.uint32(0x80000000)
    first = np.where(swap, sine, cosine).view(np.uint32) ^ sign_of_cosine
    second = np.where(swap, cosine, sine).view(np.uint32) ^ sign_of_sine
    return first.view(np.float32), second.view(np.float32)


def standard_uniform(stream: Stream, index: Indices, purpose: int = ELEMENT_DRAW) -> Floats:
    """Uniform on [-1, 1] for each index."""
    return symmetric_uniform(own_words(stream, index, purpose=purpose))


def standard_normal(stream: Stream, index: Indices, attempt: int = 0, purpose: int = ELEMENT_DRAW) -> Floats:
    """N(0, 1) for each index, by Box-Muller on the words of its counter."""
    words, own = blocks(stream, index, attempt, purpose)
    lane = np.arange(index.size)
    pair = own - own % 2
    cosine, sine = direction(words[pair + 1, lane])
    return radius(words[pair, lane]) * np.where(own % 2 == 0, cosine, sine)


def standard_truncated(stream: Stream, index: Indices, window: Window) -> Floats:
    """N(0, 1) given that it falls inside the window, for each index."""
    low, high = np.float32(window.low), np.float32(window.high)
    if window.inverse:
        return _by_quantile(own_words(stream, index), window)
    value = standard_normal(stream, index)
    for attempt in range(1, MAX_ATTEMPTS):
        outside = np.flatnonzero((value < low) | (value > high))
        if outside.size == 0:
            return value
        value[outside] = standard_normal(stream, index[outside], attempt)
    clamped: Floats = np.minimum(np.maximum(value, low), high)
    return clamped


def _by_quantile(word: Words, window: Window) -> Floats:
    u = (word.astype(np.float64) + 0.5) * 2.0**-32
    upper = window.upper_tail - u * window.mass
    value = np.minimum(np.maximum(upper_quantile(upper), window.near), window.far)
    return (-value if window.reflected else value).astype(np.float32)


def log64(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm of a normal float64 by +, -, *, / alone; relative error below 1e-15 away from 1."""
    bits = value.view(np.int64)
    exponent = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    mantissa = (bits - (exponent << np.int64(52))).view(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    t = s * s
    series = np.zeros_like(s)
    for coefficient in reversed(c.ATANH64):
        series = series * t + coefficient
    k = exponent.astype(np.float64)
    return k * c.LN2_HIGH64 + (k * c.LN2_LOW64 + s * series)


def upper_quantile(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """The x whose upper tail probability Q(x) is given, for 1e-290 < Q < 0.925 (Wichura 1988, AS 241)."""
    centre = upper - 0.5
    t = 0.180625 - centre * centre
    inner = -centre * _horner(c.CENTRAL_NUMERATOR, t) / _horner(c.CENTRAL_DENOMINATOR, t)
    r = np.sqrt(-log64(np.minimum(upper, 0.5)))
    m, f = r - 1.6, r - 5.0
    middle = _horner(c.MIDDLE_NUMERATOR, m) / _horner(c.MIDDLE_DENOMINATOR, m)
    tail = _horner(c.TAIL_NUMERATOR, f) / _horner(c.TAIL_DENOMINATOR, f)
    return np.where(np.abs(centre) <= 0.425, inner, np.where(r <= 5.0, middle, tail))


def _horner(coefficients: tuple[float, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
