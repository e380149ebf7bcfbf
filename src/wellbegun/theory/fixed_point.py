"""Fixed points of a length map: variances that a layer hands on unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LOWEST, HIGHEST, STEPS = 1e-10, 1e6, 184
"""Fixed points are sought between these, on a grid of STEPS equal ratios, and at 0."""

FAINT = 1e-12
"""Deviations of ln V(q) from ln q below this are rounding."""

MARGIN = 1e-7
"""A slope this near to 1 counts as 1: deviations neither shrink nor grow at an exponential rate."""


@dataclass(frozen=True)
class FixedPoint:
    """A variance q* = V(q*), with what becomes of a deviation from it.

    >>> FixedPoint(q=0.7, slope=0.4).stability
    'stable'

    q: the variance; 0 is one too. slope: V'(q*), the factor on a small deviation per layer.
    """

    q: float
    slope: float

    @property
    def stability(self) -> str:
        """Return "stable" (deviations shrink), "unstable" (they grow) or "marginal" (neither, exponentially)."""
        if abs(abs(self.slope) - 1) <= MARGIN:
            return "marginal"
        return "stable" if abs(self.slope) < 1 else "unstable"

    @property
    def depth(self) -> float:
        """Return the layers in which a deviation shrinks by e, -1 / ln |slope|; infinity if it does not."""
        if self.stability != "stable":
            return math.inf
        return -1 / math.log(abs(self.slope)) if self.slope else 0.0


def find_fixed_points(length_map: Callable[[float], float], slope: Callable[[float], float]) -> tuple[FixedPoint, ...]:
    """Return the fixed points of a map from variances to variances, in ascending order.

    >>> [point.q for point in find_fixed_points(lambda q: q * q / 4, lambda q: q / 2)]
    [0.0, 4.0]

    A map that is the identity everywhere (ReLU at weight variance 2) has one entry, q = 1, that stands for all.
    length_map: NaN where it cannot be computed. slope: its derivative.
    """
    from scipy import optimize

    def excess(log_q: float) -> float:
        value = length_map(math.exp(log_q))
        if value == 0:
            return -math.inf
        return math.log(value) - log_q if math.isfinite(value) else math.nan

    grid = [float(log_q) for log_q in np.linspace(math.log(LOWEST), math.log(HIGHEST), STEPS + 1)]
    values = [excess(log_q) for log_q in grid]
    known = [abs(value) for value in values if math.isfinite(value)]
    if known and max(known) < 1e-9:
        return (FixedPoint(1.0, 1.0),)
    zero = length_map(LOWEST**2) <= 1e-3 * LOWEST
    points = [FixedPoint(0.0, slope(LOWEST))] if zero else []
    for low, high, below, above in zip(grid, grid[1:], values, values[1:], strict=False):
        # around a marginal 0 the excess is rounding, whose sign means nothing
        rounding = zero and max(abs(below), abs(above)) < FAINT
        if (below > 0) != (above > 0) and not rounding and math.isfinite(below - above):
            root = float(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14))
            points.append(FixedPoint(math.exp(root), slope(math.exp(root))))
    return tuple(points)
