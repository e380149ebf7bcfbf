"""Watching the layers of a forward pass, and standardising each channel when a layer's first result appears."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from wellbegun.errors import ArgumentError, CalibrationError
from wellbegun.graph.names import canonical_names
from wellbegun.graph.parametrised import parametrised_weights
from wellbegun.laws import Law, PerChannel, Stored
from wellbegun.plans import Entry, Plan
from wellbegun.tuning.notes import with_law

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_PRODUCTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
_SCALES, _SHIFTS = ("weight", "scale", "gamma"), ("bias", "shift", "beta")
SMALL = 1e-6
"""A channel's standard deviation, relative to the largest of its layer, below which it counts as constant."""


@dataclass
class Layer:
    """A layer that can be standardised.

    Attributes:
        name: of the module.
        module: it.
        weight, bias: names of its tensors in the plan; "" for a bias that it does not have.
        is_affine: whether it computes s·x + b of each channel, and no product.
        done: whether its first result has been seen.
    """

    name: str
    module: nn.Module
    weight: str
    bias: str
    is_affine: bool
    done: bool = False


class Channels:
    """Scales and shifts, and where they were found."""

    def __init__(
        self, plan: Plan, model: nn.Module, values: Mapping[str, torch.Tensor], patterns: tuple[str, ...]
    ) -> None:
        """Find the layers.

        Args:
            plan: what the values follow.
            model: in which the values lie.
            values: of every entry, by name; changed in place.
            patterns: of the names of layers.
        """
        self._plan, self._values = plan, values
        self._laws: dict[str, tuple[Law, str]] = {}
        self.notes: dict[str, str] = {}
        self.found = [layer for layer in _layers(plan, model) if _matches(layer.name, patterns)]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Standardise each layer at its first use."""
        handles = [
            layer.module.register_forward_hook(
                lambda _, inputs, result, layer=layer: self._see(layer, inputs[0], result)
            )
            for layer in self.found
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for layer in self.found:
            if not layer.done:
                self.notes[layer.weight] = "not standardised: the batch did not reach it"

    def entries(self, inputs: str) -> dict[str, Entry]:
        """Return the entries that have changed, by name.

        Args:
            inputs: what was measured on, in words.
        """
        made = {}
        for name, (law, note) in self._laws.items():
            made[name] = replace(with_law(self._plan[name], law, f"standardised on {inputs}: {note}"), measured=None)
        return made

    def _see(self, layer: Layer, value: torch.Tensor, result: torch.Tensor) -> torch.Tensor | None:
        if layer.done:
            return None
        layer.done = True
        entry = self._plan[layer.weight]
        axis = 1 if layer.is_affine else 1 - len(entry.shape)  # behind the channels lie the places of a convolution
        if layer.is_affine and not self._is_affine(layer, value, result):
            return None
        if entry.law.keeps or (not self._values[layer.weight].any() and not layer.is_affine):
            kept = "the plan keeps its own value" if entry.law.keeps else "its weights are all zero"
            self.notes[layer.weight] = f"not standardised: {kept}"
            return None
        ties = (*entry.ties, *(self._plan[layer.bias].ties if layer.bias else ()))
        if ties:
            self.notes[layer.weight] = f"not standardised: {', '.join(ties)} would change along with it"
            return None
        bias = self._values[layer.bias] if layer.bias else None
        plain = value if layer.is_affine else result if bias is None else result - _along(bias, result, axis)
        mean, std = self._measure(layer, plain, axis)
        return self._change(layer, plain, axis, mean, std).to(result.dtype)

    def _measure(self, layer: Layer, plain: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = plain.movedim(axis, -1).reshape(-1, plain.shape[axis]).double()
        if len(rows) < 2:
            raise ArgumentError(f"{layer.weight}: one value for each channel has no variance; take a larger batch")
        std, mean = torch.std_mean(rows, 0, correction=0)
        if not torch.isfinite(std).all():
            raise CalibrationError(f"{layer.weight}: its result is not finite; look at what flows into it")
        dead = (std <= SMALL * std.max()).nonzero().flatten().tolist()
        if dead:
            shown = ", ".join(map(str, dead[:5])) + (", ..." if len(dead) > 5 else "")
            raise CalibrationError(
                f"{layer.weight}: {len(dead)} of its {len(std)} channels ({shown}) are the same for the whole batch, "
                "so no scale makes their variance 1; look at what flows into it (dead units, a constant batch), or "
                "leave the layer out with `layers`"
            )
        return mean, std

    def _change(
        self, layer: Layer, plain: torch.Tensor, axis: int, mean: torch.Tensor, std: torch.Tensor
    ) -> torch.Tensor:
        """Write the new values and laws, and return the result that they give."""
        entry, factor = self._plan[layer.weight], 1 / std
        shift = -mean / std
        note = f"standard deviations {float(std.min()):.4g} to {float(std.max()):.4g} -> 1"
        if layer.is_affine:
            self._store(layer.weight, factor, note)
            self._store(layer.bias, shift, "mean -> 0")
            self._values[layer.weight].copy_(factor.reshape(self._values[layer.weight].shape))
        else:
            channel = 1 if isinstance(layer.module, _TRANSPOSED) else 0
            factors = Stored(factor.cpu().numpy(), "float32")
            note += "" if layer.bias else "; it has no bias, so its means stay"
            self._laws[layer.weight] = (PerChannel(entry.law, factors, channel), note)
            weight = self._values[layer.weight]
            weight.mul_(factor.to(weight.dtype).reshape(-1, *(1,) * (weight.ndim - 1 - channel)))
            if layer.bias:
                self._store(layer.bias, shift, "mean -> 0")
        made = plain.double() * _along(factor, plain, axis)
        if layer.bias:
            self._values[layer.bias].copy_(shift.reshape(self._values[layer.bias].shape))
            made = made + _along(shift, plain, axis)
        return made

    def _store(self, name: str, numbers: torch.Tensor, note: str) -> None:
        shaped = numbers.reshape(self._plan[name].shape).cpu().numpy()
        self._laws[name] = (Stored(shaped, "float32"), note)

    def _is_affine(self, layer: Layer, value: torch.Tensor, result: torch.Tensor) -> bool:
        """Whether the layer really computes s·x + b, with channels along dimension 1: numbers decide."""
        scale, shift = self._values[layer.weight].flatten(), self._values[layer.bias].flatten()
        fits = isinstance(value, torch.Tensor) and value.ndim > 1 and value.shape[1] == len(scale)
        if fits and isinstance(result, torch.Tensor) and result.shape == value.shape:
            expected = value * _along(scale, value, 1) + _along(shift, value, 1)
            fits = torch.allclose(result, expected, rtol=1e-4, atol=1e-6)
        else:
            fits = False
        if not fits:
            self.notes[layer.weight] = "not standardised: its layer does not compute s·x + b of each channel"
        return fits


def _along(numbers: torch.Tensor, like: torch.Tensor, axis: int) -> torch.Tensor:
    """See one number for each channel in a shape that spreads over a result."""
    shape = [1] * like.ndim
    shape[axis] = -1
    return numbers.reshape(shape)


def _layers(plan: Plan, model: nn.Module) -> Iterator[Layer]:
    canonical = canonical_names(model)
    parametrised = {(weight.path, weight.name): name for name, weight in parametrised_weights(model).items()}
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        named = {key: canonical.get(prefix + key, "") for key, held in module._parameters.items() if held is not None}
        if isinstance(module, _PRODUCTS):
            weight = parametrised.get((prefix, "weight")) or named.get("weight", "")
            grouped = isinstance(module, _TRANSPOSED) and module.groups > 1
            if weight in plan and not grouped and not plan[weight].dtype.startswith("complex"):
                yield Layer(path, module, plan[weight].name, _in(plan, named.get("bias", "")), is_affine=False)
        elif len(named) == 2 and not list(module.children()):
            scale = next((named[key] for key in _SCALES if key in named), "")
            shift = next((named[key] for key in _SHIFTS if key in named), "")
            if (
                scale in plan
                and shift in plan
                and plan[scale].size == plan[shift].size == max(plan[scale].shape, default=0)
            ):
                yield Layer(path, module, plan[scale].name, plan[shift].name, is_affine=True)


def _in(plan: Plan, name: str) -> str:
    return plan[name].name if name in plan else ""


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
