"""Standard draws in float32: from words to uniforms and normals (docs/sampler.md, sections 5 and 6)."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler import coefficients as c
from wellbegun.sampler.kernels.compiled import compiled, inlined
from wellbegun.sampler.kernels.philox import draw_words, philox
from wellbegun.sampler.kernels.window import MANY, count_outside, list_outside, replace_outside
from wellbegun.sampler.layout import LANES, MAX_ATTEMPTS, TILE

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
def redraw(z, words, picks, flags, fresh, place, take, tiles, block, tag, word, k0, k1, low, high):  # type: ignore[no-untyped-def]
    """Draw again what lies outside the window and return how many draws that took.

    `block` is the counter of the batch's first tile; rows 4 to 7 of `words`, `picks`, `flags` and `fresh` are scratch.
    """
    attempt, total = 1, 0
    outside = count_outside(z[place : place + take], low, high)
    while outside * MANY > take and attempt < MAX_ATTEMPTS:
        # so many are outside that a fresh batch, eight or sixteen lanes at a time, costs less than their single draws
        again = tag + np.uint64(attempt)
        draw_words(block, tiles * LANES, again, word, k0, k1, words[4], words[5], words[6], words[7])
        normals(words[4:], tiles, fresh)
        replace_outside(z[place : place + take], fresh[place : place + take], low, high)
        total += outside
        attempt += 1
        outside = count_outside(z[place : place + take], low, high)
    waiting = list_outside(z, place, take, low, high, picks, flags)
    while waiting > 0 and attempt < MAX_ATTEMPTS:
        total += waiting
        again = tag + np.uint64(attempt)
        for m in range(waiting):
            i = picks[m]
            counter = block + np.uint64((i // TILE) * LANES + i % LANES)
            x0, x1, x2, x3 = philox(counter, again, word, k0, k1)
            first_pair = (i & (2 * LANES)) == 0
            r = radius(np.uint32(x0 if first_pair else x2))
            cosine, sine = direction(np.uint32(x1 if first_pair else x3))
            fresh[m] = r * (cosine if (i & LANES) == 0 else sine)
        still = 0
        for m in range(waiting):
            i, value = picks[m], fresh[m]
            z[i] = value
            picks[still] = i
            still += (value < low) | (value > high)
        waiting = still
        attempt += 1
    for m in range(waiting):
        z[picks[m]] = min(max(z[picks[m]], low), high)
    return total
