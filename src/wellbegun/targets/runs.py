"""Which indices of a logical tensor a process holds: runs of consecutive ones in each dimension."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

Run = tuple[int, int]


@dataclass(frozen=True)
class Runs:
    """A part of a logical tensor: every combination of the indices that it holds in each dimension.

    >>> Runs.whole((8, 4)).split(0, parts=2, number=1)  # the second of two processes holds rows 4 to 7
    Runs(axes=(((4, 8),), ((0, 4),)))

    Attributes:
        axes: for each dimension (start, stop) of its runs, in the order in which they lie in the part.
    """

    axes: tuple[tuple[Run, ...], ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Runs:
        """All of a tensor."""
        return cls(tuple(((0, size),) if size else () for size in shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the part, as one tensor."""
        return tuple(sum(stop - start for start, stop in runs) for runs in self.axes)

    def split(self, axis: int, *, parts: int, number: int, factor: int = 1) -> Runs:
        """Return one of the equal parts that a dimension is split into, as `torch.chunk` splits.

        With a factor the dimension is first split into that many, and each of these into `parts`: the part then has
        up to `factor` runs.

        >>> Runs.whole((32,)).split(0, parts=8, number=0, factor=2).axes
        (((0, 2), (16, 18)),)

        Args:
            axis: the dimension.
            parts: how many there are.
            number: of the one that is wanted, from 0 on.
            factor: into how many the dimension is split before.
        """
        size = self.shape[axis]
        places = []
        for first in range(factor):
            outer = _chunk(0, size, factor, first)
            places.append(_chunk(*outer, parts, number))
        runs = tuple(run for place in places for run in _between(self.axes[axis], *place))
        return replace(self, axes=(*self.axes[:axis], _joined(runs), *self.axes[axis + 1 :]))

    def blocks(self) -> Iterator[tuple[tuple[slice, ...], tuple[int, ...]]]:
        """Yield the rectangles that lie in one piece in the logical tensor: place in the part, and corner there.

        >>> list(Runs((((0, 2), (16, 18)),)).blocks())
        [((slice(0, 2, None),), (0,)), ((slice(2, 4, None),), (16,))]
        """
        axes = []
        for runs in self.axes:
            ends = list(itertools.accumulate(stop - start for start, stop in runs))
            axes.append(
                [(slice(end - (stop - start), end), start) for (start, stop), end in zip(runs, ends, strict=True)]
            )
        for block in itertools.product(*axes):
            yield tuple(place for place, _ in block), tuple(corner for _, corner in block)


def _chunk(start: int, stop: int, parts: int, number: int) -> Run:
    """The number-th of the chunks that torch.chunk makes; those that it leaves out are empty."""
    length = -(-(stop - start) // parts)
    return min(start + number * length, stop), min(start + (number + 1) * length, stop)


def _between(runs: tuple[Run, ...], first: int, last: int) -> Iterator[Run]:
    """The indices at positions first to last, counted along the runs."""
    position = 0
    for start, stop in runs:
        low, high = max(first - position, 0), min(last - position, stop - start)
        if low < high:
            yield start + low, start + high
        position += stop - start


def _joined(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    joined: list[Run] = []
    for start, stop in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)
