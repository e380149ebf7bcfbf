"""How far behind the best of all others: on made-up numbers, and how often the bound holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from wellbegun.lab.outcome.differences import difference
from wellbegun.lab.outcome.evidence import ranks, shortfall
from wellbegun.lab.outcome.scale import Scale

from .test_differences import ACCURACY, MEAN, NATS, results, right

SHARES = {"auto": [0.80, 0.82, 0.81], "he": [0.9, 0.92, 0.91], "xavier": [0.9, 0.7, 0.8]}


def chosen() -> dict:
    return {name: results(name, right(shares, seed=i)) for i, (name, shares) in enumerate(SHARES.items())}


def test_one_other_method_gives_the_paired_interval() -> None:
    two = {name: group for name, group in chosen().items() if name != "xavier"}
    found = shortfall(two, "auto", ACCURACY, MEAN)
    assert (found.best, found.interval) == ("he", difference(two["he"], two["auto"], ACCURACY, MEAN, 1).interval)
    assert not found.within(0.02)
    assert found.within(found.interval.high)


def test_the_upper_end_is_that_of_the_most_doubtful_other() -> None:
    group = chosen()
    by_name = {name: difference(group[name], group["auto"], ACCURACY, MEAN, 5).interval for name in ("he", "xavier")}
    corrected = [difference(group[name], group["auto"], ACCURACY, MEAN, 10).interval.low for name in by_name]
    found = shortfall(group, "auto", ACCURACY, MEAN, networks=5)
    assert found.best == "he"
    assert found.interval.mean == by_name["he"].mean
    assert found.interval.high == max(one.high for one in by_name.values()) == by_name["xavier"].high
    assert found.interval.low == max(corrected)


def test_a_lower_loss_is_better() -> None:
    generator = np.random.default_rng(0)
    losses = {name: generator.normal(mean, 0.1, (4, 50)) for name, mean in (("auto", 2.0), ("he", 2.5), ("xavier", 3))}
    found = shortfall({name: results(name, items) for name, items in losses.items()}, "auto", NATS, MEAN)
    assert found.best == "he"
    assert found.interval.mean == pytest.approx(losses["auto"].mean() - losses["he"].mean())
    assert found.within(0.0)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_methods_that_give_no_numbers(bad: float) -> None:
    items = {name: np.full((2, 3), value) for name, value in (("auto", 2.0), ("he", bad), ("xavier", 2.5))}
    group = {name: results(name, one) for name, one in items.items()}
    assert shortfall(group, "auto", NATS, MEAN).best == "xavier"
    assert shortfall(group, "he", NATS, MEAN).interval.high == math.inf
    assert shortfall({"auto": group["auto"], "he": group["he"]}, "auto", NATS, MEAN).interval.high == -math.inf


def test_the_bound_holds_although_the_best_is_chosen_by_the_same_numbers() -> None:
    """Six equal methods: the naive bound, of the one that looks best, would hold too, and its lower end would not."""
    generator, draws, above, below, naive = np.random.default_rng(0), 200, 0, 0, 0
    scale = Scale("nats a character", False, 4.6)
    for _ in range(draws):
        rows = generator.normal(0, 1, (6, 10, 1)) + np.zeros((1, 1, 4))
        group = {str(i): results(str(i), items) for i, items in enumerate(rows)}
        found = shortfall(group, "0", scale, MEAN)
        above += found.interval.high < 0
        below += found.interval.low > 0
        naive += difference(group[found.best], group["0"], scale, MEAN, 1).interval.high < 0
    allowed = stats.binom.ppf(0.999, draws, 0.025)
    assert above <= allowed
    assert below <= allowed
    assert naive > allowed


def test_ranks_share_their_places_among_equals() -> None:
    assert ranks({"a": 0.9, "b": 0.8, "c": 0.9, "d": math.nan}, ACCURACY) == {"a": 1.5, "c": 1.5, "b": 3.0, "d": 4.0}
    assert ranks({"a": 0.9, "b": 0.8}, NATS) == {"a": 2.0, "b": 1.0}
