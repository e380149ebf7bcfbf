"""Activations written out of primitives: all elementwise steps from one value become one operation with a function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.graph.graph import Graph, Operation
from wellbegun.graph.primitives import PRIMITIVES, TESTS, arguments, own_activation
from wellbegun.graph.rewrite import has_several_results, is_view_of_all, rewritten
from wellbegun.theory import activation_names, find_activation

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

_KINDS = frozenset({"activation", "add", "multiply", "scale", "shift", "other", "rsqrt"})
_NEAR, _FAR = np.linspace(-6.0, 6.0, 481), np.linspace(-40.0, 40.0, 321)
_LONGEST = 60
_SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "true_divide": "/",
    "gt": ">",
    "lt": "<",
    "ge": ">=",
    "le": "<=",
}


@dataclass(frozen=True)
class _Step:
    """An elementwise function of one value: how to compute it from the values before, and how to write it."""

    root: int
    evaluate: Callable[[dict[int, Array]], Array]
    text: str
    affine: bool
    steps: int


def find_activations(graph: Graph) -> Graph:
    """Return the graph with every elementwise function of one value as one operation of kind "activation".

    Its detail is the name of the activation that it equals on [-6, 6], or its formula, under which `graph.functions`
    holds it as a function of float64 arrays. Scales and shifts alone stay, and so do products and sums of two values.
    """
    steps = _Steps(graph)
    replaced: dict[int, Operation] = {}
    functions: dict[str, Function] = dict(graph.functions)
    named: dict[str, tuple[str, Function | None] | None] = {}  # repeated layers have the same formula
    for operation in graph.operations:
        if steps.ends(operation):
            text = steps.found[operation.index].text
            if text not in named:
                named[text] = _named(text, steps.function(operation.index))
            found = named[text]
            if found is not None:
                detail, function = found
                root = steps.root(operation.index)
                replaced[operation.index] = replace(
                    operation, kind="activation", detail=detail, inputs=(root,), factor=1.0, scalars=()
                )
                if function is not None:
                    functions[detail] = function
    return replace(rewritten(graph, replaced), functions=functions)


class _Steps:
    """The elementwise steps of a graph, each with the one value that it is a function of."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.found: dict[int, _Step] = {}
        self.used = {use.operation for uses in graph.uses.values() for use in uses}
        for operation in graph.operations:
            step = self._step(operation)
            if step is not None:
                self.found[operation.index] = step

    def root(self, index: int) -> int:
        """The value that this one is an elementwise function of: itself, if of no other."""
        return self.found[index].root if index in self.found else index

    def ends(self, operation: Operation) -> bool:
        """Whether a function of more than one step (or one without a name) ends here, and is used by something else."""
        step = self.found.get(operation.index)
        if step is None or step.affine or operation.kind == "view" or operation.detail in TESTS:
            return False
        if step.steps == 1 and operation.kind == "activation" and not operation.scalars:
            return False
        consumers = self.graph.consumers(operation.index)
        inside = (self.found.get(consumer.index) for consumer in consumers)
        is_inner = all(other is not None and other.root == step.root for other in inside)
        return operation.index in self.graph.outputs or not (consumers and is_inner)

    def function(self, index: int) -> Function:
        """The function of the root's values."""
        step = self.found[index]
        members: list[int] = []
        self._collect(index, members)

        def function(x: Array) -> Array:
            with np.errstate(all="ignore"):
                values = {step.root: np.asarray(x, dtype=np.float64)}
                for member in members:
                    values[member] = self.found[member].evaluate(values)
                return np.asarray(values[index], dtype=np.float64)

        return function

    def _collect(self, index: int, members: list[int]) -> None:
        """The steps from the root to this one, in the order of execution."""
        root, waiting, seen = self.found[index].root, [index], set[int]()
        while waiting:
            at = waiting.pop()
            if at != root and at not in seen:
                seen.add(at)
                members.append(at)
                waiting.extend(self.graph.operations[at].inputs)
        members.sort()

    def _step(self, operation: Operation) -> _Step | None:
        if operation.index in self.used or not operation.inputs:
            return None
        roots = {self.root(index) for index in operation.inputs}
        if len(roots) > 1:
            return None
        root = roots.pop()
        values = self.graph.operations[root]
        if values.shape != operation.shape or (has_several_results(values) and len(operation.inputs) > 1):
            return None
        before = [self.found.get(index) for index in operation.inputs]
        texts = {index: step.text if step else "x" for index, step in zip(operation.inputs, before, strict=True)}
        if is_view_of_all(operation):
            (source,) = operation.inputs
            step = before[0]
            return _Step(
                root, lambda v: v[source], texts[source], step is None or step.affine, step.steps if step else 0
            )
        return self._primitive(operation, root, before, texts)

    def _primitive(
        self, operation: Operation, root: int, before: list[_Step | None], texts: dict[int, str]
    ) -> _Step | None:
        activation = own_activation(operation)
        affine_so_far = all(step is None or step.affine for step in before)
        steps = 1 + sum(step.steps for step in before if step)
        if activation is not None:
            (source,) = operation.inputs[:1]
            function = activation.function
            return _Step(root, lambda v: function(v[source]), f"{operation.detail}({texts[source]})", False, steps)
        name = operation.detail
        if operation.kind not in _KINDS or name not in PRIMITIVES:
            return None
        found = arguments(operation)
        if found is None or any(value != value for value in found[0]):
            return None
        places, named, numbers = found
        of_input = self.graph.source(root).kind == "input"
        if "rounding_mode" in named or (of_input and name in (*TESTS, "where", "masked_fill")):
            return None  # masks are no activations
        primitive = PRIMITIVES[name]

        def evaluate(values: dict[int, Array]) -> Array:
            given = [place if i in numbers else values[int(place)] for i, place in enumerate(places)]
            made: Array = primitive(*given, **named)
            return made

        affine = affine_so_far and (
            name in ("add", "sub", "rsub", "neg")
            or (name in ("mul", "div") and len(operation.inputs) == 1 and 0 not in numbers)
        )
        written = [f"{place:.6g}" if i in numbers else texts[int(place)] for i, place in enumerate(places)]
        return _Step(root, evaluate, _written(name, written, named), affine, steps)


