"""Floating-point steps against float64 on the same words: off by at most 1e-6 for every pair of words."""

from __future__ import annotations

from pathlib import Path

import mpmath
import numba
import numpy as np
import pytest
import scipy.special

from wellbegun.sampler import Stream, Window, reference
from wellbegun.sampler.coefficients import LN2_HIGH, LN2_HIGH64, LN2_LOW, LN2_LOW64
from wellbegun.sampler.kernels import single

BAR = 1e-6
EXTREME = np.array(
    [0, 1, 2, 3, 4, 2**24 - 1, 2**24, 2**24 + 1, 0x3FFFFFFF, 0x40000000, 0x5A827999, 0x7FFFFF7F, 0x7FFFFF80, 0x7FFFFFBF,
     0x7FFFFFC0, 0x7FFFFFFE, 0x7FFFFFFF, 0x80000000, 0x80000001, 0x8000003F, 0x80000040, 0xBFFFFFFF, 0xC0000000,
     0xFEFFFFFF, 0xFF000000, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF],
    np.uint32,
)  # fmt: skip
BINS = 512
ERRORS = {
    ("radius", 0, 0.875): (1.27e-7, 1.83e-7, 2.14),
    ("radius", 0.875, 1.75): (1.92e-7, 1.85e-7, 2.19),
    ("radius", 1.75, 3.5): (2.4e-7, 1.06e-7, 1.24),
    ("radius", 3.5, 7): (4.0e-7, 9.1e-8, 0.86),
    ("direction", 0, 0.125): (1.5e-8, 1.5e-7, 2.02),
    ("direction", 0.125, 0.5): (6.1e-8, 1.48e-7, 2.04),
    ("direction", 0.5, 1): (7.8e-8, 1.4e-7, 1.31),
}
"""Worst errors by size of the exact value: absolute, relative, in units in the last place."""
TEXT = (Path(__file__).parents[2] / "docs" / "sampler.md").read_text(encoding="utf-8")


def exact_radius(word):
    """In float64: log near 0, log1p near 1, where 1 - u is exact."""
    number = word.astype(np.float64)
    u, v = (number + 0.5) * 2.0**-32, (2.0**32 - number - 0.5) * 2.0**-32
    return np.sqrt(-2 * np.where(u < 0.5, np.log(u), np.log1p(-v)))


def exact_direction(word):
    """The angle is 90 degrees times (quadrant + place), place in [-1/2, 1/2): reduced by hand, cos and sin of libm."""
    place = (word << np.uint32(2)).view(np.int32).astype(np.float64) * 2.0**-32
    quadrant = (word >> np.uint32(30)).astype(np.int64)
    cosine, sine = np.cos(np.pi / 2 * place), np.sin(np.pi / 2 * place)
    turned = np.stack([cosine, -sine, -cosine, sine]), np.stack([sine, cosine, -sine, -cosine])
    lane = np.arange(word.size)
    return turned[0][quadrant, lane], turned[1][quadrant, lane]


@numba.njit(error_model="numpy", nogil=True)
def ulp(exact):
    """The distance of float32 numbers of this size."""
    exponent = np.float64(exact).view(np.int64) >> 52
    return np.int64((exponent - 23) << 52).view(np.float64)


@numba.njit(error_model="numpy", nogil=True)
def keep(errors, place, got, want):
    """Keep the worst errors of a bin: absolute, relative, and in units in the last place (the last two unless at 0)."""
    error = abs(np.float64(got) - want)
    errors[0, place] = max(errors[0, place], error)
    if want != 0:
        errors[1, place] = max(errors[1, place], error / abs(want))
        errors[2, place] = max(errors[2, place], error / ulp(abs(want)))


@numba.njit(error_model="numpy", nogil=True)
def see_radius(first, count, stride, errors):
    """Keep the worst errors of the radius on first, first + stride, ... by bins of the exact value."""
    for i in range(count):
        word = np.uint32(first + i * stride)
        u, v = (np.float64(word) + 0.5) * 2.0**-32, (2.0**32 - np.float64(word) - 0.5) * 2.0**-32
        exact = np.sqrt(-2 * (np.log(u) if u < 0.5 else np.log1p(-v)))
        keep(errors, int(np.ceil(exact * (BINS / 7))), single.radius(word), exact)


