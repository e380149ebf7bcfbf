"""Attention scores: how large they are if queries and keys have second moment 1."""

from __future__ import annotations

from wellbegun.graph.graph import Graph, Operation

_TO_SCORES = frozenset({"view", "shift", "dropout", "scale"})
_TO_SOFTMAX = frozenset({"view", "shift", "dropout", "scale", "add"})


def score_size(graph: Graph, operation: Operation) -> float | None:
    """Return the second moment of the scores that an operation makes the queries of; None if it makes none.

    d products are summed in a score; most models divide by sqrt(d) behind them, and some leave that to the weights.
    """
    waiting, seen = [(operation.index, 1.0)], {operation.index}
    while waiting:
        index, size = waiting.pop()
        for step in graph.consumers(index):
            if step.kind == "matmul" and len(step.inputs) == 2 and step.inputs[0] == index:
                shape = graph.operations[index].shape
                factor = _to_softmax(graph, step)
                if factor is not None and shape:
                    return shape[-1] * size * _on_the_way_to(graph, step.inputs[1]) * factor
            elif step.index not in seen and (step.kind in _TO_SCORES or _turns(graph, step)):
                seen.add(step.index)
                waiting.append((step.index, size * (step.factor**2 if step.kind == "scale" else 1.0)))
    return None


def _on_the_way_to(graph: Graph, keys: int) -> float:
    """Square of the factors on keys: PyTorch's attention multiplies queries and keys by d^(-1/4) each."""
    size, step = 1.0, graph.operations[keys]
    while step.inputs and (step.kind in _TO_SCORES or _turns(graph, step)):
        size *= step.factor**2 if step.kind == "scale" else 1.0
        step = graph.operations[step.inputs[0]]
    return size


def _to_softmax(graph: Graph, product: Operation) -> float | None:
    """Square of the factors between a product and the softmax behind it; None if no softmax is."""
    waiting, seen = [(product.index, 1.0)], {product.index}
    while waiting:
        index, size = waiting.pop()
        for step in graph.consumers(index):
            if step.kind == "softmax":
                return size
            if step.index not in seen and (step.kind in _TO_SOFTMAX or step.detail in ("masked_fill", "where")):
                seen.add(step.index)
                waiting.append((step.index, size * (step.factor**2 if step.kind == "scale" else 1.0)))
    return None


def _turns(graph: Graph, step: Operation) -> bool:
    """Whether a step belongs to a rotation by position: products with a table, halves put together, their sum."""
    if step.kind == "add":
        return all(graph.source(index).kind == "multiply" for index in step.inputs)
    if step.kind == "multiply":
        return any(graph.operations[index].kind == "parameter" for index in step.inputs)
    return step.kind == "concat" or step.detail == "neg"
