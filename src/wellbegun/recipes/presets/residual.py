"""Residual branches and the weights or norms that end them, projections in the shortcut and post-norms included."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph
from wellbegun.recipes.streams import carried

_CARRIES = frozenset({"view", "dropout", "shift", "scale"})


@dataclass(frozen=True)
class Branch:
    """One addition of a branch to its shortcut.

    Attributes:
        add: index of the addition.
        shortcut: index of the operation that the sum takes the short way.
        ends: weight operations and norms that the branch ends with; several where parallel layers are summed first.
        steps: every operation of the branch, in order.
        weights: the weight operations among them.
    """

    add: int
    shortcut: int
    ends: tuple[int, ...]
    steps: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()

    def normalised(self, graph: Graph) -> bool:
        """Whether the branch holds a normalisation."""
        return any(graph.operations[index].kind == "norm" for index in self.steps)


def find_branches(graph: Graph) -> list[Branch]:
    """Return the residual branches in order.

    An addition is one if its two operands come from one operation, and one way from there holds more weights than the
    other: the short way is the shortcut (a projection may stand in it), the long way is the branch.
    """
    found: dict[int, Branch] = {}
    for operation in graph.operations:
        if operation.kind != "add" or len(operation.inputs) != 2:
            continue
        first, second = (carried(graph, index).index for index in operation.inputs)
        sides = _sides(graph, first, second)
        for trunk, other in ((first, second), (second, first)):
            # a parallel branch reads the stream before the write that comes first in the code
            if sides is None and trunk in found and _sides(graph, found[trunk].shortcut, other) is not None:
                sides = trunk, other
        if sides is not None:
            direct = next(i for i in operation.inputs if carried(graph, i).index == sides[1])
            steps = _inside(graph, direct, sides[0])
            weights = tuple(index for index in steps if graph.operations[index].kind in WEIGHT_KINDS)
            ends = tuple(_ends(graph, sides[1], set(found)))
            found[operation.index] = Branch(operation.index, sides[0], ends, steps, weights)
    return list(found.values())


def _sides(graph: Graph, first: int, second: int) -> tuple[int, int] | None:
    """The operands of an addition as (shortcut, branch), or None if it is no residual one.

    Walks back from both, latest operation first, until the ways meet or one of them ends.
    """
    colours = {first: 1, second: 2} if first != second else {}
    waiting = [-index for index in colours]
    heapq.heapify(waiting)
    weights = {1: 0, 2: 0}
    pending = {1: 1, 2: 1}
    while waiting and pending[1] and pending[2]:
        index = -heapq.heappop(waiting)
        colour = colours.pop(index)
        if colour == 3:  # here the ways meet
            if weights[1] == weights[2]:
                return None
            return (first, second) if weights[1] < weights[2] else (second, first)
        pending[colour] -= 1
        operation = graph.operations[index]
        weights[colour] += operation.kind in WEIGHT_KINDS
        for before in dict.fromkeys(operation.inputs):
            known = colours.get(before, 0)
            if not known:
                heapq.heappush(waiting, -before)
            if not known & colour:
                colours[before] = known | colour
                pending[colour] += 1
    return None


def _inside(graph: Graph, branch: int, shortcut: int) -> tuple[int, ...]:
    """The operations that only the branch depends on, in order: walks back, latest first, until none is left."""
    alone, shared = {branch}, {shortcut}
    waiting = [-branch, -shortcut]
    heapq.heapify(waiting)
    inside = []
    while alone:
        index = -heapq.heappop(waiting)
        is_inside = index in alone
        if is_inside:
            alone.discard(index)
            inside.append(index)
        for before in graph.operations[index].inputs:
            if before not in alone and before not in shared:
                heapq.heappush(waiting, -before)
            if is_inside and before not in shared:
                alone.add(before)
            else:
                shared.add(before)
                alone.discard(before)
    return tuple(sorted(inside))


def _ends(graph: Graph, index: int, residual: set[int]) -> list[int]:
    """The weight operations and norms behind an operand, through sums that are no residual ones, products and gates."""
    ends, waiting, seen = [], [index], {index}
    while waiting:
        operation = graph.operations[waiting.pop()]
        if operation.kind in WEIGHT_KINDS or operation.kind == "norm":
            ends.append(operation.index)
        elif operation.kind in _CARRIES or (operation.kind in ("add", "multiply") and operation.index not in residual):
            for before in operation.inputs:
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
    return sorted(ends)
