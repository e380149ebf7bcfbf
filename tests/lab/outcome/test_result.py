"""What an arm says of its learning rates."""

from __future__ import annotations

import math

import pytest

from wellbegun.lab.outcome.result import Arm, Interval, Run


def arm(rates: list[float], chosen: float, working: tuple[float, ...] = ()) -> Arm:
    runs = tuple(Run(0, rate, (0,), (1.0,), (0.5,), 0.5, "", None) for rate in rates)
    return Arm("he", "he()", "", chosen, Interval(0.5, 0.4, 0.6), working, None, 1.0, (), (), runs)


@pytest.mark.parametrize(
    ("rates", "chosen", "edge"),
    [
        ([0.1], 0.1, ""),
        ([0.1, 0.01], 0.1, ""),  # of two, each is at an edge
        ([0.1, 0.01], 0.01, ""),
        ([0.1, 0.01, 0.001], 0.1, "largest"),
        ([0.1, 0.01, 0.001], 0.01, ""),
        ([0.1, 0.01, 0.001], 0.001, "smallest"),
    ],
)
def test_a_rate_is_at_the_edge_from_three_on(rates, chosen, edge) -> None:
    assert arm(rates, chosen).edge == edge


def test_the_range_of_rates_that_work_is_the_longest_stretch_of_neighbours() -> None:
    rates = [0.001, 0.01, 0.1, 1.0]
    assert arm(rates, 0.1).decades is None
    assert arm(rates, 0.1, (0.1,)).decades == 0
    assert arm(rates, 0.1, (0.001, 0.1, 1.0)).decades == pytest.approx(math.log10(10))
    assert arm(rates, 0.1, (0.001, 0.01, 0.1)).decades == pytest.approx(2)
