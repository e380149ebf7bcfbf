"""The planned values of a whole model, in memory of their own: the model itself is not written."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.graph.names import canonical_names
from wellbegun.graph.parametrised import carriers, find_parametrised
from wellbegun.graph.variable import collect_variables
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.array import fill_entry
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import tensor_array, type_name


def planned_values(plan: Plan, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors that `wb.apply` would make of the model, by the names of the plan's entries.

    Args:
        plan: made for this model.
        model: read for names, shapes, types and devices; tensors on meta get memory on the CPU. The values of entries
            that the plan keeps are copied.

    Raises:
        ApplyError: names or shapes differ, or a type is not supported.
    """
    held = {canonical: tensor for canonical, _, tensor in _tensors(model)}
    _check(plan, model, held)
    return {entry.name: _values(plan, entry, held[entry.name]) for entry in plan}


def by_every_name(plan: Plan, values: Mapping[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors under all the names that they have in the model, so that ties stay ties."""
    by_name = {name: values[entry.name] for entry in plan for name in (entry.name, *entry.ties)}
    return {actual: by_name[canonical] for canonical, actual, _ in _tensors(model)}


def _tensors(model: torch.nn.Module) -> list[tuple[str, str, torch.Tensor]]:
    """(name in a plan, name in the model, tensor) of every parameter and buffer.

    A parametrised weight stands for the tensors that it is computed from; in the model it is the first of them.
    """
    canonical = canonical_names(model)
    computed = {actual: name for name, actual in carriers(model).items()}
    hidden = {weight.path + carrier for weight in find_parametrised(model) for carrier in weight.carriers[1:]}
    listed = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return [(computed.get(name, canonical[name]), name, tensor) for name, tensor in listed if name not in hidden]


def _check(plan: Plan, model: torch.nn.Module, held: Mapping[str, torch.Tensor]) -> None:
    planned = {name: entry for entry in plan for name in (entry.name, *entry.ties)}
    present = {name for variable in collect_variables(model) for name in (variable.name, *variable.ties)}
    problems = [f"{name}: in the plan, not in the model" for name in sorted(planned.keys() - present)]
    problems += [f"{name}: in the model, not in the plan" for name in sorted(present - planned.keys())]
    for name in sorted(planned.keys() & present):
        entry, tensor = planned[name], held[name]
        if tuple(tensor.shape) != entry.shape:
            problems.append(f"{name}: planned shape {list(entry.shape)}, the model has {list(tensor.shape)}")
        elif entry.law.keeps and tensor.is_meta:
            problems.append(f"{name}: is to keep its value, but it is on meta and has none")
        elif not isinstance(entry.law, Keep):
            try:
                check_storage(type_name(tensor.dtype), entry.law)
                entry.law.check_shape(entry.shape)
            except ArgumentError as error:
                problems.append(f"{name}: {error}")
    if problems:
        raise ApplyError("the plan does not fit the model, nothing was calibrated:\n  " + "\n  ".join(problems))


def _values(plan: Plan, entry: Entry, tensor: torch.Tensor) -> torch.Tensor:
    if isinstance(entry.law, Keep):
        return tensor.detach().clone()
    if entry.law.keeps:
        memory = tensor.detach().to("cpu", copy=True)
    else:
        memory = torch.empty(entry.shape, dtype=tensor.dtype, device="cpu")
    fill_entry(tensor_array(memory), plan, entry, (0,) * len(entry.shape))
    return memory if tensor.is_meta else memory.to(tensor.device)
