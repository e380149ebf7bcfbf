"""Example inputs: given by the user, written as a spec, or guessed from the model's first consumer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.transformers_inputs import is_pretrained, pretrained_inputs

_BATCH = 2
_FORMS = "'vector:64', 'image:3x224x224', 'tokens:16' or 'float:1x16000'"


def example_inputs(model: torch.nn.Module, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments for one forward pass.

    Args:
        model: asked for its first consumer if there are no inputs.
        inputs: a tensor, a tuple or list of arguments, a dictionary of keyword arguments, a spec, or None.
    """
    if inputs is None:
        return ((), pretrained_inputs(model)) if is_pretrained(model) else (_guess(model), {})
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


def _guess(model: torch.nn.Module) -> tuple[torch.Tensor, ...]:
    """Arguments that the first module that is fussy about them takes; a whole that has parts it is made of first."""
    for module in model.modules():
        spec = _SPECS.get(next((kind for kind in type(module).__mro__ if kind in _SPECS), None))
        if spec is not None:
            return tuple(from_spec(one) for one in spec(module))
    raise TraceError(
        f"no example input was given, and {type(model).__name__} has no layer to guess one from; pass inputs={_FORMS}"
    )


_SPECS: dict[Any, Callable[[Any], tuple[str, ...]]] = {
    torch.nn.Linear: lambda m: (f"vector:{m.in_features}",),
    torch.nn.Bilinear: lambda m: (f"vector:{m.in1_features}", f"vector:{m.in2_features}"),
    torch.nn.modules.conv._ConvNd: lambda m: (f"float:{m.in_channels}" + _EXTENTS[m.weight.ndim - 2],),
    torch.nn.Embedding: lambda m: ("tokens:16",),
    torch.nn.EmbeddingBag: lambda m: ("tokens:16",),
    torch.nn.RNNBase: lambda m: (f"float:8x{m.input_size}",),
    torch.nn.RNNCellBase: lambda m: (f"vector:{m.input_size}",),
    torch.nn.MultiheadAttention: lambda m: (f"float:8x{m.embed_dim}", f"float:8x{m.kdim}", f"float:8x{m.vdim}"),
    torch.nn.Transformer: lambda m: (f"float:8x{m.d_model}",) * 2,
    torch.nn.TransformerEncoderLayer: lambda m: (f"float:8x{m.self_attn.embed_dim}",),
    torch.nn.TransformerDecoderLayer: lambda m: (f"float:8x{m.self_attn.embed_dim}",) * 2,
    torch.nn.TransformerDecoder: lambda m: (f"float:8x{m.layers[0].self_attn.embed_dim}",) * 2,
}
"""Specs of the arguments of layers of torch."""

_EXTENTS = {1: "x256", 2: "x32x32", 3: "x16x16x16"}
"""Of guessed inputs of convolutions, by their dimensions."""
