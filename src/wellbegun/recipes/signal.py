"""How the second moment of the signal travels through a graph, if every weight meets its target."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.theory import Activation, find_activation, moments

ASSUMED = 1.0
"""Second moment of an input whose values were not given."""


@dataclass(frozen=True)
class Signal:
    """Second moment of one operation's result, and what makes it doubtful, "" if theory gives it.

    Sums of branches that share an ancestor, pooling, softmax and products need more than a second moment; behind them
    the number is an estimate until a normalisation sets it anew.
    """

    second_moment: float = ASSUMED
    doubt: str = ""


@dataclass(frozen=True)
class Feed:
    """What flows into an operation that multiplies with a weight.

    Attributes:
        kind: kind of the operation it comes from ("input", "activation", "norm", "add", "linear", ...).
        activation: name of the activation it comes out of, or "".
        second_moment: of the values.
        measured: whether that rests on data that were given.
        doubt: what makes the second moment an estimate, or "".
    """

    kind: str
    activation: str | Activation
    second_moment: float
    measured: bool
    doubt: str = ""


def feed_of(graph: Graph, operation: Operation, signals: dict[int, Signal]) -> Feed:
    """Return what flows into a weight operation."""
    if not operation.inputs:
        return Feed("constant", "", ASSUMED, False)
    source = graph.source(operation.inputs[0])
    if source.kind == "pool" and source.inputs:
        source = graph.source(source.inputs[0])
    activation = graph.activation(source) if source.kind == "activation" else ""
    measured = source.kind == "input" and source.second_moment is not None
    signal = signals.get(operation.inputs[0], Signal())
    return Feed(source.kind, activation, signal.second_moment, measured, signal.doubt)


def after(graph: Graph, operation: Operation, signals: dict[int, Signal], target: float) -> Signal:
    """Return the signal behind one operation, given those behind the operations before it.

    Args:
        graph: where the operation stands.
        operation: the operation.
        signals: of the results so far, by operation.
        target: what a weight operation is going to reach.
    """
    incoming = [signals.get(index, Signal()) for index in operation.inputs]
    moments_in = [signal.second_moment for signal in incoming]
    doubt = next((signal.doubt for signal in incoming if signal.doubt), "")
    kind = operation.kind
    if kind == "input":
        return Signal(operation.second_moment or ASSUMED)
    if kind == "norm" or not incoming:
        return Signal(target if kind in WEIGHT_KINDS else 1.0)
    if kind in WEIGHT_KINDS:
        return Signal(target, doubt)
    if kind == "activation":
        return Signal(activated(graph.activation(operation), moments_in[0]), doubt)
    if kind == "add":
        independent = all(graph.source(index).kind == "embedding" for index in operation.inputs)
        return Signal(sum(moments_in), doubt or ("" if independent else "a sum of branches"))
    if kind == "multiply":
        return Signal(math.prod(moments_in), doubt or "a product of branches")
    if kind == "softmax":  # n independent normal logits of variance s²: E p² = exp(s²)/n²
        return Signal(math.exp(min(moments_in[0], 8.0)) / max(operation.shape[-1:] or (1,)) ** 2, doubt or "a softmax")
    if kind == "scale":
        return Signal(moments_in[0] * operation.factor**2, doubt)
    if kind == "concat":
        return Signal(sum(moments_in) / len(moments_in), doubt)
    if kind == "matmul":
        return Signal(moments_in[-1], doubt or "a product of signals")
    if kind == "pool":
        return Signal(moments_in[0], doubt or "pooling")
    return Signal(moments_in[0], doubt or (operation.detail if kind == "other" else ""))


def activated(activation: str | Activation, second_moment: float) -> float:
    """E f(z)² for z ~ N(0, second_moment); the incoming value itself for PReLU's learnt slope at 0.25."""
    name = "prelu_0.25" if activation == "prelu" else activation
    return moments(find_activation(name), max(second_moment, 1e-12)).second
