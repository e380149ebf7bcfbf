"""What a recipe says about one tensor, before the user's rules and the accounting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wellbegun.graph.graph import Graph
from wellbegun.laws import Initializer


@dataclass(frozen=True)
class Proposal:
    """An initializer for one tensor, with the reason.

    Attributes:
        initializer: resolved with the tensor's fans.
        reason: one sentence.
        source: paper or document.
        before, after: second moment that flows in, and the one aimed at.
    """

    initializer: Initializer
    reason: str
    source: str = ""
    before: float | None = None
    after: float | None = None


class Recipe(Protocol):
    """A named, versioned policy that turns a graph into proposals."""

    @property
    def name(self) -> str:
        """Name and version, "auto@0"."""
        ...

    def propose(self, graph: Graph) -> dict[str, Proposal]:
        """Return a proposal for each variable that the recipe has an answer for."""
        ...
