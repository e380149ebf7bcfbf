"""What a recipe says about one tensor, before the user's rules and the accounting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from wellbegun.graph.graph import Graph
from wellbegun.laws import Initializer, Law


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


@dataclass(frozen=True)
class Known:
    """What the model's own code puts into one tensor.

    Attributes:
        law: its law.
        note: where and how, for a person ("set to 0 by Block.__init__, my_model.py:12").
        is_default: whether it is what a layer of the framework draws when nobody asks for anything else.
    """

    law: Law
    note: str
    is_default: bool = False


class Recipe(Protocol):
    """A named, versioned policy that turns a graph into proposals."""

    @property
    def name(self) -> str:
        """Name and version, "auto@0"."""
        ...

    def propose(self, graph: Graph, known: Mapping[str, Known] | None = None) -> dict[str, Proposal]:
        """Return a proposal for each variable that the recipe has an answer for.

        Args:
            graph: what the forward pass does.
            known: what the model's own code puts into its tensors, where that is known.
        """
        ...
