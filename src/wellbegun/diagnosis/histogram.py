"""Histograms whose bins fit every number there is: a quarter of an octave each, exact, so that counts can be added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

LOWEST, HIGHEST = -126, 127
"""Exponents of the smallest and the largest power of two that float32 holds as a normal number."""

PARTS = 4
"""Bins between a power of two and the next, of one width each."""

BINS = PARTS * (HIGHEST - LOWEST + 1)
"""Bins of the positive numbers; the negative ones have as many."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie in which bin.

    Bin 0 holds zero and what is smaller than 2**-126. The bins 1, 2, 3, ... go on from there to larger numbers, four
    for each power of two (see `edges`); the bins -1, -2, -3, ... are their mirror images. A value is taken as float32.

    Attributes:
        bins: those that hold values, from the lowest to the highest.
        counts: of the values in each.
        not_finite: values that are infinite or not a number, which are in no bin.
    """

    bins: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    not_finite: int = 0

    @property
    def total(self) -> int:
        """How many values were counted, those that are not finite among them."""
        return sum(self.counts) + self.not_finite

    @property
    def zeros(self) -> int:
        """How many of them are zero."""
        return sum(count for place, count in zip(self.bins, self.counts, strict=True) if place == 0)


def edges(place: int) -> tuple[float, float]:
    """Return the lower and the upper end of a bin; the end nearer to zero belongs to it.

    >>> edges(505), edges(506), edges(-505)
    ((1.0, 1.25), (1.25, 1.5), (-1.25, -1.0))

    Args:
        place: number of the bin, from -1016 to 1016.
    """
    if place < 0:
        low, high = edges(-place)
        return -high, -low
    return (_edge(place), _edge(place + 1)) if place else (-_edge(1), _edge(1))


def added(histograms: Iterable[Histogram]) -> Histogram:
    """Return one histogram of all values.

    >>> added([Histogram((1, 3), (5, 1)), Histogram((3,), (2,), not_finite=4)])
    Histogram(bins=(1, 3), counts=(5, 3), not_finite=4)

    Args:
        histograms: of other values each.
    """
    sums: Counter[int] = Counter()
    bad = 0
    for histogram in histograms:
        sums.update(dict(zip(histogram.bins, histogram.counts, strict=True)))
        bad += histogram.not_finite
    return Histogram(tuple(sorted(sums)), tuple(sums[place] for place in sorted(sums)), bad)


def _edge(place: int) -> float:
    octave, part = divmod(place - 1, PARTS)
    return float((1 + part / PARTS) * 2.0 ** (LOWEST + octave))
