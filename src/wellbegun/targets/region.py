"""A region of a tensor, written as NumPy writes an index: slices, whole numbers, an ellipsis."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from wellbegun.errors import ArgumentError

Index = slice | int | EllipsisType


@dataclass(frozen=True)
class Region:
    """A rectangle of a tensor.

    Attributes:
        corner: where it begins, in each dimension.
        sizes: its extent in each dimension.
        shape: its extent without the dimensions that a whole number picked one index of.
    """

    corner: tuple[int, ...]
    sizes: tuple[int, ...]
    shape: tuple[int, ...]


def read_region(region: Index | tuple[Index, ...] | None, shape: tuple[int, ...]) -> Region:
    """Read a region of a tensor of this shape.

    >>> read_region((slice(1, None), -1), (4, 6))
    Region(corner=(1, 5), sizes=(3, 1), shape=(3,))
    >>> read_region((..., slice(-2, None)), (4, 6))
    Region(corner=(0, 4), sizes=(4, 2), shape=(4, 2))

    Args:
        region: what stands between the brackets of `whole[...]`, slices having step 1; None for everything.
        shape: of the tensor.

    Raises:
        ArgumentError: anything else, too many parts, or an index outside of the tensor.
    """
    parts = () if region is None else region if isinstance(region, tuple) else (region,)
    gaps = sum(part is Ellipsis for part in parts)
    filled = len(shape) - (len(parts) - gaps)
    if gaps > 1 or filled < 0:
        raise _refused(region, shape)
    if not gaps:
        parts = (*parts, Ellipsis)
    gap = next(place for place, part in enumerate(parts) if part is Ellipsis)
    parts = (*parts[:gap], *(slice(None),) * filled, *parts[gap + 1 :])
    edges = [_edges(part, size, region, shape) for part, size in zip(parts, shape, strict=True)]
    sizes = tuple(max(stop - start, 0) for start, stop in edges)
    kept = tuple(size for part, size in zip(parts, sizes, strict=True) if isinstance(part, slice))
    return Region(tuple(start for start, _ in edges), sizes, kept)


def _edges(part: Any, size: int, region: object, shape: tuple[int, ...]) -> tuple[int, int]:
    """Where one part of a region begins and ends."""
    try:
        if isinstance(part, slice):
            start, stop, step = part.indices(size)
        elif isinstance(part, bool | np.bool_):  # an index to Python, a mask to NumPy
            raise _refused(region, shape)
        else:
            start = operator.index(part)
            start, stop, step = start + size * (start < 0), start + size * (start < 0) + 1, 1
    except (TypeError, ValueError):
        raise _refused(region, shape) from None
    if step != 1:
        raise _refused(region, shape)
    if not isinstance(part, slice) and not 0 <= start < size:
        raise ArgumentError(f"region {region!r} does not lie in a tensor of shape {shape}: no index {part} in {size}")
    return start, stop


def _refused(region: object, shape: tuple[int, ...]) -> ArgumentError:
    return ArgumentError(
        f"region must hold slices of step 1, whole numbers or one '...', at most {len(shape)} for a tensor of shape "
        f"{shape}; got {region!r}"
    )
