"""What grows with a network's width: which weights read the data, which lie between, which make the output."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.recipes.layers import Layers

INPUT, HIDDEN, OUTPUT, TIED, ROUTER = "input", "hidden", "output", "tied", "router"
_CARRIES = frozenset({"view", "dropout", "shift", "scale"})
_CHOOSES = frozenset("topk sort max argmax".split())


@dataclass(frozen=True)
class Widths:
    """The weights of a network by what their two sides are.

    Attributes:
        kinds: of each weight: "input" (its inputs are the data, a fixed number), "hidden" (both sides grow with the
            width), "output" (its outputs are the network's, a fixed number), "router" (its outputs choose among a fixed
            number of experts), "tied" (a look-up table that is the output layer too).
        width: fan_in of the output layer; None if there is none, or there are several of different sizes.
        readouts: the output weights with their fan_in.
        mixed: weights at several places of different kinds.
    """

    kinds: dict[str, str]
    width: int | None
    readouts: dict[str, int]
    mixed: tuple[str, ...]


def find_widths(graph: Graph) -> Widths:
    """Sort the weights of a graph by whether their inputs and outputs grow with its width."""
    layers = Layers(graph)
    found: dict[str, set[str]] = {}
    readouts: dict[str, int] = {}
    for operation in graph.weight_operations():
        if operation.kind != "embedding" and not layers.has_fans(operation):
            continue
        kind = _kind(graph, layers, operation)
        found.setdefault(operation.weight, set()).add(kind)
        if kind == OUTPUT:
            readouts[operation.weight] = round(layers.fans(operation).fan_in)
    kinds = {name: TIED if seen == {INPUT, OUTPUT} else min(seen) for name, seen in found.items()}
    mixed = tuple(name for name, seen in found.items() if len(seen) > 1 and seen != {INPUT, OUTPUT})
    sizes = set(readouts.values())
    return Widths(kinds, sizes.pop() if len(sizes) == 1 else None, readouts, mixed)


def _kind(graph: Graph, layers: Layers, operation: Operation) -> str:
    if operation.kind == "embedding":
        return INPUT
    if operation.index in layers.outputs:
        return OUTPUT
    if _reads_data(graph, operation):
        return INPUT
    return ROUTER if _chooses(graph, operation) else HIDDEN


def _reads_data(graph: Graph, operation: Operation) -> bool:
    """Whether no weight stands between the data and this operation."""
    waiting, seen = list(operation.inputs), set(operation.inputs)
    while waiting:
        step = graph.operations[waiting.pop()]
        if step.kind in WEIGHT_KINDS:
            return False
        for before in step.inputs:
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return True


def _chooses(graph: Graph, operation: Operation) -> bool:
    """Whether the result is the logits of a choice: a softmax or a selection of the largest follows."""
    waiting, seen = [operation.index], {operation.index}
    while waiting:
        for step in graph.consumers(waiting.pop()):
            if step.kind == "softmax" or step.detail in _CHOOSES:
                return True
            if step.kind in _CARRIES and step.index not in seen:
                seen.add(step.index)
                waiting.append(step.index)
    return False
