"""Slopes, verdicts and rates from given numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from wellbegun.diagnosis.depth_rate import rate_per_layer
from wellbegun.diagnosis.scaling import Slope, judge_sizes, loglog_slope

WIDTHS = (128, 256, 512, 1024)


@given(st.floats(-3, 3), st.floats(1e-6, 1e6))
def test_a_power_law_has_its_exponent_as_slope(exponent, factor) -> None:
    slope = loglog_slope(WIDTHS, [factor * width**exponent for width in WIDTHS])
    assert slope.value == pytest.approx(exponent, abs=1e-12)
    assert slope.error == pytest.approx(0, abs=1e-10)


def test_slope_and_error_are_those_of_a_regression() -> None:
    widths = np.repeat(WIDTHS, 3)
    values = widths**0.3 * np.exp(np.random.default_rng(1).normal(0, 0.2, len(widths)))
    expected = linregress(np.log(widths), np.log(values))
    slope = loglog_slope(widths, values)
    assert slope.value == pytest.approx(expected.slope, rel=1e-10)
    assert slope.error == pytest.approx(expected.stderr, rel=1e-10)


def test_two_points_have_a_slope_and_no_error() -> None:
    slope = loglog_slope((64, 256), (1.0, 4.0))
    assert slope.value == pytest.approx(1, abs=1e-15)
    assert math.isnan(slope.error)


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_no_power_law_goes_through_zero_or_infinity(bad) -> None:
    assert math.isnan(loglog_slope(WIDTHS, (1, bad, 1, 1)).value)


def judged(sizes, *, mixed=False, tolerance=0.05):
    return judge_sizes(WIDTHS, sizes, loglog_slope(WIDTHS, sizes), tolerance, mixed=mixed)


def power(exponent: float) -> list[float]:
    return [width**exponent for width in WIDTHS]


@pytest.mark.parametrize(
    ("sizes", "mixed", "fault"),
    [
        (power(0.0), False, ""),
        (power(0.04), False, ""),
        (power(-0.04), False, ""),
        (power(0.06), False, "grows like width^0.06"),
        (power(-0.5), False, "falls like width^-0.50"),
        (power(-0.5), True, ""),
        (power(0.2), True, ""),
        (power(0.5), True, "grows like width^0.50"),
        ([0.0] * 4, False, ""),
        ([1, 1, 0, 1], False, "zero at width 512, and not at every width"),
        ([1, 1, math.inf, math.nan], False, "infinite or not a number at width 512, 1024"),
    ],
)
def test_what_fails(sizes, mixed, fault) -> None:
    assert judged(sizes, mixed=mixed) == (fault, "")


def test_a_slope_that_may_be_chance_is_in_doubt() -> None:
    fault, doubt = judged([1.0, 1.5, 1.0, 1.4])
    assert fault == ""
    assert doubt == "grows like width^0.09, give or take 0.16"


def test_the_bound_is_that_of_students_distribution() -> None:
    # four points: two degrees of freedom, one-sided 97.5%: 4.3027 standard errors
    sizes = [1.0] * 4
    just, not_yet = Slope(0.05 + 4.31e-3, 1e-3), Slope(0.05 + 4.29e-3, 1e-3)
    assert judge_sizes(WIDTHS, sizes, just, 0.05, mixed=False)[0] == "grows like width^0.05"
    assert judge_sizes(WIDTHS, sizes, not_yet, 0.05, mixed=False)[0] == ""


def test_rate_is_the_geometric_mean_of_the_ratios() -> None:
    ratios = np.array([[0.5, 2.0, 0.25], [1.0, 1.5, 0.5]])
    rate = rate_per_layer([1.0, 3.0], list(np.array([1.0, 3.0]) * ratios.prod(1)), layers=4)
    logs = np.log(ratios).mean(1)
    assert rate.value == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert rate.error == pytest.approx(rate.value * np.abs(logs[0] - logs[1]) / 2, rel=1e-12)


def test_rates_at_the_ends_of_numbers() -> None:
    assert rate_per_layer([1.0], [0.0], layers=5).value == 0
    assert rate_per_layer([1.0], [math.inf], layers=5).value == math.inf
    assert math.isnan(rate_per_layer([0.0], [0.0], layers=5).value)
    assert math.isnan(rate_per_layer([1.0], [1.0], layers=1).value)
    assert math.isnan(rate_per_layer([1.0], [0.5], layers=2).error)
