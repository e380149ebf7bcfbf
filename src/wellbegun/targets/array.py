"""Filling a NumPy array with a part, or all, of a logical tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Patched, Stored
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import SHARE, TILE, WORKERS, Draw, Stream, storage_type, type_name, write
from wellbegun.targets.memory import check_strides
from wellbegun.targets.patches import frame, overlap, stored_at, within
from wellbegun.targets.rows import Offset, check_part, cut, pieces, rows_of
from wellbegun.targets.storage import check_storage, store

Array = NDArray[Any]


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
    if isinstance(law, Patched):
        return _fill_patched(out, law, stream, shape, offset, companion, master)
    points = law.points(shape)
    if points is not None:
        _fill_points(out, *points, shape, offset)
        if master is not None:
            _fill_points(master, *points, shape, offset)
    elif law.structured and law.apart and out.ndim and out.shape != shape:
        part = _stretches(law, stream, out.shape, shape, offset)
        drawn = part if out.dtype == np.float64 else part.astype(np.float32)
        store(out, drawn, law)
        if master is not None:
            master[...] = drawn
    elif law.structured:
        exact = out.dtype.kind in "biuc"  # stored whole numbers, which float32 would round, and complex ones
        precision = out.dtype if exact or out.dtype == np.float64 else np.float32
        in_place = out.shape == shape and out.dtype == precision and out.flags.carray
        whole = law.block(stream, shape, precision, companion, out if in_place else None)
        if whole is out:
            return int(out.size)
        part = cut(whole, out.shape, offset)
        store(out, part, law)
        if master is not None:
            master[...] = part
    elif out.dtype.kind == "c":
        for part, draw in zip((out.real, out.imag), law.element_draw().complex_parts(), strict=True):
            _fill_elements(part, draw, stream, shape, offset)
    elif master is not None:
        _fill_elements(master, law.element_draw().within(out.dtype), stream, shape, offset)
        out[...] = master
    else:
        _fill_elements(out, law.element_draw(), stream, shape, offset)
    return int(out.size)


def fill_entry(out: Any, plan: Plan, entry: Entry, offset: Offset, fill: Callable[..., int] | None = None) -> int:
    """Fill an array (or, with `fill`, another target) with a part of a planned tensor; return the elements written.

    Args:
        out: the part; a vector where the offset is the start of a flat range.
        plan: which the entry is of.
        entry: of the tensor.
        offset: of the part: its corner, or the start of a flat range.
        fill: does for another target what `fill_array` does for an array.
    """
    companion = None
    if entry.law.companion is not None:
        other = plan[entry.law.companion]
        companion = np.empty(other.shape, np.float32)
        fill_entry(companion, plan, other, (0,) * companion.ndim)
    written = (fill or fill_array)(out, entry.law, Stream.of(plan.seed, entry.stream), entry.shape, offset, companion)
    if entry.zero_row is not None:
        run = math.prod(entry.shape[1:]) if isinstance(offset, int) else 1
        first = entry.zero_row * run - (offset if isinstance(offset, int) else offset[0])
        out[max(first, 0) : max(first + run, 0)] = 0
    return written


def check_memory(out: Array) -> None:
    """Raise ArgumentError unless every element of the array has memory of its own that can be written."""
    if not out.flags.writeable:
        raise ArgumentError("the array is read-only; pass one that can be written")
    if not out.flags.c_contiguous and out.size > 1:
        check_strides(out.shape, out.strides, out.itemsize)


def _fill_elements(out: Array, draw: Draw, stream: Stream, shape: tuple[int, ...], offset: Offset) -> None:
    """Write an element-wise draw into a part of a logical tensor, in place where rows lie in order."""
    if offset == 0 and out.flags.carray and out.dtype.isnative:
        write(out.reshape(-1), draw, stream, 0)
        return
    if out.ndim == 0:  # its one element, counted flat
        out, offset = out.reshape(1), offset or 0

    def fill_stack(place: tuple[tuple[int, ...], int, int]) -> int:
        index, start, step = place
        stack = out[index]
        run = stack.size // len(stack)
        in_order = stack[0].flags.c_contiguous and stack.flags.aligned and stack.dtype.isnative
        if in_order and step == run and stack.flags.c_contiguous:
            return write(stack.reshape(-1), draw, stream, start)
        if in_order and (len(stack) == 1 or stack.strides[0] % stack.itemsize == 0):
            return write(_rows(stack, run), draw, stream, start, step)
        return _fill_through_buffers(stack, draw, stream, start, step)

    places = list(rows_of(out.shape, shape, offset))
    if len(places) > 1 and out.size >= 2 * SHARE:
        WORKERS.share(fill_stack, places)
    else:
        for place in places:
            fill_stack(place)


def _rows(stack: Array, run: int) -> Array:
    """See an array whose items along the first dimension are contiguous as a matrix of those items."""
    # as_strided does not know the types of ml_dtypes
    plain = stack.view(f"u{stack.itemsize}")
    rows = np.lib.stride_tricks.as_strided(plain, (len(stack), run), (stack.strides[0], stack.itemsize))
    return rows.view(stack.dtype)


def _fill_through_buffers(stack: Array, draw: Draw, stream: Stream, start: int, step: int) -> int:
    """Write rows whose elements do not lie in order, or not as the machine reads them."""
    storage = storage_type(type_name(stack.dtype))

    def fill_piece(piece: tuple[Array, int, int]) -> int:
        view, first, apart = piece
        run = view.size // len(view)
        if run == apart and run < 8 * TILE:
            buffer = np.empty(view.size, storage)
            redraws = write(buffer, draw, stream, first)
        else:
            # rows a little apart: at distances of a power of two they would fight for the same lines of the cache
            buffer = np.empty((len(view), run + 16), storage)[:, :run]
            redraws = write(buffer, draw, stream, first, apart)
        view[...] = buffer.reshape(view.shape)
        return redraws

    return WORKERS.share(fill_piece, list(pieces(stack, start, step, SHARE)))


def _stretches(
    law: Law, stream: Stream, part: tuple[int, ...], shape: tuple[int, ...], offset: Offset
) -> NDArray[np.float64]:
    """Return a part of a law whose elements are computed from their indices, run by run."""
    values = np.empty(part, np.float64)
    for index, start, step in rows_of(part, shape, offset):
        stack = values[index]
        run = stack.size // len(stack)
        if step == run:
            stack.reshape(-1)[:] = law.stretch(stream, shape, start, stack.size)
            continue
        for number, row in enumerate(stack.reshape(len(stack), run)):
            row[:] = law.stretch(stream, shape, start + number * step, run)
    return values


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


def _fill_patched(
    out: Array,
    law: Patched,
    stream: Stream,
    shape: tuple[int, ...],
    offset: Offset,
    companion: Array | None,
    master: Array | None,
) -> int:
    """Write the base, then each patch over it: as a rectangle, or, in a flat range, where the range meets it."""
    written = 0 if law.keeps else fill_array(out, law.base, stream, shape, offset, companion, master)
    patched = 0
    if out.shape == shape:
        offset = (0,) * len(shape)
    for region, patch in law.patches:
        if not isinstance(offset, int):
            found = overlap(region, out.shape, offset)
            if found is not None:
                part, corner = found
                inner = None if master is None else master[part]
                patched += fill_array(out[part], patch, stream, *frame(patch, region, shape, corner), None, inner)
            continue
        for first in range(0, out.size, SHARE):
            start = offset + first
            inside = within(region, shape, start, min(SHARE, out.size - first))
            if inside is None:
                continue
            index = np.unravel_index(first + np.flatnonzero(inside), out.shape)
            for target in (out, master):
                if target is not None:
                    if isinstance(patch, Stored):
                        target[index] = stored_at(patch, region, shape, start + np.flatnonzero(inside))
                        continue
                    drawn = np.empty(len(inside), target.dtype)
                    fill_array(drawn, patch, stream, shape, start)
                    target[index] = drawn[inside]
            patched += len(index[0])
    return patched if law.keeps else written
