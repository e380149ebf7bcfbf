"""The weight operations of a graph with what belongs to each: its use of the weight, its biases, its place."""

from __future__ import annotations

import numpy as np

from wellbegun.graph.graph import SQUASHERS, Graph, Operation, Use
from wellbegun.laws import Fans
from wellbegun.recipes.behind import activation_of
from wellbegun.theory import Activation


class Layers:
    """A graph, with what recipes ask of it again and again, worked out once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs = find_outputs(graph)
        self._uses: dict[int, Use] = {}
        self._biases: dict[int, list[str]] = {}
        for name, uses in graph.uses.items():
            for use in uses:
                if use.role == "bias":
                    self._biases.setdefault(self._layer_of_bias(use.operation), []).append(name)
                elif use.fans is not None and graph.operations[use.operation].weight == name:
                    known = self._uses.get(use.operation)
                    # of several parts of one weight, the largest speaks for it
                    if known is None or known.fans is None or use.fans.fan_out > known.fans.fan_out:
                        self._uses[use.operation] = use

    def use(self, operation: Operation) -> Use:
        """The use that an operation makes of its weight."""
        return self._uses[operation.index]

    def fans(self, operation: Operation) -> Fans:
        """Fans of a weight operation."""
        fans = self._uses[operation.index].fans
        assert fans is not None
        return fans

    def has_fans(self, operation: Operation) -> bool:
        """Whether the operation's use of its weight is clear enough to have fans."""
        return operation.index in self._uses

    def matrix_shape(self, operation: Operation) -> tuple[int, int]:
        """(outputs, inputs) of a matrix product, from its fans."""
        fans = self.fans(operation)
        return round(fans.fan_out), round(fans.fan_in)

    def biases(self, operation: Operation) -> list[str]:
        """The biases of an operation, given to it or added by a step of its own right behind it."""
        return self._biases.get(operation.index, [])

    def activation(self, name: str) -> Activation:
        """The function of an activation of this graph."""
        return activation_of(self.graph, name)

    def _layer_of_bias(self, index: int) -> int:
        operation = self.graph.operations[index]
        if operation.kind == "shift" and operation.inputs:
            return self.graph.source(operation.inputs[0]).index
        return index


_ASIDE = frozenset("masked_fill where index_put scatter slice_scatter clamp nan_to_num".split())
"""Operations that set some outputs to constants and leave the others as they are."""


def find_outputs(graph: Graph) -> dict[int, float]:
    """Return the operations that make the model's outputs, each with the factor on its result.

    Looked through: a softmax or sigmoid that ends the model, factors (logits divided by a number), caps of the form
    c·tanh(x/c), and masks.
    """
    found: dict[int, float] = {}
    for index in graph.outputs:
        operation, factor = graph.source(index), 1.0
        while operation.inputs:
            together = [graph.source(part) for part in operation.inputs]
            if operation.kind == "concat" and len({step.weight for step in together} | {""}) == 2:
                found |= {step.index: abs(factor) for step in together if step.weight}
                operation = together[0]
                break
            if operation.kind == "scale":
                factor *= operation.factor
            elif operation.kind == "activation" and operation.detail not in SQUASHERS:
                slope = _slope_of_cap(graph, operation.detail)
                if slope is None:
                    break
                factor *= slope
            elif operation.kind != "softmax" and operation.detail not in SQUASHERS | _ASIDE:
                break
            operation = graph.source(operation.inputs[0])
        found.setdefault(operation.index, abs(factor))
    return found


def _slope_of_cap(graph: Graph, detail: str) -> float | None:
    """Slope of a function that is a line for signals of size 1 and only caps larger ones; None for any other."""
    x = np.linspace(-1.5, 1.5, 31)
    y = activation_of(graph, detail).function(x)
    slope = float(x @ y / (x @ x))
    return slope if slope and float(np.abs(y - slope * x).max()) < 0.03 * abs(slope) else None
