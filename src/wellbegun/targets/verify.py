"""wb.verify: does a model hold what was planned, on every process?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.compare import Difference, compare_part, count_infinite
from wellbegun.targets.fingerprints import BLOCK, BLOCKS, blocks_among, blocks_of, digest
from wellbegun.targets.fit import check_names, check_plan, present_entries
from wellbegun.targets.fsdp import GATHERED
from wellbegun.targets.job import Job
from wellbegun.targets.materialise import same_memory
from wellbegun.targets.parametrised import computed_weight, rounding
from wellbegun.targets.parts import Part, has_no_values, logical_shape, parts_of
from wellbegun.targets.replicas import differing, exchanged, world_size
from wellbegun.targets.state import State
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import check_class, type_name
from wellbegun.targets.unmet import multiplier_faults
from wellbegun.targets.verification import Fault, Verification

if TYPE_CHECKING:
    import torch


def verify(
    plan: Plan,
    model: torch.nn.Module,
    *,
    strict: bool = True,
    stage: bool = False,
    names: Mapping[str, str] | None = None,
    regions: Mapping[str, tuple[slice, ...]] | None = None,
    group: Any = None,
    inputs: Any = None,
) -> Verification:
    """Check that a model holds what was planned, before the first step, and that processes agree.

    >>> import torch
    >>> from wellbegun.recipes import plan as make_plan
    >>> from wellbegun.targets.apply import apply
    >>> model = torch.nn.Linear(8, 4)
    >>> plan = make_plan(model, seed=1)
    >>> done = apply(plan, model)
    >>> bool(verify(plan, model))
    True
    >>> with torch.no_grad():
    ...     model.weight[2, 3] += 0.5
    >>> print(verify(plan, model).faults[0].kind, verify(plan, model).faults[0].name)
    values weight

    Every number is drawn again, a chunk at a time, and compared bit for bit (orthogonal matrices and what follows them:
    to 1e-5 of their largest value; weights that weight_norm or the orthogonal parametrisation compute: to 1e-4, or four
    roundings). Where torch.distributed is initialised, digests of what the processes hold are
    exchanged: every process must call this, and gets the same faults with the processes where they are.

    Args:
        plan: that was applied.
        model: sharded or not.
        strict, stage, names, regions: as for `apply`.
        group: of the processes that hold the model; all of them if left out.
        inputs: as for `wb.plan`. With them the forward pass is traced again, and the multipliers that the plan wants
            are looked for; without, those count that were there when the plan was made.

    Raises:
        ArgumentError: no plan, or `names` or `regions` name what is not there.
    """
    check_plan(plan)
    state = State(model, "verifying a model", names, regions)
    faults: list[Fault] = []
    try:
        check_names(plan, state, strict, stage)
    except ApplyError as error:
        lines = str(error).splitlines()[1:]
        faults += [_missing(line.strip()) for line in lines if line.startswith("  ")]
    faults += multiplier_faults(plan, model, inputs)
    entries = present_entries(plan, state)
    job = Job(plan, state, entries, {}, frozenset())
    seen = _Seen(blocks_left=BLOCKS // world_size(group))
    for entry in entries:
        faults += _check_entry(job, entry, seen)
    return _judged(faults, seen, group)


def verify_replicas(model: torch.nn.Module, *, group: Any = None) -> Verification:
    """Check that processes which should hold the same numbers do, at any time of a training, without a plan.

    Digests of each process's parts are exchanged; what lies at the same place of the same tensor must be equal. Every
    process must call this.

    Args:
        model: sharded or not.
        group: of the processes that hold the model; all of them if left out.

    Raises:
        ArgumentError: no model, or a tensor of which it cannot be known where its parts lie.
    """
    state = State(model, "verifying replicas")
    seen, done = _Seen(), set()
    for name, main in state.slots.items():
        for slot in main.slots():  # the norm of weight_norm too
            tensor = slot.tensor
            if id(tensor) not in done and not has_no_values(tensor):
                done.add(id(tensor))
                seen.add(name if slot is main else f"{name} ({slot.attribute})", parts_of(tensor))
    return _judged([], seen, group)


@dataclass
class _Seen:
    """What a process has looked at: digests by place, and the tensors that are not as planned."""

    blocks_left: int = 0
    tensors: int = 0
    elements: int = 0
    held: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    strange: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)

    def add(self, name: str, parts: tuple[Part, ...]) -> None:
        self.tensors += 1
        for part in parts:
            self.elements += part.size
            if part.size:
                place = f"{name}\0{part.blocks}"
                self.parts[place] = part
                self.held[place] = " ".join(digest(part.tensor[index]) for index, _ in part.blocks)

    def add_strange(self, name: str, parts: tuple[Part, ...]) -> None:
        """Remember the blocks of a tensor that does not hold its own numbers: are they another's?"""
        for part in parts:
            if part.size and self.blocks_left > 0:
                blocks = blocks_of(part)
                self.blocks_left -= len(blocks)
                self.strange[f"{name}\0{part.blocks}"] = blocks


