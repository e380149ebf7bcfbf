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
from wellbegun.sampler import SHARE, TILE, WORKERS, Draw, Stream, inward, storage_type, type_name, write
from wellbegun.targets.storage import check_storage, store

Array = NDArray[Any]
Offset = int | tuple[int, ...]


def fill_array(
    out: Array,
    law: Law,
    stream: Stream,
    shape: tuple[int, ...],
    offset: Offset,
    companion: Array | None = None,
    master: Array | None = None,
) -> int:
    """Fill an array with a part of a logical tensor and return the number of elements written.

    Args:
        out: any strides, of a dtype that `check_storage` accepts.
        law: what to write.
        stream: where its numbers come from.
        shape: of the logical tensor.
        offset: where `out` lies in it: a tuple (corner of a rectangle) or an integer (start of a flat range).
        companion: values of the tensor that the law needs, if it needs one.
        master: float32 array of the shape of `out`; gets the values whose rounding `out` gets.
    """
    check_storage(type_name(out.dtype), law)
    law.check_shape(shape)
    check_part(out.shape, shape, offset)
    if out.size == 0:
        return 0
    points = law.points(shape)
    if points is not None:
        _fill_points(out, *points, shape, offset)
        if master is not None:
            _fill_points(master, *points, shape, offset)
    elif law.structured:
        whole = law.block(stream, shape, np.float64 if out.dtype == np.float64 else np.float32, companion)
        part = _flat_part(whole, out, offset) if isinstance(offset, int) else whole[_slices(out.shape, offset)]
        store(out, part, law)
        if master is not None:
            master[...] = part
    elif out.dtype.kind == "c":
        for part, draw in zip((out.real, out.imag), law.element_draw().complex_parts(), strict=True):
            _fill_elements(part, draw, stream, shape, offset)
    elif master is not None:
        low, high = law.bounds() or (-math.inf, math.inf)
        inside = (float(inward(low, out.dtype, up=True)), float(inward(high, out.dtype, up=False)))
        _fill_elements(master, law.element_draw()._replace(low=inside[0], high=inside[1]), stream, shape, offset)
        out[...] = master
    else:
        _fill_elements(out, law.element_draw(), stream, shape, offset)
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
    if part == shape and offset == 0:
        fits = True
    elif math.prod(shape) > 2**63:
        raise ArgumentError(f"a logical tensor of shape {shape} has more than 2**63 elements")
    elif isinstance(offset, int):
        fits = offset >= 0 and offset + math.prod(part) <= math.prod(shape)
    else:
        fits = len(offset) == len(shape) == len(part) and all(
            first >= 0 and first + size <= whole for first, size, whole in zip(offset, part, shape, strict=True)
        )
    if not fits:
        raise ArgumentError(
            f"a part of shape {part} at offset {offset} does not lie inside the logical tensor of shape {shape}"
        )


def check_memory(out: Array) -> None:
    """Raise ArgumentError unless every element of the array has memory of its own that can be written."""
    if not out.flags.writeable:
        raise ArgumentError("the array is read-only; pass one that can be written")
    if out.flags.c_contiguous or out.size < 2:
        return
    reach = out.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(out.strides, out.shape, strict=True)):
        if size > 1 and stride < reach:
            # strides that interleave need not overlap: look at the addresses, where there are few enough of them
            places = sum(np.ix_(*(np.arange(n) * s for n, s in zip(out.shape, out.strides, strict=True))))
            if out.size > 1 << 20 or np.diff(np.sort(np.ravel(places))).min() < out.itemsize:
                raise ArgumentError(f"elements of the array share memory (shape {out.shape}, strides {out.strides})")
            return
        reach += (size - 1) * stride


