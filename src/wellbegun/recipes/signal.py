"""How the second moment of the signal travels through a graph, if every weight meets its target."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.theory import find_activation, moments

ASSUMED = 1.0
"""Second moment of an input whose values were not given."""


@dataclass(frozen=True)
class Feed:
    """What flows into an operation that multiplies with a weight.

    Attributes:
        kind: kind of the operation it comes from ("input", "activation", "norm", "add", "linear", ...).
        activation: name of the activation it comes out of, or "".
        second_moment: of the values.
        measured: whether that rests on data that were given.
        detail: PyTorch's name of that operation.
    """

    kind: str
    activation: str
    second_moment: float
    measured: bool
    detail: str = ""


def feed_of(graph: Graph, operation: Operation, second_moments: dict[int, float]) -> Feed:
    """Return what flows into a weight operation."""
    if not operation.inputs:
        return Feed("constant", "", ASSUMED, False)
    source = graph.source(operation.inputs[0])
    if source.kind == "pool" and source.inputs:
        source = graph.source(source.inputs[0])
    activation = source.detail if source.kind == "activation" else ""
    measured = source.kind == "input" and source.second_moment is not None
    return Feed(source.kind, activation, second_moments.get(operation.inputs[0], ASSUMED), measured, source.detail)


def after(operation: Operation, second_moments: dict[int, float], target: float) -> float:
    """Return the second moment behind one operation, given those of the operations before it.

    Args:
        operation: the operation.
        second_moments: of the results so far, by operation.
        target: what a weight operation is going to reach.
    """
    incoming = [second_moments.get(index, ASSUMED) for index in operation.inputs]
    if operation.kind == "input":
        return operation.second_moment or ASSUMED
    if operation.kind in WEIGHT_KINDS:
        return target
    if operation.kind == "norm" or not incoming:
        return 1.0
    if operation.kind == "activation":
        return activated(operation.detail, incoming[0])
    if operation.kind == "add":
        return sum(incoming)
    if operation.kind == "multiply":
        return math.prod(incoming)
    if operation.kind == "scale":
        return incoming[0] * operation.factor**2
    if operation.kind == "concat":
        return sum(incoming) / len(incoming)
    return incoming[-1] if operation.kind == "matmul" else incoming[0]


def activated(activation: str, second_moment: float) -> float:
    """E f(z)² for z ~ N(0, second_moment); the incoming value itself for PReLU's learnt slope at 0.25."""
    name = "prelu_0.25" if activation == "prelu" else activation
    return moments(find_activation(name), max(second_moment, 1e-12)).second
