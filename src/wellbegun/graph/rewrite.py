"""Rewriting a recorded graph: some operations replaced, those that nobody needs any more left out, all renumbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wellbegun.graph.graph import Graph, Operation

_SAME_NUMBERS = frozenset(
    "view reshape _unsafe_view _reshape_alias unsqueeze squeeze flatten unflatten contiguous clone _to_copy to alias "
    "detach view_as lift_fresh expand expand_as".split()
)
_SEVERAL = frozenset("max min topk sort var_mean std_mean aminmax frexp".split())


def is_view_of_all(operation: Operation) -> bool:
    """Return whether a result holds each number of its one input, at most in another shape or type, or repeated."""
    return operation.kind == "view" and operation.detail in _SAME_NUMBERS and len(operation.inputs) == 1


def has_several_results(operation: Operation) -> bool:
    """Return whether an operation gives several tensors, which the graph does not tell apart."""
    return operation.detail in _SEVERAL and operation.kind != "view"


def rewritten(graph: Graph, replaced: Mapping[int, Operation], spare: frozenset[int] = frozenset()) -> Graph:
    """Return the graph with operations replaced, under the same indices, and without what only the old ones needed.

    Args:
        graph: as recorded.
        replaced: new operations by the index of the old one; their inputs are indices of the graph as it was.
        spare: indices of operations that are left out if nothing takes their results, though nothing did before.
    """
    if not replaced and not spare:
        return graph
    operations = [replaced.get(operation.index, operation) for operation in graph.operations]
    used = {use.operation for uses in graph.uses.values() for use in uses}
    needed = [False] * len(operations)
    for index in graph.outputs:
        needed[index] = True
    for operation in reversed(operations):
        index = operation.index
        had_consumers = index in spare or bool(graph.consumers(index))
        needed[index] = needed[index] or not had_consumers or index in used or operation.kind == "input"
        if needed[index]:
            for before in operation.inputs:
                needed[before] = True
    new: dict[int, int] = {}
    for operation in operations:
        if needed[operation.index]:
            new[operation.index] = len(new)
    kept = tuple(
        replace(operation, index=new[operation.index], inputs=tuple(new[index] for index in operation.inputs))
        for operation in operations
        if needed[operation.index]
    )
    uses = {
        name: tuple(replace(use, operation=new[use.operation]) for use in found) for name, found in graph.uses.items()
    }
    outputs = tuple(new[index] for index in graph.outputs)
    return replace(graph, operations=kept, uses=uses, outputs=outputs)
