"""The tensors of a model's state: every parameter and buffer once, with all its names."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch.nn.utils import parametrize

from wellbegun.graph.by_type import TypedRole, role_by_type
from wellbegun.graph.names import canonical_names
from wellbegun.graph.parametrised import find_parametrised


@dataclass(frozen=True)
class Variable:
    """One parameter or buffer.

    Attributes:
        name: canonical name, the first under which the model lists it.
        kind: "parameter" or "buffer".
        shape: its shape.
        dtype: its dtype by name ("float32").
        owner: class name of the module that holds it.
        attribute: its name inside that module.
        ties: its other names.
        on_meta: whether it has no storage yet.
        typed: what the owner's type, one of torch.nn's, says that it is for.
        types: for each of its names, the full names of the holding module's class and of that class's bases.
        parametrised: how it is computed from other tensors ("weight_norm"), which are then not listed; "" if it is not.
        carrier: canonical name of the one of those tensors that has its shape, and holds its law.
        learns: whether it takes gradients.
        persistent: whether the model's state dict holds it, under any of its names.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    owner: str
    attribute: str
    ties: tuple[str, ...]
    on_meta: bool
    typed: TypedRole | None = None
    types: tuple[tuple[str, ...], ...] = ()
    parametrised: str = ""
    carrier: str = ""
    learns: bool = True
    persistent: bool = True


def collect_variables(model: torch.nn.Module) -> tuple[Variable, ...]:
    """List every parameter and buffer of a model once, non-persistent buffers too."""
    names: dict[object, list[str]] = {}
    tensors: dict[object, torch.Tensor] = {}
    kinds: dict[object, str] = {}
    listed: list[tuple[str, str, torch.Tensor]] = []
    canonical = canonical_names(model)
    listed += [("parameter", name, tensor) for name, tensor in model.named_parameters(remove_duplicate=False)]
    listed += [("buffer", name, tensor) for name, tensor in model.named_buffers(remove_duplicate=False)]
    owners: dict[str, torch.nn.Module] = {}
    computed = {weight.path + carrier: weight for weight in find_parametrised(model) for carrier in weight.carriers}
    kind_of: dict[str, tuple[str, str]] = {}
    persistent: set[str] = set()
    for kind, actual, tensor in listed:
        name, weight = canonical[actual], computed.get(actual)
        if weight is not None:
            main = weight.carriers[0]
            if actual != weight.path + main:
                continue
            name = name.removesuffix(main) + weight.name
            kind_of[name] = weight.kind, canonical[actual]
        path, _, attribute = actual.rpartition(".")
        holder = model.get_submodule(path)
        owners.setdefault(name, weight.module if weight else holder)
        if attribute not in holder._non_persistent_buffers_set:
            persistent.add(name)
        key = identity(tensor)
        names.setdefault(key, []).append(name)
        tensors.setdefault(key, tensor)
        kinds.setdefault(key, kind)
    made = []
    for key, (first, *others) in names.items():
        tensor, module, attribute = tensors[key], owners[first], first.rpartition(".")[2]
        made.append(
            Variable(
                name=first,
                kind=kinds[key],
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                owner=parametrize.type_before_parametrizations(module).__name__,
                attribute=attribute,
                ties=tuple(others),
                on_meta=tensor.is_meta,
                typed=role_by_type(module, attribute, tensor),
                types=tuple(_types(owners[name]) for name in (first, *others)),
                parametrised=kind_of.get(first, ("", ""))[0],
                carrier=kind_of.get(first, ("", ""))[1],
                learns=tensor.requires_grad,
                persistent=not persistent.isdisjoint((first, *others)),
            )
        )
    return tuple(made)


def _types(module: torch.nn.Module) -> tuple[str, ...]:
    """Full names of a module's class and of its bases, up to torch.nn.Module."""
    bases = type(module).__mro__
    return tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in bases[: bases.index(torch.nn.Module) + 1])


def identity(tensor: torch.Tensor) -> object:
    """Equal for two names of one tensor, also where two Parameters share all of their storage."""
    sharded = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    if sharded is not None and isinstance(tensor, sharded):
        return id(tensor)
    if tensor.is_meta or tensor.numel() == 0 or tensor.layout != torch.strided:
        return id(tensor)
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
