"""What recipes that change another recipe's plan share: the base, its proposals, and scaling one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wellbegun.authors import Authorship
from wellbegun.errors import ArgumentError, PlanError
from wellbegun.graph.graph import Graph
from wellbegun.recipes.entries import main_fans, uses_of
from wellbegun.recipes.find import find_recipe
from wellbegun.recipes.presets.preset import Preset
from wellbegun.recipes.proposal import Proposal


class OnTop(Preset):
    """A preset that takes another recipe and changes some of its tensors."""

    def __init__(self, base: str) -> None:
        super().__init__()
        if not isinstance(base, str):
            raise ArgumentError(f"{self.name_only}@{self.version}: base must be the name of a recipe, got {base!r}")
        self.base = base

    @property
    def needs_author(self) -> bool:  # type: ignore[override]
        """Whether the base wants the record of the author's code."""
        return find_recipe(self.base).needs_author

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return the base's proposals with those that this recipe changes."""
        proposals = find_recipe(self.base).propose(graph, known)
        return proposals | self.change(graph, proposals)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
        """Return the proposals that replace those of the base."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it changes")

    def fails(self, what: str) -> PlanError:
        """Return the error for a network that the recipe is not for."""
        return PlanError(f"{self.name_only}@{self.version}: {what}")

    def scaled(self, graph: Graph, name: str, proposal: Proposal, factor: float, reason: str) -> Proposal:
        """Return a proposal with all values times a factor.

        The law is resolved with the fans of the tensor, so that what is scaled is exactly what the base would have
        drawn.
        """
        given = proposal.initializer
        fans = main_fans(uses_of(graph, name)) if given.needs_fans else None
        if given.needs_fans and fans is None:
            raise self.fails(f"{name} has no fans, and {given!r} needs them; give it a rule")
        after = None if proposal.after is None else proposal.after * factor**2
        return replace(
            proposal, initializer=given.law(fans).scaled(factor), reason=reason, source=self.source, after=after
        )

    def base_of(self, proposals: Mapping[str, Proposal], name: str) -> Proposal:
        """Return what the base says about a tensor, which must be something."""
        if name not in proposals:
            raise self.fails(f"the base {self.base!r} has no law for {name}, which this recipe changes; give it a rule")
        return proposals[name]
