"""Confidence intervals that know both chances: of the seeds, and of the examples that happen to be in the test part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.outcome.result import Interval

Items = NDArray[np.float64]
"""One number for each seed and test example, shape (seeds, examples)."""

Total = Callable[[NDArray[np.float64]], float]
"""From the numbers of test examples to the score; it depends on their mean alone."""

LEVEL = 0.95
RESAMPLES = 1000
Z = 1.959963984540054


def accuracy_interval(values: Sequence[float], images: int) -> Interval:
    """Return the mean accuracy over seeds with its 95% interval.

    All seeds share the test images, so the spread over seeds says nothing of their chance: the binomial error of one
    set of images is added to Student's t over the seeds. A single seed has Wilson's interval alone.

    Args:
        values: accuracy of each seed.
        images: number of test images.
    """
    mean = float(np.mean(values))
    z2 = Z**2
    centre = (mean + z2 / (2 * images)) / (1 + z2 / images)
    half = Z * math.sqrt(mean * (1 - mean) / images + z2 / (4 * images**2)) / (1 + z2 / images)
    if len(values) > 1:
        centre, half = mean, math.hypot(half, _seeds(values, LEVEL))
    return Interval(mean, min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean))


def score_interval(items: Items, total: Total) -> Interval:
    """Return the mean score over seeds with its 95% interval, for any score.

    The chance of the test examples is that of the bootstrap over them (all seeds share one draw); Student's t over the
    seeds is added, because a bootstrap over five seeds is too narrow: of normally distributed scores its interval holds
    the truth in 84 of 100 cases (the tests repeat that).

    Args:
        items: the number of each test example for each seed.
        total: makes a score of them.
    """
    values = [total(row) for row in items]
    mean = float(np.mean(values))
    if not np.isfinite(values).all():
        return Interval(mean, math.nan, math.nan)
    half = Z * _examples([items], [1.0], total)
    if len(values) > 1:
        half = math.hypot(half, _seeds(values, LEVEL))
    return Interval(mean, mean - half, mean + half)


def paired_interval(
    first: Sequence[float], second: Sequence[float], by_example: NDArray[np.float64], *, pairs: int = 1
) -> Interval:
    """Return the mean difference over paired seeds with its interval.

    Args:
        first, second: score of two methods, seed by seed.
        by_example: for each test example, the first's number minus the second's, the mean over the seeds.
        pairs: number of intervals that shall all hold together in 95 of 100 cases (Bonferroni's correction).
    """
    spread = float(np.std(by_example, ddof=1)) / math.sqrt(len(by_example)) if len(by_example) > 1 else 0.0
    return _interval(np.subtract(first, second), spread, pairs)


def paired_scores(first: Items, second: Items, total: Total, *, pairs: int = 1) -> Interval:
    """Return the mean difference of two scores over paired seeds, for any score.

    Args:
        first, second: the number of each test example for each seed, of two methods.
        total: makes a score of them.
        pairs: as for `paired_interval`.
    """
    differences = np.array([total(a) - total(b) for a, b in zip(first, second, strict=True)])
    if not np.isfinite(differences).all():
        return Interval(float(np.mean(differences)), math.nan, math.nan)
    return _interval(differences, _examples([first, second], [1.0, -1.0], total), pairs)


def _interval(differences: NDArray[np.float64], spread: float, pairs: int) -> Interval:
    """Add the two chances at the level that the number of pairs asks for."""
    from scipy.stats import norm

    level = 1 - (1 - LEVEL) / pairs
    half = (Z if pairs == 1 else float(norm.ppf(0.5 + level / 2))) * spread
    if len(differences) > 1:
        half = math.hypot(half, _seeds(differences, level))
    mean = float(differences.mean())
    return Interval(mean, mean - half, mean + half)


def _examples(groups: Sequence[Items], signs: Sequence[float], total: Total) -> float:
    """Standard deviation over draws of the test examples of the mean over seeds of a signed sum of scores."""
    examples = groups[0].shape[1]
    if examples < 2:
        return 0.0
    generator = np.random.default_rng(0)  # the same draws for every method: an interval is a function of the results
    drawn = generator.multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES) / examples
    sums = np.zeros(RESAMPLES)
    for items, sign in zip(groups, signs, strict=True):
        means = drawn @ items.T
        sums += sign * np.array([[total(np.array([mean])) for mean in row] for row in means]).mean(1)
    return float(sums.std(ddof=1))


def _seeds(values: Sequence[float] | NDArray[np.float64], level: float) -> float:
    """Half the width of Student's interval for the mean over seeds."""
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
