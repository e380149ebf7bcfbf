"""From the trainings on one network to what they come to: chosen rates, intervals, differences, winner, sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wellbegun.lab.measure import measure_of
from wellbegun.lab.outcome.differences import default_of, difference, differences
from wellbegun.lab.outcome.result import Arm, Interval, NetworkResult, Run
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.outcome.start import Start
from wellbegun.lab.outcome.statistics import Total, accuracy_interval, score_interval
from wellbegun.lab.outcome.verdict import explain
from wellbegun.lab.trials.trial_result import DIVERGED, TrialResult

if TYPE_CHECKING:
    from wellbegun.lab.settings import NetworkSettings
    from wellbegun.lab.task import Kind

WORKING = 0.8
"""A learning rate works if its mean validation score reaches this share of the best that any arm reached."""

TARGET = 0.9
"""Unless the user names a target, it is this share of the best arm's validation score (see `Scale.reaches`)."""

Results = Sequence[TrialResult]


def judge(
    network: NetworkSettings,
    kind: Kind,
    scale: Scale,
    starts: Mapping[str, Start],
    results: Mapping[str, Results],
    twins: Results = (),
    *,
    target: float | None = None,
    networks: int = 1,
) -> NetworkResult:
    """Return the result on one network.

    Args:
        network: what was trained.
        kind: of the task.
        scale: what the scores are.
        starts: plan and step 0 of each method.
        results: all results of each method, over the same seeds and learning rates.
        twins: results of the equal network's one-unit twin; empty if it was not run.
        target: validation score whose first step is reported; None: a share of the best.
        networks: how many networks the comparison has, for the correction of intervals.
    """
    total = measure_of(kind).total
    means = {method: _mean_validation(group) for method, group in results.items()}
    best = max((value for by_rate in means.values() for value in by_rate.values()), key=scale.goodness)
    aim = _aim(scale, best) if target is None else target
    chosen = {method: _at(results[method], _best_rate(means[method], scale)) for method in results}
    arms = [_arm(m, starts[m], results[m], chosen[m], means[m], scale, total, best, aim) for m in results]
    ranked = sorted(arms, key=lambda arm: -scale.goodness(arm.score.mean))
    winner = ranked[0].method if scale.learnt(ranked[0].score.mean) else None
    others = [arm.method for arm in ranked if arm.method != "auto"]
    default = default_of(tuple(results))
    references = dict.fromkeys(one for one in (winner, default, "auto") if one in results)
    found = {one: differences(chosen, one, scale, total, networks) for one in references if one is not None}
    arms = [replace(arm, against=tuple(d[arm.method] for d in found.values() if arm.method in d)) for arm in arms]
    gap = None
    if "auto" in results and others:
        gap = difference(chosen["auto"], chosen[others[0]], scale, total, 1).interval
    result = NetworkResult(
        name=network.label,
        activation=network.activation,
        depth=network.depth,
        width=network.width,
        arms=tuple(arms),
        winner=winner,
        best_other=others[0] if others else None,
        auto_minus_best=gap,
        width_one=_width_one(twins, arms),
        sentences=(),
        scale=scale,
        target=aim,
        default=default,
    )
    return replace(result, sentences=explain(result))


def _arm(
    method: str,
    start: Start,
    results: Results,
    mine: Results,
    means: Mapping[float, float],
    scale: Scale,
    total: Total,
    best: float,
    aim: float,
) -> Arm:
    runs = tuple(_run(one, aim, scale) for one in results)
    rate = mine[0].trial.learning_rate
    ours = tuple(run for run in runs if run.learning_rate == rate)
    return Arm(
        method=method,
        rule=start.rule,
        plan_text=str(start.plan),
        learning_rate=rate,
        score=_score(mine, scale, total),
        working_rates=tuple(rate for rate, value in means.items() if scale.reaches(value, WORKING, best)),
        steps_to_target=_median_steps(ours),
        loss=start.loss,
        layers=start.layers,
        findings=start.findings,
        runs=runs,
        area=float(np.mean([run.area for run in ours])),
        divergence=sum(run.ended == DIVERGED for run in runs) / len(runs),
        seconds=float(np.mean([run.seconds for run in runs])),
        plan_hash=start.plan.hash,
    )


def _run(result: TrialResult, aim: float, scale: Scale) -> Run:
    return Run(
        seed=result.trial.seed,
        learning_rate=result.trial.learning_rate,
        steps=result.steps,
        train_loss=result.train_loss,
        validation=result.validation,
        test_score=result.test_score,
        stopped=result.stopped,
        steps_to_target=result.steps_to(aim, higher_is_better=scale.higher_is_better),
        area=result.area(),
        ended=result.ended,
        seconds=result.seconds,
        key=result.trial.key,
    )


def _score(mine: Results, scale: Scale, total: Total) -> Interval:
    if scale.is_share:
        return accuracy_interval([one.test_score for one in mine], len(mine[0].by_example))
    if not all(math.isfinite(one.test_score) for one in mine):
        return Interval(float(np.mean([one.test_score for one in mine])), math.nan, math.nan)
    found = score_interval(np.stack([one.by_example for one in mine]).astype(np.float64), total)
    mean = float(np.mean([one.test_score for one in mine]))  # of all examples; the intervals may rest on blocks of them
    return Interval(mean, mean - (found.mean - found.low), mean + (found.high - found.mean))


def _at(results: Results, rate: float) -> list[TrialResult]:
    return sorted((one for one in results if one.trial.learning_rate == rate), key=lambda one: one.trial.seed)


def _best_rate(means: Mapping[float, float], scale: Scale) -> float:
    """The rate with the best mean validation score; of equals the smallest."""
    return max(means, key=lambda rate: scale.goodness(means[rate]))


def _mean_validation(results: Results) -> dict[float, float]:
    rates = sorted({one.trial.learning_rate for one in results})
    return {rate: float(np.mean([one.validation_score for one in _at(results, rate)])) for rate in rates}


def _aim(scale: Scale, best: float) -> float:
    """A target that the best arm is certain to have passed: a share of its score, or of its gain over guessing."""
    if scale.is_share or scale.chance is None:
        return TARGET * best
    return scale.chance + TARGET * (best - scale.chance)


def _median_steps(runs: Sequence[Run]) -> float | None:
    """The median over the seeds, a seed that never arrived counting as infinitely late."""
    steps = [math.inf if run.steps_to_target is None else run.steps_to_target for run in runs]
    median = statistics.median(steps)
    return float(median) if math.isfinite(median) else None


def _width_one(twins: Results, arms: Sequence[Arm]) -> float | None:
    """Mean test score of the one-unit twin at the learning rate that was chosen for the equal network."""
    equal = next((arm for arm in arms if arm.method == "equal"), None)
    found = [] if equal is None else [one.test_score for one in _at(twins, equal.learning_rate)]
    return float(np.mean(found)) if found else None
