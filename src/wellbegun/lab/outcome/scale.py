"""What a score is: how it is told, which way is better, and when something was learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellbegun.lab.outcome.result import Interval
    from wellbegun.lab.task import Task

LEARNT = 1.5
"""An accuracy shows that something was learnt if it is more than this many times that of guessing."""

_MARGIN = 0.05
"""Another score does if it is better than guessing by this share of it."""

_UNITS = {"nats a character": (" nats", 3), "PSNR dB": (" dB", 1)}


@dataclass(frozen=True)
class Scale:
    """The measure of a task.

    >>> Scale("accuracy", chance=0.1).text(0.9567), Scale("nats a character", False, 4.6).text(2.0584)
    ('95.7%', '2.058 nats')

    Attributes:
        measure: its name ("accuracy", "nats a character", "dice", "PSNR dB").
        higher_is_better: which way is better.
        chance: score of guessing; None if it is not known.
    """

    measure: str = "accuracy"
    higher_is_better: bool = True
    chance: float | None = None

    @staticmethod
    def of(task: Task) -> Scale:
        """The scale of a task."""
        return Scale(task.measure, task.higher_is_better, task.chance)

    @property
    def is_share(self) -> bool:
        """Whether scores are shares of right answers, told in percent."""
        return self.measure == "accuracy"

    @property
    def is_mean(self) -> bool:
        """Whether the score is a mean over the examples; a signal-to-noise ratio is the logarithm of one."""
        return self.measure != "PSNR dB"

    @property
    def words(self) -> str:
        """The score on the test part, for a heading."""
        return f"test {self.measure}"

    def text(self, value: float) -> str:
        """Return a score as people write it; what is no number has "none"."""
        if not math.isfinite(value):
            return "none"
        if self.is_share:
            return f"{min(max(value, 0.0), 1.0):.1%}"
        unit, digits = _UNITS.get(self.measure, ("", 3))
        return f"{value:.{digits}f}{unit}"

    def bounds(self, interval: Interval) -> str:
        """Return the bounds of an interval; "" where there are none."""
        low, high = self.text(interval.low), self.text(interval.high)
        if "none" in (low, high):
            return ""
        unit = "%" if self.is_share else _UNITS.get(self.measure, ("", 3))[0]
        return f"{low.removesuffix(unit)}–{high}"

    def difference(self, value: float) -> str:
        """Return a difference of two scores, with its sign and without its unit."""
        if self.is_share:
            return f"{100 * value:+.1f}"
        return f"{value:+.{_UNITS.get(self.measure, ('', 3))[1]}f}"

    @property
    def difference_unit(self) -> str:
        """What differences are told in."""
        return "points" if self.is_share else _UNITS.get(self.measure, (self.measure, 3))[0].strip()

    def goodness(self, value: float) -> float:
        """Return the score with its sign turned if need be, so that more is better; what is no number is worst."""
        if math.isnan(value):
            return -math.inf
        return value if self.higher_is_better else -value

    def learnt(self, value: float) -> bool:
        """Whether a score is clearly better than guessing."""
        if self.is_share:
            return value > LEARNT * (self.chance or 0.0)
        if self.chance is None:
            return math.isfinite(value)
        return self.gain(value) > _MARGIN * abs(self.chance)

    def gain(self, value: float) -> float:
        """How much better than guessing a score is."""
        return self.goodness(value) - self.goodness(self.chance or 0.0)

    def reaches(self, value: float, share: float, best: float) -> bool:
        """Whether a score reaches a share of the best one: of it, if it is an accuracy, else of its gain over guessing.

        Args:
            value: the score.
            share: of the best.
            best: score.
        """
        if self.is_share:
            return value >= max(share * best, LEARNT * (self.chance or 0.0))
        return self.learnt(value) and self.gain(value) >= share * self.gain(best)
