"""Comparing what a process holds of a tensor with what is planned, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.laws import (
    Computed,
    DeltaOrthogonal,
    IndexedLaw,
    Law,
    MeanCompensation,
    MirroredOrthogonal,
    Orthogonal,
    Patched,
    PerChannel,
)
from wellbegun.plans import Entry, Plan
from wellbegun.targets.array import fill_entry
from wellbegun.targets.parts import Part, needs_whole
from wellbegun.targets.rows import Offset, cut
from wellbegun.targets.tensor import tensor_array

if TYPE_CHECKING:
    import torch

CHUNK = 1 << 20
"""Elements that are drawn again at a time."""

TOLERANCE = 1e-5
"""How far values that depend on a machine's libraries may be from another machine's, in units of the largest value."""


@dataclass(frozen=True)
class Difference:
    """How a part differs from the plan.

    Attributes:
        count: elements that differ.
        place: index of the first of them in the logical tensor.
        found, expected: its values.
        infinite: elements that are infinite or not a number.
    """

    count: int
    place: tuple[int, ...]
    found: float | complex
    expected: float | complex
    infinite: int


def compare_part(part: Part, plan: Plan, entry: Entry, tolerance: float = 0.0) -> Difference | None:
    """Return how what a process holds differs from the plan, bit for bit; None if it does not.

    Values whose last bits depend on the machine's libraries (orthogonal matrices, biases that follow one, what an
    author's code computes) may differ by `TOLERANCE` and a rounding; all of them by `tolerance`, if one is given.
    """
    found: Difference | None = None
    whole = None
    if needs_whole(entry.law):
        import torch

        memory = torch.empty(entry.shape, dtype=part.tensor.dtype)
        whole = tensor_array(memory)
        fill_entry(whole, plan, entry, (0,) * len(entry.shape))
    for held, offset in _pieces(part):
        if whole is None:
            expected = held.copy() if entry.law.keeps else np.empty(held.shape, held.dtype)
            fill_entry(expected, plan, entry, offset)
        else:
            expected = cut(whole, held.shape, offset)
        wrong = _wrong(held, expected, max(_tolerance(entry.law), tolerance))
        count = int(np.count_nonzero(wrong))
        if count == 0:
            continue
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape) if wrong.ndim else ()
        values = held[first].item(), expected[first].item()
        infinite = int(np.count_nonzero(~np.isfinite(_plain(held))))
        if found is None:
            found = Difference(count, _place(first, offset, entry.shape), *values, infinite)
        else:
            found = Difference(found.count + count, found.place, found.found, found.expected, found.infinite + infinite)
    return found


def host_array(tensor: torch.Tensor) -> NDArray[Any]:
    """A copy of a tensor's values on the CPU, as an array.

    Never over the tensor's own memory: NumPy would hold on to it for good, and FSDP2 could not free it any more.
    """
    return tensor_array(tensor.detach().to("cpu", copy=True))


def _pieces(part: Part) -> Iterator[tuple[NDArray[Any], Offset]]:
    """The blocks of a part as arrays, a chunk at a time."""
    for memory, offset in _memory(part):
        yield host_array(memory), offset


def _memory(part: Part) -> Iterator[tuple[torch.Tensor, Offset]]:
    """The blocks of a part, a chunk at a time."""
    for index, offset in part.blocks:
        memory = part.tensor.detach()[index]
        if memory.ndim == 0:
            yield memory, offset
        else:
            yield from _chunks(memory, offset, 0)


def count_infinite(part: Part) -> int:
    """Number of elements of a part that are infinite or not a number."""
    import torch

    kind = part.tensor.dtype
    if not (kind.is_floating_point or kind.is_complex):
        return 0
    found = 0
    for held, _ in _memory(part):
        wide = held.float() if kind.itemsize == 1 else held  # torch has no isfinite for eight bits
        found += int((~torch.isfinite(wide)).sum())
    return found


def _chunks(memory: torch.Tensor, offset: Offset, axis: int) -> Iterator[tuple[torch.Tensor, Offset]]:
    """Cut along one dimension, and where single rows are too long along the next ones."""
    run = math.prod(memory.shape[axis + 1 :])
    rows = max(CHUNK // max(run, 1), 1)
    for row in range(0, memory.shape[axis], rows):
        if isinstance(offset, int):
            start: Offset = offset + row
        else:
            start = (*offset[:axis], offset[axis] + row, *offset[axis + 1 :])
        piece = memory.narrow(axis, row, min(rows, memory.shape[axis] - row))
        if run > CHUNK:
            yield from _chunks(piece, start, axis + 1)
        else:
            yield piece, start


def _wrong(held: NDArray[Any], expected: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if tolerance == 0:
        kind = f"V{held.itemsize}" if held.itemsize not in (1, 2, 4, 8) else f"u{held.itemsize}"
        return np.asarray(np.ascontiguousarray(held).view(kind) != np.ascontiguousarray(expected).view(kind)).reshape(
            held.shape
        )
    first, second = _plain(held).astype(np.float64), _plain(expected).astype(np.float64)
    size = float(np.abs(second).max(initial=0.0))
    return np.asarray(~(np.abs(first - second) <= tolerance * size + np.abs(second) * _step(held)))


def _step(values: NDArray[Any]) -> float:
    """One rounding of the storage type, relative."""
    import ml_dtypes

    info: Any = ml_dtypes.finfo  # untyped
    return float(info(values.dtype).eps) if values.dtype.itemsize < 4 else 0.0


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.kind in "biufc" else values.astype(np.float32)


def _tolerance(law: Law) -> float:
    if isinstance(law, Patched):
        return max(_tolerance(law.base), *(_tolerance(patch) for _, patch in law.patches), 0.0)
    if isinstance(law, PerChannel):
        return _tolerance(law.base)
    inexact = Orthogonal | MirroredOrthogonal | DeltaOrthogonal | MeanCompensation | Computed | IndexedLaw
    return TOLERANCE if isinstance(law, inexact) else 0.0


def _place(first: Any, offset: Offset, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(offset, int):
        return tuple(int(i) for i in np.unravel_index(offset + int(first[0]), shape))
    return tuple(int(i) + corner for i, corner in zip(first, offset, strict=True))
