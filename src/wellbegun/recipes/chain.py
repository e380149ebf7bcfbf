"""Plain chains: weight, activation, weight, activation ... with no normalisation and no shortcut between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from wellbegun.graph.graph import Graph, Operation
from wellbegun.recipes.layers import find_outputs

_KEEPS_UNITS = frozenset(
    "view reshape _unsafe_view alias detach clone contiguous _to_copy to flatten unsqueeze squeeze expand".split()
)


@dataclass(frozen=True)
class Chain:
    """Weight operations that feed one another through single activations.

    Attributes:
        operations: in order; the last one may be the output layer.
        activations: behind each operation, "" behind an output layer.
        straight: whether each operation takes the units of the one before it as they are: not cut, mixed with other
            axes or pooled.
    """

    operations: tuple[Operation, ...]
    activations: tuple[str, ...]
    straight: bool = True

    @cached_property
    def ends(self) -> frozenset[int]:
        """Indices of the operations without an activation behind them."""
        pairs = zip(self.operations, self.activations, strict=True)
        return frozenset(operation.index for operation, name in pairs if not name)

    @cached_property
    def depth(self) -> int:
        """Number of hidden layers: operations with an activation behind them."""
        return sum(bool(name) for name in self.activations)

    @cached_property
    def activation(self) -> str:
        """The one activation of all hidden layers, "" if there are several or none."""
        names = {name for name in self.activations if name}
        return names.pop() if len(names) == 1 else ""

    @cached_property
    def repeats(self) -> bool:
        """Whether one weight stands at several places."""
        return len({operation.weight for operation in self.operations}) < len(self.operations)

    @cached_property
    def all_linear(self) -> bool:
        """Whether every operation is a matrix product and not a convolution."""
        return all(operation.kind == "linear" for operation in self.operations)


def find_chains(graph: Graph) -> list[Chain]:
    """Return the plain chains of a graph; every weight operation but embeddings is in exactly one."""
    operations = [operation for operation in graph.weight_operations() if operation.kind != "embedding"]
    outputs = find_outputs(graph)
    behind = {
        operation.index: "" if operation.index in outputs else _activation_behind(graph, operation)
        for operation in operations
    }
    previous = {operation.index: _previous(graph, operation) for operation in operations}
    followers: dict[int, list[Operation]] = {}
    for operation in operations:
        before = previous[operation.index]
        if before is not None:
            followers.setdefault(before, []).append(operation)
    chains = []
    for operation in operations:
        before = previous[operation.index]
        if before is not None and len(followers[before]) == 1:
            continue  # not the head of a chain
        members = [operation]
        while len(next_ones := followers.get(members[-1].index, [])) == 1:
            members.append(next_ones[0])
        straight = all(_is_straight(graph, before, member) for before, member in pairwise(members))
        chains.append(Chain(tuple(members), tuple(behind[member.index] for member in members), straight))
    return chains


def _previous(graph: Graph, operation: Operation) -> int | None:
    """The weight operation that feeds this one through exactly one activation, if there is one."""
    if not operation.inputs:
        return None
    source = _through_pools(graph, operation.inputs[0])
    if source.kind != "activation" or not source.inputs:
        return None
    before = _through_pools(graph, source.inputs[0])
    return before.index if before.weight and before.kind != "embedding" else None


def _is_straight(graph: Graph, before: Operation, operation: Operation) -> bool:
    """Whether the last axis holds the units of `before` on all the way to `operation`."""
    step = graph.operations[operation.inputs[0]]
    while step.index != before.index:
        if step.kind == "pool" or (step.kind == "view" and step.detail not in _KEEPS_UNITS):
            return False
        if step.shape[-1:] != before.shape[-1:]:
            return False
        step = graph.operations[step.inputs[0]]
    return True


def _activation_behind(graph: Graph, operation: Operation) -> str:
    """Name of the activation that takes this operation's result; the first one, if several do."""
    waiting, found = [operation.index], ""
    while waiting and not found:
        for consumer in graph.consumers(waiting.pop(0)):
            if consumer.kind == "activation":
                found = found or consumer.detail
            elif consumer.kind in ("view", "dropout", "shift", "pool"):
                waiting.append(consumer.index)
    return found


def _through_pools(graph: Graph, index: int) -> Operation:
    source = graph.source(index)
    while source.kind == "pool" and source.inputs:
        source = graph.source(source.inputs[0])
    return source
