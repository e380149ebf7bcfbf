"""Confidence intervals for a few seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wellbegun.lab.result import Interval


def accuracy_interval(values: Sequence[float], images: int) -> Interval:
    """Return the mean accuracy over seeds with its 95% interval.

    Over two or more seeds: Student's t, which covers the seed and the images' share of chance in one. For a single
    seed: Wilson's interval for that many test images, which knows nothing of other seeds.
    """
    mean = float(np.mean(values))
    if len(values) > 1:
        half = _t(len(values)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))
    z2 = 1.959963984540054**2
    centre = (mean + z2 / (2 * images)) / (1 + z2 / images)
    half = math.sqrt(z2 * (mean * (1 - mean) / images + z2 / (4 * images**2))) / (1 + z2 / images)
    return Interval(mean, max(centre - half, 0.0), min(centre + half, 1.0))


def paired_interval(first: Sequence[float], second: Sequence[float], images: int) -> Interval:
    """Return the mean difference over paired seeds with its 95% interval (for one seed: from the images' chance)."""
    differences = np.subtract(first, second)
    mean = float(differences.mean())
    if len(differences) > 1:
        half = _t(len(differences)) * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    else:
        half = 1.96 * math.sqrt(sum(p * (1 - p) / images for p in (first[0], second[0])))
    return Interval(mean, mean - half, mean + half)


def _t(count: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1))
