"""The shadow of a tensor: the views that lead to it, applied to a tensor that keeps its origin's own strides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

_UNIT = 1 << 44
"""Stride of a dimension of size 1, which addresses nothing and so can say which dimension it is."""

_NEW = _UNIT - 1
"""Stride of an axis of size 1 that no dimension of the origin stands behind."""

_MOST_RUNS = 1 << 20

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reading:
    """What a view shows of its origin.

    Attributes:
        letters: for each dimension of the origin, the letter of the view's axes that run along it: "?" if they
            disagree, "" if none does.
        region: (start, stop) in each dimension of the origin; None if the view is no rectangle of it.
        steps: for each dimension of the origin, (step, count) of the axes along it, the smallest step first.
        starts: first index in each dimension.
    """

    letters: tuple[str, ...]
    region: Ranges | None
    steps: tuple[tuple[tuple[int, int], ...], ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Shadow:
    """Views of an origin that remember where each axis comes from, copies notwithstanding.

    A copy changes strides and not what the axes mean, so it leaves the shadow alone. A later view may then join axes
    that lie apart in the origin; it starts a new level, whose dimensions are the axes of the level below.

    >>> shadow = Shadow.of((6, 4)).view(torch.Tensor.t).view(torch.Tensor.narrow, 1, 2, 3)
    >>> shadow.read("io").letters, shadow.read("io").region
    (('o', 'i'), ((2, 5), (0, 4)))
    """

    levels: tuple[torch.Tensor, ...]
    origins: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(shape: Sequence[int]) -> Shadow:
        """The shadow of a whole tensor of this shape."""
        return Shadow((_blank(tuple(shape)),), (tuple(shape),))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the view."""
        return tuple(self.levels[-1].shape)

    def view(self, view: Callable[..., Any], *args: Any, **kwargs: Any) -> Shadow:
        """The shadow behind a view that makes one tensor."""
        return self.views(view, *args, **kwargs)[0]

    def views(self, view: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Shadow]:
        """The shadows behind a view that makes one tensor or several."""
        below, origins = self.levels[:-1], self.origins
        try:
            made = view(self.levels[-1], *args, **kwargs)
        except RuntimeError:  # it joins axes that are apart in the origin: possible for the copy that was viewed
            below, origins = self.levels, (*self.origins, self.shape)
            made = view(_blank(self.shape), *args, **kwargs)
        return [Shadow((*below, leaf), origins) for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]

    def unsqueeze(self, axis: int) -> Shadow:
        """The shadow behind an axis of size 1 that is put in, whose stride must not look like that of a dimension."""
        top = self.levels[-1].unsqueeze(axis)
        strides = list(top.stride())
        strides[axis] = _NEW
        marked = top.as_strided(top.shape, strides, top.storage_offset())
        return Shadow((*self.levels[:-1], marked), self.origins)

    def read(self, letters: str) -> Reading | None:
        """Say what the view shows, given one letter for each of its axes; None where steps cannot express it."""
        axes = list(letters)
        reading = _read(self.origins[-1], self.levels[-1], axes)
        for origin, below in zip(self.origins[-2::-1], self.levels[-2::-1], strict=True):
            if reading is None:
                return None
            region, axes = reading.region, list(reading.letters)
            if region is not None:
                for axis, (start, stop) in enumerate(region):
                    below = below.narrow(axis, start, stop - start)
            lower = _read(origin, below, axes)
            if lower is None or region is not None:
                reading = lower
            else:  # which axes run where is known, which part of them is not
                reading = Reading(lower.letters, None, lower.steps, lower.starts)
        return reading

    def along(self, dimension: int) -> Ranges | None:
        """The indices that a view shows in one dimension of its origin, as (start, stop) runs; None if unknown."""
        if 0 in self.shape:
            return ()
        if len(self.levels) > 1:
            found = self._indices(0, dimension)
            return None if found is None else _runs_of(found)
        reading = _read(self.origins[0], self.levels[0], ["x"] * len(self.shape))
        return None if reading is None else _runs(reading.starts[dimension], reading.steps[dimension])

    def _indices(self, level: int, dimension: int) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """The indices that the top of the shadow shows in one dimension of a level's origin."""
        view, origin = self.levels[level], self.origins[level]
        found = np.array([view.storage_offset()], np.int64)
        strides = _strides(origin)
        if dimension not in strides:
            return np.zeros(1, np.int64)
        reach = view.storage_offset() // strides[dimension] % origin[dimension]
        for axis, (size, stride) in enumerate(zip(view.shape, view.stride(), strict=True)):
            steps: list[list[tuple[int, int]]] = [[] for _ in origin]
            letters: list[set[str]] = [set() for _ in origin]
            if size == 1 or stride == 0:
                continue
            if not _walk(origin, strides, "x", size, stride, steps, letters):
                return None
            if letters[dimension]:
                reach += sum(step * (count - 1) for step, count in steps[dimension])
                above = level + 1 < len(self.levels)
                places = self._indices(level + 1, axis) if above else np.arange(size, dtype=np.int64)
                if places is None or len(found) * len(places) > _MOST_RUNS:
                    return None
                found = (found[:, None] + stride * places).ravel()
        if reach >= origin[dimension]:
            return None
        return np.unique(found // strides[dimension] % origin[dimension])

    def axes_along(self, dimension: int) -> list[int]:
        """The axes of the view that run along one dimension of the origin."""
        found = []
        for axis, size in enumerate(self.shape):
            letters = "".join("x" if axis == other else "y" for other in range(len(self.shape)))
            reading = self.read(letters) if size > 1 else None
            if reading is not None and reading.letters[dimension] in ("x", "?"):
                found.append(axis)
        return found


def _blank(shape: tuple[int, ...]) -> torch.Tensor:
    strides = [_UNIT * (dim + 1) if size == 1 else 0 for dim, size in enumerate(shape)]
    for dim, stride in _strides(shape).items():
        strides[dim] = stride
    return torch.empty_strided(shape, strides, device="meta")


def _strides(shape: Sequence[int]) -> dict[int, int]:
    """The contiguous strides of all dimensions but those of size 1, the smallest first."""
    strides, step = {}, 1
    for dim in reversed(range(len(shape))):
        if shape[dim] != 1:
            strides[dim] = step
            step *= max(shape[dim], 1)
    return strides


def _read(origin: Sequence[int], view: torch.Tensor, axes: list[str]) -> Reading | None:
    if view.numel() == 0:
        return None
    strides = _strides(origin)
    offset = view.storage_offset()
    starts = [offset // strides[dim] % size if dim in strides else 0 for dim, size in enumerate(origin)]
    steps: list[list[tuple[int, int]]] = [[] for _ in origin]
    letters: list[set[str]] = [set() for _ in origin]
    single = []
    for letter, size, stride in zip(axes, view.shape, view.stride(), strict=True):
        if size == 1:
            single.append((letter, stride))
        elif stride > 0 and not _walk(origin, strides, letter, size, stride, steps, letters):
            return None
    unplaced = []
    for letter, stride in single:
        places = (dim for dim in range(len(origin)) if strides.get(dim, _UNIT * (dim + 1)) == stride)
        place = next((dim for dim in places if not letters[dim]), None)
        if place is None:
            unplaced.append(letter)
        else:
            letters[place].add(letter)
    blank = [dim for dim, size in enumerate(origin) if size == 1 and not letters[dim]]
    if len(blank) == len(unplaced):  # dropped and put back, as squeeze and unsqueeze do
        for dim, letter in zip(blank, unplaced, strict=True):
            letters[dim].add(letter)
    region: list[tuple[int, int]] | None = []
    for dim, found in enumerate(steps):
        if starts[dim] + sum(step * (count - 1) for step, count in found) >= origin[dim]:
            return None  # it starts in the middle of the dimension and goes on in the next row
        found.sort()
        length = 1
        for step, count in found:
            if step != length:
                region = None
            length = step * count
        if region is not None:
            region.append((starts[dim], starts[dim] + length))
    known = tuple("".join(found) if len(found) < 2 else "?" for found in letters)
    return Reading(known, None if region is None else tuple(region), tuple(map(tuple, steps)), tuple(starts))


def _walk(
    origin: Sequence[int],
    strides: dict[int, int],
    letter: str,
    size: int,
    stride: int,
    steps: list[list[tuple[int, int]]],
    letters: list[set[str]],
) -> bool:
    """Note which dimensions an axis runs along; False if it starts or ends in the middle of one that it leaves."""
    for dim, own in strides.items():
        if stride >= own * origin[dim]:
            continue
        step = stride // own
        if stride % own or (size * step > origin[dim] and origin[dim] % step):
            return False
        count = min(size, origin[dim] // step if size * step > origin[dim] else size)
        if size % count:
            return False
        if count > 1:
            steps[dim].append((step, count))
            letters[dim].add(letter)
        size //= count
        if size == 1:
            return True
        stride = own * origin[dim]
    return False


@lru_cache(maxsize=64)
def _runs(start: int, steps: tuple[tuple[int, int], ...]) -> Ranges | None:
    """The indices start + sum of step·i, i < count, as sorted (start, stop) runs that do not touch."""
    length = 1
    outer: list[tuple[int, int]] = []
    for step, count in steps:
        if step == length and not outer:
            length *= count
        else:
            outer.append((step, count))
    if math.prod(count for _, count in outer) > _MOST_RUNS:
        return None
    firsts = np.array([start], np.int64)
    for step, count in outer:
        firsts = (firsts[:, None] + step * np.arange(count)).ravel()
    return joined(np.stack((firsts, firsts + length), axis=1))


def _runs_of(indices: np.ndarray[Any, np.dtype[np.int64]]) -> Ranges:
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(indices, breaks))


def joined(runs: Any) -> Ranges:
    """Sort (start, stop) runs and join those that touch or overlap.

    >>> joined([(4, 6), (0, 2), (2, 3)])
    ((0, 3), (4, 6))
    """
    pairs = np.asarray(runs if isinstance(runs, np.ndarray) else list(runs), np.int64).reshape(-1, 2)
    if not len(pairs):
        return ()
    starts, stops = pairs[np.argsort(pairs[:, 0], kind="stable")].T
    reach = np.maximum.accumulate(stops)
    first = np.concatenate(([True], starts[1:] > reach[:-1]))
    last = np.concatenate((first[1:], [True]))
    return tuple(zip(starts[first].tolist(), reach[last].tolist(), strict=True))
