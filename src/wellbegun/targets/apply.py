"""wb.apply and wb.initialize: carrying a plan out on a PyTorch model, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Initializer, Keep
from wellbegun.plans import Entry, Multiplier, Plan, Rule
from wellbegun.recipes import plan as make_plan
from wellbegun.targets.fit import check_device, check_fit, check_names, check_plan, present_entries
from wellbegun.targets.job import Job
from wellbegun.targets.materialise import MARK, flatten_recurrent, materialise
from wellbegun.targets.parametrised import refresh, set_parametrised
from wellbegun.targets.parts import Part, fill_part, needs_whole
from wellbegun.targets.state import State
from wellbegun.targets.tensor import mark_changed
from wellbegun.targets.unmet import warn_of_unmet

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Applied:
    """What an application of a plan did. The first three and `skipped` add up to the names that the model has.

    Attributes:
        written: tensors that were filled.
        kept: tensors that the plan knows and that were left as they are.
        tied: further names of a tensor that is written or kept.
        elements: numbers written by this process.
        skipped: names of the model that the plan does not know (with strict=False).
        elsewhere: tensors of the plan that the model does not have (with stage=True).
        drawn_whole: tensors of which this process holds a part and had to draw all (laws that shape a whole matrix).
        unmet: numbers that the recipe wants in the forward pass and that were not there when the plan was made.
    """

    written: int
    kept: int
    tied: int
    elements: int
    skipped: int = 0
    elsewhere: int = 0
    drawn_whole: int = 0
    unmet: tuple[Multiplier, ...] = ()


def apply(
    plan: Plan,
    model: torch.nn.Module,
    *,
    device: str | None = None,
    overwrite: bool = False,
    strict: bool = True,
    stage: bool = False,
    names: Mapping[str, str] | None = None,
    regions: Mapping[str, tuple[slice, ...]] | None = None,
) -> Applied:
    """Write a plan's values into a model: everything is checked before the first number is written.

    >>> import torch
    >>> model = torch.nn.Linear(8, 4)
    >>> apply(make_plan(model, seed=1), model).elements
    36

    A tensor that a plan was applied to is marked, and a second application refuses it. Values that anybody else put
    there, `load_state_dict` above all, cannot be told from the constructor's: they are overwritten. To fill in what a
    checkpoint did not have, use `fill_missing`.

    A sharded model (DTensor: FSDP2, tensor parallel, HSDP, any mesh and placements; ZeRO-3 before its engine is made)
    gets the same numbers as the whole one: each process writes the part that it holds, from the plan, the seed and the
    place of the part alone, without communication and in the memory of the part. Laws that shape a whole matrix
    (orthogonal ones) are drawn whole on each process, which keeps its part: `drawn_whole` counts them.

    Weights behind weight_norm become exactly what is planned (up to rounding), pruned ones the planned times the mask,
    those behind spectral_norm the planned ones up to their scale; the orthogonal parametrisation takes Orthogonal().

    Where the recipe is more than weights (muP, DeepNorm) and the forward pass lacks a part of it, `apply` warns
    (`UnmetMultiplierWarning`) before it writes, and says so in `unmet`.

    Args:
        plan: made for this model, or loaded; matched by name. Wrappers (torch.compile, DistributedDataParallel,
            activation checkpointing, PEFT, fully_shard) do not change names. Plan before sharding, or load one saved
            plan on every process.
        model: its tensors are on the CPU, on CUDA devices, or on meta, where they get memory. What they are besides
            their numbers (`requires_grad`, class, attributes, strides, placements) stays, ties are tied again.
        device: where meta tensors get their memory: "cpu" (the default, but for DTensors, whose mesh decides) or a CUDA
            device such as "cuda" or "cuda:1". Other tensors stay where they are; `model.to(device)` moves those.
        overwrite: allow tensors that a plan has already been applied to.
        strict: the plan must know every tensor of the model. False: others (adapters, say) are left alone.
        stage: the model is a part of what was planned, a pipeline stage: what it lacks is written elsewhere.
        names: {name of a module or tensor in the model: its name in the plan}, for stages that number modules anew:
            {"0": "layers.4", "1": "layers.5"}.
        regions: {name: slices}, for tensors (sharded ones too) that are parts of planned ones and do not say so, such
            as hand-written tensor parallelism: {"up.weight": (slice(0, 512), slice(None))}.

    Raises:
        ApplyError: names, shapes or ties differ, a dtype, device or placement is not supported, a tensor was written
            before, or cannot be written. Every problem is listed; nothing has been written.
        ArgumentError: `names` or `regions` name what is not there.
    """
    check_plan(plan)
    state = State(model, "applying a plan", names, regions)
    where = check_device(device)
    skipped = check_names(plan, state, strict, stage)
    entries = present_entries(plan, state)
    kept = frozenset(entry.name for entry in entries if isinstance(entry.law, Keep))
    job = Job(plan, state, entries, {}, kept)
    job = replace(job, sources={entry.name: job.names(entry)[0] for entry in entries})
    check_fit(job, overwrite)
    warn_of_unmet(plan)
    return replace(carry_out(job, where, skipped), unmet=plan.unmet)


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


def carry_out(job: Job, device: str | None, skipped: int) -> Applied:
    """Give memory, tie and write; `check_fit` has found that all of this works."""
    import torch

    with torch.inference_mode(False):  # or the new tensors could not be trained
        for entry in job.entries:
            source = job.sources[entry.name]
            materialise(job.state, source, tuple(name for name in job.names(entry) if name != source), device)
    elements = planned = whole = 0
    mark = job.plan.hash
    for entry in job.written:
        parts = job.state.parts(job.sources[entry.name], entry.shape)
        elements += _write(job, entry, parts, mark)
        planned += sum(part.planned(entry.law, entry.shape) for part in parts)
        whole += needs_whole(entry.law) and not all(part.is_whole for part in parts)
    if elements != planned:
        raise ApplyError(f"{elements} elements were written, {planned} planned; this is a fault in wellbegun")
    for slot in job.state.slots.values():
        if slot.weight is not None:
            refresh(slot.weight)
    flatten_recurrent([slot for slot in job.state.slots.values() if slot.tensor.is_cuda])
    tied = sum(len(job.names(entry)) - 1 for entry in job.entries)
    elsewhere = len(job.plan) - len(job.entries)
    return Applied(len(job.written), len(job.kept), tied, elements, skipped, elsewhere, whole)


def _write(job: Job, entry: Entry, parts: tuple[Part, ...], mark: str) -> int:
    tensor = job.state.tensor(job.sources[entry.name])
    written = sum(fill_part(part, job.plan, entry) for part in parts)
    for name in job.names(entry):
        weight = job.state.slots[name].weight
        if weight is not None:
            set_parametrised(weight, job.plan, entry)
    for changed in {id(memory): memory for memory in (tensor, *(part.tensor for part in parts))}.values():
        mark_changed(changed)
    setattr(tensor, MARK, mark)
    return written
