"""The recorder of a forward pass: follows every tensor back to the operation, or the parameter, that it came from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.graph.operations import describe
from wellbegun.graph.variable import Variable
from wellbegun.laws import Fans

PACKED = "several weights in one tensor, which this version cannot plan"
"""Role of the parameters of nn.LSTM, nn.GRU, nn.RNN and of nn.MultiheadAttention's input projection."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every tensor back to the operation that made it, or to the parameter that it is a view of."""

    def __init__(self, packed: frozenset[str] = frozenset()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._packed = packed
        self._scalars: tuple[tuple[int | str, float | str], ...] = ()
        self._operations: list[Operation] = []
        self._uses: dict[str, list[Use]] = {}
        self._made_by: dict[int, int] = {}
        self._variable_of: dict[int, str] = {}
        self._alive: list[torch.Tensor] = []  # ids stay unique while the tensors live

    def know_variable(self, tensor: torch.Tensor, name: str) -> None:
        """Remember that this tensor is a parameter or buffer, or a view of one."""
        self._variable_of[id(tensor)] = name
        self._alive.append(tensor)

    def know_input(self, tensor: torch.Tensor, second_moment: float | None) -> None:
        """Remember that this tensor is an input of the model."""
        self.record("input", "input", (), tensor, second_moment=second_moment)

    def variable(self, value: object) -> str | None:
        """Name of the parameter or buffer that a value is (a view of)."""
        return self._variable_of.get(id(value))

    def result_of(self, value: object) -> int | None:
        """Index of the operation that made a value."""
        return self._made_by.get(id(value))

    def kind_of(self, value: object) -> str:
        """Kind of the operation that made a value, views looked through; "" for anything else."""
        index = self.result_of(value)
        while index is not None and self._operations[index].kind == "view":
            inputs = self._operations[index].inputs
            index = inputs[0] if inputs else None
        return "" if index is None else self._operations[index].kind

    def record(
        self, kind: str, detail: str, inputs: tuple[Any, ...], result: Any, weight: str = "", **more: Any
    ) -> int:
        """Add an operation; inputs are tensors, and those that nothing made (constants) are left out."""
        indices = tuple(index for index in map(self.result_of, inputs) if index is not None)
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        shape = tuple(tensors[0].shape) if tensors else ()
        index = len(self._operations)
        more.setdefault("scalars", self._scalars)
        self._operations.append(Operation(index, kind, detail, indices, shape, weight, **more))
        for tensor in tensors:
            self._made_by[id(tensor)] = index
            self._alive.append(tensor)
        return index

    def use(self, name: str, role: str, operation: int, detail: str, fans: Fans | None = None, **more: Any) -> None:
        """Note that an operation uses a parameter or buffer."""
        if name in self._packed:
            role, fans = PACKED, None
        self._uses.setdefault(name, []).append(Use(name, role, operation, detail, fans, **more))

    def is_packed(self, name: str) -> bool:
        """Whether the parameter holds several weights, as those of nn.LSTM and nn.MultiheadAttention do."""
        return name in self._packed

    def split(self, value: torch.Tensor, parts: int) -> None:
        """Note that the result of a matrix product is split into equal parts: its weight is so many weights."""
        operation = self._operations[self._made_by[id(value)]]
        while operation.kind in ("view", "shift") and operation.inputs:
            operation = self._operations[operation.inputs[0]]
        uses = self._uses.get(operation.weight, [])
        for position, use in enumerate(uses):
            if use.operation == operation.index and use.fans and operation.shape[-1] == value.shape[-1]:
                fans = Fans(use.fans.fan_in, use.fans.fan_out / parts)
                uses[position] = replace(use, fans=fans)

    def is_assumed_data(self, value: object) -> bool:
        """Whether a value is an input that was not given, at most shifted and scaled: its size is not known."""
        index = self.result_of(value)
        operation = None if index is None else self._operations[index]
        while operation is not None and operation.kind in ("view", "shift") and operation.inputs:
            operation = self._operations[operation.inputs[0]]
        return operation is not None and operation.kind == "input" and operation.second_moment is None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._scalars = _scalars(args, kwargs or {})
        describe(self, func.overloadpacket.__name__, args, kwargs or {}, result)
        return result

    def graph(self, variables: tuple[Variable, ...], outputs: tuple[int, ...]) -> Graph:
        """Return what was recorded."""
        uses = {name: tuple(found) for name, found in self._uses.items()}
        return Graph(variables, tuple(self._operations), uses, outputs)


def _scalars(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[int | str, float | str], ...]:
    """The numbers and texts among the arguments, by position or keyword."""
    named: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    return tuple((key, value) for key, value in named if isinstance(value, (int, float, str)))
