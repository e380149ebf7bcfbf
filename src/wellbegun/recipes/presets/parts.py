"""One law for each part of a tensor: packed queries, keys and values, gates, whole weights alike."""

from __future__ import annotations

from collections.abc import Callable

from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Law, Patched
from wellbegun.recipes.entries import uses_of

Region = tuple[tuple[int, int], ...] | None


def parts_of(graph: Graph, name: str) -> list[Use]:
    """Return the uses of a weight that have fans, one for each part of it that goes its own way."""
    return [use for use in uses_of(graph, name) if use.fans is not None]


def law_by_parts(uses: list[Use], law_of: Callable[[Use], Law]) -> Law:
    """Return one law where all parts have the same, else the most common with the others in their rectangles.

    Args:
        uses: of one tensor, with fans; at least one.
        law_of: the law for a part.
    """
    laws = [(use.region, law_of(use)) for use in uses]
    different = list(dict.fromkeys(law for _, law in laws))
    if len(different) == 1:
        return different[0]
    base = max(different, key=lambda law: sum(other == law for _, other in laws))
    return Patched(base, tuple((region, law) for region, law in laws if region is not None and law != base))
