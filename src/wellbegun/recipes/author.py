"""author@0: what the model's own initialisation code does, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping

from wellbegun.authors import Authorship
from wellbegun.graph.graph import Graph
from wellbegun.recipes.proposal import Proposal

SOURCE = "the model's own code"


class AuthorRecipe:
    """Gives each tensor the law that the author's code draws it from.

    >>> AuthorRecipe().name
    'author@0'

    Need: one choice for any network
    Formula: the code runs once, under a recorder that writes random numbers down and draws none; what ends up in each
        parameter and buffer becomes a law, and what has no law is carried out once and stored.
    Use it for: existing models: their initialisation becomes a plan that can be read, compared, and written at any
        sharding, without a line of it being rewritten.
    Not for: judging that initialisation: compare with `auto`, and diagnose.
    Source: the model's own code.
    """

    name = "author@0"

    needs_author = True

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return a proposal for every variable that the author's code was seen to give a value."""
        found = {}
        for variable in graph.variables:
            author = (known or {}).get(variable.name)
            if author is not None and author.law is not None and not author.stands:
                found[variable.name] = Proposal(author.law, author.note, SOURCE)
        return found
