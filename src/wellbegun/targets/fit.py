"""Whether a plan fits a model: every problem is found before the first number is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wellbegun.errors import ApplyError, ArgumentError, closest_names
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.materialise import MARK, same_memory
from wellbegun.targets.memory import read_only
from wellbegun.targets.parametrised import check_parametrised
from wellbegun.targets.state import State
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import check_class, check_tensor, has_memory, share_memory, span, type_name

if TYPE_CHECKING:
    import torch


def check_device(device: str | None) -> str:
    """Return the device that meta tensors get their memory on.

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
    return device or "cpu"


def check_plan(plan: object) -> None:
    """Raise ArgumentError unless this is a plan."""
    if not isinstance(plan, Plan):
        raise ArgumentError(f"the first argument must be a plan, the second the model; got {type(plan).__name__} first")


def check_names(plan: Plan, state: State, strict: bool) -> int:
    """Return how many names of the model the plan does not know.

    Raises:
        ApplyError: the plan has a name that the model has not, or, if strict, the other way round.
    """
    present, planned = set(state.slots), {name for entry in plan for name in (entry.name, *entry.ties)}
    lines = []
    for name in sorted(planned - present):
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
    if lines:
        hint = (
            "\nstrict=False leaves tensors of the model alone that the plan does not know" if strict and extra else ""
        )
        raise ApplyError("the plan is for another model, nothing was written:\n  " + "\n  ".join(lines) + hint)
    return len(extra)


def check_fit(plan: Plan, state: State, sources: Mapping[str, str], kept: frozenset[str], overwrite: bool) -> None:
    """Raise ApplyError with every reason why the plan cannot be carried out.

    Args:
        plan: whose names are all in the model.
        state: the model's tensors.
        sources: {entry: the one of its names whose tensor stands for all of them}.
        kept: entries whose tensors are to stay as they are.
        overwrite: allow tensors that a plan was applied to.
    """
    problems = [
        f"{entry.name}: {problem}"
        for entry in plan
        for problem in _problems(plan, entry, state, sources[entry.name], entry.name in kept, overwrite)
    ]
    held = _held(plan, state, sources)
    problems += [
        f"{first} and {second}: share memory without being one tensor, so that one would overwrite the other"
        for first, second in share_memory(held)
    ]
    spans = {name: span(tensor) for name, tensor in held.items() if tensor.is_cpu and has_memory(tensor)}
    written = {name: where for name, where in spans.items() if name.partition(" ")[0] not in kept}
    problems += [f"{name}: its memory is read-only (a file opened for reading?)" for name in read_only(written)]
    if problems:
        raise ApplyError("the plan does not fit the model, nothing was written:\n  " + "\n  ".join(problems))


def _held(plan: Plan, state: State, sources: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The tensors that will be there afterwards, those behind a parametrised weight each by itself."""
    held = {}
    for entry in plan:
        for number, slot in enumerate(state.slots[sources[entry.name]].slots()):
            held[entry.name if number == 0 else f"{entry.name} ({slot.attribute})"] = slot.tensor
    return held


def _problems(plan: Plan, entry: Entry, state: State, source: str, kept: bool, overwrite: bool) -> Iterator[str]:
    slot, tensor = state.slots[source], state.tensor(source)
    whole = getattr(tensor, "ds_shape", None)
    if whole is not None and tuple(whole) != tuple(tensor.shape):
        yield (
            f"is partitioned over processes (ZeRO-3; {list(whole)} in all, {tensor.numel()} elements here), which this "
            "version cannot write; apply the plan before deepspeed.initialize, or inside "
            "deepspeed.zero.GatheredParameters"
        )
        return
    if tuple(tensor.shape) != entry.shape:
        yield f"planned shape {list(entry.shape)}, the model has {list(tensor.shape)}"
        return
    for other in entry.ties:
        if tuple(state.tensor(other).shape) != entry.shape:
            yield f"{other} is tied to it, but of another shape"
        elif state.tensor(other).dtype != tensor.dtype:
            types = [type_name(t.dtype) for t in (state.tensor(other), tensor)]
            yield f"{other} is tied to it, but is {types[0]} and not {types[1]}"
            continue
        weight = state.slots[other].weight
        if weight is not None and not same_memory(state.tensor(other), tensor):
            yield f"{other} is tied to it and under {weight.kind}, and cannot be tied again"
        elif weight is not None and slot.weight is None and weight.kind not in ("spectral_norm", "prune"):
            yield f"{other} is tied to it and under {weight.kind}, whose tensors would have to be two things at once"
    strangers = sorted({name for n in (entry.name, *entry.ties) for name in state.names_of(n)})
    strangers = [name for name in strangers if name not in (entry.name, *entry.ties)]
    if strangers:
        yield f"the model ties it to {', '.join(strangers)}, the plan does not"
    if kept:
        if any(part.tensor.is_meta for part in slot.slots()):
            if isinstance(entry.law, Keep):
                yield "is to keep its value, but it is on meta and has none; give it one, or plan it with a rule"
            else:
                yield "is not among the missing, but it is on meta and has no value; load it, or name it as missing"
        return
    try:
        check_storage(type_name(tensor.dtype), entry.law)
        entry.law.check_shape(entry.shape)
        for part in slot.slots():
            (check_class if part.tensor.is_meta else check_tensor)(part.tensor)
        if slot.weight is not None:
            check_parametrised(slot.weight, plan, entry)
    except ArgumentError as error:
        yield str(error)
    if getattr(tensor, MARK, None) is not None and not overwrite:
        yield "a plan was already applied to it; pass overwrite=True to start again"


def _parametrisation(name: str) -> str:
    path, _, attribute = name.rpartition(".")
    return f"{path}{'.' if path else ''}parametrizations.{attribute}."
