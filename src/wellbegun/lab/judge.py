"""From the runs on one network to what they come to: chosen rates, intervals, winner, sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.result import Arm, NetworkResult, Run
from wellbegun.lab.settings import Settings
from wellbegun.lab.statistics import accuracy_interval, paired_interval
from wellbegun.lab.task import Task
from wellbegun.lab.verdict import explain

if TYPE_CHECKING:
    from wellbegun.diagnosis import Diagnosis
    from wellbegun.plans import Plan

WORKING = 0.8
"""A learning rate works if its mean validation accuracy reaches this share of the best that any arm reached."""

LEARNT = 1.5
"""An arm has learnt something if its accuracy is more than this many times that of guessing."""


@dataclass(frozen=True)
class Start:
    """A method's plan on one network, and its step 0, both for the first seed."""

    plan: Plan
    rule: str
    diagnosis: Diagnosis


@dataclass(frozen=True)
class Trained:
    """One run, with the test images that it got right."""

    run: Run
    right: NDArray[np.bool_]


def judge(
    activation: str,
    task: Task,
    settings: Settings,
    starts: Mapping[str, Start],
    trained: Mapping[str, Sequence[Trained]],
    width_one: Sequence[Sequence[float]],
) -> NetworkResult:
    """Return the result on one network.

    Args:
        activation: of the network.
        task, settings: what was asked.
        starts: plan and step 0 of each method.
        trained: all runs of each method.
        width_one: test accuracy of the one-unit twin for each seed and learning rate; empty if it was not run.
    """
    means = {method: _mean_validation(runs, settings.rates) for method, runs in trained.items()}
    best = max(value for by_rate in means.values() for value in by_rate.values())
    bar = max(WORKING * best, LEARNT * task.chance)
    arms = tuple(_arm(method, starts[method], trained[method], means[method], bar) for method in settings.methods)
    ranked = sorted(arms, key=lambda arm: -arm.accuracy.mean)
    others = [arm for arm in ranked if arm.method != "auto"]
    auto = next((arm for arm in arms if arm.method == "auto"), None)
    equal = next((arm for arm in arms if arm.method == "equal"), None)
    difference = None
    if auto is not None and others:
        first, second = (_chosen(trained[arm.method], arm.learning_rate) for arm in (auto, others[0]))
        by_image = np.mean([a.right.astype(float) - b.right for a, b in zip(first, second, strict=True)], axis=0)
        difference = paired_interval(_scores(first), _scores(second), by_image)
    layers = f"{settings.depth} hidden {'layer' if settings.depth == 1 else 'layers'}"
    result = NetworkResult(
        name=f"{activation}, {layers} of {settings.width} {'unit' if settings.width == 1 else 'units'}",
        activation=activation,
        depth=settings.depth,
        width=settings.width,
        arms=arms,
        winner=ranked[0].method if ranked[0].accuracy.mean > LEARNT * task.chance else None,
        best_other=others[0].method if others else None,
        auto_minus_best=difference,
        width_one=_at_rate(width_one, settings.rates, equal),
        sentences=(),
    )
    return replace(result, sentences=explain(result, chance=task.chance))


def _arm(method: str, start: Start, trained: Sequence[Trained], means: Mapping[float, float], bar: float) -> Arm:
    chosen = max(means, key=lambda rate: means[rate])
    mine = _chosen(trained, chosen)
    return Arm(
        method=method,
        rule=start.rule,
        plan_text=str(start.plan),
        learning_rate=chosen,
        accuracy=accuracy_interval(_scores(mine), len(mine[0].right)),
        working_rates=tuple(rate for rate, value in means.items() if value >= bar),
        steps_to_target=_median_steps([one.run for one in mine]),
        loss=start.diagnosis.loss,
        layers=start.diagnosis.layers,
        findings=start.diagnosis.findings,
        runs=tuple(one.run for one in trained),
    )


def _chosen(trained: Sequence[Trained], rate: float) -> list[Trained]:
    return [one for one in trained if one.run.learning_rate == rate]


def _scores(trained: Sequence[Trained]) -> list[float]:
    return [one.run.test_accuracy for one in trained]


def _mean_validation(trained: Sequence[Trained], rates: Sequence[float]) -> dict[float, float]:
    last = {rate: [one.run.validation_accuracy[-1] for one in _chosen(trained, rate)] for rate in rates}
    return {rate: float(np.mean(values)) for rate, values in last.items()}


def _median_steps(runs: Sequence[Run]) -> float | None:
    """The median over the seeds, a seed that never arrived counting as infinitely late."""
    steps = [math.inf if run.steps_to_target is None else run.steps_to_target for run in runs]
    median = statistics.median(steps)
    return float(median) if math.isfinite(median) else None


def _at_rate(width_one: Sequence[Sequence[float]], rates: Sequence[float], equal: Arm | None) -> float | None:
    """Mean test accuracy of the one-unit twin at the learning rate that was chosen for the equal network."""
    if equal is None or not width_one:
        return None
    place = rates.index(equal.learning_rate)
    return float(np.mean([by_rate[place] for by_rate in width_one]))
