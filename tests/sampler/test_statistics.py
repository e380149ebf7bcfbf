"""Draws against their exact laws, each test with a false-alarm chance of one in a million for a fresh seed.

The seed is fixed, so nothing here can flake. benchmarks/normals.py and battery.py ask the same of 2^30 draws and more.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

from wellbegun.sampler import Draw, Stream, Window, write
from wellbegun.sampler.layout import LANES, TILE

ALARM = 1e-6
COUNT = 1 << 22
CELLS = 32
NORMAL, UNIFORM = Draw.normal(0.0, 1.0), Draw.uniform(-1.0, 1.0)
TRUNCATED, FAR = (Draw.truncated(0.0, 1.0, Window.of(low, high)) for low, high in ((-2, 2), (3, 4)))


def between(low, high):
    """The distribution function of N(0, 1) given low <= z <= high, from the tails so that it is exact far out."""
    near, far = scipy.special.ndtr(-low), scipy.special.ndtr(-high)
    return lambda z: (near - scipy.special.ndtr(-z)) / (near - far)


LAWS = {
    "normal": (NORMAL, np.float32, scipy.special.ndtr),
    "normal, float64": (NORMAL, np.float64, scipy.special.ndtr),
    "uniform": (UNIFORM, np.float32, lambda z: (z + 1) / 2),
    "uniform, float64": (UNIFORM, np.float64, lambda z: (z + 1) / 2),
    "truncated by redraw": (TRUNCATED, np.float32, between(-2, 2)),
    "truncated by redraw, float64": (TRUNCATED, np.float64, between(-2, 2)),
    "truncated by quantile": (FAR, np.float32, between(3, 4)),
    "truncated by quantile, float64": (FAR, np.float64, between(3, 4)),
}


def drawn(draw, dtype, count=COUNT, name="layers.0.weight", seed=11):
    out = np.empty(count, dtype)
    write(out, draw, Stream.of(seed, name), 0)
    return out.astype(np.float64)


@functools.lru_cache(maxsize=1)
def places(law):
    """Where the draws of a law lie in it: its distribution function of each."""
    draw, dtype, distribution = LAWS[law]
    return distribution(drawn(draw, dtype))


def two_sided(z):
    """Of a standard normal number."""
    return 2 * float(scipy.special.ndtr(-abs(z)))


def chi_square(counts, expected):
    """Two-sided: too good a fit is a defect too."""
    value, free = ((counts - expected) ** 2).sum() / expected, counts.size - 1
    return 2 * min(scipy.stats.chi2.sf(value, free), scipy.stats.chi2.cdf(value, free))


def uniformity(u, bins=1024):
    """How evenly numbers in [0, 1] fill equal bins."""
    return chi_square(np.bincount(np.minimum((u * bins).astype(int), bins - 1), minlength=bins), u.size / bins)


def independence(u, lag):
    """Disjoint pairs of elements `lag` apart on a grid of equally probable cells."""
    cell = np.minimum((u * CELLS).astype(int), CELLS - 1)
    cell = cell[: cell.size // (2 * lag) * (2 * lag)].reshape(-1, 2, lag)
    pairs = (cell[:, 0] * CELLS + cell[:, 1]).ravel()
    return chi_square(np.bincount(pairs, minlength=CELLS**2), pairs.size / CELLS**2)


def powers(z, most):
    """z, z², z³ and so on; much faster than ** for powers above 2."""
    return itertools.accumulate(itertools.repeat(z, most), np.multiply)


def moments_of_normals(z):
    """Sample moments 1 to 8, each against its exact mean and variance."""
    exact = [math.prod(range(k - 1, 0, -2)) if k % 2 == 0 else 0 for k in range(17)]
    for k, power in enumerate(powers(z, 8), 1):
        error = math.sqrt((exact[2 * k] - exact[k] ** 2) / z.size)
        yield two_sided((power.mean() - exact[k]) / error)


def correlations(z):
    """Of z and of z², at lags 1 to 256 and 1024, as one chi-square each; z has mean 0 and variance 1."""
    for x in (z, (z**2 - 1) / math.sqrt((z**4).mean() - 1)):
        lagged = np.array([x[:-lag] @ x[lag:] / math.sqrt(x.size - lag) for lag in (*range(1, TILE + 1), 1024)])
        value, free = (lagged**2).sum(), lagged.size
        yield 2 * min(scipy.stats.chi2.sf(value, free), scipy.stats.chi2.cdf(value, free))


@pytest.mark.parametrize("law", LAWS)
def test_every_bin_of_a_law_is_as_full_as_it_should_be(law):
    u = places(law)
    assert 0 <= u.min() < u.max() <= 1
    assert uniformity(u) > ALARM


@pytest.mark.parametrize("lag", [1, 2, LANES, 2 * LANES, 3 * LANES, TILE, 1024])
@pytest.mark.parametrize("law", ["normal", "uniform", "truncated by redraw"])
def test_two_elements_are_independent(law, lag):
    """Lag 64: the two members of a Box-Muller pair; 128: two pairs of one counter; 256: neighbouring tiles."""
    assert independence(places(law), lag) > ALARM


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_normals(dtype):
    assert min(moments_of_normals(drawn(NORMAL, dtype))) > ALARM / 8


def test_members_of_a_pair_have_no_common_moments():
    """x^a and y^b for a, b = 1 to 4: Box and Muller's method makes them independent, not only uncorrelated."""
    x, y = drawn(NORMAL, np.float32).reshape(-1, 2, LANES).transpose(1, 0, 2).reshape(2, -1)
    exact = [1, 0, 1, 0, 3, 0, 15, 0, 105]
    for a, left in enumerate(powers(x, 4), 1):
        for b, right in enumerate(powers(y, 4), 1):
            error = math.sqrt((exact[2 * a] * exact[2 * b] - (exact[a] * exact[b]) ** 2) / x.size)
            assert two_sided(((left * right).mean() - exact[a] * exact[b]) / error) > ALARM / 16


