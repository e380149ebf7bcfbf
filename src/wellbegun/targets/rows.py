"""Where the elements of a part lie in the logical tensor: rows of consecutive indices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from wellbegun.errors import ArgumentError

Offset = int | tuple[int, ...]


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


def rows_of(
    part: tuple[int, ...], shape: tuple[int, ...], offset: Offset
) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Split a part of at least one dimension into stacks of rows, yielding (index, start, step) for each.

    The stack is part[index]; each of its items along the first dimension is a run of consecutive indices, the first of
    them beginning at `start` and each next one `step` further.

    >>> list(rows_of((2, 3), (4, 6), (1, 2)))  # two rows of three, from index 8 on, 6 apart
    [((), 8, 6)]
    >>> list(rows_of((2, 6), (4, 6), (1, 0)))  # two whole rows: one run, seen as two
    [((), 6, 6)]
    """
    if isinstance(offset, int) or part == shape:
        yield (), offset if isinstance(offset, int) else 0, math.prod(part[1:])
        return
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    base = sum(first * stride for first, stride in zip(offset, strides, strict=True))
    # dimensions from `split` on are covered whole, so one run spans them and the one before
    split = len(shape)
    while split > 0 and part[split - 1] == shape[split - 1]:
        split -= 1
    rows = max(split - 2, 0)
    for index in itertools.product(*map(range, part[:rows])):
        yield index, base + sum(i * stride for i, stride in zip(index, strides, strict=False)), strides[rows]


def cut(whole: Any, part: tuple[int, ...], offset: Offset) -> Any:
    """Return the part of this shape at this offset of a whole array or tensor.

    Args:
        whole: of the logical shape.
        part: the part's shape.
        offset: its corner, or the start of a flat range.
    """
    if isinstance(offset, int):
        return whole.reshape(-1)[offset : offset + math.prod(part)].reshape(part)
    return whole[tuple(slice(first, first + size) for first, size in zip(offset, part, strict=True))]


def pieces(stack: Any, start: int, step: int, most: int) -> Iterator[tuple[Any, int, int]]:
    """Cut a stack of rows into stacks of at most so many elements, each with its own start and step.

    Args:
        stack: array or tensor of at least one dimension, as rows_of describes it, with at least one element.
        start, step: of its rows.
        most: elements that a piece may have.
    """
    run = math.prod(stack.shape[1:])
    if run <= most:
        together = max(most // run, 1)
        for row in range(0, len(stack), together):
            yield stack[row : row + together], start + row * step, step
        return
    for row, item in enumerate(stack):
        yield from pieces(item, start + row * step, run // len(item), most)
