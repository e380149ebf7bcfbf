"""Rows taken by index: embeddings, experts that a router chooses, tables of biases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.graph.operations.weights import weigh
from wellbegun.graph.shadow import Shadow
from wellbegun.graph.tracked import Part, Source
from wellbegun.laws import Fans

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

_BAGS = frozenset({"_embedding_bag", "_embedding_bag_forward_only"})
LOOKUPS = frozenset("embedding index _unsafe_index index_select gather".split()) | _BAGS


def look_up(recorder: Recorder, call: Call) -> None:
    """Record a look-up in a table: of a parameter, or of a signal."""
    name = call.name
    table = call.args[0]
    indices = _indices(call)
    if not recorder.sources(table):
        made, run = recorder.made(table), _run(call)
        if made is not None and run is not None:
            recorder.view(call, table, [{at: _narrowed(part, *run) for at, part in made.parts.items()}])
            return
        recorder_index = recorder.record(call, "other", (table, *indices))
        _use_indices(recorder, call, indices, recorder_index)
        return
    padding = -1
    if name == "embedding":
        padding = call.argument(2, "padding_idx", -1)
    elif name in _BAGS:
        padding = call.argument(8, "padding_idx", -1)
    rows_of_table = (
        name in ("index", "index_select") and table.ndim == 2 and call.results[0].shape[-1:] == table.shape[-1:]
    )
    by_input = any(_comes_from_input(recorder, index) for index in indices)
    if "embedding" in name or (rows_of_table and by_input):
        width = max(table.shape[-1], 1)
        row = padding if padding is not None and padding >= 0 else None
        index = weigh(recorder, call, "embedding", indices, table, "vo", Fans(width, width), blank="v", padding_row=row)
        _use_indices(recorder, call, indices, index)
        return
    sources = tuple(_gathered(call, source, indices) for source in recorder.sources(table))
    index = recorder.record(call, "parameter", (table,), sources=sources)
    _use_indices(recorder, call, indices, index)


def _indices(call: Call) -> list[torch.Tensor]:
    if call.name == "embedding" or call.name in _BAGS:
        found = [call.args[1], *call.args[6:7]]  # the weights of samples, if any
    elif call.name in ("index", "_unsafe_index"):
        found = list(call.args[1])
    else:
        found = [call.args[2]]
    return [index for index in found if isinstance(index, torch.Tensor)]


def _run(call: Call) -> tuple[int, int, int] | None:
    """(dimension, start, length) where a list of known numbers takes neighbours, in their order, from one dimension."""
    if call.name not in ("index", "index_select"):
        return None
    taken = {1: call.args[2]} if call.name == "index_select" else dict(enumerate(call.args[1]))
    known = {dim: index for dim, index in taken.items() if isinstance(index, torch.Tensor)}
    if len(known) != 1:
        return None
    ((dim, index),) = known.items()
    if call.name == "index_select":
        dim = call.args[1] % call.args[0].ndim
    if index.is_meta or index.ndim != 1 or not index.numel() or index.dtype in (torch.bool, torch.uint8):
        return None
    size = call.args[0].shape[dim]
    places = [place % size for place in index.tolist()]
    start = places[0]
    return (dim, start, len(places)) if places == list(range(start, start + len(places))) else None


def _narrowed(part: Part, dim: int, start: int, length: int) -> Part:
    if part.shadow is None:
        return Part(None, part.axis, None)
    return Part(part.shadow.view(torch.Tensor.narrow, dim, start, length), part.axis)


def _use_indices(recorder: Recorder, call: Call, indices: list[torch.Tensor], operation: int) -> None:
    for index in indices:
        role = "multiplied" if index.is_floating_point() else "index"
        recorder.use_all(recorder.sources(index), role, operation, call.name)


def _comes_from_input(recorder: Recorder, index: Any) -> bool:
    """Whether an index is (made from) an input of whole numbers, as tokens are, and not chosen by a router."""
    if index.is_floating_point():
        return False
    waiting, seen = [recorder.result_of(index)], set[int]()
    while waiting:
        at = waiting.pop()
        if at is None or at in seen or len(seen) > 16:
            continue
        seen.add(at)
        operation = recorder.operations[at]
        if operation.kind == "input":
            return True
        if operation.kind in ("view", "shift", "add", "scale", "multiply") or operation.detail in ("clamp", "where"):
            waiting += operation.inputs
    return False


def _taken(call: Call, source: Source) -> tuple[int, ...]:
    """The dimensions of the parameter along which rows are taken."""
    if source.shadow is None:
        return source.gathered
    rank = len(source.shadow.shape)
    axes = set(_indexed(call, rank))
    reading = source.shadow.read("".join("x" if axis in axes else "." for axis in range(rank)))
    letters = reading.letters if reading is not None else ()
    return tuple(sorted({dim for dim, letter in enumerate(letters) if letter in ("x", "?")} | set(source.gathered)))


def _indexed(call: Call, rank: int) -> list[int]:
    """The axes that are indexed."""
    if call.name in ("index_select", "gather"):
        return [call.args[1] % rank]
    return [dim for dim, index in enumerate(call.args[1]) if isinstance(index, torch.Tensor)]


def _gathered(call: Call, source: Source, indices: list[torch.Tensor]) -> Source:
    shadow = source.shadow
    taken = _taken(call, source)
    if shadow is None or call.name == "gather" or any(index.dtype in (torch.bool, torch.uint8) for index in indices):
        return replace(source, shadow=None, gathered=taken)
    dims = _indexed(call, len(shadow.shape))
    together = dims == list(range(dims[0], dims[0] + len(dims)))
    count = len(call.results[0].shape) - (len(shadow.shape) - len(dims))
    return replace(source, shadow=_without(shadow, dims, dims[0] if together else 0, count, call), gathered=taken)


def _without(shadow: Shadow, dims: list[int], at: int, count: int, call: Call) -> Shadow:
    """Put `count` axes that run along nothing in the place of the dimensions that were indexed."""
    for dim in reversed(dims):
        shadow = shadow.view(torch.Tensor.select, dim, 0)
    for _ in range(count):
        shadow = shadow.unsqueeze(at)
    return shadow.view(torch.Tensor.expand, call.results[0].shape)