@numba.njit(error_model="numpy", nogil=True)
def see_direction(first, count, stride, errors):
    """The same of cosine and sine; the first quadrant stands for all: see test_a_quarter_turn_swaps_and_negates."""
    for i in range(count):
        word = np.uint32(first + i * stride) & np.uint32(0x3FFFFFFF)
        angle = np.pi / 2 * (np.float64(word) * 2.0**-30)
        if word & np.uint32(0x20000000):
            angle -= np.pi / 2
        one, other = single.direction(np.uint32(word))
        for got, want in ((one, np.cos(angle)), (other, np.sin(angle))):
            keep(errors, int(np.ceil(abs(want) * BINS)), got, want)


def bound(radius, cosine):
    """|r̂·ĉ - r·c| <= |r̂ - r|·|c| + r̂·|ĉ - c| + half a unit in the last place of the rounded product.

    Returns:
        the largest of these, and of these times the normal's density there: by so much at most do they move its
        distribution function.
    """
    r, c = np.arange(BINS + 1) * 7 / BINS, np.arange(BINS + 1) / BINS
    seen_r, seen_c = radius > 0, cosine > 0
    r, c, radius, cosine = r[seen_r], c[seen_c], radius[seen_r], cosine[seen_c]
    half_ulp = np.spacing(np.multiply.outer(r, c).astype(np.float32)).astype(np.float64) / 2
    error = np.multiply.outer(radius, c) + np.multiply.outer(r, cosine) + half_ulp
    nearest = np.multiply.outer(np.maximum(r - 7 / BINS, 0), np.maximum(c - 1 / BINS, 0))
    return error.max(), (error * np.exp(-(nearest**2) / 2) / np.sqrt(2 * np.pi)).max()


def test_normals_on_a_million_pairs_of_words_and_on_the_extremes():
    """The product itself, on random pairs and on every pair of extreme words."""
    some = np.random.Philox(7).random_raw(2**20)
    radius_words = np.concatenate([np.repeat(EXTREME, EXTREME.size), (some >> np.uint64(32)).astype(np.uint32)])
    angle_words = np.concatenate([np.tile(EXTREME, EXTREME.size), (some & np.uint64(0xFFFFFFFF)).astype(np.uint32)])
    radius, exact = reference.radius(radius_words), exact_radius(radius_words)
    for got, want in zip(reference.direction(angle_words), exact_direction(angle_words), strict=True):
        assert np.abs(radius * got - exact * want).max() <= BAR


def check_bounds(radius, cosine, every=False):
    """The bar for every pair of words, what it is made of, and the table of docs/sampler.md."""
    error, of_distribution = bound(radius[0], cosine[0])
    assert error <= BAR
    assert of_distribution <= 7.6e-8
    for (step, low, high), stated in ERRORS.items():
        errors, scale = (radius, 7) if step == "radius" else (cosine, 1)
        first, last = int(low / scale * BINS), int(high / scale * BINS)
        measured = errors[:, first + (low > 0) : last + 1].max(axis=1)
        assert (measured <= stated).all(), (step, low, high, measured)
        assert not every or (measured >= 0.97 * np.array(stated)).all(), (step, low, high, measured)
        assert f"| {step}, {low:g} to {high:g} | {stated[0]:.3g} | {stated[1]:.3g} | {stated[2]:.2f} |" in TEXT


