"""The plain numbers that a forward pass multiplies its signals with, by the place that a multiplier names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellbegun.graph.graph import Graph
from wellbegun.plans import Multiplier
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.layers import find_outputs
from wellbegun.recipes.streams import CARRIES, Write, find_streams

_THROUGH = CARRIES | {"add", "multiply", "pool", "other", "concat"}


def forward_factors(graph: Graph) -> dict[tuple[str, str], float | None]:
    """Return {(place, weight): factor}, 1 where the forward pass has none; None where a weight meets two of them."""
    found: dict[tuple[str, str], float | None] = {}

    def note(place: str, weight: str, factor: float | None) -> None:
        known = found.setdefault((place, weight), factor)
        if known != factor:
            found[place, weight] = None

    for attention in find_attentions(graph):
        note("attention scores", attention.query.weight, attention.scale)
    for stream in find_streams(graph):
        for write in stream.writes:
            short = factor_on_way(graph, write.operand, write.trunk)
            for index in write.writers:
                weight = graph.operations[index].weight
                note("residual branch", weight, _on_branch(graph, write, index))
                note("shortcut", weight, short)
    for index, factor in find_outputs(graph).items():
        operation = graph.operations[index]
        if operation.weight and operation.inputs:
            note("output", operation.weight, factor * factor_on_way(graph, operation.inputs[0]))
    return found


def factor_on_way(graph: Graph, index: int, start: int = -1) -> float:
    """The plain factor between an operation and a later one, which hands its result on through nothing else.

    Without a start: between the operation and the last before it that is more than a view, a factor or a shift.
    """
    factor, step = 1.0, graph.operations[index]
    while step.index != start and step.kind in CARRIES and step.inputs:
        factor *= step.factor if step.kind == "scale" else 1.0
        step = graph.operations[step.inputs[0]]
    return factor


def with_found(graph: Graph, multipliers: Iterable[Multiplier]) -> tuple[Multiplier, ...]:
    """Return multipliers with what the forward pass of a graph does at each place."""
    factors = forward_factors(graph)
    return tuple(replace(asked, found=factors.get((asked.place, asked.weight))) for asked in multipliers)


def _on_branch(graph: Graph, write: Write, writer: int) -> float | None:
    """The plain factor between a weight operation and the sum that it writes into."""
    waiting, seen = [(writer, 1.0)], {writer}
    while waiting:
        index, factor = waiting.pop()
        for step in graph.consumers(index):
            if step.index == write.add:
                return factor
            if step.index not in seen and step.index < write.add and step.kind in _THROUGH:
                seen.add(step.index)
                waiting.append((step.index, factor * (step.factor if step.kind == "scale" else 1.0)))
    return None
