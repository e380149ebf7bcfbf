"""Which rows of a matrix a random pattern chooses, column by column."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wellbegun.sampler.layout import PATTERN_DRAW
from wellbegun.sampler.reference import own_words
from wellbegun.sampler.stream import Stream

TOGETHER = 1 << 16
"""Words computed at once."""


def smallest_of_columns(
    stream: Stream, rows: int, columns: int, count: int
) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """Yield a mask for a few columns at a time: true in `count` rows of each, uniform and without replacement.

    They are the rows with the smallest (word, row), where the word is that of the element in a draw of its own
    (purpose PATTERN_DRAW), so the choice is independent of the elements' values.

    >>> stream = Stream.of(7, "w")
    >>> [chosen.sum(axis=0).tolist() for _, chosen in smallest_of_columns(stream, 10, 3, 4)]
    [[4, 4, 4]]

    Args:
        stream: where the words come from.
        rows, columns: of the matrix, at most 2**32 rows.
        count: rows to choose, 0 to `rows`.
    """
    if rows == 0 or columns == 0 or count == 0:
        return
    width = max(TOGETHER // rows, 1)
    height = max(TOGETHER // width, 1)
    for left in range(0, columns, width):
        column = np.arange(left, min(left + width, columns), dtype=np.uint64)
        order = np.empty((rows, column.size), np.uint64)
        for first in range(0, rows, height):
            row = np.arange(first, min(first + height, rows), dtype=np.uint64)[:, None]
            words = own_words(stream, (row * np.uint64(columns) + column).reshape(-1), purpose=PATTERN_DRAW)
            order[first : first + height] = words.astype(np.uint64).reshape(-1, column.size) << np.uint64(32) | row
        last = np.partition(order, count - 1, axis=0)[count - 1]
        yield slice(left, left + column.size), order <= last
