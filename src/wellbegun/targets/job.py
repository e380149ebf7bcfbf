"""What an application of a plan is to do, before it does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wellbegun.plans import Entry, Plan
from wellbegun.targets.state import State


@dataclass(frozen=True)
class Job:
    """Which tensors of a model a plan writes, and which it leaves as they are.

    Attributes:
        plan: that is applied.
        state: the model's tensors.
        entries: those of the plan that the model has; all of them unless it is a stage of what was planned.
        sources: {entry: the one of its names whose tensor stands for all of them}.
        kept: entries whose tensors are to stay as they are.
    """

    plan: Plan
    state: State
    entries: tuple[Entry, ...]
    sources: Mapping[str, str]
    kept: frozenset[str]

    def names(self, entry: Entry) -> list[str]:
        """The names of an entry that the model has; a stage may have only some of a tied tensor's."""
        return [name for name in (entry.name, *entry.ties) if name in self.state.slots]

    @property
    def written(self) -> list[Entry]:
        """The entries whose tensors are written."""
        return [entry for entry in self.entries if entry.name not in self.kept]
