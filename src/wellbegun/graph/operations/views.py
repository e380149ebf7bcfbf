"""Views and copies: the same numbers in another form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from wellbegun.graph.shadow import Shadow
from wellbegun.graph.tracked import Made, Part, Source

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

_COPIES = frozenset("clone contiguous _to_copy to lift_fresh lift_fresh_copy alias detach".split())
_PERMUTATIONS = frozenset("t transpose permute movedim swapaxes numpy_T mT".split())
VIEWS = (
    _COPIES
    | _PERMUTATIONS
    | frozenset(
        (
            "view reshape _unsafe_view _reshape_alias expand slice select unsqueeze squeeze flatten split "
            "split_with_sizes unsafe_split unsafe_split_with_sizes chunk unsafe_chunk unbind unflatten narrow "
            "as_strided view_as repeat diagonal unfold view_as_real view_as_complex"
        ).split()
    )
)


def view(recorder: Recorder, call: Call) -> None:
    """Follow parameters and outputs of weight operations through a view or a copy."""
    value = call.args[0]
    made = recorder.made(value)
    if made is None:
        return
    count = len(call.results)
    if made.sources:
        columns = [_views_of_source(call, source, count) for source in made.sources]
        for position, tensor in enumerate(call.results):
            recorder.know(tensor, Made(made.index, tuple(column[position] for column in columns)))
        return
    parts: list[dict[int, Part]] = [{} for _ in range(count)]
    for operation, part in made.parts.items():
        shadows = None if part.shadow is None else _views(call, part.shadow, count)
        for position in range(count):
            if shadows is None:
                parts[position][operation] = Part(None, part.axis, part.runs())
            else:
                parts[position][operation] = Part(shadows[position], part.axis)
    recorder.view(call, value, parts)


def copy(recorder: Recorder, call: Call) -> None:
    """One tensor is written over another."""
    target, value = call.args[:2]
    made = recorder.made(value)
    whole = isinstance(target, torch.Tensor) and tuple(target.shape) == tuple(value.shape)
    partial = target.numel() * target.element_size() < target.untyped_storage().nbytes()
    if made is not None and whole and not partial:
        recorder.know(target, made)
        return
    index = recorder.record(call, "other", (target, value))
    recorder.use_all(recorder.sources(value), "token", index, call.name)


def _views_of_source(call: Call, source: Source, count: int) -> list[Source]:
    if source.shadow is None:
        return [source] * count
    allowed = not source.joined or call.name in _COPIES or call.name in _PERMUTATIONS
    shadows = _views(call, source.shadow, count) if allowed else None
    if shadows is None:
        return [replace(source, shadow=None)] * count
    return [replace(source, shadow=shadow) for shadow in shadows]


def _views(call: Call, shadow: Shadow, count: int) -> list[Shadow] | None:
    """The same view of a shadow; None where it cannot be followed."""
    name, result = call.name, call.results[0]
    if name in _COPIES:
        return [shadow] * count
    try:
        if name == "unsqueeze":
            return [shadow.unsqueeze(call.argument(1, "dim"))]
        if name == "repeat":
            tiles = call.args[1][len(call.args[1]) - len(shadow.shape) :]
            if any(size > 1 and tile > 1 for size, tile in zip(shadow.shape, tiles, strict=True)):
                return None
            return [shadow.view(torch.Tensor.expand, result.shape)]
        if name in ("view", "_unsafe_view", "_reshape_alias", "reshape"):
            if result.dtype != call.args[0].dtype:
                return None
            return [shadow.view(torch.Tensor.view, result.shape)]
        top = shadow.levels[-1]
        if name == "as_strided" and top.stride() != call.args[0].stride():
            return None
        found = shadow.views(call.function, *call.args[1:], **call.kwargs)
    except RuntimeError:
        return None
    return found if len(found) == count else None
