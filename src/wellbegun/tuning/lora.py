"""Low-rank adapters in a model, found by what their layers are called: lora_A, lora_B and the weight beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from wellbegun.errors import ArgumentError

_BASES = ("base_layer", "base", "linear", "original")
_PAIRS = (("lora_A", "lora_B", False), ("lora_embedding_A", "lora_embedding_B", True))


@dataclass(frozen=True)
class Adapter:
    """One adapter of one layer: the layer computes W·x + scaling·B·A·x.

    Attributes:
        layer: name of the layer in the model.
        key: name of the adapter where a layer has several, else "".
        down, up: A, of shape [rank, inputs], and B, of shape [outputs, rank].
        base: W; None if it is not known.
        transposed: whether W is stored as [inputs, outputs].
        scaling: the factor, or None if it is not known.
        alpha: the numerator of the factor, or None.
        looks_up: whether the layer is a table and A is looked up as it is.
    """

    layer: str
    key: str
    down: torch.Tensor
    up: torch.Tensor
    base: torch.Tensor | None
    transposed: bool
    scaling: float | None
    alpha: float | None
    looks_up: bool = False

    @property
    def rank(self) -> int:
        """The inner size of B·A."""
        return int(self.down.shape[0])


def find_adapters(model: nn.Module) -> tuple[Adapter, ...]:
    """Return all adapters of a model, those of PEFT and of layers that name their parts alike."""
    return tuple(found for name, module in model.named_modules() for found in _of_layer(name, module))


def _of_layer(name: str, module: nn.Module) -> Iterator[Adapter]:
    for first, second, looks_up in _PAIRS:
        downs, ups = _by_key(getattr(module, first, None)), _by_key(getattr(module, second, None))
        if not downs and not ups:
            continue
        if downs.keys() != ups.keys():
            raise ArgumentError(
                f"{name}: {first} and {second} must come in pairs, got {sorted(downs)} and {sorted(ups)}"
            )
        base, is_transposed = _base(module)
        for key, down in downs.items():
            up = ups[key]
            if down.ndim != up.ndim or down.ndim < 2 or up.shape[1] != down.shape[0]:
                raise ArgumentError(
                    f"{name}: {first} has shape {list(down.shape)} and {second} {list(up.shape)}; wanted are "
                    "[rank, inputs] and [outputs, rank]"
                )
            alpha = _number(module, ("lora_alpha", "alpha"), key)
            scaling = _number(module, ("scaling", "scale"), key)
            if scaling is None and alpha is not None:
                scaling = alpha / down.shape[0]
            yield Adapter(name, key, down, up, base, is_transposed, scaling, alpha, looks_up)


def _by_key(held: Any) -> dict[str, torch.Tensor]:
    """The tensors behind an attribute: its own, that of a layer, or those of several by the adapters' names."""
    if isinstance(held, torch.Tensor):
        return {"": held}
    if isinstance(held, (nn.ModuleDict, nn.ParameterDict)):
        return {key: tensor for key, part in held.items() for tensor in _by_key(part).values()}
    weight = getattr(held, "weight", None)
    return {"": weight} if isinstance(held, nn.Module) and isinstance(weight, torch.Tensor) else {}


def _base(module: nn.Module) -> tuple[torch.Tensor | None, bool]:
    holder: Any = next((getattr(module, name) for name in _BASES if hasattr(module, name)), module)
    weight = holder if isinstance(holder, torch.Tensor) else getattr(holder, "weight", None)
    is_transposed = bool(getattr(module, "fan_in_fan_out", False)) or type(holder).__name__ == "Conv1D"
    return (weight if isinstance(weight, torch.Tensor) else None), is_transposed


def _number(module: nn.Module, names: tuple[str, ...], key: str) -> float | None:
    for name in names:
        value = getattr(module, name, None)
        if isinstance(value, Mapping):
            value = value.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None
