"""Intervals against scipy, against the textbook, and against repetition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from wellbegun.lab.measure import measure_of
from wellbegun.lab.outcome.statistics import accuracy_interval, paired_interval, score_interval


def test_interval_of_one_seed_is_wilsons() -> None:
    expected = stats.binomtest(380, 397).proportion_ci(0.95, method="wilson")
    found = accuracy_interval([380 / 397], 397)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_interval_over_seeds_adds_students_t_to_the_chance_of_the_images() -> None:
    values = [0.91, 0.95, 0.93, 0.96, 0.92]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    wilson = stats.binomtest(round(0.934 * 397), 397).proportion_ci(0.95, method="wilson")
    found = accuracy_interval(values, 397)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.high - found.low) / 2 == pytest.approx(
        math.hypot((high - low) / 2, (wilson.high - wilson.low) / 2), abs=2e-4
    )


def test_equal_seeds_do_not_make_an_interval_of_no_width() -> None:
    found = accuracy_interval([0.95] * 3, 397)
    assert found.high - found.low > 0.03
    assert accuracy_interval([0.0] * 3, 397).high > 0.004


def test_interval_stays_a_share_and_holds_its_mean() -> None:
    for values in ([1.0, 0.9], [1.0], [0.0], [0.0, 0.0], [1.0, 1.0, 1.0]):
        found = accuracy_interval(values, 397)
        assert 0 <= found.low <= found.mean <= found.high <= 1


def test_paired_interval_of_one_seed_is_that_of_the_images() -> None:
    """McNemar's setting: what counts are the images on which the two disagree."""
    by_image = np.array([1.0] * 12 + [-1.0] * 4 + [0.0] * 384)
    found = paired_interval([0.95], [0.93], by_image)
    assert found.mean == pytest.approx(0.02)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(by_image, ddof=1) / 20, rel=1e-4)


def test_paired_interval_over_seeds_adds_students_t() -> None:
    first, second = [0.95, 0.97, 0.96], [0.94, 0.93, 0.96]
    students = stats.ttest_rel(first, second).confidence_interval(0.95)
    nothing = np.zeros(397)
    found = paired_interval(first, second, nothing)
    assert (found.low, found.high) == pytest.approx((students.low, students.high))
    some = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 397, p=[0.02, 0.94, 0.04])
    wider = paired_interval(first, second, some)
    assert wider.high - wider.low > found.high - found.low


def test_coverage_over_seeds_and_images() -> None:
    """Worlds of 5 seeds on 400 shared images, each seed with a skill of its own: 95% of intervals hold the truth."""
    generator, held, worlds = np.random.default_rng(1), 0, 400
    for _ in range(worlds):
        easy = generator.beta(9, 1, size=400)  # how easy each image is; true mean 0.9
        skill = generator.normal(0, 0.01, size=5)
        right = generator.random((5, 400)) < np.clip(easy + skill[:, None], 0, 1)
        found = accuracy_interval(list(right.mean(1)), 400)
        held += found.low <= 0.9 <= found.high
    assert held / worlds > 0.93


def test_score_interval_of_a_mean_adds_students_t_to_the_chance_of_the_examples() -> None:
    """The bootstrap has 1,000 draws, so its spread is known to about 2%."""
    items = np.random.default_rng(2).normal(3.0, 1.0, (4, 300)) + np.array([[0.0], [0.1], [-0.1], [0.05]])
    found = score_interval(items, measure_of("tokens").total)
    means = items.mean(1)
    seeds = stats.t.ppf(0.975, 3) * means.std(ddof=1) / 2
    examples = 1.96 * items.mean(0).std() / math.sqrt(300)
    assert found.mean == pytest.approx(means.mean())
    assert found.high - found.mean == pytest.approx(math.hypot(seeds, examples), rel=0.05)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_score_interval_of_one_seed_has_the_chance_of_the_examples_alone() -> None:
    """Against the delta method for decibels."""
    errors = np.random.default_rng(5).gamma(4.0, 0.01, (1, 500))
    found = score_interval(errors, measure_of("field").total)
    expected = 1.96 * 10 / math.log(10) * errors.std() / errors.mean() / math.sqrt(500)
    assert found.mean == pytest.approx(10 * math.log10(4 / errors.mean()))
    assert found.high - found.mean == pytest.approx(expected, rel=0.1)
    assert score_interval(errors, measure_of("field").total) == found  # the draws are fixed


def test_scores_that_are_no_numbers_have_no_interval() -> None:
    found = score_interval(np.array([[1.0, 2.0], [np.inf, 1.0]]), measure_of("tokens").total)
    assert (found.mean, math.isnan(found.low), math.isnan(found.high)) == (math.inf, True, True)


def test_a_bootstrap_over_five_seeds_is_too_narrow_and_students_t_is_not() -> None:
    """Why Student's t is added: 84 of 100 intervals of the bootstrap hold the truth, instead of 95."""
    generator, worlds = np.random.default_rng(0), 4000
    scores = generator.normal(size=(worlds, 5))
    means = scores[:, generator.integers(0, 5, (500, 5))].mean(2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.84, abs=0.015)
    half = stats.t.ppf(0.975, 4) * scores.std(1, ddof=1) / math.sqrt(5)
    assert np.mean(np.abs(scores.mean(1)) <= half) == pytest.approx(0.95, abs=0.012)
