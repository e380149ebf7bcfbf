"""Softmaxes written out of primitives: exponentials over their own sum become one operation of kind "softmax"."""

from __future__ import annotations

import math
from dataclasses import replace

from wellbegun.graph.graph import Graph, Operation
from wellbegun.graph.rewrite import is_view_of_all, rewritten

_MASKS = frozenset({"where", "masked_fill", "mul"})
_GUARDS = frozenset({"add", "clamp_min", "clamp", "maximum", "relu"})
"""What stands against a division by 0."""


def find_softmaxes(graph: Graph) -> Graph:
    """Return the graph with every exp(x) / sum(exp(x)), masked or not, as one operation of kind "softmax".

    A maximum that is taken off first, which changes nothing, is looked through.
    """
    finder = _Finder(graph)
    found = {operation.index: made for operation in graph.operations if (made := finder.read(operation)) is not None}
    return rewritten(graph, found)


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.used = {use.operation for uses in graph.uses.values() for use in uses}

    def read(self, operation: Operation) -> Operation | None:
        """The softmax that a division makes, if it does."""
        if operation.detail not in ("div", "mul") or len(operation.inputs) != 2 or operation.index in self.used:
            return None
        above, below = operation.inputs
        if operation.detail == "mul":
            inverse = self._same(below)
            if inverse.detail != "reciprocal":
                return None
            below = inverse.inputs[0]
        total = self._same(below)
        while total.detail in _GUARDS and len(total.inputs) == 1 and total.index not in self.used:
            total = self._same(total.inputs[0])
        if total.detail != "sum" or len(total.inputs) != 1 or math.prod(total.shape) >= math.prod(operation.shape):
            return None
        if self._same(total.inputs[0]).index != self._same(above).index:
            return None
        powers = self._same(above)
        while powers.detail in _MASKS and len(powers.inputs) == 1 and powers.index not in self.used:
            powers = self._same(powers.inputs[0])
        if powers.detail != "exp" or powers.kind == "parameter":
            return None
        return replace(
            operation, kind="softmax", detail="softmax", inputs=(self._scores(powers.inputs[0]),), scalars=()
        )

    def _scores(self, index: int) -> int:
        """What the exponential is taken of, but for its maximum."""
        operation = self._same(index)
        if operation.detail != "sub" or len(operation.inputs) != 2:
            return index
        scores, most = (self._same(at) for at in operation.inputs)
        if most.detail in ("amax", "max", "logsumexp") and most.inputs and self._same(most.inputs[0]) == scores:
            return operation.inputs[0]
        return index

    def _same(self, index: int) -> Operation:
        """The first operation that holds the same numbers."""
        operation = self.graph.operations[index]
        while is_view_of_all(operation):
            operation = self.graph.operations[operation.inputs[0]]
        return operation
