"""Example inputs: given by the user, written as a spec, or guessed from the model's first consumer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from wellbegun.errors import ArgumentError, TraceError

_BATCH = 2
_FORMS = "'vector:64', 'image:3x224x224', 'tokens:16' or 'float:1x16000'"


def example_inputs(model: torch.nn.Module, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments for one forward pass.

    Args:
        model: asked for its first consumer if there are no inputs.
        inputs: a tensor, a tuple or list of arguments, a dictionary of keyword arguments, a spec, or None.
    """
    if inputs is None:
        return (_guess(model),), {}
    if isinstance(inputs, str):
        return (from_spec(inputs),), {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, (tuple, list)):
        return tuple(inputs), {}
    if isinstance(inputs, torch.Tensor):
        return (inputs,), {}
    raise ArgumentError(f"inputs must be a tensor, a tuple, a dictionary or a spec such as {_FORMS}; got {inputs!r}")


def from_spec(spec: str) -> torch.Tensor:
    """Make a batch of two meta inputs from a spec.

    >>> from_spec("image:3x8x8").shape
    torch.Size([2, 3, 8, 8])
    """
    kind, _, sizes = spec.partition(":")
    rank = {"vector": 1, "tokens": 1, "image": 3}.get(kind)
    shape = [int(size) for size in sizes.split("x")] if re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", sizes) else []
    if kind not in ("vector", "tokens", "image", "float") or not shape or (rank and len(shape) != rank):
        raise ArgumentError(f"cannot read the input spec {spec!r}; write {_FORMS}")
    dtype = torch.int64 if kind == "tokens" else torch.get_default_dtype()
    return torch.zeros(_BATCH, *shape, dtype=dtype, device="meta")


def _guess(model: torch.nn.Module) -> torch.Tensor:
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            return from_spec(f"vector:{module.in_features}")
        if isinstance(module, torch.nn.Conv2d):
            return from_spec(f"image:{module.in_channels}x32x32")
        if isinstance(module, torch.nn.Conv1d):
            return from_spec(f"float:{module.in_channels}x256")
        if isinstance(module, torch.nn.Embedding):
            return from_spec("tokens:16")
    raise TraceError(
        f"no example input was given, and {type(model).__name__} has no layer to guess one from; pass inputs={_FORMS}"
    )


def to_meta(value: Any) -> Any:
    """Replace every tensor in nested tuples, lists and dictionaries by a meta tensor of the same shape and type."""
    return torch.utils._pytree.tree_map_only(torch.Tensor, lambda t: torch.empty_like(t, device="meta"), value)