def _fill_elements(out: Array, draw: Draw, stream: Stream, shape: tuple[int, ...], offset: Offset) -> None:
    """Write an element-wise draw into a part of a logical tensor, row after row of consecutive indices."""
    if isinstance(offset, int) or out.shape == shape:
        _fill_run(out, draw, stream, offset if isinstance(offset, int) else 0)
        return
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    base = sum(first * stride for first, stride in zip(offset, strides, strict=True))
    # dimensions from `split` on are covered whole, so one run spans them and the one before
    split = len(shape)
    while split > 0 and out.shape[split - 1] == shape[split - 1]:
        split -= 1
    inner = max(split - 1, 0)
    run = math.prod(out.shape[inner:])
    if inner > 0 and _writable_in_place(out[(0,) * inner]) and out.strides[inner - 1] % out.itemsize == 0:
        # the dimension before holds rows of such runs
        for index in np.ndindex(*out.shape[: inner - 1]):
            at = base + sum(i * stride for i, stride in zip(index, strides, strict=False))
            write(_rows(out[index], run), draw, stream, at, strides[inner - 1])
        return
    for index in np.ndindex(*out.shape[:inner]):
        # the dots make a view even of an array without dimensions, where out[()] would be a copy
        at = base + sum(i * stride for i, stride in zip(index, strides, strict=False))
        _fill_run(out[(*index, ...)], draw, stream, at)


def _rows(view: Array, run: int) -> Array:
    """See an array whose items along the first dimension are contiguous as a matrix of those items."""
    # as_strided does not know the types of ml_dtypes
    plain = view.view(f"u{view.itemsize}")
    rows = np.lib.stride_tricks.as_strided(plain, (len(view), run), (view.strides[0], view.itemsize))
    return rows.view(view.dtype)


def _writable_in_place(view: Array) -> bool:
    return bool(view.flags.c_contiguous and view.flags.aligned and view.dtype.isnative)


def _fill_run(target: Array, draw: Draw, stream: Stream, start: int) -> None:
    """Write consecutive elements into an array of any strides, through a buffer where they do not lie in order."""
    if _writable_in_place(target):
        write(target.reshape(-1), draw, stream, start)
        return
    storage = storage_type(type_name(target.dtype))

    def fill_chunk(chunk: tuple[Array, int]) -> int:
        view, first = chunk
        run = view.size // len(view) if view.ndim else 1
        if run < 8 * TILE:
            buffer = np.empty(view.size, storage)
            redraws = write(buffer, draw, stream, first)
        else:
            # rows a little apart: at distances of a power of two they would fight for the same lines of the cache
            buffer = np.empty((len(view), run + 16), storage)[:, :run]
            redraws = write(buffer, draw, stream, first, run)
        view[...] = buffer.reshape(view.shape)
        return redraws

    WORKERS.share(fill_chunk, list(_chunks(target, start)))


def _chunks(target: Array, start: int) -> Iterator[tuple[Array, int]]:
    """Cut an array into views of bounded size that are consecutive in the logical tensor."""
    if target.size <= SHARE:
        yield target, start
        return
    size = target.size // len(target)
    together = max(SHARE // size, 1)
    for first in range(0, len(target), together):
        part = target[first : first + together]
        yield from _chunks(part if len(part) > 1 or size <= SHARE else part[0], start + first * size)


def _fill_points(out: Array, indices: NDArray[np.int64], value: float, shape: tuple[int, ...], offset: Offset) -> None:
    """Write zeros, and the value at those of the logical tensor's flat indices that lie in this part."""
    out[...] = 0
    if isinstance(offset, int):
        here = indices[(indices >= offset) & (indices < offset + out.size)] - offset
        out[np.unravel_index(here, out.shape)] = value
        return
    places = [axis - first for axis, first in zip(np.unravel_index(indices, shape), offset, strict=True)]
    inside = np.logical_and.reduce(
        [(place >= 0) & (place < size) for place, size in zip(places, out.shape, strict=True)], axis=0
    )
    out[tuple(place[inside] for place in places)] = value


def _slices(part: tuple[int, ...], offset: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(offset, part, strict=True))


def _flat_part(whole: Array, out: Array, offset: int) -> Array:
    return whole.reshape(-1)[offset : offset + out.size].reshape(out.shape)
