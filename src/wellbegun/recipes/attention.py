"""Attentions found from their operations: which part of which weight makes queries, keys and values, and the scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation, Use

_TO_SOFTMAX = frozenset("masked_fill where index_put clamp nan_to_num sub".split())
_CARRIES = frozenset({"view", "dropout", "shift", "scale"})
_TURNS = frozenset({"multiply", "add", "concat", "norm"})
"""Between a projection and the scores: rotations by position, normalised queries, a gate on the result."""


@dataclass(frozen=True)
class Projection:
    """The weight, or the part of one, that makes queries, keys or values.

    Attributes:
        weight: its name.
        operation: index of the operation that multiplies with it.
        region: (start, stop) in each dimension, of the part; None: all of it.
        clear: whether the part is known; False where the heads of a packed weight are interleaved.
        rows: outputs of the part.
    """

    weight: str
    operation: int
    region: tuple[tuple[int, int], ...] | None
    clear: bool
    rows: int


@dataclass(frozen=True)
class Attention:
    """One attention.

    Attributes:
        query, key, value: what makes them.
        output: indices of the weight operations that read the result.
        head: numbers in one head's query.
        scale: plain factor on the products of queries and keys; 1/sqrt(head) in most models.
        crosses: whether keys come from another signal than queries.
    """

    query: Projection
    key: Projection
    value: Projection
    output: tuple[int, ...]
    head: int
    scale: float
    crosses: bool

    @property
    def heads(self) -> int:
        """Number of heads of the queries."""
        return max(self.query.rows // self.head, 1)


def find_attentions(graph: Graph) -> list[Attention]:
    """Return the attentions of a graph whose queries, keys and values each come from one weight, in order.

    One is a product of two signals, at most scaled, shifted and masked, then a softmax, then a product with a third;
    or one operation that does all of this.
    """
    found = []
    for operation in graph.operations:
        made = _products(graph, operation)
        if made is None:
            continue
        query, key, value = (_projection(graph, way) for way in (made.query, made.key, made.value))
        if query is None or key is None or value is None:
            continue
        crosses = not _same_source(graph, query.operation, key.operation)
        scale = made.scale * made.query.factor * made.key.factor
        found.append(Attention(query, key, value, tuple(_readers(graph, operation.index)), made.head, scale, crosses))
    return found


@dataclass(frozen=True)
class _Way:
    """The operations from a product's operand back to a weight operation, and the plain factor on them."""

    steps: tuple[int, ...]
    factor: float


@dataclass(frozen=True)
class _Products:
    """What an attention multiplies: three ways, the factor behind the first product, and what is summed in it."""

    query: _Way
    key: _Way
    value: _Way
    scale: float
    head: int


def _products(graph: Graph, operation: Operation) -> _Products | None:
    if operation.kind == "attention" and len(operation.inputs) >= 3:
        head = graph.operations[operation.inputs[0]].shape[-1]
        given = next((v for k, v in operation.scalars if k == "scale" and isinstance(v, float)), None)
        query, key, value = (_back(graph, index) for index in operation.inputs[:3])
        return _Products(query, key, value, given if given is not None else 1 / math.sqrt(head), head)
    if operation.kind != "matmul" or len(operation.inputs) != 2:
        return None
    for shares, other in (operation.inputs, operation.inputs[::-1]):
        step = graph.source(shares)
        if step.kind != "softmax" or not step.inputs:
            continue
        product, scale = _scores(graph, step.inputs[0])
        if product is not None:
            query, key, value = (_back(graph, index) for index in (*product.inputs, other))
            return _Products(query, key, value, scale, _contracted(graph, product))
    return None


def _contracted(graph: Graph, product: Operation) -> int:
    shape = graph.operations[product.inputs[0]].shape
    return shape[-1] if shape else 1


