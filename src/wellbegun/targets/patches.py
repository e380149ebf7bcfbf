"""Where the rectangles of a patched law meet a part of its tensor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wellbegun.laws import Law, Stored
from wellbegun.targets.rows import Offset

Region = tuple[tuple[int, int], ...]

CHUNK = 1 << 18
"""Elements of a flat range whose places are worked out at a time."""


def overlap(
    region: Region, part: tuple[int, ...], offset: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[int, ...]] | None:
    """Return what a region and a rectangle have in common: as an index of the rectangle, and its corner in the tensor.

    >>> overlap(((2, 4),), (3, 5), (3, 0))  # rows 2 and 3 of a tensor, in a part that begins at row 3
    ((slice(0, 1, None), slice(0, 5, None)), (3, 0))

    Args:
        region: (start, stop) in each leading dimension.
        part: shape of the rectangle.
        offset: its corner.

    Returns:
        None if there is nothing.
    """
    whole = tuple(zip(offset, (first + size for first, size in zip(offset, part, strict=True)), strict=True))
    edges = [(max(start, first), min(stop, last)) for (start, stop), (first, last) in zip(region, whole, strict=False)]
    if any(start >= stop for start, stop in edges):
        return None
    edges += whole[len(region) :]
    index = tuple(slice(start - first, stop - first) for (start, stop), first in zip(edges, offset, strict=True))
    return index, tuple(start for start, _ in edges)


def frame(
    patch: Law, region: Region, shape: tuple[int, ...], corner: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape that a patch's numbers lie in, and a corner there: stored numbers have the region's shape."""
    if not isinstance(patch, Stored):
        return shape, corner
    whole = (*region, *((0, size) for size in shape[len(region) :]))
    sizes = tuple(stop - start for start, stop in whole)
    return sizes, tuple(place - start for place, (start, _) in zip(corner, whole, strict=True))


def stored_at(patch: Stored, region: Region, shape: tuple[int, ...], indices: NDArray[np.intp]) -> NDArray[np.generic]:
    """Return the stored numbers of a patch at flat indices of the tensor, all of them in its region."""
    sizes, _ = frame(patch, region, shape, (0,) * len(shape))
    starts = [start for start, _ in region] + [0] * (len(shape) - len(region))
    places = np.unravel_index(indices, shape)
    chosen: NDArray[np.generic] = patch.values.reshape(sizes)[
        tuple(place - start for place, start in zip(places, starts, strict=True))
    ]
    return chosen


def within(region: Region, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.bool_] | None:
    """Say which of `count` flat indices of a tensor, from `first` on, lie in a region; None if none can."""
    run = math.prod(shape[1:])
    if first + count <= region[0][0] * run or first >= region[0][1] * run:
        return None
    places = np.unravel_index(np.arange(first, first + count), shape)
    inside = np.logical_and.reduce(
        [(place >= start) & (place < stop) for place, (start, stop) in zip(places, region, strict=False)], axis=0
    )
    return np.asarray(inside)


def overlap_size(region: Region, part: tuple[int, ...], offset: Offset, shape: tuple[int, ...]) -> int:
    """Count the elements that a region and a part of a tensor have in common.

    >>> overlap_size(((2, 4),), (3, 5), (3, 0), (8, 5))  # row 3
    5
    >>> overlap_size(((2, 4),), (7,), 13, (8, 5))  # elements 13 to 19; rows 2 and 3 are 10 to 19
    7
    """
    if not isinstance(offset, int):
        found = overlap(region, tuple(part), offset)
        return math.prod(place.stop - place.start for place in found[0]) if found is not None else 0
    size, count = math.prod(part), 0
    for first in range(0, size, CHUNK):
        inside = within(region, shape, offset + first, min(CHUNK, size - first))
        count += 0 if inside is None else int(np.count_nonzero(inside))
    return count
