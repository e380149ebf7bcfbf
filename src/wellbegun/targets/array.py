"""Filling a NumPy array with a part, or all, of a logical tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import Stream
from wellbegun.targets.storage import check_storage, store

Array = NDArray[Any]
Offset = int | tuple[int, ...]

CHUNK = 1 << 18
"""Elements drawn at once where they cannot be drawn in place: 1 MiB of float32."""


def fill_array(
    out: Array, law: Law, stream: Stream, shape: tuple[int, ...], offset: Offset, companion: Array | None = None
) -> int:
    """Fill an array with a part of a logical tensor and return the number of elements written.

    Args:
        out: any strides, of a dtype that `check_storage` accepts.
        law: what to write.
        stream: where its numbers come from.
        shape: of the logical tensor.
        offset: where `out` lies in it: a tuple (corner of a rectangle) or an integer (start of a flat range).
        companion: values of the tensor that the law needs, if it needs one.
    """
    check_storage(out.dtype.name, law)
    law.check_shape(shape)
    check_part(out.shape, shape, offset)
    if out.size == 0:
        return 0
    points = law.points(shape)
    if points is not None:
        _fill_points(out, *points, law, shape, offset)
        return int(out.size)
    if law.structured:
        precision = np.float64 if out.dtype == np.float64 else np.float32
        in_place = out.shape == shape and out.dtype == precision and out.flags.carray
        whole = law.block(stream, shape, precision, companion, out if in_place else None)
        if whole is out:
            return int(out.size)
        part = _flat_part(whole, out, offset) if isinstance(offset, int) else whole[_slices(out.shape, offset)]
        store(out, part, law)
        return int(out.size)
    for target, start in _runs(out, shape, offset):
        _fill_run(target, law, stream, start)
    return int(out.size)


def fill_entry(out: Array, plan: Plan, entry: Entry, offset: tuple[int, ...]) -> int:
    """Fill an array with a part of a planned tensor and return the number of elements written."""
    companion = None
    if entry.law.companion is not None:
        other = plan[entry.law.companion]
        companion = np.empty(other.shape, np.float32)
        fill_entry(companion, plan, other, (0,) * companion.ndim)
    written = fill_array(out, entry.law, Stream.of(plan.seed, entry.stream), entry.shape, offset, companion)
    if entry.zero_row is not None and 0 <= entry.zero_row - offset[0] < len(out):
        out[entry.zero_row - offset[0]] = 0
    return written


def check_part(part: tuple[int, ...], shape: tuple[int, ...], offset: Offset) -> None:
    """Raise ArgumentError unless a part of this shape at this offset lies inside the logical tensor."""
    if math.prod(shape) > 2**63:
        raise ArgumentError(f"a logical tensor of shape {shape} has more than 2**63 elements")
    if isinstance(offset, int):
        fits = offset >= 0 and offset + math.prod(part) <= math.prod(shape)
    else:
        fits = len(offset) == len(shape) == len(part) and all(
            first >= 0 and first + size <= whole for first, size, whole in zip(offset, part, shape, strict=True)
        )
    if not fits:
        raise ArgumentError(
            f"a part of shape {part} at offset {offset} does not lie inside the logical tensor of shape {shape}"
        )


def _runs(out: Array, shape: tuple[int, ...], offset: Offset) -> Iterator[tuple[Array, int]]:
    """Split a part into views that are consecutive in the logical tensor, each with its first index."""
    if isinstance(offset, int):
        yield out, offset
        return
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    # dimensions from `split` on are covered whole, so one run spans them and the one before
    split = len(shape)
    while split > 0 and out.shape[split - 1] == shape[split - 1]:
        split -= 1
    outer = out.shape[: max(split - 1, 0)]
    base = sum(first * stride for first, stride in zip(offset, strides, strict=True))
    for index in np.ndindex(*outer):
        # the dots make a view even of an array without dimensions, where out[()] would be a copy
        yield out[(*index, ...)], base + sum(i * stride for i, stride in zip(index, strides, strict=False))


def _fill_run(target: Array, law: Law, stream: Stream, start: int) -> None:
    in_place = target.dtype == np.float32 and target.flags.c_contiguous and target.flags.aligned
    if in_place:
        law.draw(target.reshape(-1), stream, start)
        return
    flat = target.reshape(-1) if target.flags.c_contiguous else None
    buffer = np.empty(min(CHUNK, target.size), np.float32)
    for first in range(0, target.size, CHUNK):
        values = buffer[: min(CHUNK, target.size - first)]
        law.draw(values, stream, start + first)
        if flat is not None:
            store(flat[first : first + values.size], values, law)
        else:
            rounded = np.empty(values.size, target.dtype)
            store(rounded, values, law)
            target.flat[first : first + values.size] = rounded


def _fill_points(
    out: Array, indices: NDArray[np.int64], value: float, law: Law, shape: tuple[int, ...], offset: Offset
) -> None:
    """Write zeros, and the value where one of the law's points lies in the part."""
    out[...] = 0
    cell = np.empty(1, out.dtype)
    store(cell, np.array([value], np.float32), law)
    if isinstance(offset, int):
        inside = indices[(indices >= offset) & (indices < offset + out.size)]
        places = np.unravel_index(inside - offset, out.shape)
    else:
        corner, size = (np.array(numbers, np.int64)[:, None] for numbers in (offset, out.shape))
        local = np.stack(np.unravel_index(indices, shape)) - corner
        places = tuple(local[:, ((local >= 0) & (local < size)).all(axis=0)])
    out[places] = cell[0]


def _slices(part: tuple[int, ...], offset: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(offset, part, strict=True))


def _flat_part(whole: Array, out: Array, offset: int) -> Array:
    return whole.reshape(-1)[offset : offset + out.size].reshape(out.shape)
