"""The tensors of a model's state: every parameter and buffer once, with all its names."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch

from wellbegun.graph.by_type import TypedRole, role_by_type
from wellbegun.graph.names import canonical_names


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
    for kind, actual, tensor in listed:
        name = canonical[actual]
        owners.setdefault(name, model.get_submodule(actual.rpartition(".")[0]))
        key = _identity(tensor)
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
                owner=type(module).__name__,
                attribute=attribute,
                ties=tuple(others),
                on_meta=tensor.is_meta,
                typed=role_by_type(module, attribute, tensor),
            )
        )
    return tuple(made)


def _identity(tensor: torch.Tensor) -> object:
    """Equal for two names of one tensor, also where two Parameters share all of their storage."""
    sharded = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    if sharded is not None and isinstance(tensor, sharded):
        return id(tensor)
    if tensor.is_meta or tensor.numel() == 0 or tensor.layout != torch.strided:
        return id(tensor)
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