def test_no_correlation_at_any_lag():
    assert min(correlations(drawn(NORMAL, np.float32, 1 << 20))) > ALARM / 2


def test_tails_hold_what_they_should():
    """Counts beyond 3, 4 and 5 sigma on either side are binomial."""
    z = drawn(NORMAL, np.float32, 1 << 24)
    for bound in (3.0, 4.0, 5.0):
        for count in (np.count_nonzero(z > bound), np.count_nonzero(z < -bound)):
            law = scipy.stats.binom(z.size, scipy.special.ndtr(-bound))
            assert 2 * min(law.cdf(count), law.sf(count - 1)) > ALARM / 6


@pytest.mark.parametrize("which", ["names", "seeds"])
def test_tensors_do_not_know_of_one_another(which):
    """All correlations among 256 tensors of 16,384 elements, from neighbouring names or seeds, and their variances."""
    rows, n = 256, 1 << 14
    sources = [(11, f"layers.{k}.weight") if which == "names" else (k, "layers.0.weight") for k in range(rows)]
    z = np.stack([drawn(NORMAL, np.float32, n, name, seed) for seed, name in sources])
    gram = z @ z.T
    for numbers in (gram[np.triu_indices(rows, 1)] / math.sqrt(n), (np.diag(gram) - n) / math.sqrt(2 * n)):
        value, free = (numbers**2).sum(), numbers.size
        assert 2 * min(scipy.stats.chi2.sf(value, free), scipy.stats.chi2.cdf(value, free)) > ALARM / 2


def test_real_and_imaginary_parts_and_lower_halves_are_independent():
    """Purposes 0, 1, 2 and 7 of one stream, element for element."""
    u = [(drawn(Draw("uniform", 1.0, 0.0, purpose=purpose), np.float32) + 1) / 2 for purpose in (0, 1, 2, 7)]
    for i in range(4):
        for j in range(i):
            pairs = np.stack([u[i], u[j]], axis=1).ravel()
            assert independence(pairs, 1) > ALARM / 6
    fine = drawn(UNIFORM, np.float64) * 2.0**31
    assert uniformity(fine - np.floor(fine)) > ALARM


def test_these_tests_see_small_defects():
    """One draw in 1,024 a copy, a standard deviation 0.3% or 1% off, a tail cut at 3.5 sigma, one correlated lag."""
    z = drawn(NORMAL, np.float32)
    copied = z.copy()
    copied[64::1024] = copied[0:-64:1024]
    assert independence(scipy.special.ndtr(copied), LANES) < ALARM
    assert uniformity(scipy.special.ndtr(1.01 * z)) < ALARM
    assert min(moments_of_normals(1.003 * z)) < ALARM
    assert min(moments_of_normals(np.clip(z, -3.5, 3.5))) < ALARM
    assert min(correlations(z[64 : 1 << 20] + 0.02 * z[: (1 << 20) - 64])) < ALARM


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_a_hundred_million_draws(law):
    """Bins, and Kolmogorov and Smirnov's distance on ten million of them."""
    draw, dtype, distribution = LAWS[law]
    bins, counts = 1024, 0
    for part in range(12):
        u = distribution(drawn(draw, dtype, 1 << 23, f"part {part}"))
        counts = counts + np.bincount(np.minimum((u * bins).astype(int), bins - 1), minlength=bins)
        assert independence(u, LANES) > ALARM / 12
    # in the far window float32 itself is coarse: its steps at 3 sigma are 0.08% of a bin
    assert chi_square(counts, counts.sum() / bins) > ALARM
    rank = np.arange(u.size + 1) / u.size
    u.sort()
    distance = max((rank[1:] - u).max(), (u - rank[:-1]).max())
    assert scipy.stats.kstwobign.sf(distance * math.sqrt(u.size)) > ALARM