def _written(name: str, parts: list[str], named: dict[str, Any]) -> str:
    if name == "rsub" and len(parts) == 2:  # torch's name for 1 - x
        name, parts = "sub", parts[::-1]
    parts = [*(parts if name in _SIGNS or name == "pow" else map(_without_brackets, parts))]
    parts += [f"{key}={value}" for key, value in named.items() if not (key == "alpha" and value == 1)]
    if name in _SIGNS and len(parts) == 2:
        text = f"({parts[0]}{_SIGNS[name]}{parts[1]})"
    elif name == "pow" and len(parts) == 2:
        text = f"{parts[0]}^{parts[1]}"
    elif name == "neg":
        text = f"-{parts[0]}"
    else:
        text = f"{name}({','.join(parts)})"
    if len(text) > _LONGEST:
        # formulas of shared values double with every step: what is long is cut, and told apart by its digest
        text = f"{text[: _LONGEST - 8]}…{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"
    return text


def _named(text: str, function: Function) -> tuple[str, Function | None] | None:
    """The name of a known activation, or the formula and its function; None if it is no function of all numbers."""
    values = function(_NEAR), function(_FAR)
    if values[0].shape != _NEAR.shape or not np.isfinite(values[0]).all() or np.ptp(values[0]) == 0:
        return None
    for name in (*activation_names(), *_with_parameter(function)):
        if all(_agree(found, known) for found, known in zip(values, _on_grids(name), strict=True)):
            return name, None
    text = _without_brackets(text)
    function.__name__ = text
    return text, function


def _with_parameter(function: Function) -> list[str]:
    """Names of activations with the one parameter that fits the function at a few points."""
    below, near, middle, above = (float(value) for value in function(np.array([-1.0, 1e-3, 0.0, 1.0])))
    names = []
    if abs(above - 1) < 1e-6 and 0 < -below < 1:
        names += [f"leaky_relu_{-below:.7g}", f"elu_{-below / -np.expm1(-1.0):.7g}"]
    if 0 < near < 1:
        names.append(f"sin_{np.arcsin(near) / 1e-3:.6g}")
    if middle > 0:
        names.append(f"softplus_{np.log(2) / middle:.7g}")
    return [name for name in names if "e" not in name.rsplit("_", 1)[1]]


@lru_cache(maxsize=256)
def _on_grids(name: str) -> tuple[Array, Array]:
    function = find_activation(name).function
    with np.errstate(all="ignore"):
        return function(_NEAR), function(_FAR)


def _agree(found: Array, known: Array) -> bool:
    """Whether two functions are equal but for the rounding of the numbers in a formula, wherever both are finite."""
    both = np.isfinite(found) & np.isfinite(known)
    size = float(np.abs(known[both]).max(initial=0.0))
    return bool(np.abs(found[both] - known[both]).max(initial=0.0) <= 1e-6 * size)


def _without_brackets(text: str) -> str:
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for letter in text[:-1]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text
    return text[1:-1]
