"""The sampler's float64 draws in plain NumPy: 64 bits an element, whose upper half is the word of the float32 draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.layout import ELEMENT_DRAW, LOW_HALF, MAX_ATTEMPTS
from wellbegun.sampler.reference import Indices, blocks, upper_quantile
from wellbegun.sampler.stream import Stream
from wellbegun.sampler.window import Window

Words64 = NDArray[np.uint64]
Doubles = NDArray[np.float64]


def blocks64(
    stream: Stream, index: Indices, attempt: int = 0, purpose: int = ELEMENT_DRAW
) -> tuple[Words64, NDArray[np.int64]]:
    """Return the four 64-bit words of each element's counter, shape (4, n), and which is the element's own."""
    high, own = blocks(stream, index, attempt, purpose)
    low, _ = blocks(stream, index, attempt, purpose + LOW_HALF)
    return high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64), own


def symmetric_uniform64(word: Words64) -> Doubles:
    """Map 64 bits to [-1, 1]: the signed word, rounded to float64, times 2^-63."""
    return word.view(np.int64).astype(np.float64) * 2.0**-63


def radius64(word: Words64) -> Doubles:
    """The Box-Muller radius sqrt(-2 ln u) of u = (word + 1/2)·2^-64."""
    near_one = word >= np.uint64(c.SQRT_HALF_WORD64)
    smaller = np.where(near_one, ~word, word).astype(np.float64) + 0.5
    bits = smaller.view(np.int64)
    exponent = (bits - np.int64(c.SQRT_HALF_BITS64)) >> np.int64(52)
    mantissa = (bits - (exponent << np.int64(52))).view(np.float64)
    rest = smaller * 2.0**-64
    numerator = np.where(near_one, rest, 1.0 - mantissa)
    denominator = np.where(near_one, 2.0 - rest, 1.0 + mantissa)
    k = np.where(near_one, np.int64(0), np.int64(64) - exponent).astype(np.float64)
    s = numerator / denominator
    t = s * s
    series = np.zeros_like(s)
    for coefficient in reversed(c.ATANH64):
        series = series * t + coefficient
    log = k * c.LN2_HIGH64 + (k * c.LN2_LOW64 + s * series)
    return np.sqrt(log + log)


def direction64(word: Words64) -> tuple[Doubles, Doubles]:
    """Cosine and sine of a uniform angle: the top two bits choose the quadrant, the others the place in it."""
    x = (word << np.uint64(2)).view(np.int64).astype(np.float64) * 2.0**-64
    t = x * x
    cosine, sine = np.zeros_like(x), np.zeros_like(x)
    for coefficient in reversed(c.COS64):
        cosine = coefficient + t * cosine
    for coefficient in reversed(c.SIN64):
        sine = coefficient + t * sine
    cosine, sine = 1.0 - (t + t * cosine), x + x * sine
    swap = (word & np.uint64(1 << 62)) != 0
    sign_of_cosine = (word ^ (word << np.uint64(1))) & np.uint64(1 << 63)
    sign_of_sine = word & np.uint64(1 << 63)
    first = np.where(swap, sine, cosine).view(np.uint64) ^ sign_of_cosine
    second = np.where(swap, cosine, sine).view(np.uint64) ^ sign_of_sine
    return first.view(np.float64), second.view(np.float64)


def standard_uniform64(stream: Stream, index: Indices, purpose: int = ELEMENT_DRAW) -> Doubles:
    """Uniform on [-1, 1] for each index."""
    words, own = blocks64(stream, index, purpose=purpose)
    return symmetric_uniform64(words[own, np.arange(index.size)])


def standard_normal64(stream: Stream, index: Indices, attempt: int = 0, purpose: int = ELEMENT_DRAW) -> Doubles:
    """N(0, 1) for each index, by Box-Muller on the words of its counter."""
    words, own = blocks64(stream, index, attempt, purpose)
    lane = np.arange(index.size)
    pair = own - own % 2
    cosine, sine = direction64(words[pair + 1, lane])
    return radius64(words[pair, lane]) * np.where(own % 2 == 0, cosine, sine)


def standard_truncated64(stream: Stream, index: Indices, window: Window) -> Doubles:
    """N(0, 1) given that it falls inside the window, for each index."""
    if window.inverse:
        words, own = blocks64(stream, index)
        word = words[own, np.arange(index.size)]
        u = ((word >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        upper = window.upper_tail - u * window.mass
        value = np.minimum(np.maximum(upper_quantile(upper), window.near), window.far)
        return -value if window.reflected else value
    value = standard_normal64(stream, index)
    for attempt in range(1, MAX_ATTEMPTS):
        outside = np.flatnonzero((value < window.low) | (value > window.high))
        if outside.size == 0:
            return value
        value[outside] = standard_normal64(stream, index[outside], attempt)
    return np.minimum(np.maximum(value, window.low), window.high)
