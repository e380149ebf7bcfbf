"""wb.apply and wb.initialize: carrying a plan out on a PyTorch model, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Initializer, Keep
from wellbegun.plans import Entry, Plan, Rule
from wellbegun.recipes import plan as make_plan
from wellbegun.targets.array import fill_entry
from wellbegun.targets.fit import check_device, check_fit, check_names, check_plan
from wellbegun.targets.materialise import MARK, flatten_recurrent, materialise
from wellbegun.targets.parametrised import refresh, set_parametrised
from wellbegun.targets.state import State
from wellbegun.targets.tensor import mark_changed, tensor_array

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Applied:
    """What an application of a plan did. The first three and `skipped` add up to the names that the model has.

    Attributes:
        written: tensors that were filled.
        kept: tensors that the plan knows and that were left as they are.
        tied: further names of a tensor that is written or kept.
        elements: numbers written.
        skipped: names of the model that the plan does not know (with strict=False).
    """

    written: int
    kept: int
    tied: int
    elements: int
    skipped: int = 0


def apply(
    plan: Plan, model: torch.nn.Module, *, device: str | None = None, overwrite: bool = False, strict: bool = True
) -> Applied:
    """Write a plan's values into a model: everything is checked before the first number is written.

    >>> import torch
    >>> model = torch.nn.Linear(8, 4)
    >>> apply(make_plan(model, seed=1), model)
    Applied(written=2, kept=0, tied=0, elements=36, skipped=0)

    A tensor that a plan was applied to is marked, and a second application refuses it. Values that anybody else put
    there, `load_state_dict` above all, cannot be told from the constructor's: they are overwritten. To fill in what a
    checkpoint did not have, use `fill_missing`.

    Weights behind weight_norm become exactly what is planned (up to rounding), pruned ones the planned times the mask,
    those behind spectral_norm the planned ones up to their scale; the orthogonal parametrisation takes Orthogonal().

    Args:
        plan: made for this model, or loaded; matched by name. Wrappers (torch.compile, DistributedDataParallel,
            activation checkpointing, PEFT) do not change names.
        model: its tensors are on the CPU, on CUDA devices, or on meta, where they get memory. What they are besides
            their numbers (`requires_grad`, class, attributes, strides) stays, ties are tied again.
        device: where meta tensors get their memory: "cpu" (the default) or a CUDA device such as "cuda" or "cuda:1".
            Other tensors stay where they are; `model.to(device)` moves those.
        overwrite: allow tensors that a plan has already been applied to.
        strict: the plan must know every tensor of the model. False: others (adapters, say) are left alone.

    Raises:
        ApplyError: names, shapes or ties differ, a dtype or device is not supported, a tensor was written before, is
            a part of one (ZeRO-3, DTensor), or cannot be written. Every problem is listed; nothing has been written.
    """
    check_plan(plan)
    state = State(model, "applying a plan")
    where = check_device(device)
    skipped = check_names(plan, state, strict)
    kept = frozenset(entry.name for entry in plan if isinstance(entry.law, Keep))
    sources = {entry.name: entry.name for entry in plan}
    check_fit(plan, state, sources, kept, overwrite)
    return carry_out(plan, state, sources, kept, where, skipped)


def initialize(
    model: torch.nn.Module,
    inputs: Any = None,
    *,
    seed: int,
    recipe: str | Callable[[Any], object] = "auto",
    rules: Mapping[Any, Initializer | str] | tuple[Rule, ...] | None = None,
    aliases: Mapping[str, str] | None = None,
    device: str | None = None,
    overwrite: bool = False,
    strict: bool = True,
) -> Plan:
    """Plan a model's starting values, write them, and return the plan.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> made = initialize(model, "vector:64", seed=7)
    >>> made.recipe
    'auto@0'

    Args: those of `wb.plan` (which checks `recipe` and `rules`) and of `wb.apply`. `model` is the model itself, not a
        function that builds one: what such a function built would be lost.
    """
    check_device(device)
    made = make_plan(
        check_module(model, "initializing"), inputs, seed=seed, recipe=recipe, rules=rules, aliases=aliases
    )
    apply(made, model, device=device, overwrite=overwrite, strict=strict)
    return made


def carry_out(
    plan: Plan, state: State, sources: Mapping[str, str], kept: frozenset[str], device: str, skipped: int
) -> Applied:
    """Give memory, tie and write; `check_fit` has found that all of this works."""
    import torch

    with torch.inference_mode(False):  # or the new tensors could not be trained
        for entry in plan:
            source = sources[entry.name]
            materialise(state, source, tuple(name for name in (entry.name, *entry.ties) if name != source), device)
    written = [entry for entry in plan if entry.name not in kept]
    mark = plan.hash
    elements = sum(_write(plan, entry, state, mark) for entry in written)
    planned = sum(entry.size for entry in written)
    if elements != planned:
        raise ApplyError(f"{elements} elements were written, {planned} planned; this is a fault in wellbegun")
    for slot in state.slots.values():
        if slot.weight is not None:
            refresh(slot.weight)
    flatten_recurrent([slot for slot in state.slots.values() if slot.tensor.is_cuda])
    tied = sum(len(entry.ties) for entry in plan)
    return Applied(len(written), len(plan) - len(written), tied, elements, skipped)


def _write(plan: Plan, entry: Entry, state: State, mark: str) -> int:
    tensor = state.tensor(entry.name)
    corner = (0,) * len(entry.shape)
    if tensor.is_cuda:
        from wellbegun.targets.device import fill_on_device

        written = fill_entry(tensor.detach(), plan, entry, corner, fill_on_device)
    else:
        written = fill_entry(tensor_array(tensor), plan, entry, corner)
    for name in (entry.name, *entry.ties):
        weight = state.slots[name].weight
        if weight is not None:
            set_parametrised(weight, plan, entry)
    mark_changed(tensor)
    setattr(tensor, MARK, mark)
    return written
