"""Which rectangle of a storage a view covers, and how rectangles cut one another."""

from __future__ import annotations

from typing import NamedTuple

import torch

Box = tuple[tuple[int, int], ...]
"""(start, stop) in each dimension."""


class Layout(NamedTuple):
    """How a tensor lies in its storage, in elements."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Layout:
        """Read it off a tensor."""
        return cls(tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset()))

    def narrowed(self, box: Box) -> Layout:
        """The layout of a rectangle of the tensor."""
        offset = self.offset + sum(start * stride for (start, _), stride in zip(box, self.stride, strict=True))
        return Layout(tuple(stop - start for start, stop in box), self.stride, offset)


def whole(size: tuple[int, ...]) -> Box:
    """The rectangle that is everything."""
    return tuple((0, length) for length in size)


def box_of(base: Layout, part: Layout) -> Box | None:
    """Return the rectangle of the base tensor whose elements a view has, each once; None if they form none.

    >>> base = Layout((8, 4), (4, 1), 0)
    >>> box_of(base, Layout((2, 4), (4, 1), 8))  # rows 2 and 3
    ((2, 4), (0, 4))
    >>> box_of(base, Layout((4, 2, 4), (8, 4, 1), 0))  # a view of other shape: everything
    ((0, 8), (0, 4))
    >>> box_of(base, Layout((4, 4), (8, 1), 0)) is None  # every second row
    True
    """
    dims = sorted((d for d, length in enumerate(base.size) if length > 1), key=lambda d: -base.stride[d])
    rest = part.offset - base.offset
    start, length = dict.fromkeys(range(len(base.size)), 0), dict.fromkeys(range(len(base.size)), 1)
    for d in dims:
        start[d], rest = divmod(rest, base.stride[d]) if base.stride[d] else (0, rest)
    if rest or any(not 0 <= start[d] < base.size[d] for d in dims):
        return None
    for step, count in _runs(part):
        while count > 1:
            here = [d for d in dims if base.stride[d] <= step]
            if not here or base.stride[here[0]] != step or length[here[0]] > 1:
                return None
            d = here[0]
            if start[d] + count <= base.size[d]:
                length[d], count = count, 1
            elif start[d] == 0 and count % base.size[d] == 0:
                length[d], count, step = base.size[d], count // base.size[d], step * base.size[d]
            else:
                return None
    return tuple((start[d], start[d] + length[d]) for d in range(len(base.size)))


def _runs(part: Layout) -> list[tuple[int, int]]:
    """(step, count) of the view's dimensions, those that continue one another taken together, smallest step first."""
    found: list[tuple[int, int]] = []
    for step, count in sorted((s, n) for n, s in zip(part.size, part.stride, strict=True) if n > 1):
        if found and step == found[-1][0] * found[-1][1]:
            found[-1] = (found[-1][0], found[-1][1] * count)
        else:
            found.append((step, count))
    return found


def seen_from(base: Layout, part: Layout, box: Box, inner: Box) -> Box | None:
    """Return a rectangle of the base, inside the view's own, in the view's dimensions; None if they are others."""
    free = [d for d, (start, stop) in enumerate(box) if stop - start > 1]
    found: list[tuple[int, int]] = []
    for count, step in zip(part.size, part.stride, strict=True):
        if count == 1:
            found.append((0, 1))
            continue
        match = [d for d in free if base.stride[d] == step and box[d][1] - box[d][0] == count]
        if not match:
            return None
        free.remove(match[0])
        first = box[match[0]][0]
        found.append((inner[match[0]][0] - first, inner[match[0]][1] - first))
    return None if free else tuple(found)


def intersect(one: Box, other: Box) -> Box | None:
    """Return what two rectangles have in common, None if nothing."""
    common = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return common if all(start < stop for start, stop in common) else None


def subtract(box: Box, hole: Box) -> list[Box]:
    """Return the rectangles that are left of one when another is cut out of it.

    >>> subtract(((0, 4), (0, 4)), ((1, 2), (0, 4)))
    [((0, 1), (0, 4)), ((2, 4), (0, 4))]
    """
    common = intersect(box, hole)
    if common is None:
        return [box]
    left = []
    for d, (start, stop) in enumerate(common):
        before, after = box[:d], box[d + 1 :]
        if box[d][0] < start:
            left.append((*before, (box[d][0], start), *after))
        if stop < box[d][1]:
            left.append((*before, (stop, box[d][1]), *after))
        box = (*before, (start, stop), *after)
    return left
