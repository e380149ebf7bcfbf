"""Redrawing: bounded work for each element, no element ever outside, no other element disturbed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from wellbegun.sampler import Stream, Window, draw_normal, draw_truncated
from wellbegun.sampler.layout import MAX_ATTEMPTS
from wellbegun.sampler.reference import standard_normal, standard_truncated

INF = float("inf")
STREAM = Stream.of(11, "truncated")
REDRAWN = [(-2, 2), (-1, 1), (0, INF), (-0.6745, 0.6745), (-INF, 0.1)]


def draw(low, high, size, start=0):
    out = np.empty(size, np.float32)
    draw_truncated(out, STREAM, start, 0.0, 1.0, Window.of(low, high))
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
    np.testing.assert_array_equal(draw(low, high, size), value)


@pytest.mark.parametrize(("low", "high"), [*REDRAWN, (1, 3), (-5, -4), (8, INF), (-0.1, 0.2), (0.5, 0.5001), (36, INF)])
def test_nothing_falls_outside(low, high):
    out = draw(low, high, 1_000_000)
    assert np.float32(low) <= out.min()
    assert out.max() <= np.float32(high)
    assert np.isfinite(out).all()


def test_elements_inside_keep_the_value_of_the_plain_normal():
    """So the window of a truncated law can be widened without disturbing the rest."""
    plain = np.empty(100_000, np.float32)
    draw_normal(plain, STREAM, 0, 0.0, 1.0)
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


def test_a_redraw_in_the_kernel_is_clamped_after_the_last_attempt():
    """An empty window (which Window.of refuses) makes every attempt fail."""
    from wellbegun.sampler import kernels

    empty = np.float32(1), np.float32(np.nextafter(np.float32(1), np.float32(0)))
    words = (np.uint64(STREAM.word), np.uint64(STREAM.key[0]), np.uint64(STREAM.key[1]))
    assert kernels._redraw(5, *empty, *words, np.float32(7)) == empty[1]