def _scores(graph: Graph, index: int) -> tuple[Operation | None, float]:
    """The product of queries and keys that a softmax is taken of, and the factor between."""
    factor, step = 1.0, graph.operations[index]
    while True:
        if step.kind == "matmul" and len(step.inputs) == 2:
            return step, factor
        if not step.inputs or not (step.kind in _CARRIES or step.kind == "add" or step.detail in _TO_SOFTMAX):
            return None, factor
        factor *= step.factor if step.kind == "scale" else 1.0
        # of a sum with a table of positions, the side that holds the product
        sides = [graph.operations[i] for i in step.inputs]
        step = max(sides, key=lambda side: (_leads_to_product(graph, side.index), side.index))


def _leads_to_product(graph: Graph, index: int) -> bool:
    step = graph.operations[index]
    while step.kind in _CARRIES and step.inputs:
        step = graph.operations[step.inputs[0]]
    return step.kind == "matmul"


def _back(graph: Graph, index: int) -> _Way:
    """The way back to a weight operation; without steps if there is none."""
    steps, factor, step = [], 1.0, graph.operations[index]
    while step.kind not in WEIGHT_KINDS:
        if not step.inputs or not (step.kind in _CARRIES or step.kind in _TURNS or step.detail == "neg"):
            return _Way((), factor)
        steps.append(step.index)
        factor *= step.factor if step.kind == "scale" else 1.0
        signals = [i for i in step.inputs if graph.operations[i].kind != "parameter"] or list(step.inputs)
        step = graph.operations[signals[0]]
    return _Way((*steps, step.index), factor)


def _projection(graph: Graph, way: _Way) -> Projection | None:
    if not way.steps or not graph.operations[way.steps[-1]].weight:
        return None
    at, weight = way.steps[-1], graph.operations[way.steps[-1]].weight
    uses = [use for use in graph.uses.get(weight, ()) if use.operation == at and use.fans is not None]
    if not uses:
        return None
    if len(uses) == 1:  # all of the weight, or of the rows that the model takes before it multiplies
        use = uses[0]
        return Projection(weight, at, use.region, use.region is not None or not use.part, _rows(use))
    place = next((_place(graph, index) for index in reversed(way.steps[:-1]) if _cuts(graph, index)), None)
    regions = sorted(use.region for use in uses if use.region is not None)
    if place is None or len(regions) < len(uses) or place >= len(regions):
        return Projection(weight, at, None, False, sum(map(_rows, uses)) // len(uses))
    axis = uses[0].axes.find("o")
    start, stop = regions[place][axis]
    return Projection(weight, at, regions[place], True, stop - start)


def _rows(use: Use) -> int:
    return round(use.fans.fan_out) if use.fans is not None else 0


def _cuts(graph: Graph, index: int) -> bool:
    """Whether an operation takes a part of its operand."""
    step = graph.operations[index]
    return step.kind == "view" and math.prod(step.shape) < math.prod(graph.operations[step.inputs[0]].shape)


def _place(graph: Graph, index: int) -> int:
    """Which of the parts that are taken of one result, counted from its beginning."""
    step = graph.operations[index]
    alike = [other for other in graph.consumers(step.inputs[0]) if other.detail == step.detail and other.kind == "view"]
    return sorted(alike, key=_start).index(step)


def _start(step: Operation) -> tuple[float, int]:
    given = dict(step.scalars)
    start = given.get(2, 0) if step.detail in ("select", "slice", "narrow") else 0
    return (float(start) if isinstance(start, (int, float)) else 0.0), step.index


def _same_source(graph: Graph, first: int, second: int) -> bool:
    one, other = (graph.source(graph.operations[index].inputs[0]).index for index in (first, second))
    return one == other


def _readers(graph: Graph, index: int) -> Iterator[int]:
    """The weight operations that read an attention's result, through views, a norm or a gate."""
    waiting, seen = [index], {index}
    while waiting:
        for step in graph.consumers(waiting.pop()):
            if step.index in seen:
                continue
            seen.add(step.index)
            if step.kind in WEIGHT_KINDS:
                yield step.index
            elif step.kind in _CARRIES or step.kind in ("norm", "multiply", "concat"):
                waiting.append(step.index)
