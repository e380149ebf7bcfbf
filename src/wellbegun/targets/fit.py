"""Whether a plan fits a model: every problem is found before the first number is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wellbegun.errors import ApplyError, ArgumentError, closest_names
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.fsdp import GATHERED
from wellbegun.targets.job import Job
from wellbegun.targets.materialise import MARK, same_memory
from wellbegun.targets.memory import read_only
from wellbegun.targets.parametrised import check_parametrised
from wellbegun.targets.parts import has_no_values, is_dtensor, local_tensors, logical_shape
from wellbegun.targets.state import State
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import check_class, check_tensor, has_memory, share_memory, span, type_name

if TYPE_CHECKING:
    import torch


def check_device(device: str | None) -> str | None:
    """Return the device that meta tensors get their memory on; None: the usual one.

    Raises:
        ApplyError: not the CPU or a CUDA device that is there.
    """
    import torch

    try:
        kind = "cpu" if device is None else torch.device(device).type
    except (RuntimeError, TypeError):
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise ApplyError(f"device must be 'cpu' or a CUDA device, not {device!r}; move the model after apply")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ApplyError(f"{device!r} is asked for, and torch sees no CUDA device here; nothing was written")
    return device


def check_plan(plan: object) -> None:
    """Raise ArgumentError unless this is a plan."""
    if not isinstance(plan, Plan):
        raise ArgumentError(f"the first argument must be a plan, the second the model; got {type(plan).__name__} first")


def present_entries(plan: Plan, state: State) -> tuple[Entry, ...]:
    """Return the entries of a plan of which the model has at least one name."""
    return tuple(entry for entry in plan if any(name in state.slots for name in (entry.name, *entry.ties)))


def check_names(plan: Plan, state: State, strict: bool, stage: bool = False) -> int:
    """Return how many names of the model the plan does not know.

    Raises:
        ApplyError: the plan has a name that the model has not (unless it is a stage), or, if strict, the other way
            round; or a stage has nothing of the plan.
    """
    present, planned = set(state.slots), {name for entry in plan for name in (entry.name, *entry.ties)}
    lines = []
    for name in sorted(planned - present) if not stage else ():
        inside = sorted(other for other in present if other.startswith(_parametrisation(name)))
        near = closest_names(name, present - planned)
        if inside:
            lines.append(
                f"{name}: computed by a parametrisation that wellbegun cannot set; plan the tensors that it starts "
                f"from ({', '.join(inside)}), or remove it and register it after apply"
            )
        else:
            lines.append(f"{name}: in the plan, not in the model" + (f" (is it now {near[0]}?)" if near else ""))
    extra = sorted(present - planned)
    if strict:
        lines += [f"{name}: in the model, not in the plan" for name in extra]
    if stage and not lines and planned and not planned & present:
        lines.append("the stage has no tensor that is in the plan; do its modules have other names? pass names={...}")
    if lines:
        hint = (
            "\nstrict=False leaves tensors of the model alone that the plan does not know" if strict and extra else ""
        )
        if not stage and len(planned & present) and not extra:
            hint += "\nstage=True applies a plan to a model that is a part of what was planned (a pipeline stage)"
        raise ApplyError("the plan is for another model, nothing was written:\n  " + "\n  ".join(lines) + hint)
    return len(extra)


def check_fit(job: Job, overwrite: bool) -> None:
    """Raise ApplyError with every reason why a job cannot be done.

    Args:
        job: whose names have been checked.
        overwrite: allow tensors that a plan was applied to.
    """
    problems = [f"{entry.name}: {problem}" for entry in job.entries for problem in _problems(job, entry, overwrite)]
    held = _held(job)
    problems += [
        f"{first} and {second}: share memory without being one tensor, so that one would overwrite the other"
        for first, second in share_memory(held)
    ]
    spans = {name: span(tensor) for name, tensor in held.items() if tensor.is_cpu and has_memory(tensor)}
    written = {name: where for name, where in spans.items() if name.partition(" ")[0] not in job.kept}
    problems += [f"{name}: its memory is read-only (a file opened for reading?)" for name in read_only(written)]
    if problems:
        raise ApplyError("the plan does not fit the model, nothing was written:\n  " + "\n  ".join(problems))


def _held(job: Job) -> dict[str, torch.Tensor]:
    """The memory that will be there afterwards, that behind a parametrised weight each by itself."""
    held = {}
    for entry in job.entries:
        for number, slot in enumerate(job.state.slots[job.sources[entry.name]].slots()):
            for place, local in enumerate(local_tensors(slot.tensor)):
                name = entry.name if number == 0 else f"{entry.name} ({slot.attribute})"
                held[name if place == 0 else f"{name} (process {place})"] = local
    return held


def _problems(job: Job, entry: Entry, overwrite: bool) -> Iterator[str]:
    state, source = job.state, job.sources[entry.name]
    slot, tensor = state.slots[source], state.tensor(source)
    try:
        parts = state.parts(source, entry.shape)
    except ArgumentError as error:
        yield str(error)
        return
    if any(state.is_gathered(name) for name in job.names(entry)):
        yield GATHERED
        return
    told = source in state.regions
    if not told and logical_shape(tensor) != entry.shape:
        hint = f"; if it is a part, say which: regions={{{source!r}: (slice(...), ...)}}"
        is_part = _could_be_part(tuple(tensor.shape), entry.shape)
        yield f"planned shape {list(entry.shape)}, the model has {list(tensor.shape)}" + (hint if is_part else "")
        return
    if getattr(tensor, "tensor_model_parallel", False) and not told and not is_dtensor(tensor):
        yield (
            "is marked as one part of a tensor-parallel weight (tensor_model_parallel), and nothing says which: pass "
            f"regions={{{source!r}: (slice(...), ...)}} and plan the whole weight"
        )
        return
    yield from _tie_problems(job, entry)
    if entry.name in job.kept:
        if any(has_no_values(part.tensor) for part in slot.slots()):
            if isinstance(entry.law, Keep):
                yield "is to keep its value, but it is on meta and has none; give it one, or plan it with a rule"
            else:
                yield "is not among the missing, but it is on meta and has no value; load it, or name it as missing"
        return
    if entry.law.keeps and has_no_values(tensor):
        yield "is to keep its value in a part, but it is on meta and has none; give it one, or plan it with a rule"
    try:
        check_storage(type_name(tensor.dtype), entry.law)
        entry.law.check_shape(entry.shape)
        if slot.weight is not None and not all(part.is_whole for part in parts):
            raise ArgumentError(
                f"is under {slot.weight.kind} and in parts on several processes, which this version cannot write; "
                "apply the plan before the model is sharded"
            )
        for memory in [*(part.tensor for part in parts), *(other.tensor for other in [*slot.slots()][1:])]:
            (check_class if memory.is_meta else check_tensor)(memory)
        if slot.weight is not None:
            check_parametrised(slot.weight, job.plan, entry)
    except ArgumentError as error:
        yield str(error)
    if getattr(tensor, MARK, None) is not None and not overwrite:
        yield "a plan was already applied to it; pass overwrite=True to start again"


def _tie_problems(job: Job, entry: Entry) -> Iterator[str]:
    """What is wrong with the further names of a tied tensor."""
    state, source = job.state, job.sources[entry.name]
    slot, tensor = state.slots[source], state.tensor(source)
    for other in job.names(entry):
        if other == source:
            continue
        if logical_shape(state.tensor(other)) != logical_shape(tensor):
            yield f"{other} is tied to it, but of another shape"
        elif _other_part(state, entry, source, other):
            yield f"{other} is tied to it, but `regions` names another part of it; a tied tensor is one part"
        elif state.tensor(other).dtype != tensor.dtype:
            types = [type_name(t.dtype) for t in (state.tensor(other), tensor)]
            yield f"{other} is tied to it, but is {types[0]} and not {types[1]}"
            continue
        elif is_dtensor(tensor) != is_dtensor(state.tensor(other)):
            yield f"{other} is tied to it, but only one of them lies on several processes; tie them, then shard both"
        elif is_dtensor(tensor) and not same_memory(state.tensor(other), tensor):
            where = [(t.device_mesh, t.placements) for t in (tensor, state.tensor(other))]  # type: ignore[attr-defined]
            if where[0] != where[1]:
                yield f"{other} is tied to it, but lies on the processes in another way, and cannot be tied again"
        weight = state.slots[other].weight
        if weight is not None and not same_memory(state.tensor(other), tensor):
            yield f"{other} is tied to it and under {weight.kind}, and cannot be tied again"
        elif weight is not None and slot.weight is None and weight.kind not in ("spectral_norm", "prune"):
            yield f"{other} is tied to it and under {weight.kind}, whose tensors would have to be two things at once"
    names = (entry.name, *entry.ties)
    strangers = sorted({name for n in job.names(entry) for name in state.names_of(n)} - set(names))
    if strangers:
        yield f"the model ties it to {', '.join(strangers)}, the plan does not"


def _other_part(state: State, entry: Entry, source: str, other: str) -> bool:
    """Whether the user has said of the names of a tied tensor that they are different parts of it."""
    if source not in state.regions or other not in state.regions:
        return False
    try:
        here, there = (state.parts(name, entry.shape) for name in (source, other))
    except ArgumentError:
        return True
    return [part.blocks for part in here] != [part.blocks for part in there]


def _could_be_part(held: tuple[int, ...], planned: tuple[int, ...]) -> bool:
    return len(held) == len(planned) and all(part <= whole for part, whole in zip(held, planned, strict=True))


def _parametrisation(name: str) -> str:
    path, _, attribute = name.rpartition(".")
    return f"{path}{'.' if path else ''}parametrizations.{attribute}."
