"""Writing elements of a stream into memory: the one door to the kernels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.sampler.draw import Draw
from wellbegun.sampler.formats import LARGEST
from wellbegun.sampler.layout import TILE, counter_tag
from wellbegun.sampler.stream import Stream
from wellbegun.sampler.workers import WORKERS

Array = NDArray[Any]

SHARE = 1 << 18
"""Elements that a thread takes at a time; a tensor of fewer is filled by the calling thread alone."""


def write(out: Array, draw: Draw, stream: Stream, start: int, step: int = 0) -> int:
    """Fill rows of memory with consecutive elements of a stream: element (r, c) gets index start + r·step + c.

    >>> out = np.empty(3, np.float32)
    >>> write(out, Draw.uniform(-1, 1), Stream.of(7, "w"), start=5)
    0

    Args:
        out: vector, or matrix whose rows need not follow on one another; elements of a row must lie side by side.
            Any dtype of sampler.formats but complex; overwritten.
        draw: what to write.
        stream: where the numbers come from.
        start: index of the first element in the logical tensor, 0 <= start < 2**63.
        step: how far the indices of one row's start and the next one's are apart.

    Returns:
        how many elements had to be drawn again (truncated draws only).

    Raises:
        ArgumentError: memory of another form, a dtype without random numbers, or positions beyond 2**63.
    """
    rows, run = out.shape if out.ndim == 2 else (1, out.size)
    in_order = out.flags.carray and out.ndim <= 2
    size = out.itemsize
    if not in_order and (
        out.ndim not in (1, 2)
        or (run > 1 and out.strides[-1] != size)
        or not out.flags.aligned
        or (rows > 1 and out.strides[0] % size)
    ):
        raise ArgumentError(f"out must be a vector, or a matrix with contiguous rows, got strides {out.strides}")
    if rows * run == 0:
        return 0
    if not (start >= 0 and start + (rows - 1) * step + run <= 2**63 and step >= 0):
        raise ArgumentError(f"elements {start} to {start + (rows - 1) * step + run} are outside 0 to 2**63")
    if draw.kind == "constant":
        out.fill(_constant(draw, out.dtype))
        return 0
    pitch = out.strides[0] // size if rows > 1 else 0
    if pitch < 0:
        return sum(write(row, draw, stream, start + r * step) for r, row in enumerate(out))
    view, kernel, settings = _prepared(draw, out.dtype)
    key = (*stream.key, stream.word, counter_tag(draw.purpose, 0))
    memory = out if view is None else out.view(view)
    if in_order:
        memory = memory.reshape(-1) if out.ndim == 2 else memory
    else:
        memory = np.lib.stride_tricks.as_strided(memory, ((rows - 1) * pitch + run,), (size,))
    if rows * run < 2 * SHARE or WORKERS.count == 1:
        return int(kernel(memory, rows, run, pitch, start, step, key, *settings))

    def fill_part(part: tuple[int, int, int, int]) -> int:
        row, count, first, length = part
        at = row * pitch + first
        stop = at + (count - 1) * pitch + length
        return int(kernel(memory[at:stop], count, length, pitch, start + row * step + first, step, key, *settings))

    return WORKERS.share(fill_part, list(_parts(rows, run, start)))


def draw_householder(out: NDArray[np.float32], stream: Stream, start: int) -> None:
    """Fill a contiguous float32 vector with the standard normals that Householder vectors are made of."""
    write(out, Draw.householder(), stream, start)


def _parts(rows: int, run: int, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut rows into shares (first row, rows, first column, columns), at the seams of tiles where a row is cut."""
    if run <= SHARE:
        together = max(SHARE // run, 1)
        for row in range(0, rows, together):
            yield row, min(together, rows - row), 0, run
        return
    for row in range(rows):
        first = 0
        while first < run:
            stop = min(first + SHARE - (start + first) % TILE, run)
            yield row, 1, first, stop - first
            first = stop


@functools.lru_cache(maxsize=512)
def _prepared(draw: Draw, dtype: np.dtype[Any]) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return the type under which the kernel sees the memory (None: its own), the kernel, and its settings."""
    from wellbegun.sampler import kernels

    if dtype.name not in LARGEST or dtype.kind == "c":
        raise ArgumentError(f"random numbers are written as {', '.join(LARGEST)}, not {dtype.name}")
    precision = np.float64 if dtype == np.float64 else np.float32
    inside = draw.within(dtype)
    numbers = (float(precision(draw.scale)), float(precision(draw.shift)), inside.low, inside.high)
    window = draw.window
    kind: tuple[float, ...] = kernels.Uniform() if draw.kind == "uniform" else kernels.Normal()
    if window is not None and window.inverse:
        sign = -1.0 if window.reflected else 1.0
        kind = kernels.Quantile(window.near, window.far, window.upper_tail, window.mass, sign)
    elif window is not None:
        kind = kernels.Redraw(window.low, window.high, window.mass)
    view = kernels.VIEWS[dtype.name]
    return None if view == dtype else view, kernels.fill, (kind, numbers)


def _constant(draw: Draw, dtype: np.dtype[Any]) -> Any:
    return np.asarray(draw.shift, np.float32).astype(dtype) if dtype.kind not in "biu" else draw.shift
