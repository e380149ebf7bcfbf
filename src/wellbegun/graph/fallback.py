"""Small real tensors, for forward passes that ask for values: harmless numbers that depend on nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from wellbegun.errors import TraceError
from wellbegun.graph.graph import Graph
from wellbegun.graph.variable import Variable

LIMIT = 2 * 2**30
"""Bytes in float32 that the parameters of a model may take when its forward needs real values."""

_SMALL = 0.02
_GOLDEN, _PERIOD = 0.6180339887498949, 10007
"""The period is prime, so that the rows of a matrix differ."""


def check_memory(variables: tuple[Variable, ...], error: Exception, name: str, place: str) -> None:
    """Raise TraceError if real tensors for these variables would take more memory than the limit."""
    size = 4 * sum(math.prod(variable.shape) for variable in variables)
    if size > LIMIT:
        raise TraceError(
            f"the forward pass of {name} fails on meta tensors{place}: {type(error).__name__}: {error}. "
            f"On real tensors, which it may need, its parameters would take {size / 2**30:.1f} GiB, more than the "
            f"{LIMIT / 2**30:.0f} GiB that are taken for that: pass other inputs if that error is about them, "
            "else trace a smaller configuration (fewer and narrower layers)"
        ) from error


def harmless(own: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """Return a tensor like a parameter or buffer, on the CPU, with values that any forward pass can live with.

    Vectors are 1, as normalisations start; matrices are an even pattern, small enough for what is made of it to stay
    small: a forward that takes exponentials of it for durations or sizes would need any amount of memory.

    own: the parameter or buffer. keep: copy its own values where it has any, for buffers: rotary tables matter.
    """
    if keep and not own.is_meta:
        return own.detach().to("cpu", copy=True)
    if not own.is_floating_point():
        return torch.zeros(own.shape, dtype=own.dtype)
    if own.ndim < 2:
        return torch.ones(own.shape, dtype=own.dtype)
    size = min(_SMALL, 1 / math.sqrt(max(own.shape[-1], 1)))
    return pattern(tuple(own.shape), own.dtype) * size


def pattern(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return numbers of both signs, mean 0 and second moment 1: multiples of the golden section, modulo 1, repeated.

    >>> float(pattern((1000,), torch.float64).square().mean().round(decimals=2))
    1.0
    """
    size = math.prod(shape)
    position = torch.arange(_PERIOD, dtype=torch.float64)
    period = (math.sqrt(3) * (2 * (position * _GOLDEN % 1) - 1)).to(dtype)
    return period.repeat(-(-size // _PERIOD))[:size].reshape(shape)


def real_inputs(values: Any, seen: Graph | None = None) -> Any:
    """Replace the meta tensors among inputs by real ones: whole numbers within the look-up table that meets them.

    Args:
        values: nested tuples, lists and dictionaries of real tensors, which are copied, and meta tensors.
        seen: what a run on meta tensors recorded before it failed.
    """
    inputs = iter([operation.index for operation in seen.operations if operation.kind == "input"] if seen else ())

    def real(tensor: torch.Tensor) -> torch.Tensor:
        index = next(inputs, -1)
        if not tensor.is_meta:
            return tensor.detach().to("cpu", copy=True)
        if tensor.is_floating_point():
            return pattern(tuple(tensor.shape), tensor.dtype)
        if tensor.dtype == torch.bool:
            return torch.ones(tensor.shape, dtype=tensor.dtype)
        rows = _rows_met(seen, index) if seen else 2
        first = min(2, rows - 1)  # rows 0 and 1 often stand for padding
        return (first + torch.arange(tensor.numel()).reshape(tensor.shape) % (rows - first)).to(tensor.dtype)

    return tree_map_only(torch.Tensor, real, values)


def _rows_met(seen: Graph, index: int) -> int:
    """Rows of the first look-up table that an input indexes; if it met none, of the smallest there is."""
    shapes = {variable.name: variable.shape for variable in seen.variables}
    tables = [use for uses in seen.uses.values() for use in uses if use.role == "embedding weight"]
    for use in sorted(tables, key=lambda use: use.operation):
        if any(seen.source(before).index == index for before in seen.operations[use.operation].inputs):
            return shapes[use.variable][0]
    owners = [variable.shape[0] for variable in seen.variables if variable.owner.startswith("Embedding")]
    return min(owners, default=2)


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU of a tensor that a module holds besides its parameters and buffers."""
    return torch.zeros(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor.detach().to("cpu", copy=True)
