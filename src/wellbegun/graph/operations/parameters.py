"""Operations on parameters alone: weights that are computed before they are used, and buffers that are written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.graph.shadow import Shadow
from wellbegun.graph.tracked import Source

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

_MOST_STEPS = 8


def compute(recorder: Recorder, call: Call) -> None:
    """Record an operation whose inputs are parameters, or were computed from parameters alone."""
    found: dict[str, Source] = {}
    inputs = [tensor for tensor in call.tensors if recorder.sources(tensor)]
    for tensor in inputs:
        for source in recorder.sources(tensor):
            made = _behind(call, source, alone=len(inputs) == 1)
            found[source.variable] = _merged(found[source.variable], made) if source.variable in found else made
    recorder.record(call, "parameter", inputs, detail=_plain(call.name), sources=tuple(found.values()))


def update(recorder: Recorder, call: Call, written: Any) -> None:
    """Record that the forward pass writes into a parameter or buffer, which stays what it is."""
    known, sources = recorder.made(written), recorder.sources(written)
    values = [tensor for tensor in call.tensors if tensor is not written]
    index = recorder.record(call, "other", values)
    counts = call.name == "add" and not written.is_floating_point() and not any(map(recorder.made, values))
    if call.name != "embedding_renorm":  # a table with max_norm, which shortens the rows it looks up
        recorder.use_all(sources, "counter" if counts else "updated", index, call.name)
    for value in values:
        recorder.use_all(recorder.sources(value), "other", index, call.name)
    if known is not None:
        recorder.know(written, known)


def _behind(call: Call, source: Source, *, alone: bool) -> Source:
    name = call.name
    if name in ("cat", "stack"):
        joined = replace(source, joined=True)
        if name == "stack" and source.shadow is not None:
            joined = replace(joined, shadow=source.shadow.unsqueeze(call.argument(1, "dim", 0)))
        return joined
    number = _factor(call) if alone else None
    if number is not None:
        return replace(source, factor=source.factor * number, offset=source.offset * number)
    if name == "neg" and not source.derived:
        return replace(source, factor=-source.factor)
    added = _offset(call) if alone and source.derived in ((), ("add",)) else None
    if added is not None:
        return replace(source, derived=("add",), offset=source.offset + added, shadow=_spread(call, source))
    steps = (*source.derived, _plain(name))
    if len(steps) > _MOST_STEPS or (source.derived and source.derived[-1] == steps[-1]):
        steps = source.derived
    return replace(source, derived=steps, shadow=_spread(call, source))


def _spread(call: Call, source: Source) -> Shadow | None:
    """The shadow of a result each number of which comes from the number at its place, or is spread from there."""
    if source.shadow is None or not (call.is_elementwise or call.name in ("_weight_norm_interface", "_weight_norm")):
        return None
    if source.shadow.shape == tuple(call.results[0].shape):
        return source.shadow
    try:
        return source.shadow.view(torch.Tensor.expand, call.results[0].shape)
    except RuntimeError:
        return None


def _factor(call: Call) -> float | None:
    """The number of a multiplication with, or division by, a number."""
    if call.name not in ("mul", "div") or call.kwargs.get("rounding_mode") is not None:
        return None
    numbers = [value for key, value in call.scalars if key in (0, 1) and isinstance(value, (int, float))]
    tensors = [tensor for tensor in call.tensors if tensor.ndim or tensor.is_meta]
    if len(numbers) != 1 or len(tensors) != 1 or call.args[0] is not tensors[0]:
        return None
    number = float(numbers[0])
    return number if call.name == "mul" else 1 / number if number else None


def _offset(call: Call) -> float | None:
    """The number that is added to, or taken off, a tensor."""
    if call.name not in ("add", "sub") or call.argument(2, "alpha", 1) != 1:
        return None
    numbers = [value for key, value in call.scalars if key == 1 and isinstance(value, (int, float))]
    if len(numbers) != 1 or not isinstance(call.args[0], torch.Tensor):
        return None
    return float(numbers[0]) if call.name == "add" else -float(numbers[0])


def _merged(one: Source, other: Source) -> Source:
    """One parameter that reaches a result in two ways, as a weight and its mean do."""
    longer, shorter = (one, other) if len(one.derived) >= len(other.derived) else (other, one)
    shadow = longer.shadow if longer.shadow is not None else shorter.shadow
    derived = (*longer.derived, *(step for step in shorter.derived if step not in longer.derived))
    return replace(longer, derived=derived[:_MOST_STEPS], shadow=shadow, offset=0.0)


def _plain(name: str) -> str:
    return {"_weight_norm_interface": "weight_norm"}.get(name, name.lstrip("_"))
