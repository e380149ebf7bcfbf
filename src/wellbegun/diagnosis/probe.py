"""Watching one forward and one backward pass: facts are taken as values appear, and no activation is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from wellbegun.diagnosis import measure

_ACTIVATIONS = frozenset(
    (
        "relu tanh sigmoid gelu silu mish elu selu celu leaky_relu hardtanh relu6 hardswish hardsigmoid "
        "softplus softsign logsigmoid sin cos erf atan prelu rrelu softshrink hardshrink tanhshrink"
    ).split()
)
_PASSES = frozenset(
    (
        "view reshape flatten unflatten transpose permute contiguous dropout unsqueeze squeeze add __add__ "
        "__iadd__ movedim swapaxes clone"
    ).split()
)
_CONVOLUTIONS = frozenset(("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d").split())


@dataclass
class Watched:
    """One layer while it is being watched; gradient facts arrive during the backward pass."""

    name: str
    unit_axis: int
    signal: float
    mean: float
    cosine: float
    twins: float
    finite: bool
    activation: str = ""
    activated: float = math.nan
    dead: float = 0.0
    saturated: float = 0.0
    gradient: float = 0.0
    weight_gradient: float = 0.0


class Probe(TorchFunctionMode):
    """Sees every function that takes a weight, and the activation behind it."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self.layers: list[Watched] = []
        self._names = names
        self._derived: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._layer_of: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self._see(getattr(func, "__name__", ""), args, kwargs or {}, result)
        return result

    def _see(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        weights = [found for found in map(self._weight_name, tensors) if found]
        if weights and len(weights) == len(tensors):  # a view or product of parameters alone
            self._derived[result] = weights[0]
            return
        plain = name.rstrip("_") if not name.startswith("__") else name
        matrices = [t for t in tensors if self._weight_name(t) and t.ndim > 1]
        if matrices and result.ndim > 1 and plain not in _PASSES | {"mul", "__mul__"}:
            self._watch(str(self._weight_name(matrices[0])), 1 if plain in _CONVOLUTIONS else -1, result)
            return
        layer = next((self._layer_of[tensor] for tensor in tensors if tensor in self._layer_of), None)
        if layer is None:
            return
        if plain in _ACTIVATIONS and not layer.activation:
            layer.activation = plain
            layer.activated = measure.second_moment(result)
            layer.dead = measure.dead_share(result, layer.unit_axis)
            layer.saturated = measure.flat_share(plain, result)
        elif plain in _PASSES:
            self._layer_of[result] = layer

    def _weight_name(self, tensor: torch.Tensor) -> str | None:
        return self._names.get(id(tensor)) or self._derived.get(tensor, None)  # type: ignore[no-untyped-call]

    def _watch(self, name: str, unit_axis: int, result: torch.Tensor) -> None:
        layer = Watched(
            name=name,
            unit_axis=unit_axis,
            signal=measure.second_moment(result),
            mean=measure.mean(result),
            cosine=measure.mean_cosine(result),
            twins=measure.twin_share(result, unit_axis),
            finite=measure.is_finite(result),
        )
        self.layers.append(layer)
        self._layer_of[result] = layer
        if result.requires_grad:

            def note_gradient(gradient: torch.Tensor) -> None:
                layer.gradient = measure.second_moment(gradient)

            result.register_hook(note_gradient)  # type: ignore[no-untyped-call]
