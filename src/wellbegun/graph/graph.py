"""What one forward pass showed: operations in order, and which of them uses which parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from wellbegun.graph.variable import Variable
from wellbegun.laws import Fans
from wellbegun.theory import Activation, find_activation

WEIGHT_KINDS = frozenset({"linear", "convolution", "transposed convolution", "embedding"})

SQUASHERS = frozenset({"sigmoid", "logsigmoid", "hardsigmoid"})
"""Activations that turn logits into probabilities when they end a model."""


@dataclass(frozen=True)
class Operation:
    """One step of the forward pass.

    Attributes:
        index: position in the order of execution.
        kind: "input", "linear", "convolution", "transposed convolution", "embedding", "norm", "activation", "add",
            "multiply", "scale", "shift", "view", "pool", "dropout", "concat", "matmul", "softmax" or "other".
        detail: the activation's name, or PyTorch's name of the operation.
        inputs: indices of the operations whose results it takes.
        shape: of its (first) result.
        weight: the parameter it multiplies with, if any.
        factor: of a "scale".
        second_moment: of an "input" whose values were given, and of the result of a "norm" that is not 1 (1/d behind
            an L2 normalisation of d numbers).
        scalars: the numbers and texts among its arguments, by position or keyword: ((1, 1.702),) for x * 1.702.
    """

    index: int
    kind: str
    detail: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    weight: str = ""
    factor: float = 1.0
    second_moment: float | None = None
    scalars: tuple[tuple[int | str, float | str], ...] = ()


@dataclass(frozen=True)
class Use:
    """One use of a parameter or buffer by one operation.

    Attributes:
        variable: its name.
        role: "linear weight", "bias", "normalisation scale", ...
        operation: index of the operation.
        detail: PyTorch's name of the operation.
        fans: of a weight or bias.
        inputs_first: whether a weight is stored as [inputs, outputs], as in `x @ W`.
        axes: what each dimension of the parameter serves as, one letter each: "o" outputs, "i" inputs, "b" a stack of
            separate weights (experts), "k" taps of a kernel, "v" rows that are looked up, "?" unknown. "oi" for
            nn.Linear, "io" for `x @ W`, "oikk" for a 2-d convolution, "bio" for stacked experts. "" if not known.
        region: (start, stop) in each dimension, of the part of the parameter that this use is about; None: all of it.
        padding_row: row of a look-up table that stands for padding, and is zero.
    """

    variable: str
    role: str
    operation: int
    detail: str
    fans: Fans | None = None
    inputs_first: bool = False
    axes: str = ""
    region: tuple[tuple[int, int], ...] | None = None
    padding_row: int | None = None


@dataclass(frozen=True)
class Graph:
    """Operations, the variables they use, and the operations whose results the model returns.

    `functions` holds the activations that are written out in the model and have no name, by their formula.
    """

    variables: tuple[Variable, ...]
    operations: tuple[Operation, ...]
    uses: dict[str, tuple[Use, ...]] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    functions: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = field(default_factory=dict)

    def activation(self, operation: Operation) -> str | Activation:
        """Return an activation's name, or the activation itself where the model has it written out and it has none."""
        if operation.detail not in self.functions:
            return operation.detail
        if operation.detail not in self._activations:
            self._activations[operation.detail] = find_activation(self.functions[operation.detail])
        return self._activations[operation.detail]

    @cached_property
    def _activations(self) -> dict[str, Activation]:
        return {}

    def weight_operations(self) -> Iterator[Operation]:
        """The operations that multiply with a parameter, in order."""
        return (operation for operation in self.operations if operation.kind in WEIGHT_KINDS and operation.weight)

    def consumers(self, index: int) -> list[Operation]:
        """The operations that take the result of this one."""
        return self._consumers.get(index, [])

    @cached_property
    def _consumers(self) -> dict[int, list[Operation]]:
        found: dict[int, list[Operation]] = {}
        for operation in self.operations:
            for index in dict.fromkeys(operation.inputs):
                found.setdefault(index, []).append(operation)
        return found

    def output_layers(self) -> frozenset[int]:
        """The operations whose results the model returns, seen through a softmax or sigmoid that ends the model."""
        found = set()
        for index in self.outputs:
            operation = self.source(index)
            while operation.inputs and (operation.kind == "softmax" or operation.detail in SQUASHERS):
                operation = self.source(operation.inputs[0])
            found.add(operation.index)
        return frozenset(found)

    def source(self, index: int) -> Operation:
        """The operation that decides what flows here: views, dropout and shifts are looked through."""
        operation = self.operations[index]
        while operation.kind in ("view", "dropout", "shift") and operation.inputs:
            operation = self.operations[operation.inputs[0]]
        return operation
