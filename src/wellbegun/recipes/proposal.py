"""What a recipe says about one tensor, before the user's rules and the accounting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from wellbegun.authors import Authorship
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
        lr_factor, decay_factor, eps_factor: what the optimizer's numbers are multiplied with for this parameter.
        stream: name that keys the numbers, where two tensors are made of the same draw; "" for its own.
    """

    initializer: Initializer
    reason: str
    source: str = ""
    before: float | None = None
    after: float | None = None
    lr_factor: float = 1.0
    decay_factor: float = 1.0
    eps_factor: float = 1.0
    stream: str = ""


def as_proposal(author: Authorship, why: str, after: float | None = None) -> Proposal:
    """Turn what the author's code does into a proposal."""
    assert author.law is not None
    return Proposal(author.law, f"{why}: {author.note}", "the model's own code", None, after)


class Recipe(Protocol):
    """A named, versioned policy that turns a graph into proposals."""

    @property
    def name(self) -> str:
        """Name and version, "auto@0"."""
        ...

    @property
    def needs_author(self) -> bool:
        """Whether it wants the record of the author's code in any case."""
        ...

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return a proposal for each variable that the recipe has an answer for.

        Args:
            graph: what the forward pass does.
            known: what the model's own code puts into its tensors, where that is known.
        """
        ...
