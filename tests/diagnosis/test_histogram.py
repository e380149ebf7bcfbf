"""Bins that fit every float32 number, and counts that can be added."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.diagnosis.histogram import BINS, Histogram, added, edges


def test_bins_follow_one_another_from_the_smallest_number_to_the_largest() -> None:
    for place in range(-BINS, BINS):
        assert edges(place)[1] == edges(place + 1)[0]
        assert edges(place)[0] < edges(place)[1]
    assert edges(0) == (-(2.0**-126), 2.0**-126)
    assert edges(BINS)[1] == 2.0**128
    assert float(np.finfo(np.float32).max) < edges(BINS)[1]


def test_four_bins_of_one_width_lie_between_powers_of_two() -> None:
    first = next(place for place in range(1, BINS) if edges(place)[0] == 8.0)
    assert [edges(first + step) for step in range(4)] == [(8.0, 10.0), (10.0, 12.0), (12.0, 14.0), (14.0, 16.0)]


counts = st.dictionaries(st.integers(-BINS, BINS), st.integers(1, 100), max_size=6)


@given(counts, counts, st.integers(0, 5))
def test_sums_hold_all_values_whatever_the_order(one: dict[int, int], other: dict[int, int], bad: int) -> None:
    first, second = (Histogram(tuple(sorted(held)), tuple(held[k] for k in sorted(held))) for held in (one, other))
    second = Histogram(second.bins, second.counts, bad)
    together = added([first, second])
    assert together == added([second, first])
    assert together.total == first.total + second.total == sum(one.values()) + sum(other.values()) + bad
    assert list(together.bins) == sorted(set(one) | set(other))
    assert together.zeros == one.get(0, 0) + other.get(0, 0)
    assert added([together]) == together
    assert math.isfinite(edges(together.bins[0])[0] if together.bins else 0.0)
