"""How far a method may lie behind the best of all others, whichever that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.outcome.differences import difference
from wellbegun.lab.outcome.result import Interval
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.outcome.statistics import Total
from wellbegun.lab.trials.trial_result import TrialResult


@dataclass(frozen=True)
class Shortfall:
    """What a method lacks to the best of the others, in the units of the score; below 0 it is ahead.

    Attributes:
        best: the other method with the best mean score.
        interval: (best - method), with the sign turned where lower scores are better. Its mean is that of the observed
            best. Its upper end is the largest of those of all others, so it holds whichever of them is truly the best;
            its lower end is corrected for how many there are.
    """

    best: str
    interval: Interval

    def within(self, margin: float) -> bool:
        """Whether the method is shown not to lie behind the best by more than a margin."""
        return self.interval.high <= margin


def shortfall(
    chosen: Mapping[str, Sequence[TrialResult]], method: str, scale: Scale, total: Total, *, networks: int = 1
) -> Shortfall:
    """Return how far a method lies behind the best of all others, as an interval that knows that the best was chosen.

    Not "the interval of the difference from the one that looks best": that one looks best by luck too. The true best is
    one of the others, and each of them has an interval of its own, so the largest of their upper ends is above the true
    distance in as many cases as a single interval is: nothing has to be corrected for the choice (an
    intersection-union test, Berger 1982). For the lower end it does, since the largest of many lower ends is too high.

    Args:
        chosen: results of each method at its chosen learning rate, one a seed.
        method: the one that is judged; all the others are what it is held against.
        scale, total: as for `difference`.
        networks: how many networks are judged together; the intervals hold on all of them in 95 of 100 cases.
    """
    others = [name for name in chosen if name != method]
    if not all(math.isfinite(one.test_score) for one in chosen[method]):
        return Shortfall(_best(chosen, others, scale), Interval(math.inf, math.inf, math.inf))
    finite = [name for name in others if all(math.isfinite(one.test_score) for one in chosen[name])]
    if not finite:
        return Shortfall(_best(chosen, others, scale), Interval(-math.inf, -math.inf, -math.inf))
    upper = {name: _behind(chosen[name], chosen[method], scale, total, networks) for name in finite}
    lower = [_behind(chosen[name], chosen[method], scale, total, networks * len(finite)).low for name in finite]
    best = max(upper, key=lambda name: upper[name].mean)
    return Shortfall(best, Interval(upper[best].mean, max(lower), max(one.high for one in upper.values())))


def ranks(means: Mapping[str, float], scale: Scale) -> dict[str, float]:
    """Return the rank of each method by its mean score, 1 for the best; equals share the mean of their places."""
    from scipy.stats import rankdata

    goodness = [scale.goodness(mean) for mean in means.values()]
    places: NDArray[np.float64] = rankdata([-value for value in goodness])
    return dict(zip(means, places.tolist(), strict=True))


def _behind(
    other: Sequence[TrialResult], ours: Sequence[TrialResult], scale: Scale, total: Total, pairs: int
) -> Interval:
    """Interval of how much better another method is."""
    found = difference(other, ours, scale, total, pairs).interval
    return found if scale.higher_is_better else Interval(-found.mean, -found.high, -found.low)


def _best(chosen: Mapping[str, Sequence[TrialResult]], others: Sequence[str], scale: Scale) -> str:
    return max(others, key=lambda name: scale.goodness(float(np.mean([one.test_score for one in chosen[name]]))))
