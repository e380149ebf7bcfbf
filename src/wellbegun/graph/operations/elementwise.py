"""Sums and products of signals with numbers, parameters and one another."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.graph.graph import WEIGHT_KINDS, Operation
from wellbegun.graph.slices import Cuttable
from wellbegun.graph.tracked import Source

_MASKS = frozenset({"where", "masked_fill"})

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder


def add(recorder: Recorder, call: Call) -> None:
    """Record a sum or difference with at least one signal."""
    values = [tensor for tensor in call.tensors if recorder.is_signal(tensor)]
    given = [tensor for tensor in call.tensors if recorder.sources(tensor)]
    if not given:
        kind, follow = ("add", "sum") if len(values) > 1 else ("shift", "same")
        if len(values) == 2:
            _find_bias_table(recorder, *values)
            _find_bias_table(recorder, *reversed(values))
        recorder.record(call, kind, values, follow=follow)
        return
    # asked before the operation is recorded: in add_, the result takes an argument's place
    signal = values[0]
    made = recorder.made(signal)
    roles = [_added(recorder, signal, tensor, call.results[0].ndim) for tensor in given]
    used = [(role, tensor, recorder.sources(tensor)) for role, tensor in zip(roles, given, strict=True)]
    shifts = all(role in ("bias", "normalisation shift") for role in roles)
    index = recorder.record(call, "shift" if shifts else "add", (*values, *given), follow="same")
    for role, tensor, sources in used:
        fans, layer, letters = None, None, ""
        if role == "bias" and made is not None and made.parts and _is_linear_in(recorder, signal):
            layer = max(made.parts)
            fans = recorder.slices.fans_of(layer, made.parts[layer].runs())
        if role in ("bias", "normalisation shift"):
            varying = varying_axes(sources, tensor)
            letters = "".join("o" if axis in varying else "." for axis in range(tensor.ndim))
        for source in sources:
            recorder.use_all((source,), role, index, call.name, fans, letters, "." if letters else "")
            if layer is not None and made is not None and letters.count("o") == 1:
                runs = made.parts[layer].runs()
                if runs is not None and len(runs) == 1 and runs == recorder.slices.whole(layer):
                    cut = Cuttable(source, len(recorder.uses_of(source)) - 1, letters, letters.find("o"))
                    recorder.slices.add(layer, cut)


def multiply(recorder: Recorder, call: Call) -> None:
    """Record a product or quotient with at least one signal."""
    values = [tensor for tensor in call.tensors if recorder.is_signal(tensor)]
    given = [tensor for tensor in call.tensors if recorder.sources(tensor)]
    kinds = [recorder.kind_of(value) for value in values]
    constant = _constant(recorder, given) if len(values) == 1 and call.args[0] is values[0] else None
    if constant is not None:
        used = recorder.sources(given[0])
        factor = constant if call.name == "mul" else 1 / constant
        index = recorder.record(call, "scale", values, follow="same", factor=factor)
        recorder.use_all(used, "scalar gate", index, call.name)
        return
    if given:
        roles = [_multiplied(recorder, call, values[0], tensor) for tensor in given]
        kind = "norm" if "normalisation scale" in roles else "multiply"
        made = [recorder.sources(tensor) for tensor in given]
        if set(kinds) == {"noise"}:  # dropout of parameters
            recorder.record(call, "parameter", given, detail="dropout", sources=made[0])
            return
        index = recorder.record(call, kind, (*values, *given), follow="same")
        if kind == "norm":
            recorder.has_affine.add((index, "normalisation scale"))
        for role, tensor, sources in zip(roles, given, made, strict=True):
            letters = "o" if role == "normalisation scale" and tensor.ndim == 1 else ""
            recorder.use_all(sources, role, index, call.name, letters=letters)
        return
    number = _number(call)
    if len(values) == 1 and number is not None:
        _scale(recorder, call, values[0], kinds[0], number)
    elif "noise" in kinds:
        signal = [value for value, kind in zip(values, kinds, strict=True) if kind != "noise"]
        noise = next(value for value, kind in zip(values, kinds, strict=True) if kind == "noise")
        recorder.record(call, "dropout", signal, follow="same", kept=_kept(recorder, noise))
    elif "rsqrt" in kinds:
        recorder.record(call, "norm", values)
    elif len(values) == 2 and call.name == "div" and (length := _length(recorder, values[1])) is not None:
        moment = _moment(values[0], length)
        recorder.record(call, "norm", values, second_moment=moment)
    else:
        recorder.record(call, "multiply", values, follow="same")


def where(recorder: Recorder, call: Call) -> None:
    """Record a choice between two tensors, of which one may be a mask token."""
    used = [(tensor, recorder.sources(tensor)) for tensor in call.tensors]
    index = recorder.record(call, "other", call.tensors)
    for tensor, sources in used:
        recorder.use_all(sources, "token" if tensor.is_floating_point() else "other", index, call.name)


def _kept(recorder: Recorder, noise: torch.Tensor) -> float:
    """The share that a mask of dropout keeps: the number that it is divided by."""
    mask = recorder.source_of(noise)
    scalars = mask.scalars if mask is not None and mask.detail == "div" else ()
    kept = next((value for key, value in scalars if key == 1 and not isinstance(value, str)), 1.0)
    return kept if 0 < kept <= 1 else 1.0


def _scale(recorder: Recorder, call: Call, value: Any, kind: str, number: float) -> None:
    if kind == "noise":  # dropout scales its mask
        recorder.record(call, "noise", ())
        return
    factor = number if call.name == "mul" else 1.0 / number if number else math.inf
    recorder.record(call, "scale", (value,), follow="same", factor=factor)


def _constant(recorder: Recorder, given: list[torch.Tensor]) -> float | None:
    """The number that a buffer of one element holds, if that is all that a signal is multiplied with."""
    sources = recorder.sources(given[0]) if len(given) == 1 else ()
    if len(sources) != 1 or sources[0].derived:
        return None
    number = recorder.numbers.get(sources[0].variable)
    return number * sources[0].factor if number else None


def _number(call: Call) -> float | None:
    """The number that the first argument is multiplied with or divided by."""
    if not isinstance(call.args[0], torch.Tensor):
        return None
    return next((float(value) for key, value in call.scalars if key == 1 and not isinstance(value, str)), None)


def _added(recorder: Recorder, signal: torch.Tensor, given: torch.Tensor, rank: int) -> str:
    """The role of what was made from parameters and is added to a signal."""
    varying = {axis + rank - given.ndim for axis in varying_axes(recorder.sources(given), given)}
    vector = len(varying) < 2
    made = recorder.made(signal)
    behind = made.parts.items() if made is not None and _is_linear_in(recorder, signal) else ()
    for operation, part in behind:
        if part.shadow is not None:
            offset = rank - len(part.shadow.shape)
            along = {axis + offset for axis in part.shadow.axes_along(part.axis)}
            alone = not varying and recorder.slices.whole(operation) == ((0, 1),)
            if alone or (varying and varying <= along):
                return "bias"
    if _is_bias_of_stack(recorder, signal, given):
        return "bias"
    kind = recorder.kind_of(signal)
    if vector and _lacks(recorder, signal, "normalisation shift"):
        return "normalisation shift"
    if vector and (kind in WEIGHT_KINDS or kind == "bilinear" or (kind == "matmul" and varying == {rank - 1})):
        return "bias"
    gathered = any(source.gathered for source in recorder.sources(given))
    if (gathered or not vector) and are_scores(recorder, signal):
        return "bias table"
    return "position table" if gathered or not vector else "added"


def _multiplied(recorder: Recorder, call: Call, signal: torch.Tensor, given: torch.Tensor) -> str:
    if call.name == "div":
        return "divided"
    if given.numel() == 1:
        return "scalar gate"
    if recorder.result_of(signal) in recorder.masks:
        return "token"
    return "normalisation scale" if _lacks(recorder, signal, "normalisation scale") else "multiplied"


def _lacks(recorder: Recorder, signal: torch.Tensor, role: str) -> bool:
    """Whether a signal is the result of a normalisation that has no scale, or shift, of its own yet."""
    operation = recorder.source_of(signal)
    return operation is not None and operation.kind == "norm" and (operation.index, role) not in recorder.has_affine


def varying_axes(sources: tuple[Source, ...], given: torch.Tensor) -> set[int]:
    """The axes along which what was made from parameters differs."""
    found = {axis for axis, size in enumerate(given.shape) if size > 1}
    if len(sources) == 1 and sources[0].shadow is not None and not sources[0].gathered:
        strides = sources[0].shadow.levels[-1].stride()
        found = {axis for axis in found if strides[axis] != 0}
    return found


def _is_bias_of_stack(recorder: Recorder, signal: torch.Tensor, given: torch.Tensor) -> bool:
    """Whether what is added has one vector of outputs for each weight of a stack, as the biases of experts have."""
    sources, operation = recorder.sources(given), _weight_behind(recorder, signal)
    weight = recorder.variables.get(operation.weight) if operation is not None else None
    if operation is None or weight is None or len(sources) != 1:
        return False
    axes = next((use.axes for use in recorder.uses.get(weight.name, ()) if use.operation == operation.index), "")
    stack = len(axes) - len(axes.lstrip("b"))
    outputs = [size for size, letter in zip(weight.shape, axes, strict=False) if letter == "o"]
    if sources[0].variable not in recorder.variables:
        return False
    shape = recorder.variables[sources[0].variable].shape
    return stack > 0 and shape[:stack] == weight.shape[:stack] and math.prod(shape[stack:]) == math.prod(outputs)


def _is_linear_in(recorder: Recorder, signal: torch.Tensor) -> bool:
    """Whether a signal is the result of a weight operation, or a sum of such, and nothing bends it on the way."""
    return _weight_behind(recorder, signal) is not None


def _weight_behind(recorder: Recorder, signal: torch.Tensor) -> Operation | None:
    operation = recorder.source_of(signal)
    while operation is not None and operation.kind in ("view", "shift", "scale", "add") and operation.inputs:
        operation = recorder.operations[operation.inputs[0]]
    known = operation is not None and (operation.kind in WEIGHT_KINDS or operation.kind == "bilinear")
    return operation if known else None


def are_scores(recorder: Recorder, signal: torch.Tensor) -> bool:
    """Whether a signal is a product of two signals, scaled and shifted: the scores of an attention."""
    operation = recorder.source_of(signal)
    steps = ("scale", "shift", "view", "add")
    while operation is not None and (operation.kind in steps or operation.detail in _MASKS) and operation.inputs:
        operation = recorder.operations[operation.inputs[0]]
    return operation is not None and operation.kind == "matmul"


def _find_bias_table(recorder: Recorder, scores: torch.Tensor, table: torch.Tensor) -> None:
    """An embedding that is added to the scores of an attention is a table of biases."""
    operation = recorder.source_of(table)
    steps = ("shift", "view", "add")
    while operation is not None and (operation.kind in steps or operation.detail in _MASKS) and operation.inputs:
        operation = recorder.operations[operation.inputs[0]]
    if operation is None or operation.kind != "embedding" or not are_scores(recorder, scores):
        return
    found = recorder.uses.get(operation.weight, [])
    for position, use in enumerate(found):
        if use.operation == operation.index and use.role == "embedding weight":
            found[position] = replace(use, role="bias table")


def _length(recorder: Recorder, divisor: torch.Tensor) -> Operation | None:
    """The operation that measured the size of a signal, if that is what it is divided by."""
    operation = recorder.source_of(divisor)
    steps = ("clamp_min", "clamp", "sqrt", "maximum")
    while (
        operation is not None
        and operation.inputs
        and (operation.kind in ("view", "shift") or operation.detail in steps)
    ):
        operation = recorder.operations[operation.inputs[0]]
    sizes = ("linalg_vector_norm", "norm", "std", "var", "mean", "sum")
    if operation is None or operation.detail not in sizes:
        return None
    if operation.detail in ("mean", "sum"):  # of squares, or it is no size
        squares = recorder.operations[operation.inputs[0]] if operation.inputs else None
        if squares is None or squares.detail not in ("pow", "square", "mul"):
            return None
    return operation


def _moment(signal: torch.Tensor, length: Operation) -> float | None:
    """1/d behind a division by the length of d numbers; None, for 1, behind one by their root mean square."""
    if length.detail not in ("linalg_vector_norm", "norm", "sum"):
        return None
    count = signal.numel() / max(math.prod(length.shape), 1)
    return 1 / count if count else None
