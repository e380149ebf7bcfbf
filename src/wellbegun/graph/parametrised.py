"""Weights that are computed from other tensors: weight_norm, spectral_norm, pruning, the orthogonal parametrisation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from wellbegun.graph.names import canonical_names

_KINDS = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}
_HOOKS = ((WeightNorm, "weight_norm", "name"), (SpectralNorm, "spectral_norm", "name"))
_MAIN = {"weight_norm": "original1", "spectral_norm": "original", "orthogonal": "original"}
_SUFFIXES = {"weight_norm": ("_v", "_g"), "spectral_norm": ("_orig", "_u", "_v"), "prune": ("_orig",)}


@dataclass(frozen=True)
class Parametrised:
    """A weight that a module computes from other tensors, of a kind whose weight can be set.

    Attributes:
        module: that has the weight.
        path: name of the module in the model, with a dot at the end ("" for the model itself).
        name: of the weight in the module.
        kind: "weight_norm", "spectral_norm", "prune" or "orthogonal".
        carriers: names in the module of the tensors that the weight is computed from; the first has the weight's
            shape. A pruning mask is none of them: it is a buffer of its own.
        hook: what computes the weight before each forward pass, in the older forms; None in the newer one.
    """

    module: torch.nn.Module
    path: str
    name: str
    kind: str
    carriers: tuple[str, ...]
    hook: WeightNorm | SpectralNorm | BasePruningMethod | None = None

    @property
    def parametrization(self) -> torch.nn.Module:
        """The module that computes the weight, in the newer form."""
        step: torch.nn.Module = self.parametrization_list[0]  # type: ignore[index]
        return step

    @property
    def dim(self) -> int:
        """Dimension that weight_norm and spectral_norm count the outputs by; -1: weight_norm with one norm in all."""
        computing: Any = self.hook or self.parametrization
        return int(computing.dim)

    @property
    def parametrization_list(self) -> torch.nn.Module:
        """The list that holds it."""
        chains: torch.nn.ModuleDict = self.module.parametrizations  # type: ignore[assignment]
        return chains[self.name]

    def tensor(self, carrier: str) -> torch.Tensor:
        """Return one of the carriers."""
        path, _, attribute = carrier.rpartition(".")
        found: torch.Tensor = getattr(self.module.get_submodule(path), attribute)
        return found

    def show(self) -> None:
        """Let the module see the first carrier as its weight; only its tables and attributes are changed for that."""
        self.read_as(self.tensor(self.carriers[0]))
        for carrier in self.carriers[1:]:
            path, _, name = carrier.rpartition(".")
            holder = self.module.get_submodule(path)
            for table in (holder._parameters, holder._buffers):
                table.pop(name, None)

    def read_as(self, tensor: torch.Tensor) -> None:
        """Let the module see this tensor as its weight. Only instance attributes change, so they can be put back."""
        attributes = vars(self.module)
        if self.hook is None:
            self.parametrization_list.forward = lambda: tensor
            return
        hooks = [(key, hook) for key, hook in self.module._forward_pre_hooks.items() if hook is not self.hook]
        attributes["_forward_pre_hooks"] = OrderedDict(hooks)
        if "_flat_weights" in attributes:  # recurrent layers keep a list of their weights
            attributes["_flat_weights"] = list(attributes["_flat_weights"])
        setattr(self.module, self.name, tensor)


def find_parametrised(model: torch.nn.Module) -> Iterator[Parametrised]:
    """Find the parametrised weights of a model under every name of their modules.

    Parametrisations of other kinds are left out: the tensors that they start from are parameters like others.

    >>> layer = parametrizations.weight_norm(torch.nn.Linear(3, 2))
    >>> [(weight.name, weight.kind, weight.carriers) for weight in find_parametrised(layer)]
    [('weight', 'weight_norm', ('parametrizations.weight.original1', 'parametrizations.weight.original0'))]
    """
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        if parametrize.is_parametrized(module):
            yield from _in_new_form(module, prefix)
        for hook in module._forward_pre_hooks.values():
            name, kind = _hooked(hook)
            if kind:
                carriers = tuple(name + suffix for suffix in _SUFFIXES[kind])
                if carriers[0] in module._parameters:
                    yield Parametrised(module, prefix, name, kind, carriers, hook)


def parametrised_weights(model: torch.nn.Module) -> dict[str, Parametrised]:
    """Return the same by canonical name."""
    names = canonical_names(model)
    found = {}
    for weight in find_parametrised(model):
        main = weight.carriers[0]
        found[names[weight.path + main].removesuffix(main) + weight.name] = weight
    return found


def carriers(model: torch.nn.Module) -> dict[str, str]:
    """Return {canonical name of a parametrised weight: name in the model of the tensor that carries it}."""
    return {name: weight.path + weight.carriers[0] for name, weight in parametrised_weights(model).items()}


def show_weights(model: torch.nn.Module) -> None:
    """Let every module see the tensor that carries a parametrised weight as that weight; to be undone by the caller."""
    for weight in list(find_parametrised(model)):
        weight.show()


def _in_new_form(module: torch.nn.Module, prefix: str) -> Iterator[Parametrised]:
    chains: torch.nn.ModuleDict = module.parametrizations  # type: ignore[assignment]
    for name, chain in chains.items():
        steps = list(chain.children())
        kind = _KINDS.get(type(steps[0]).__name__, "") if len(steps) == 1 else ""
        if kind and isinstance(steps[0], getattr(parametrizations, type(steps[0]).__name__, ())):
            start = f"parametrizations.{name}."
            main = start + _MAIN[kind]
            held = [start + key for key, _ in (*chain.named_parameters(), *chain.named_buffers())]
            yield Parametrised(module, prefix, name, kind, (main, *(key for key in held if key != main)))


def _hooked(hook: object) -> tuple[str, str]:
    """Name and kind of the weight that a hook computes, or two empty texts."""
    if isinstance(hook, BasePruningMethod):
        return hook._tensor_name, "prune"
    return next(((str(getattr(hook, key)), kind) for form, kind, key in _HOOKS if isinstance(hook, form)), ("", ""))
