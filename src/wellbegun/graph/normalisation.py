"""Normalisations written out of primitives: a value divided by its own size becomes one operation of kind "norm"."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.graph.rewrite import is_view_of_all, rewritten

_REDUCTIONS = {"mean": 1.0, "sum": 1.0, "var": 0.5, "std": 0.5, "linalg_vector_norm": 0.5, "norm": 0.5}
_REPEATED = frozenset({"sub", "mean", "pow", "square", "var", "std"})
"""Operations that code likes to write again where the result of the first would do."""

_CLOSE = 1e-3


@dataclass(frozen=True)
class _Size:
    """A statistic factor · S^power, with S the sum of the squares of the values of an operation.

    Attributes:
        of: index of the operation whose values are squared.
        centred: whether their mean is taken off inside, as var and std do.
        count: how many values are summed.
        power, factor: see above.
    """

    of: int
    centred: bool
    count: float
    power: float
    factor: float


def find_normalisations(graph: Graph) -> Graph:
    """Return the graph with every x / size(x) as one operation of kind "norm", and the roles of what follows it.

    Found are divisions by (or products with the inverse of) a root mean square, a standard deviation or a Euclidean
    norm, with or without the mean taken off first and a small number added. `second_moment` of the new operation is
    that of the result where it is not 1: 1/d behind a division by the norm of d numbers.
    """
    finder = _Finder(graph)
    for operation in graph.operations:
        finder.visit(operation)
    if not finder.found:
        return graph
    statistics = {*finder.sizes, *finder.squares, *finder.means}
    spare = frozenset(index for index, same in enumerate(finder.same) if same in statistics)
    return _roles(rewritten(graph, finder.found, spare))


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.found: dict[int, Operation] = {}
        self.same: list[int] = []  # of each operation, the first that holds the same numbers
        self.squares: dict[int, int] = {}
        self.means: dict[int, int] = {}
        self.centred: dict[int, int] = {}
        self.sizes: dict[int, _Size] = {}
        self.latest: dict[int, _Size] = {}  # statistic of each value
        self.used = {use.operation for uses in graph.uses.values() for use in uses}
        self.made: dict[object, int] = {}
        self.scaled: dict[int, int] = {}  # values times a learned scale, by the product

    def visit(self, operation: Operation) -> None:
        index, name, inputs = operation.index, operation.detail, [self.same[i] for i in operation.inputs]
        again = self._first(operation, inputs)  # x - mean(x) is often written twice
        self.same.append(inputs[0] if is_view_of_all(operation) else again)
        if index in self.used and operation.kind == "multiply" and name == "mul" and len(inputs) == 1:
            self.scaled[index] = inputs[0]
        if self.same[-1] != index or index in self.used or not inputs:
            return
        if operation.kind == "norm" and name in ("mul", "div"):
            self._recorded_norm(operation, name, inputs)
            return
        numbers = {key: value for key, value in operation.scalars if isinstance(value, (int, float))}
        first = inputs[0]
        size = self.sizes.get(first)
        if len(inputs) == 2:
            self._pair(operation, name, inputs)
        elif name == "pow" and size is not None:
            self._powered(index, size, float(numbers.get(1, 1)))
        elif name == "square" or (name == "pow" and numbers.get(1) == 2):
            self.squares[index] = first
        elif name in _REDUCTIONS:
            self._reduced(operation, name, first, numbers)
        elif size is not None:
            if name in ("add", "clamp_min", "clamp", "maximum"):  # a small number against a division by 0
                self.sizes[index] = size
            elif name in ("mul", "div") and numbers.get(1):
                factor = float(numbers[1]) if name == "mul" else 1 / float(numbers[1])
                self.sizes[index] = replace(size, factor=size.factor * factor)
            elif name in ("sqrt", "rsqrt", "reciprocal"):
                self._powered(index, size, {"sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}[name])

        if index in self.sizes:
            self.latest[self.sizes[index].of] = self.sizes[index]

    def _first(self, operation: Operation, inputs: list[int]) -> int:
        """The first operation that made these very numbers."""
        if operation.detail not in _REPEATED or operation.index in self.used:
            return operation.index
        key = (operation.detail, tuple(inputs), operation.scalars, operation.shape)
        return self.made.setdefault(key, operation.index)

    def _recorded_norm(self, operation: Operation, name: str, inputs: list[int]) -> None:
        """One that was taken for a normalisation while it was recorded, with its statistic or without it."""
        if len(inputs) == 2:
            self._pair(operation, name, inputs)
            if operation.index not in self.found:
                self.found[operation.index] = replace(operation, kind="multiply")
            return
        plain = self.scaled.get(inputs[0], inputs[0])
        sizes = (self.latest.get(at) for at in (inputs[0], plain, self.centred.get(plain, plain)))
        size = next((found for found in sizes if found is not None), None)
        sign = 1 if name == "mul" else -1
        if size is not None and size.power == -0.5 * sign:
            self._norm(operation, inputs[0], size, sign)

    def _powered(self, index: int, size: _Size, power: float) -> None:
        self.sizes[index] = replace(size, power=size.power * power, factor=size.factor**power)

    def _pair(self, operation: Operation, name: str, inputs: list[int]) -> None:
        left, right = inputs
        if left == right and name == "mul":
            self.squares[operation.index] = left
        elif name == "sub" and self.means.get(right) == left:
            self.centred[operation.index] = left
        elif name == "div" and self._is_size(right, left, 0.5):
            self._norm(operation, left, self.sizes[right], -1)
        elif name == "mul" and self._is_size(right, left, -0.5):
            self._norm(operation, left, self.sizes[right], 1)
        elif name == "mul" and self._is_size(left, right, -0.5):
            self._norm(operation, right, self.sizes[left], 1)

    def _is_size(self, statistic: int, value: int, power: float) -> bool:
        size = self.sizes.get(statistic)
        if size is None or size.power != power:
            return False
        return self._measures(size, value) or self._measures(size, self.scaled.get(value, value))

    def _measures(self, size: _Size, value: int) -> bool:
        return value == size.of or (size.centred and self.centred.get(value) == size.of)

    def _reduced(self, operation: Operation, name: str, value: int, numbers: dict[int | str, int | float]) -> None:
        shape = self.graph.operations[operation.inputs[0]].shape
        count = max(1.0, math.prod(shape) / max(1, math.prod(operation.shape)))
        if name in ("mean", "sum"):
            if name == "mean":
                self.means[operation.index] = value
            if value in self.squares:
                factor = 1 / count if name == "mean" else 1.0
                self.sizes[operation.index] = _Size(self.squares[value], False, count, 1.0, factor)
        elif name in ("var", "std"):
            power = 1.0 if name == "var" else 0.5
            self.sizes[operation.index] = _Size(value, True, count, power, (1 / count) ** power)
        elif all(number == 2 for key, number in numbers.items() if key in (1, "ord", "p")):
            self.sizes[operation.index] = _Size(value, False, count, 0.5, 1.0)

    def _norm(self, operation: Operation, value: int, size: _Size, sign: int) -> None:
        moment = size.factor ** (2 * sign) / size.count
        scaled_first = value in self.scaled and not self._measures(size, value)
        if scaled_first:  # weight · x / size(x): the scale is applied before the division
            inside = self.scaled[value]
            inside = self.centred.get(inside, inside)
            self.found[value] = replace(self.graph.operations[value], kind="norm", inputs=(inside,))
        is_unit = abs(moment * size.count - 1) < _CLOSE and size.count > 1
        plain = self.scaled[value] if scaled_first else value
        detail = "l2_norm" if is_unit else "layer_norm" if plain in self.centred else "rms_norm"
        second_moment = None if abs(moment - 1) < _CLOSE else moment
        source = self.centred.get(value, value)
        self.found[operation.index] = replace(
            operation, kind="norm", detail=detail, inputs=(source,), second_moment=second_moment, scalars=()
        )


def _roles(graph: Graph) -> Graph:
    """Scales and shifts right behind a normalisation are its own, which could not be known while it was recorded."""
    operations = list(graph.operations)
    at: dict[int, list[Use]] = {}
    for use in (use for uses in graph.uses.values() for use in uses):
        at.setdefault(use.operation, []).append(use)
    ranks = {variable.name: len(variable.shape) for variable in graph.variables}
    renamed: dict[Use, Use] = {}
    for position, operation in enumerate(operations):
        here = at.get(position, [])
        signals = [i for i in operation.inputs if operations[i].kind != "parameter"]
        if len(here) != 1 or len(signals) != 1:
            continue
        (use,) = here
        shifted = use.offset != 0 and use.serves == "multiplied"
        known = "multiplied" if shifted else use.role
        if (known, operation.detail) not in (("multiplied", "mul"), ("added", "add")):
            continue
        before = operations[signals[0]]
        while before.kind == "view" and before.inputs:
            before = operations[before.inputs[0]]
        if before.kind != "norm" and operation.kind != "norm":
            continue
        role = "normalisation scale" if known == "multiplied" else "normalisation shift"
        renamed[use] = replace(use, role=role, serves="", axes="o" if ranks.get(use.variable) == 1 else use.axes)
        kind = "norm" if known == "multiplied" else "shift"
        scales = kind == "norm" and before.kind == "norm"
        moment = before.second_moment if scales else operation.second_moment
        operations[position] = replace(operation, kind=kind, second_moment=moment)
    found = {name: tuple(renamed.get(use, use) for use in uses) for name, uses in graph.uses.items()}
    return replace(graph, operations=tuple(operations), uses=found)
