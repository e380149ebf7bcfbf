"""How a part of a tensor is divided among the programs of a GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from wellbegun.errors import ArgumentError
from wellbegun.sampler.layout import TILE

LONE_LANES = 128
"""Elements of a program of `fill_elements`: one for each thread of four warps."""

_MOST_LISTED = 2**22  # 16 MiB of int32
_MOST_AT_ONCE = 2**30  # so that the number of an element fits 32 bits
_FEWEST_LISTED = 2**16
_MOST_PROGRAMS = 2**31 - 1


@dataclass(frozen=True)
class Part:
    """Rows of elements: (r, c) lies `offset` + r·pitch + c into the memory and has the index start + r·step + c."""

    offset: int
    start: int
    rows: int
    run: int
    pitch: int
    step: int


@dataclass(frozen=True)
class Launch:
    """Which kernel fills a part, and with how many programs.

    Attributes:
        programs, warps: how many programs, and of how many warps each.
        tiles: tiles of a group in `fill_groups`; 0 for `fill_elements`, which serves rows much shorter than a tile.
        groups: the most groups that a row touches.
        capacity: elements that can be listed to be redrawn by `redraw_listed`; 0 where each program redraws its own.
    """

    programs: int
    warps: int
    tiles: int = 0
    groups: int = 0
    capacity: int = 0


def parts(whole: Part, misses: float | None) -> Iterator[Part]:
    """Divide a part so that the list of what must be redrawn stays small; other draws stay whole.

    >>> [part.run for part in parts(Part(0, 0, 1, 20_000_000, 20_000_000, 0), 0.5)]
    [8388608, 8388608, 3222784]

    Args:
        whole: the part.
        misses: the chance that an element must be redrawn, or None for a draw that is never repeated.
    """
    most = _MOST_AT_ONCE if misses is None else int(min(_MOST_AT_ONCE, _MOST_LISTED / max(misses, 1e-9)))
    if misses is None or whole.rows * whole.run <= most:
        yield whole
        return
    height, width = max(1, most // whole.run), min(whole.run, most)
    for row in range(0, whole.rows, height):
        rows = min(height, whole.rows - row)
        for column in range(0, whole.run, width):
            run = min(width, whole.run - column)
            offset, start = row * whole.pitch + column, row * whole.step + column
            yield Part(whole.offset + offset, whole.start + start, rows, run, whole.pitch, whole.step)


def launch_of(part: Part, misses: float | None) -> Launch:
    """Choose the kernel that computes the fewest numbers that nobody keeps.

    >>> launch_of(Part(0, 0, 1, 1_000_000, 1_000_000, 0), None)
    Launch(programs=489, warps=4, tiles=8, groups=489, capacity=0)
    >>> launch_of(Part(0, 0, 1000, 9, 9, 9), None)
    Launch(programs=71, warps=4, tiles=0, groups=0, capacity=0)
    """
    count = part.rows * part.run
    lists = misses is not None and count >= _FEWEST_LISTED
    # a program that redraws by itself goes on until its unluckiest element is inside, so it is kept small
    sizes = ((8, 4), (1, 1)) if misses is None or lists else ((1, 1),)
    launch = Launch(-(-count // LONE_LANES), 4)
    for tiles, warps in sizes:
        groups = _groups(part, tiles * TILE)
        # waste up to a quarter for the larger groups; an element computed alone costs about two in a group
        if groups * tiles * TILE <= (1.25 if tiles > 1 else 2) * part.run:
            capacity = _capacity(count, misses) if lists and misses is not None else 0
            launch = Launch(part.rows * groups, warps, tiles, groups, capacity)
            break
    if launch.programs > _MOST_PROGRAMS:
        raise ArgumentError(f"{part.rows} rows of {part.run} elements need more than {_MOST_PROGRAMS} programs")
    return launch


def _groups(part: Part, size: int) -> int:
    """Return the most groups that a row touches; rows begin at different places of a group unless `size` divides."""
    first = part.start % size if part.rows == 1 or part.step % size == 0 else size - 1
    return (first + part.run - 1) // size + 1


def _capacity(count: int, misses: float) -> int:
    """Room for the expected number of misses and eight standard deviations; a full list costs time, not numbers."""
    return math.ceil(count * misses + 8 * math.sqrt(count * misses) + 64)
