"""Intervals against scipy and against the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wellbegun.lab.statistics import accuracy_interval, paired_interval


def test_interval_over_seeds_is_students_t() -> None:
    values = [0.91, 0.95, 0.93, 0.96, 0.92]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    found = accuracy_interval(values, 397)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_interval_of_one_seed_is_wilsons() -> None:
    expected = stats.binomtest(380, 397).proportion_ci(0.95, method="wilson")
    found = accuracy_interval([380 / 397], 397)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_interval_stays_a_share() -> None:
    assert accuracy_interval([1.0, 0.9], 397).high == 1.0
    assert accuracy_interval([0.0], 397).low == pytest.approx(0.0)


def test_paired_interval_is_the_paired_t_test() -> None:
    first, second = [0.95, 0.97, 0.96], [0.94, 0.93, 0.96]
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_interval(first, second, 397)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_paired_interval_of_one_seed_rests_on_the_images() -> None:
    found = paired_interval([0.9], [0.8], 400)
    half = 1.96 * np.sqrt(0.9 * 0.1 / 400 + 0.8 * 0.2 / 400)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
