"""wb.to_numpy: a planned tensor, or a region of it, as a NumPy array, without any model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Keep
from wellbegun.plans import Plan
from wellbegun.sampler import storage_type
from wellbegun.targets.array import fill_entry


def to_numpy(plan: Plan, name: str, region: tuple[slice, ...] | None = None) -> NDArray[Any]:
    """Return the planned values of one tensor.

    Args:
        plan: where the tensor is planned.
        name: the tensor's name, or one it is tied to.
        region: slices with step 1, one for each dimension; the whole tensor if left out.

    Raises:
        KeyError: the plan has no such tensor.
        ArgumentError: the plan keeps the tensor's own value, or the region does not fit.
    """
    entry = plan[name]
    if isinstance(entry.law, Keep):
        raise ArgumentError(f"{name} keeps the value that the model gives it; the plan does not hold it")
    region = region if region is not None else tuple(slice(0, size) for size in entry.shape)
    if len(region) != len(entry.shape) or any(part.step not in (None, 1) for part in region):
        raise ArgumentError(f"region must hold {len(entry.shape)} slices of step 1, got {region}")
    edges = [part.indices(size)[:2] for part, size in zip(region, entry.shape, strict=True)]
    out = np.empty([max(stop - start, 0) for start, stop in edges], storage_type(entry.dtype))
    fill_entry(out, plan, entry, tuple(start for start, _ in edges))
    return out
