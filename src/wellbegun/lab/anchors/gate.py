"""What has to come out for an anchor to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wellbegun.lab.measured_page import Results, number


@dataclass(frozen=True)
class Gate:
    """A bound on one number of an anchor.

    >>> gate = Gate("He minus Xavier, points", lambda results: results["he"] - results["xavier"], at_least=30)
    >>> gate.check({"he": 92.0, "xavier": 41.5})
    Check(what='He minus Xavier, points', bound='at least 30', value=50.5, holds=True)

    Attributes:
        what: the number, with its unit.
        measured: takes it from the results.
        at_least, at_most: bounds; either may be missing.
        quick: whether the short form measures it too.
    """

    what: str
    measured: Callable[[Results], float]
    at_least: float | None = None
    at_most: float | None = None
    quick: bool = True

    @property
    def bound(self) -> str:
        """The bounds in words."""
        words = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {number(value)}" for word, value in words if value is not None)

    def check(self, results: Results) -> Check:
        """Return what came out; a value that is not a number does not hold."""
        value = float(self.measured(results))
        above = self.at_least is None or value >= self.at_least
        below = self.at_most is None or value <= self.at_most
        return Check(self.what, self.bound, value, value == value and above and below)


@dataclass(frozen=True)
class Check:
    """What came out for a gate.

    Attributes:
        what, bound: of the gate, in words.
        value: as measured.
        holds: whether it lies within the bounds.
    """

    what: str
    bound: str
    value: float
    holds: bool
