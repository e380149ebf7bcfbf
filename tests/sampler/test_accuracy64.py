"""float64 steps against 50 digits on the same words: bounds just above what 566,362 words showed."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from wellbegun.sampler import Stream, Window, reference, reference64
from wellbegun.sampler.coefficients import SQRT_HALF_WORD64


def words(count):
    """Random words, words of every length and their complements, and the neighbourhood of every seam."""
    random = np.random.Philox(11).random_raw(count)
    short = np.random.Philox(12).random_raw(count) >> (np.random.Philox(13).random_raw(count) % np.uint64(64))
    seams = [k << 61 for k in range(9)] + [SQRT_HALF_WORD64, 2**52, 2**53, 2**54, 2**64 - 2**53, 2**64 - 2**54]
    steps = [*range(-3, 4), *(sign * 2**k for k in range(2, 40, 3) for sign in (-1, 1))]
    near = np.array([(seam + step) % 2**64 for seam in seams for step in steps], np.uint64)
    return np.unique(np.concatenate([random, short, ~short, near]))


def exact_radius(word):
    word = int(word)
    if word < 2**63:
        log = -mpmath.log((mpmath.mpf(word) + 0.5) / 2**64)
    else:
        log = -mpmath.log1p(-(mpmath.mpf(2**64 - 1 - word) + 0.5) / 2**64)
    return mpmath.sqrt(2 * log)


def exact_direction(word):
    word = int(word)
    quadrant, place = word >> 62, word % 2**62
    angle = (quadrant + (mpmath.mpf(place) - (2**62 if place >= 2**61 else 0)) / 2**62) / 2
    return mpmath.cospi(angle), mpmath.sinpi(angle)


def worst(got, want):
    """The largest absolute and the largest relative error; where 0 is exact it must come out."""
    absolute = relative = 0.0
    for g, w in zip(got, want, strict=True):
        error = abs(float(mpmath.mpf(float(g)) - w))
        absolute = max(absolute, error)
        relative = max(relative, error / abs(float(w)) if w else math.inf if error else 0.0)
    return absolute, relative


@pytest.fixture(scope="module")
def sample():
    """Words, their exact radius, cosine and sine."""
    some = words(1500)
    with mpmath.workdps(50):
        directions = [exact_direction(word) for word in some]
        return some, [exact_radius(word) for word in some], [d[0] for d in directions], [d[1] for d in directions]


def test_radius(sample):
    """Measured: 1.30e-15, relative 3.16e-16. The largest is that of word 0, sqrt(130 ln 2)."""
    some, exact, _, _ = sample
    absolute, relative = worst(reference64.radius64(some), exact)
    assert absolute <= 1.4e-15
    assert relative <= 3.3e-16
    assert float(max(exact)) == pytest.approx(9.4926, abs=1e-4)


def test_direction(sample):
    """Measured: 1.38e-16, relative 2.81e-16."""
    some, _, cosines, sines = sample
    for got, want in zip(reference64.direction64(some), (cosines, sines), strict=True):
        absolute, relative = worst(got, want)
        assert absolute <= 1.5e-16
        assert relative <= 3.0e-16


def test_normal(sample):
    """Measured on 50,000 pairs of these words: 1.98e-15, relative 4.97e-16."""
    some, radii, cosines, _ = sample
    order = np.random.Generator(np.random.Philox(14)).permutation(some.size)
    got = reference64.radius64(some[order]) * reference64.direction64(some)[0]
    with mpmath.workdps(50):
        exact = [radii[i] * cosine for i, cosine in zip(order, cosines, strict=True)]
        absolute, relative = worst(got, exact)
    assert absolute <= 2.2e-15
    assert relative <= 5.3e-16


def test_log64():
    """Measured: 1.2e-16 up to |log| = 0.36, relative 1.2e-16 beyond."""
    generator = np.random.Generator(np.random.Philox(15))
    near, far = 1 + generator.uniform(-0.3, 0.4, 2000), np.exp2(generator.uniform(-960, -1, 2000))
    with mpmath.workdps(50):
        assert worst(reference.log64(near), [mpmath.log(mpmath.mpf(x)) for x in near])[0] <= 1.3e-16
        assert worst(reference.log64(far), [mpmath.log(mpmath.mpf(x)) for x in far])[1] <= 1.3e-16


@pytest.mark.parametrize(
    ("low", "high", "relative"),
    [(3, 4, 8e-16), (-5, -4, 8e-16), (8, math.inf, 8e-16), (30, 31, 8e-16), (36, math.inf, 8e-16), (0.25, 2, 8e-16)],
)
def test_truncated_by_quantile(low, high, relative):
    """The distance to the exact value for the same 52 bits, from the tail's probability and the density there."""
    stream, index, window = Stream.of(7, "w"), np.arange(60, dtype=np.uint64), Window.of(low, high)
    some, own = reference64.blocks64(stream, index)
    got = np.abs(reference64.standard_truncated64(stream, index, window))
    with mpmath.workdps(340):
        tails = [mpmath.erfc(mpmath.mpf(x) / mpmath.sqrt(2)) / 2 for x in (window.near, window.far)]
        for word, value in zip(some[own, np.arange(index.size)], got, strict=True):
            u = (mpmath.mpf(int(word) >> 12) + 0.5) / 2**52
            x = mpmath.mpf(float(value))
            distance = (mpmath.erfc(x / mpmath.sqrt(2)) / 2 - (tails[0] - u * (tails[0] - tails[1]))) / mpmath.npdf(x)
            assert abs(float(distance)) <= relative * value


def test_an_exact_zero_is_as_rare_as_it_should_be():
    """At the four corners of the circle one of cosine and sine is exactly 0: one normal in 2^63 is."""
    cosine, sine = reference64.direction64(np.arange(4, dtype=np.uint64) << np.uint64(62))
    np.testing.assert_array_equal(np.abs(cosine), [1, 0, 1, 0])
    np.testing.assert_array_equal(np.abs(sine), [0, 1, 0, 1])