def _check_entry(job: Job, entry: Entry, seen: _Seen) -> list[Fault]:
    names, state = job.names(entry), job.state
    first = state.tensor(names[0])
    torn = [name for name in names[1:] if not same_memory(state.tensor(name), first)]
    faults = [Fault("tie", entry.name, f"{name} should be one tensor with {names[0]}, and is another") for name in torn]
    if any(state.is_gathered(name) for name in names):
        return [*faults, Fault("layout", entry.name, GATHERED)]
    try:
        parts = state.parts(names[0], entry.shape)
    except ArgumentError as error:
        return [*faults, Fault("layout", entry.name, str(error))]
    if names[0] not in state.regions and logical_shape(first) != entry.shape:
        found = f"planned shape {list(entry.shape)}, the model has {list(logical_shape(first))}"
        return [*faults, Fault("layout", entry.name, found)]
    if has_no_values(first):
        return [*faults, Fault("missing", entry.name, "is on meta and has no values")]
    weight, tolerance = state.slots[names[0]].weight, 0.0
    if weight is not None and weight.kind in ("weight_norm", "orthogonal"):  # made of others: look at what comes out
        if not all(part.is_whole for part in parts):
            seen.unchecked.append(entry.name)
            return faults
        parts = (replace(parts[0], tensor=computed_weight(weight)),)
        tolerance = rounding(parts[0].tensor.dtype)
    try:
        for part in parts:
            check_class(part.tensor)
        if not isinstance(entry.law, Keep):
            check_storage(type_name(first.dtype), entry.law)
    except ArgumentError as error:
        return [*faults, Fault("layout", entry.name, str(error))]
    seen.add(entry.name, parts)
    if isinstance(entry.law, Keep):
        return faults + _infinite(entry.name, parts)
    compared = [compare_part(part, job.plan, entry, tolerance) for part in parts]
    differences = [difference for difference in compared if difference is not None]
    if differences:
        seen.add_strange(entry.name, parts)
    return faults + [_different(entry, difference) for difference in differences]


def _different(entry: Entry, found: Difference) -> Fault:
    place = f" at {list(found.place)}" if found.place else ""
    message = (
        f"{found.count:,} of the numbers here are not the planned ones; the first is{place}: {found.found:.9g}, "
        f"planned {found.expected:.9g}"
    )
    if found.infinite:
        return Fault("non-finite", entry.name, f"{found.infinite:,} numbers are infinite or not a number; {message}")
    return Fault("values", entry.name, message)


def _infinite(name: str, parts: tuple[Part, ...]) -> list[Fault]:
    count = sum(count_infinite(part) for part in parts)
    return [Fault("non-finite", name, f"{count:,} numbers are infinite or not a number")] if count else []


def _missing(line: str) -> Fault:
    name, _, message = line.partition(": ")
    return Fault("missing", name, message)


def _judged(faults: list[Fault], seen: _Seen, group: Any) -> Verification:
    """Bring together what all processes have found."""
    answers = exchanged((faults, seen.held, seen.strange), group)
    several = len(answers) > 1
    ranks: dict[Fault, list[int]] = defaultdict(list)
    for rank, (own, _, _) in answers.items():
        for fault in own:
            ranks[fault].append(rank)
    everything = [Fault(f.kind, f.name, f.message, tuple(where) if several else ()) for f, where in ranks.items()]
    for place, wrong in differing({rank: held for rank, (_, held, _) in answers.items()}).items():
        name = place.partition("\0")[0]
        others = sum(place in held for _, held, _ in answers.values()) - len(wrong)
        message = f"differs from what {others} other process{'es hold' if others > 1 else ' holds'} of the same part"
        everything.append(Fault("replicas", name, message, wrong))
    strange = {place: keys for _, _, places in answers.values() for place, keys in places.items()}
    if strange:  # on every process, as all know the same
        wanted = np.unique(np.concatenate(list(strange.values())))
        here = {place: blocks_among(part, wanted) for place, part in seen.parts.items()}
        found = exchanged({place: keys.tolist() for place, keys in here.items() if len(keys)}, group)
        everything += _copies(found, set(strange), several)
    return Verification(seen.tensors, seen.elements, tuple(everything), tuple(seen.unchecked))


def _copies(holders: dict[int, dict[str, list[int]]], strange: set[str], several: bool) -> list[Fault]:
    """Blocks that are found in two places: two tensors, or the parts of one on two processes.

    Args:
        holders: {process: {place: keys of blocks of strange tensors that are there}}.
        strange: places of tensors that are not as planned: they are the ones to be named.
        several: whether there are other processes.
    """
    places: dict[int, dict[str, int]] = defaultdict(dict)
    for rank, tensors in holders.items():
        for place, keys in tensors.items():
            for key in keys:
                places[key].setdefault(place, rank)
    shared: dict[tuple[tuple[str, int], tuple[str, int]], int] = defaultdict(int)
    for found in places.values():
        first, *others = sorted(found.items(), key=lambda item: (item[0] not in strange, *item))
        for other in others:
            shared[first, other] += 1
    faults = []
    for ((place, here), (elsewhere, there)), count in sorted(shared.items()):
        name, second = place.partition("\0")[0], elsewhere.partition("\0")[0]
        where = f" of process {there}" if several else ""
        message = f"{count} block{'s' if count > 1 else ''} of {BLOCK} numbers are also in {second}{where}"
        faults.append(Fault("copies", name, message, (here, there) if several else ()))
    return faults