def test_every_1021st_word():
    """A bound for all pairs of one radius word and one angle word out of millions each."""
    radius, cosine = np.zeros((2, 3, BINS + 1))
    see_radius(0, 2**32 // 1021, 1021, radius)
    see_direction(0, 2**30 // 251, 251, cosine)
    for word in EXTREME:
        see_radius(int(word), 1, 1, radius)
        see_direction(int(word), 1, 1, cosine)
    assert np.count_nonzero(radius[0]) > 380
    assert np.count_nonzero(cosine[0]) > 500
    check_bounds(radius, cosine)


@pytest.mark.slow
def test_every_word():
    """All 2^32 words, both as radius and as angle: a bound for all 2^64 pairs."""
    radius, cosine = np.zeros((2, 3, BINS + 1))
    see_radius(0, 2**32, 1, radius)
    see_direction(0, 2**30, 1, cosine)
    check_bounds(radius, cosine, every=True)


def test_a_pair_that_a_coarser_direction_got_wrong():
    """Off by 1.1e-6 while the polynomials' leading ones were rounded with the rest."""
    radius_word, angle_word = np.array([32], np.uint32), np.array([0x1E8DB370], np.uint32)
    got = [reference.radius(radius_word) * part for part in reference.direction(angle_word)]
    want = [exact_radius(radius_word) * part for part in exact_direction(angle_word)]
    assert max(float(np.abs(g - w)[0]) for g, w in zip(got, want, strict=True)) < 4e-7


def test_the_radius_falls_and_its_ends():
    """Monotone up to rounding: u grows, the radius falls. Ends: 6.66 sigma and 1.5e-5."""
    words = np.arange(0, 2**32, 65537, dtype=np.uint64).astype(np.uint32)
    values = reference.radius(words)
    assert (np.diff(values) <= 1e-6).all()
    ends = reference.radius(np.array([0, 2**32 - 1], np.uint32)).astype(float)
    with mpmath.workdps(30):
        u = mpmath.mpf(2) ** -33
        exact = [float(mpmath.sqrt(-2 * mpmath.log(u))), float(mpmath.sqrt(-2 * mpmath.log1p(-u)))]
    assert ends == pytest.approx(exact, rel=2e-7)
    assert exact[0] == pytest.approx(6.7637, abs=1e-4)


def test_a_quarter_turn_swaps_and_negates():
    """Bits of the four quadrants are those of the first one: cos(a + 90°) = -sin(a), sin(a + 90°) = cos(a)."""
    place = np.arange(0, 2**30, 104729, dtype=np.uint32)
    for quadrant in range(3):
        cosine, sine = reference.direction(place + np.uint32(quadrant << 30))
        turned = reference.direction(place + np.uint32(quadrant + 1 << 30))
        np.testing.assert_array_equal(turned[0], -sine)
        np.testing.assert_array_equal(turned[1], cosine)


def test_log64():
    bits = np.random.Philox(3).random_raw(200_000)
    exponents = np.random.default_rng(3).uniform(-960, 3, bits.size)
    values = np.exp2(exponents) * (1 + (bits >> np.uint64(12)) * 2.0**-52)
    exact = np.log(values)
    assert (np.abs(reference.log64(values) - exact) <= 4e-16 * np.maximum(np.abs(exact), 1)).all()


def test_the_parts_of_ln_2():
    with mpmath.workdps(40):
        assert abs(float(mpmath.mpf(float(LN2_HIGH)) + float(LN2_LOW) - mpmath.ln(2))) < 2.0**-44
        assert abs(float(mpmath.mpf(LN2_HIGH64) + LN2_LOW64 - mpmath.ln(2))) < 2.0**-85
    # k · high is exact for every k that occurs: at most 33 in float32, at most 1074 in float64
    assert all(np.float32(k) * LN2_HIGH == k * float(LN2_HIGH) for k in range(34))
    assert all((k * LN2_HIGH64).hex() == float(mpmath.mpf(k) * mpmath.mpf(LN2_HIGH64)).hex() for k in range(1075))


def test_quantile_against_scipy():
    """AS 241 promises 1e-16; scipy's ndtri is a different algorithm (Cephes)."""
    upper = np.concatenate([np.linspace(0.001, 0.75, 100_001), np.logspace(-280, -3, 100_001)])
    exact = -scipy.special.ndtri(upper)
    assert (np.abs(reference.upper_quantile(upper) - exact) <= 2e-15 * np.maximum(1, np.abs(exact))).all()


@pytest.mark.parametrize(("low", "high"), [(1, 3), (-5, -4), (8, float("inf")), (-0.1, 0.2), (35, 36)])
def test_truncated_by_quantile_is_within_one_rounding_of_the_exact_value(low, high):
    """Against mpmath with 320 digits, on the words themselves."""
    stream, index, window = Stream.of(7, "w"), np.arange(40, dtype=np.uint64), Window.of(low, high)
    words = reference.own_words(stream, index)
    got = reference.standard_truncated(stream, index, window)
    with mpmath.workdps(320):
        near, far = (mpmath.mpf(x) for x in (window.near, window.far))
        tails = [mpmath.erfc(x / mpmath.sqrt(2)) / 2 for x in (near, far)]
        for word, value in zip(words, got, strict=True):
            u = (mpmath.mpf(int(word)) + 0.5) / 2**32
            upper = tails[0] - u * (tails[0] - tails[1])
            x = mpmath.mpf(abs(float(value)) if window.reflected or low > 0 else float(value))
            # the tail probability of the value that came out, turned into a distance by the density there
            distance = float((mpmath.erfc(x / mpmath.sqrt(2)) / 2 - upper) / mpmath.npdf(x))
            assert abs(distance) <= 0.51 * float(np.spacing(np.float32(max(abs(float(value)), 1e-3))))
