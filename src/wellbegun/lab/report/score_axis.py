"""The range and the ticks of an axis of scores: 0 to 100% for shares, what the scores span for all others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wellbegun.lab.outcome.scale import Scale


@dataclass(frozen=True)
class ScoreAxis:
    """An axis of scores.

    >>> axis = ScoreAxis.over(Scale("nats a character", False, 4.4), [2.03, 2.61, 4.4])
    >>> axis.low, axis.high, axis.labels
    (2.0, 4.5, ('2', '2.5', '3', '3.5', '4', '4.5'))

    Attributes:
        low, high: its ends.
        ticks, labels: places and words of its marks.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    @staticmethod
    def over(scale: Scale, values: Iterable[float]) -> ScoreAxis:
        """Return an axis that holds these scores; those that are no numbers do not count."""
        if scale.is_share:
            return ScoreAxis(0.0, 1.0, (0, 0.25, 0.5, 0.75, 1), ("0%", "25%", "50%", "75%", "100%"))
        inside = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(inside), max(inside)
        span = (high - low) or max(abs(high), 1.0)
        power = 10.0 ** math.floor(math.log10(span / 4))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= 6)
        first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
        ticks = tuple(round(step * place, 10) for place in range(first, last + 1))
        return ScoreAxis(ticks[0], ticks[-1], ticks, tuple(f"{tick:g}" for tick in ticks))

    def inside(self, value: float) -> float:
        """Return the place of a score on the axis: what lies beyond is drawn at its end."""
        return self.low if math.isnan(value) else min(max(value, self.low), self.high)
