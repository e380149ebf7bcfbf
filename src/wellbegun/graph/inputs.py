"""Example inputs: given by the user, written as a spec, or guessed from the model's first consumer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.transformers_inputs import is_pretrained, pretrained_inputs, text_alone

_BATCH = 2
_FORMS = "'vector:64', 'image:3x224x224', 'tokens:16' or 'float:1x16000'"


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def example_inputs(model: torch.nn.Module, inputs: Any) -> Iterator[Arguments]:
    """Yield the positional and keyword arguments for one forward pass, and others to try where they are guessed.

    Args:
        model: asked for its first consumer if there are no inputs.
        inputs: a tensor, a spec ("vector:64"), or several with a comma between them, a tuple or list of arguments or
            a dictionary of keyword arguments, each a tensor, a spec or anything else; or None.
    """
    if inputs is None and is_pretrained(model):
        yield from (((), keywords) for keywords in pretrained_inputs(model))
    else:
        yield _guess(model) if inputs is None else _given(inputs)


def last_inputs(model: torch.nn.Module, inputs: Any) -> Iterator[Arguments]:
    """Yield what is left to try when a forward pass fails on all that `example_inputs` made: see `text_alone`."""
    if inputs is None and is_pretrained(model):
        yield from (((), keywords) for keywords in text_alone(model))


def _given(inputs: Any) -> Arguments:
    if isinstance(inputs, str):
        return tuple(from_spec(spec) for spec in inputs.split(",")), {}
    if isinstance(inputs, Mapping):
        return (), {name: _argument(value) for name, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(_argument(value) for value in inputs), {}
    if isinstance(inputs, torch.Tensor):
        return (inputs,), {}
    raise ArgumentError(f"inputs must be a tensor, a tuple, a dictionary or a spec such as {_FORMS}; got {inputs!r}")


def _argument(value: Any) -> Any:
    return from_spec(value) if isinstance(value, str) else value


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


def _guess(model: torch.nn.Module) -> Arguments:
    """Arguments that the first module that is fussy about them takes; a whole that has parts it is made of first."""
    required = [
        parameter.name
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    for module in model.modules():
        spec = _SPECS.get(next((kind for kind in type(module).__mro__ if kind in _SPECS), None))
        if spec is not None:
            specs = spec(module)[: max(1, len(required))]
            if len(specs) < len(required):
                raise TraceError(
                    f"no example input was given, and the forward of {type(model).__name__} takes {len(required)} "
                    f"arguments; pass inputs={{{', '.join(f'{name!r}: ...' for name in required)}}}, each a tensor or "
                    f"{_FORMS}"
                )
            return tuple(from_spec(one) for one in specs), {}
    raise TraceError(
        f"no example input was given, and {type(model).__name__} has no layer to guess one from; pass inputs={_FORMS}"
    )


_EXTENTS = {1: "x256", 2: "x32x32", 3: "x16x16x16"}
"""Of guessed inputs of convolutions, by their dimensions."""

_SPECS: dict[Any, Callable[[Any], tuple[str, ...]]] = {
    torch.nn.Linear: lambda m: (f"vector:{m.in_features}",),
    torch.nn.Bilinear: lambda m: (f"vector:{m.in1_features}", f"vector:{m.in2_features}"),
    torch.nn.modules.conv._ConvNd: lambda m: (f"float:{m.in_channels}" + _EXTENTS[m.weight.ndim - 2],),
    torch.nn.Embedding: lambda _: ("tokens:16",),
    torch.nn.EmbeddingBag: lambda _: ("tokens:16",),
    torch.nn.RNNBase: lambda m: (f"float:8x{m.input_size}",),
    torch.nn.RNNCellBase: lambda m: (f"vector:{m.input_size}",),
    torch.nn.MultiheadAttention: lambda m: (f"float:8x{m.embed_dim}", f"float:8x{m.kdim}", f"float:8x{m.vdim}"),
    torch.nn.Transformer: lambda m: (f"float:8x{m.d_model}",) * 2,
    torch.nn.TransformerEncoderLayer: lambda m: (f"float:8x{m.self_attn.embed_dim}",),
    torch.nn.TransformerDecoderLayer: lambda m: (f"float:8x{m.self_attn.embed_dim}",) * 2,
    torch.nn.TransformerDecoder: lambda m: (f"float:8x{m.layers[0].self_attn.embed_dim}",) * 2,
}
"""Specs of the arguments of layers of torch."""
