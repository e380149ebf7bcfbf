"""What a checkpoint holds: planned tensors, or ranges of them, by the names that they have in the file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ApplyError, ArgumentError, closest_names, join_names
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import LARGEST, storage_type
from wellbegun.targets.checkpoint.header import CODES
from wellbegun.targets.storage import check_storage

Array = NDArray[Any]


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a checkpoint: a planned tensor, or a range of consecutive elements of one.

    Attributes:
        name: in the file.
        entry: what it is planned to hold.
        dtype: storage type in the file.
        shape: in the file.
        start: index of its first element in the planned tensor.
        value: the planned tensor's own value, flat, where the plan keeps that.
    """

    name: str
    entry: Entry
    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    value: Array | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return storage_type(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Range:
    """Where a tensor of a file lies in a planned one.

    Attributes:
        name: in the file.
        planned: a name that the plan knows.
        start: index of the first element in the planned tensor.
        shape: in the file; None for the whole tensor.
    """

    name: str
    planned: str
    start: int = 0
    shape: tuple[int, ...] | None = None


def planned_ranges(plan: Plan) -> list[Range]:
    """Return what the state dict of the planned model holds, each tied tensor once."""
    return [Range(entry.name, entry.name) for entry in plan if entry.persistent]


def file_tensors(
    plan: Plan, ranges: list[Range], values: Mapping[str, Array], dtype: str | None = None
) -> list[FileTensor]:
    """Return the tensors of a checkpoint, once it is sure that all of them can be written.

    Args:
        plan: what they hold.
        ranges: which of them the checkpoint holds, and under which names.
        values: {planned name: array} of the tensors whose own value the plan keeps.
        dtype: storage type of floating-point tensors; None for each entry's own.

    Raises:
        ArgumentError: `values` has a name that the plan does not know.
        ApplyError: a tensor has no value, or no file of safetensors can hold it. Every problem is listed.
    """
    given = _by_entry(plan, values)
    made, problems = [], []
    for part in ranges:
        entry = plan[part.planned]
        stored = dtype if dtype is not None and _is_floating(entry.dtype) else entry.dtype
        value = None
        if stored not in CODES:
            problems.append(f"{part.name}: safetensors has no type {stored}")
        elif entry.law.keeps:
            value = given.get(entry.name)
            if value is None:
                problems.append(
                    f"{part.name}: the plan keeps the value that the model gives it; pass model=, the model, or "
                    f"values={{{entry.name!r}: array}}"
                )
            elif value.shape != entry.shape:
                problems.append(f"{part.name}: planned {list(entry.shape)}, the value given is {list(value.shape)}")
        if stored in CODES and not isinstance(entry.law, Keep):
            try:
                check_storage(stored, entry.law)
            except ArgumentError as error:
                problems.append(f"{part.name}: {error}")
        shape = entry.shape if part.shape is None else part.shape
        flat = None if value is None else np.ascontiguousarray(value).reshape(-1)
        made.append(FileTensor(part.name, entry, stored, shape, part.start, flat))
    if problems:
        raise ApplyError("the checkpoint cannot be written, nothing was written:\n  " + "\n  ".join(problems))
    return made


def check_dtype(dtype: object) -> str | None:
    """Return the name of a storage type, given as text or as a torch dtype.

    Raises:
        ArgumentError: no floating-point type that a checkpoint can hold.
    """
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    if not _is_floating(name) or name not in CODES:
        known = [known for known in LARGEST if _is_floating(known)]
        raise ArgumentError(f"dtype must be {join_names(known)}, or left out for each tensor's own; got {dtype!r}")
    return name


def _is_floating(dtype: str) -> bool:
    return dtype in LARGEST and not dtype.startswith("complex")


def _by_entry(plan: Plan, values: Mapping[str, Array]) -> dict[str, Array]:
    found = {}
    for name, value in values.items():
        if name not in plan:
            near = closest_names(str(name), (name for entry in plan for name in (entry.name, *entry.ties)))
            offer = f"; did you mean {join_names(near)}?" if near else ""
            raise ArgumentError(f"values names {name!r}, which the plan does not have{offer}")
        found[plan[name].name] = np.asarray(value)
    return found
