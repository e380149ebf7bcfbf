"""wb.to_numpy: a planned tensor, or a region of it, as a NumPy array, without any model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Keep, Law
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import Stream, storage_type, type_name
from wellbegun.targets.array import fill_array, fill_entry
from wellbegun.targets.fill import NARROW
from wellbegun.targets.region import Index, read_region
from wellbegun.targets.storage import check_storage


def to_numpy(
    plan: Plan, name: str, region: Index | tuple[Index, ...] | None = None, *, dtype: Any = None
) -> NDArray[Any]:
    """Return the planned values of one tensor, or of a region of it, which is drawn alone.

    >>> import torch, wellbegun as wb
    >>> plan = wb.plan(torch.nn.Linear(6, 4), "vector:6", seed=7)
    >>> whole = to_numpy(plan, "weight")
    >>> part = to_numpy(plan, "weight", (slice(1, 3), ...))
    >>> bool((part == whole[1:3]).all())
    True

    Laws that shape a whole tensor (orthogonal and sparse ones, biases made from a weight) are computed whole for any
    region, which takes the time and the memory of the whole.

    Args:
        plan: where the tensor is planned.
        name: the tensor's name, or one it is tied to.
        region: what would stand between the brackets of `whole[...]`: slices of step 1, whole numbers, `...`. The
            result has the shape of `whole[region]`. Left out: the whole tensor.
        dtype: storage type of the result, as a name ("float32", "bfloat16") or a NumPy dtype; the planned one if left
            out. "float32" of a narrower tensor gives its master values, whose rounding the tensor holds.

    Raises:
        KeyError: the plan has no such tensor.
        ArgumentError: the plan keeps the tensor's own value, the region does not fit, or the dtype cannot hold the
            values.
    """
    if not isinstance(plan, Plan):
        raise ArgumentError(f"the first argument must be a plan, got {type(plan).__name__}")
    entry = plan[name]
    kind = entry.dtype if dtype is None else dtype_name(dtype)
    problem = why_not(entry, kind)
    if problem:
        raise ArgumentError(f"{name}: {problem}")
    place = read_region(region, entry.shape)
    out = np.empty(place.sizes, storage_type(kind))
    fill_part(out, plan, entry, place.corner)
    return out.reshape(place.shape)


def fill_part(out: NDArray[Any], plan: Plan, entry: Entry, corner: tuple[int, ...]) -> None:
    """Fill an array with a rectangle of a planned tensor; `why_not` has no objection to its storage type."""
    is_master = type_name(out.dtype) == "float32" and entry.dtype in NARROW
    fill_entry(out, plan, entry, corner, _master_filler(entry.dtype) if is_master else None)


def why_not(entry: Entry, dtype: str) -> str:
    """Return why a planned tensor cannot be had as an array of this storage type; "" if it can."""
    if entry.law.keeps:
        part = "" if isinstance(entry.law, Keep) else ", in a part,"
        return f"keeps{part} the value that the model gives it; the plan does not hold it"
    if entry.dtype.startswith("complex") != dtype.startswith("complex"):
        return f"is planned as {entry.dtype}; {dtype} would be other numbers, not the same ones rounded"
    try:
        check_storage(dtype, entry.law)
    except ArgumentError as error:
        return str(error)
    return ""


def dtype_name(dtype: Any) -> str:
    """Return the name of a storage type that is given by name or as a NumPy dtype.

    >>> dtype_name("bfloat16"), dtype_name(np.float32)
    ('bfloat16', 'float32')

    Raises:
        ArgumentError: neither.
    """
    try:
        return storage_type(dtype if isinstance(dtype, str) else np.dtype(dtype).name).name
    except TypeError:
        raise ArgumentError(f"dtype must be a name such as 'bfloat16' or a NumPy dtype, got {dtype!r}") from None


def _master_filler(narrow: str) -> Callable[..., int]:
    """Return what fills a float32 array with the values whose rounding a narrower tensor holds."""

    def fill(
        out: NDArray[Any],
        law: Law,
        stream: Stream,
        shape: tuple[int, ...],
        offset: tuple[int, ...],
        companion: NDArray[Any] | None,
    ) -> int:
        return fill_array(np.empty(out.shape, storage_type(narrow)), law, stream, shape, offset, companion, out)

    return fill
