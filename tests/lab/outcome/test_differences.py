"""Who is better: on made-up numbers against NumPy, and on two names of one law."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

import wellbegun as wb
from wellbegun.lab.measure import measure_of
from wellbegun.lab.outcome.differences import default_of, difference, differences
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.trials.trial import Trial
from wellbegun.lab.trials.trial_result import TrialResult

ACCURACY, NATS, DECIBELS = Scale("accuracy", True, 0.1), Scale("nats a character", False, 4.6), Scale("PSNR dB", True)
MEAN, PSNR = measure_of("classes").total, measure_of("field").total


def results(method: str, items: np.ndarray, total=MEAN, plan_hash: str = "") -> list[TrialResult]:
    """One made-up result for each row of the numbers of the test examples."""
    return [
        TrialResult(
            Trial("made up", "mlp", method, seed, 0.1), (0, 1), (1.0, 1.0), (0.0, 0.0),
            total(np.asarray(row, np.float64)), row, plan_hash=plan_hash,
        )
        for seed, row in enumerate(items)
    ]  # fmt: skip


def right(shares: list[float], examples: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(shares), examples)) < np.array(shares)[:, None]


def test_difference_of_accuracies_is_numpys_paired_one() -> None:
    a, b = right([0.9, 0.92, 0.91], seed=1), right([0.8, 0.83, 0.79], seed=2)
    found = difference(results("a", a), results("b", b), ACCURACY, MEAN, 1)
    gaps = a.mean(1) - b.mean(1)
    seeds = stats.t.ppf(0.975, 2) * gaps.std(ddof=1) / math.sqrt(3)
    images = 1.959963984540054 * (a.astype(float) - b).mean(0).std(ddof=1) / 20
    assert found.interval.mean == pytest.approx(gaps.mean())
    assert found.interval.high - found.interval.mean == pytest.approx(math.hypot(seeds, images))
    assert (found.against, found.verdict, found.pairs) == ("b", "better", 1)
    back = difference(results("b", b), results("a", a), ACCURACY, MEAN, 1)
    assert (back.interval.low, back.verdict) == (pytest.approx(-found.interval.high), "worse")


def test_seeds_are_paired_by_number_and_not_by_place() -> None:
    a, b = results("a", right([0.9, 0.5, 0.7])), results("b", right([0.9, 0.5, 0.7]))
    found = difference(a[::-1], b, ACCURACY, MEAN, 1)
    assert (found.interval.mean, found.interval.low, found.interval.high) == (0.0, 0.0, 0.0)
    assert difference(a[:2], b[1:], ACCURACY, MEAN, 1).interval.mean == 0.0  # only seed 1 is in both


def test_a_lower_loss_is_better() -> None:
    generator = np.random.default_rng(0)
    low, high = (generator.normal(mean, 0.1, (3, 200)).astype(np.float32) for mean in (2.0, 3.0))
    found = difference(results("low", low), results("high", high), NATS, MEAN, 1)
    assert found.interval.high < 0
    assert found.verdict == "better"


def test_decibels_are_bootstrapped_over_the_examples() -> None:
    """Against the delta method: PSNR is -10 log10 of a mean, so its error is 10 / ln 10 times the relative one."""
    errors = np.random.default_rng(5).gamma(4.0, 0.01, (1, 500)).astype(np.float32)
    noise = np.random.default_rng(6).gamma(4.0, 0.02, (1, 500)).astype(np.float32)
    found = difference(results("a", errors, PSNR), results("b", noise, PSNR), DECIBELS, PSNR, 1)
    assert found.interval.mean == pytest.approx(10 * math.log10(noise.mean() / errors.mean()), rel=1e-5)
    relative = errors / errors.mean() - noise / noise.mean()
    expected = 1.96 * 10 / math.log(10) * relative.std(ddof=1) / math.sqrt(500)
    assert found.interval.high - found.interval.mean == pytest.approx(expected, rel=0.1)
    assert found.verdict == "better"


def test_intervals_grow_with_the_number_of_questions() -> None:
    chosen = {name: results(name, right([0.9, 0.91, 0.92], seed=i)) for i, name in enumerate("abcd")}
    one, three, six = (
        differences(dict(list(chosen.items())[:n]), "a", ACCURACY, MEAN, k) for n, k in ((2, 1), (4, 1), (4, 2))
    )
    assert [one["b"].pairs, three["b"].pairs, six["b"].pairs] == [1, 3, 6]
    widths = [found["b"].interval.high - found["b"].interval.low for found in (one, three, six)]
    assert all(first < second for first, second in pairwise(widths))
    assert set(three) == {"b", "c", "d"}


def test_a_method_without_numbers_is_worse_and_two_are_level() -> None:
    broken = np.full((2, 50), np.inf, np.float32)
    sound = np.ones((2, 50), np.float32)
    assert difference(results("x", broken), results("y", sound), NATS, MEAN, 1).verdict == "worse"
    assert difference(results("y", sound), results("x", broken), NATS, MEAN, 1).verdict == "better"
    assert difference(results("x", broken), results("z", broken), NATS, MEAN, 1).verdict == "no difference"


@pytest.mark.parametrize("others", [0.5, 0.99])
def test_one_law_under_two_names_is_level_whoever_wins(others) -> None:
    same = right([0.8] * 3)
    chosen = {
        "one": results("one", same, plan_hash="x"),
        "two": results("two", same, plan_hash="x"),
        "third": results("third", right([others] * 3, seed=9), plan_hash="y"),
    }
    for first, second in (("one", "two"), ("two", "one")):
        found = differences(chosen, second, ACCURACY, MEAN)[first]
        assert (found.verdict, found.same_plan, found.interval.mean) == ("no difference", True, 0.0)
    against = differences(chosen, "third", ACCURACY, MEAN)
    assert against["one"].interval == against["two"].interval
    assert against["one"].verdict == against["two"].verdict == ("better" if others < 0.8 else "worse")
    assert not against["one"].same_plan


@pytest.mark.parametrize("third", ["zeros", "normal(std=0.3)"])
def test_he_and_variance_scaling_with_its_numbers_are_level_when_trained(third) -> None:
    """On ReLU both draw from the normal law of variance 2 / fan-in, so every number agrees, bit for bit."""
    names = ["he", "variance_scaling(variance=2, mode=fan_in, distribution=normal)", third]
    (network,) = wb.compare(
        "digits", names, seeds=2, activations=["relu"], depth=3, width=16, rates=[0.02], steps=40, executor="here"
    ).networks
    first, second, _ = network.arms
    assert first.score == second.score
    assert [run.train_loss for run in first.runs] == [run.train_loss for run in second.runs]
    assert network.winner is not None
    pair = [d for arm in (first, second) for d in arm.against if d.against in (first.method, second.method)]
    assert [found.verdict for found in pair] == ["no difference"] * len(pair)
    verdicts = [[d.verdict for d in arm.against if d.against == network.arms[2].method] for arm in (first, second)]
    assert verdicts[0] == verdicts[1]
    assert pair or verdicts[0]  # whoever won, something was said


def test_the_default_is_the_frameworks_own_code_or_its_law() -> None:
    assert default_of(["he", "fan_in_uniform", "torch"]) == "torch"
    assert default_of(["he", "fan_in_uniform"]) == "fan_in_uniform"
    assert default_of(["he"]) is None
