"""One start of a model by one plan, and how it compares with others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wellbegun.advice.isometry import grade
from wellbegun.diagnosis import Finding
from wellbegun.plans import Plan


@dataclass(frozen=True)
class Attempt:
    """What a plan makes of the model before the first step.

    Attributes:
        plan: of every tensor.
        recipe: what `wb.plan` makes it by.
        findings: of the diagnosis.
        score: of a plain chain, see `isometry_score`; None for other networks.
        signal: second moment of the last layer's result.
        gradient: second moment of the gradient behind the first layer, over that behind the last one.
        source: the inputs that it was measured on, in words.
        predicted: whether theory stands in for the measurement.
    """

    plan: Plan
    recipe: str
    findings: tuple[Finding, ...]
    score: float | None
    signal: float
    gradient: float
    source: str
    predicted: bool

    @cached_property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that say that the network cannot be trained, one of each kind."""
        return self._of("error")

    @cached_property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that say that training is in danger, one of each kind."""
        return self._of("warning")

    @cached_property
    def health(self) -> tuple[int, int, int]:
        """What starts are compared by: kinds of errors, of warnings, and the grade of the isometry score."""
        return len(self.errors), len(self.warnings), grade(self.score)

    @cached_property
    def weights(self) -> tuple[object, ...]:
        """What tells its numbers from those of other plans: each tensor's law; and what is asked of the training."""
        asked = tuple((multiplier.weight, multiplier.value) for multiplier in self.plan.multipliers)
        return (*((entry.name, repr(entry.law), entry.training) for entry in self.plan), *asked)

    def _of(self, level: str) -> tuple[Finding, ...]:
        kinds = {finding.kind: finding for finding in reversed(self.findings) if finding.level == level}
        return tuple(reversed(kinds.values()))
