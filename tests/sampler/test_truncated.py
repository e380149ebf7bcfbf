"""Redrawing: bounded work for each element, no element ever outside, no other element disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from wellbegun.sampler import Draw, Stream, Window, write
from wellbegun.sampler.layout import MAX_ATTEMPTS
from wellbegun.sampler.reference import standard_normal, standard_truncated

INF = float("inf")
STREAM = Stream.of(11, "truncated")
REDRAWN = [(-2, 2), (-1, 1), (0, INF), (-0.6745, 0.6745), (-INF, 0.1)]


def draw(low, high, size, dtype=np.float32):
    out = np.empty(size, dtype)
    write(out, Draw.truncated(0.0, 1.0, Window.of(low, high)), STREAM, 0)
    return out


@pytest.mark.parametrize(("low", "high"), REDRAWN)
def test_attempts_follow_the_geometric_law(low, high):
    """The share that needs more than k attempts is (1 - mass)^k; so 64 of them suffice but once in 2^64 elements."""
    window, size = Window.of(low, high), 400_000
    assert not window.inverse
    index = np.arange(size, dtype=np.uint64)
    low, high = np.float32(low), np.float32(high)
    value, left, needed = np.empty(size, np.float32), np.arange(size), []
    for attempt in range(MAX_ATTEMPTS):
        value[left] = standard_normal(STREAM, index[left], attempt)
        left = left[(value[left] < low) | (value[left] > high)]
        needed.append(left.size)
        if not left.size:
            break
    assert not left.size
    assert len(needed) < 40
    for k, count in enumerate(needed, start=1):
        share = (1 - window.mass) ** k
        # exact binomial tail: 1e-5 on each side
        assert scipy.stats.binom.ppf(1e-5, size, share) <= count <= scipy.stats.binom.isf(1e-5, size, share)
    out = np.empty(size, np.float32)
    # the kernel counts its work: one draw for each element that was still outside, and not one more
    assert write(out, Draw.truncated(0.0, 1.0, window), STREAM, 0) == sum(needed)
    np.testing.assert_array_equal(out, value)


@pytest.mark.parametrize(("low", "high"), [*REDRAWN, (1, 3), (-5, -4), (8, INF), (-0.1, 0.2), (0.5, 0.5001), (36, INF)])
def test_nothing_falls_outside(low, high):
    out = draw(low, high, 1_000_000)
    assert np.float32(low) <= out.min()
    assert out.max() <= np.float32(high)
    assert np.isfinite(out).all()


def test_elements_inside_keep_the_value_of_the_plain_normal():
    """So the window of a truncated law can be widened without disturbing the rest."""
    plain = np.empty(100_000, np.float32)
    write(plain, Draw.normal(0.0, 1.0), STREAM, 0)
    inside = np.abs(plain) <= 2
    np.testing.assert_array_equal(draw(-2, 2, 100_000)[inside], plain[inside])
    assert 0.04 < 1 - inside.mean() < 0.05


def test_after_the_last_attempt_the_value_is_clamped(monkeypatch):
    """Cannot be met by chance (2^-64), so with one attempt only: the reference then clamps."""
    from wellbegun.sampler import reference

    monkeypatch.setattr(reference, "MAX_ATTEMPTS", 1)
    index = np.arange(1000, dtype=np.uint64)
    plain = standard_normal(STREAM, index)
    np.testing.assert_array_equal(standard_truncated(STREAM, index, Window.of(-1, 1)), np.clip(plain, -1, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("low", [np.inf, 2.4])
@pytest.mark.parametrize("mass", [0.0, 1.0])
def test_the_work_of_a_kernel_is_bounded(dtype, low, mass):
    """With a window that nothing, or next to nothing, can meet (Window.of refuses such): 63 redraws each, no more."""
    from wellbegun.sampler import kernels

    out, key = np.empty(3000, dtype), (*STREAM.key, STREAM.word, 0)
    high = float(np.nextafter(np.float32(2.5), np.float32(0)))
    redraws = kernels.fill(out, 1, out.size, 0, 0, 0, key, kernels.Redraw(low, high, mass), (1.0, 0.0, -INF, INF))
    if low == np.inf:
        assert redraws == (MAX_ATTEMPTS - 1) * out.size
        assert (out == high).all()
    else:
        assert 0.5 * (MAX_ATTEMPTS - 1) * out.size < redraws < (MAX_ATTEMPTS - 1) * out.size
        assert out.min() >= low
        assert out.max() <= high


def test_redraws_take_no_more_than_the_mass_says():
    """Over a window of exactly half the mass, the worst case of redrawing: one redraw an element on average."""
    half = float(scipy.stats.norm.ppf(0.75))
    out = np.empty(1_000_000, np.float32)
    redraws = write(out, Draw.truncated(0.0, 1.0, Window.of(-half - 1e-5, half + 1e-5)), STREAM, 0)
    assert redraws == pytest.approx(out.size, rel=0.01)


@pytest.mark.parametrize("dtype", [np.float64])
@pytest.mark.parametrize(("low", "high"), [*REDRAWN, (1, 3), (-5, -4)])
def test_float64_refines_float32(low, high, dtype):
    """The same element in 64 bits: the same number but for rounding, save where the last bit decides on a redraw."""
    single, double = draw(low, high, 100_000), draw(low, high, 100_000, dtype)
    assert np.mean(np.abs(single - double) > 2e-6) < 1e-4
