"""wb.apply and wb.initialize: carrying a plan out on a PyTorch model, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError, ArgumentError, closest_names
from wellbegun.graph.framework import check_module
from wellbegun.laws import Initializer, Keep
from wellbegun.plans import Entry, Plan, Rule
from wellbegun.recipes import plan as make_plan
from wellbegun.targets.array import fill_entry
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import check_tensor, mark_changed, share_memory, tensor_array, type_name

if TYPE_CHECKING:
    import torch

_MARK = "_wellbegun_plan"


@dataclass(frozen=True)
class Applied:
    """What an application of a plan did: numbers of tensors, and of elements written.

    Attributes:
        written, kept, tied: tensors that were filled, left as they are, and further names of a filled tensor.
        elements: numbers written.
    """

    written: int
    kept: int
    tied: int
    elements: int


def apply(plan: Plan, model: torch.nn.Module, *, device: str | None = None, overwrite: bool = False) -> Applied:
    """Write a plan's values into a model: everything is checked before the first number is written.

    >>> import torch
    >>> model = torch.nn.Linear(8, 4)
    >>> apply(make_plan(model, seed=1), model)
    Applied(written=2, kept=0, tied=0, elements=36)

    Args:
        plan: made for this model, or loaded; matched by name.
        model: on the CPU or on meta; meta tensors get memory. `requires_grad` is preserved, ties are tied again.
        device: where meta tensors get their memory: "cpu" (the default) or a CUDA device such as "cuda" or "cuda:1".
            Other tensors stay where they are.
        overwrite: allow tensors that a plan has already been applied to.

    Raises:
        ApplyError: names, shapes or ties differ, a dtype or device is not supported, or a tensor was written before.
            Nothing has been written then.
    """
    model = check_module(model, "applying a plan")
    _check_device(device)
    names_of = _names_of(model)
    _check_names(plan, {name for names in names_of.values() for name in names})
    problems = [problem for entry in plan for problem in _problems(entry, model, names_of, overwrite)]
    problems += [
        f"{first} and {second}: share memory without being one tensor, so that one would overwrite the other"
        for first, second in share_memory({entry.name: _get(model, entry.name) for entry in plan})
    ]
    if problems:
        raise ApplyError("the plan does not fit the model, nothing was written:\n  " + "\n  ".join(problems))
    for entry in plan:
        _materialise(entry, model, device or "cpu")
    mark = plan.hash
    elements = sum(_write(plan, entry, _get(model, entry.name), mark) for entry in plan)
    written = [entry for entry in plan if not isinstance(entry.law, Keep)]
    planned = sum(entry.size for entry in written)
    if elements != planned:
        raise ApplyError(f"{elements} elements were written, {planned} planned; this is a fault in wellbegun")
    return Applied(len(written), len(plan) - len(written), sum(len(entry.ties) for entry in plan), elements)


def initialize(
    model: torch.nn.Module,
    inputs: Any = None,
    *,
    seed: int,
    recipe: str = "auto",
    rules: Mapping[Any, Initializer | str] | tuple[Rule, ...] | None = None,
    aliases: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Plan:
    """Plan a model's starting values, write them, and return the plan.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> made = initialize(model, "vector:64", seed=7)
    >>> made.recipe
    'auto@0'

    Args: those of `wb.plan` and `wb.apply`.
    """
    made = make_plan(model, inputs, seed=seed, recipe=recipe, rules=rules, aliases=aliases)
    apply(made, model, overwrite=overwrite)
    return made


def _check_device(device: str | None) -> None:
    import torch

    try:
        kind = "cpu" if device is None else torch.device(device).type
    except (RuntimeError, TypeError):
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise ApplyError(f"device must be 'cpu' or a CUDA device, not {device!r}; move the model after apply")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ApplyError(f"{device!r} is asked for, and torch sees no CUDA device here; nothing was written")


def _check_names(plan: Plan, present: set[str]) -> None:
    planned = {name for entry in plan for name in (entry.name, *entry.ties)}
    lines = []
    for name in sorted(planned - present):
        near = closest_names(name, present - planned)
        lines.append(f"{name}: in the plan, not in the model" + (f" (is it now {near[0]}?)" if near else ""))
    lines += [f"{name}: in the model, not in the plan" for name in sorted(present - planned)]
    if lines:
        raise ApplyError("the plan is for another model, nothing was written:\n  " + "\n  ".join(lines))


def _problems(entry: Entry, model: torch.nn.Module, names_of: Mapping[int, list[str]], overwrite: bool) -> list[str]:
    tensor = _get(model, entry.name)
    found = []
    if tuple(tensor.shape) != entry.shape:
        found.append(f"{entry.name}: planned shape {list(entry.shape)}, the model has {list(tensor.shape)}")
    if isinstance(entry.law, Keep):
        if tensor.is_meta:
            found.append(f"{entry.name}: is to keep its value, but it is on meta and has none")
        return found
    try:
        check_storage(type_name(tensor.dtype), entry.law)
        entry.law.check_shape(entry.shape)
        if not tensor.is_meta:
            check_tensor(tensor)
    except ArgumentError as error:
        found.append(f"{entry.name}: {error}")
    if getattr(tensor, _MARK, None) is not None and not overwrite:
        found.append(f"{entry.name}: a plan was already applied to it; pass overwrite=True to start again")
    for other in entry.ties:
        if tuple(_get(model, other).shape) != entry.shape:
            found.append(f"{other}: tied to {entry.name}, but of another shape")
    strangers = sorted(set(names_of[id(tensor)]) - {entry.name, *entry.ties})
    if strangers:
        found.append(f"{entry.name}: the model ties it to {', '.join(strangers)}, the plan does not")
    return found


def _materialise(entry: Entry, model: torch.nn.Module, device: str) -> None:
    """Give a meta tensor memory, and tie again what was torn apart."""
    import torch

    tensor = _get(model, entry.name)
    if tensor.is_meta:
        memory = torch.empty_like(tensor, device=device)
        if isinstance(tensor, torch.nn.Parameter):
            memory = torch.nn.Parameter(memory, requires_grad=tensor.requires_grad)
        _set(model, entry.name, memory)
    for other in entry.ties:
        _set(model, other, _get(model, entry.name))


def _write(plan: Plan, entry: Entry, tensor: torch.Tensor, mark: str) -> int:
    if isinstance(entry.law, Keep):
        return 0
    corner = (0,) * len(entry.shape)
    if tensor.is_cuda:
        from wellbegun.targets.device import fill_on_device

        written = fill_entry(tensor.detach(), plan, entry, corner, fill_on_device)
    else:
        written = fill_entry(tensor_array(tensor), plan, entry, corner)
    mark_changed(tensor)
    setattr(tensor, _MARK, mark)
    return written


def _names_of(model: torch.nn.Module) -> dict[int, list[str]]:
    """All names of each tensor of the model, by the tensor's identity."""
    names: dict[int, list[str]] = {}
    for listed in (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)):
        for name, tensor in listed:
            names.setdefault(id(tensor), []).append(name)
    return names


def _place(model: torch.nn.Module, name: str) -> tuple[torch.nn.Module, str]:
    path, _, attribute = name.rpartition(".")
    return model.get_submodule(path), attribute


def _get(model: torch.nn.Module, name: str) -> torch.Tensor:
    module, attribute = _place(model, name)
    tensor: torch.Tensor = getattr(module, attribute)
    return tensor


def _set(model: torch.nn.Module, name: str, tensor: torch.Tensor) -> None:
    module, attribute = _place(model, name)
    held: dict[str, Any] = module._parameters if attribute in module._parameters else module._buffers
    held[attribute] = tensor
