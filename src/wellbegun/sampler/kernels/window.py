"""Which elements of a batch lie outside a window."""

from __future__ import annotations

import numpy as np

from wellbegun.sampler.kernels.compiled import compiled

MANY = 8
"""A batch is drawn again as a whole while more than one in so many of its elements lie outside."""


@compiled
def count_outside(z, low, high):  # type: ignore[no-untyped-def]
    """Return how many elements lie outside."""
    count = np.int64(0)
    for i in range(z.size):
        count += np.int64((z[i] < low) | (z[i] > high))
    return count


@compiled
def replace_outside(z, fresh, low, high):  # type: ignore[no-untyped-def]
    """Put fresh draws where elements lie outside."""
    for i in range(z.size):
        z[i] = fresh[i] if (z[i] < low) | (z[i] > high) else z[i]


@compiled
def _flag_outside(z, low, high, flags):  # type: ignore[no-untyped-def]
    for i in range(z.size):
        flags[i] = np.uint8((z[i] < low) | (z[i] > high))


@compiled
def list_outside(z, place, take, low, high, picks, flags):  # type: ignore[no-untyped-def]
    """Write the places of the elements outside, among `take` from `place` on, into picks and return how many."""
    eights = (take + 7) // 8
    for i in range(take, 8 * eights):
        flags[i] = 0
    _flag_outside(z[place : place + take], low, high, flags)
    # eight flags at a time: most of them hold nothing
    groups = flags.view(np.uint64)
    count = np.int64(0)
    for group in range(eights):
        if groups[group] != np.uint64(0):
            for i in range(8 * group, 8 * group + 8):
                picks[count] = place + i
                count += np.int64(flags[i])
    return count
