"""Tracing one forward pass on meta tensors: no weights in memory, any Python control flow, ties visible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.framework import random_states_kept
from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.graph.inputs import example_inputs, to_meta
from wellbegun.graph.operations import describe
from wellbegun.graph.variable import Variable, collect_variables
from wellbegun.laws import Fans

PACKED = "several weights in one tensor, which this version cannot plan"
"""Role of the parameters of nn.LSTM, nn.GRU, nn.RNN and of nn.MultiheadAttention's input projection."""


def trace(model: torch.nn.Module, inputs: Any = None) -> Graph:
    """Run the model's forward once on meta tensors and return what it did.

    Args:
        model: on any device, meta included; neither it nor any random state is changed.
        inputs: see `example_inputs`. Real floating-point tensors also give the second moment of the data.

    Raises:
        TraceError: the model's forward fails; its own error is given, and where.
    """
    arguments, keywords = example_inputs(model, inputs)
    variables = collect_variables(model)
    state: dict[str, torch.Tensor] = {}
    recorder = Recorder(frozenset(variable.name for variable in variables if variable.packed))
    for variable in variables:
        dtype = getattr(torch, variable.dtype)
        meta = torch.empty(variable.shape, dtype=dtype, device="meta")
        state |= dict.fromkeys((variable.name, *variable.ties), meta)
        recorder.know_variable(meta, variable.name)
    real = tree_leaves((arguments, keywords))
    arguments, keywords = to_meta(arguments), to_meta(keywords)
    for original, meta in zip(real, tree_leaves((arguments, keywords)), strict=True):
        if isinstance(meta, torch.Tensor):
            recorder.know_input(meta, _second_moment(original))
    try:
        with attributes_kept(model), random_states_kept(), torch.no_grad(), recorder:
            result = torch.func.functional_call(model, state, arguments, keywords)
            made = [name for name, _ in model.named_parameters(remove_duplicate=False) if name not in state]
    except Exception as error:
        raise TraceError(_failure(model, arguments, keywords, error)) from error
    if made:
        raise TraceError(
            f"the forward pass makes parameters ({', '.join(made)}); "
            "make them in the constructor, so that they can be planned"
        )
    outputs = (recorder.result_of(leaf) for leaf in tree_leaves(_plain(result)) if isinstance(leaf, torch.Tensor))
    return recorder.graph(variables, tuple(dict.fromkeys(index for index in outputs if index is not None)))


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every tensor back to the operation that made it, or to the parameter that it is a view of."""

    def __init__(self, packed: frozenset[str] = frozenset()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._packed = packed
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
        describe(self, func.overloadpacket.__name__, args, kwargs or {}, result)
        return result

    def graph(self, variables: tuple[Variable, ...], outputs: tuple[int, ...]) -> Graph:
        """Return what was recorded."""
        uses = {name: tuple(found) for name, found in self._uses.items()}
        return Graph(variables, tuple(self._operations), uses, outputs)


@contextmanager
def attributes_kept(model: torch.nn.Module) -> Iterator[None]:
    """Undo what a forward pass sets on modules (a cache, say), which would be meta tensors here."""
    tables = ("_parameters", "_buffers", "_modules")
    kept = [(module, dict(vars(module)), [dict(vars(module)[t]) for t in tables]) for module in model.modules()]
    try:
        yield
    finally:
        for module, attributes, contents in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for table, content in zip(tables, contents, strict=True):
                attributes[table].clear()
                attributes[table].update(content)


def _second_moment(value: object) -> float | None:
    """Of the values as they are: whole numbers too, which a model may turn into floats (pixels from 0 to 255)."""
    if not isinstance(value, torch.Tensor) or value.is_meta or not value.numel() or value.dtype == torch.bool:
        return None
    wide = torch.complex128 if value.is_complex() else torch.float64
    moment = float(value.detach().to(wide).abs().square().mean())
    if not math.isfinite(moment):
        raise ArgumentError(f"the example input of shape {tuple(value.shape)} holds values that are not finite")
    return moment if moment > 0 else None


def _plain(result: Any) -> Any:
    """A model output object of transformers is a mapping: take its values."""
    return list(result.values()) if isinstance(result, dict) else result


def _failure(model: torch.nn.Module, arguments: Any, keywords: Any, error: Exception) -> str:
    shapes = [f"{tuple(leaf.shape)}" for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
    place = _place(error, type(model).forward)
    return (
        f"the forward pass of {type(model).__name__} failed while it was traced on meta tensors with inputs of shape "
        f"{', '.join(shapes) or '(none)'}{place}: {type(error).__name__}: {error}. "
        "If the shape is wrong, pass inputs=... (a batch, or a spec such as 'image:3x224x224'); if the forward needs "
        "real values, it cannot be planned by tracing yet: use rules for each parameter."
    )


def _place(error: Exception, forward: Callable[..., Any]) -> str:
    """File and line of the last frame outside of torch and of this package."""
    found = ""
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/wellbegun/graph/" not in file:
            found = f" (at {file}:{step.tb_lineno})"
        step = step.tb_next
    return found or f" (in {forward.__qualname__})"
