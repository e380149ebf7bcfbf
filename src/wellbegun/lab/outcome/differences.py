"""Is one method better than another? Paired over the seeds and the test examples, corrected for how often one asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from wellbegun.lab.outcome.result import BETTER, NO_DIFFERENCE, WORSE, Difference, Interval
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.outcome.statistics import Total, paired_interval, paired_scores
from wellbegun.lab.trials.trial_result import TrialResult

DEFAULTS = ("torch", "fan_in_uniform")
"""What a framework does by itself: PyTorch's own code, or its law for weights alone. The first that was compared is the
default of the comparison."""


def default_of(methods: Sequence[str]) -> str | None:
    """Return the method that stands for the framework's default, None if none was compared."""
    return next((method for method in DEFAULTS if method in methods), None)


def difference(
    first: Sequence[TrialResult], second: Sequence[TrialResult], scale: Scale, total: Total, pairs: int
) -> Difference:
    """Return what separates two methods at their chosen learning rates.

    Args:
        first, second: one result for each seed, of two methods.
        scale: what the scores are.
        total: makes a score of the numbers of the examples.
        pairs: number of differences that one looks at together.
    """
    seeds = sorted({one.trial.seed for one in first} & {one.trial.seed for one in second})
    ours, theirs = ({one.trial.seed: one for one in group} for group in (first, second))
    scores = [[group[seed].test_score for seed in seeds] for group in (ours, theirs)]
    items = [np.stack([group[seed].by_example for seed in seeds]).astype(np.float64) for group in (ours, theirs)]
    if not np.isfinite(scores).all():
        interval = Interval(float(np.mean(scores[0])) - float(np.mean(scores[1])), math.nan, math.nan)
    elif scale.is_mean:
        interval = paired_interval(scores[0], scores[1], np.mean(items[0] - items[1], axis=0), pairs=pairs)
    else:
        interval = paired_scores(items[0], items[1], total, pairs=pairs)
    same = first[0].plan_hash == second[0].plan_hash != ""
    return Difference(second[0].trial.method, interval, pairs, _verdict(interval, scores, scale), same)


def differences(
    chosen: Mapping[str, Sequence[TrialResult]], against: str, scale: Scale, total: Total, networks: int = 1
) -> dict[str, Difference]:
    """Return the difference of every other method from one, all intervals holding together.

    Args:
        chosen: the results of each method at its chosen learning rate.
        against: the method that all others are compared with.
        scale, total: as for `difference`.
        networks: how many networks the same question is asked on.
    """
    others = [method for method in chosen if method != against]
    pairs = len(others) * networks
    return {method: difference(chosen[method], chosen[against], scale, total, pairs) for method in others}


def _verdict(interval: Interval, scores: Sequence[Sequence[float]], scale: Scale) -> str:
    if math.isnan(interval.low):
        first, second = (float(np.mean([scale.goodness(value) for value in group])) for group in scores)
        return NO_DIFFERENCE if first == second else BETTER if first > second else WORSE
    if interval.low <= 0 <= interval.high:
        return NO_DIFFERENCE
    return BETTER if (interval.low > 0) is scale.higher_is_better else WORSE
