"""Confidence intervals that know both chances: of the seeds, and of the images that happen to be in the test split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wellbegun.lab.result import Interval

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
        centre, half = mean, math.hypot(half, _seeds(values))
    return Interval(mean, min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean))


def paired_interval(first: Sequence[float], second: Sequence[float], by_image: NDArray[np.float64]) -> Interval:
    """Return the mean difference over paired seeds with its 95% interval.

    Args:
        first, second: accuracy of two methods, seed by seed.
        by_image: for each test image, in how many of the seeds the first was right minus the second, as a share.
    """
    differences = np.subtract(first, second)
    half = Z * float(np.std(by_image, ddof=1)) / math.sqrt(len(by_image))
    if len(differences) > 1:
        half = math.hypot(half, _seeds(differences))
    mean = float(differences.mean())
    return Interval(mean, mean - half, mean + half)


def _seeds(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Half the width of Student's interval for the mean over seeds."""
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
