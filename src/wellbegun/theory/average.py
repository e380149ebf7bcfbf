"""The mean of several numbers, as an average-pooling takes it."""

from __future__ import annotations

import math

from wellbegun.errors import ArgumentError


def averaged_second(second: float, count: int, *, mean: float = 0.0, rho: float = 0.0) -> float:
    """Return the second moment of the mean of `count` numbers of equal moments; their mean stays.

    >>> averaged_second(1.0, 4), averaged_second(1.0, 4, rho=0.5)  # a 2 by 2 average-pooling
    (0.25, 0.625)
    >>> round(averaged_second(0.5, 4, mean=0.3989422804), 6)  # behind a ReLU: most of it is the square of the mean
    0.244366

    mean² + (second - mean²) (1 + (count - 1) rho) / count, for numbers of any distribution.

    second, mean: of the numbers. count: how many, >= 1. rho: correlation of any two, -1 / (count - 1) to 1: 0 for
    independent ones; neighbours in an image are alike.
    ArgumentError: a count below 1, a mean whose square is larger than `second`, a correlation that so many numbers
    cannot have.
    """
    check_group(count, rho)
    if not (math.isfinite(second) and mean**2 <= second * (1 + 1e-12)):
        raise ArgumentError(f"second has to be finite and at least mean² = {mean**2:.6g}, not {second!r}")
    return mean**2 + max(second - mean**2, 0.0) * (1 + (count - 1) * rho) / count


def check_group(count: int, rho: float, lowest: float | None = None) -> None:
    """Refuse a count below 1, or a correlation that so many numbers cannot have (or one below `lowest`)."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ArgumentError(f"count has to be a whole number, at least 1, not {count!r}")
    least = lowest if lowest is not None else -1.0 if count < 3 else -1 / (count - 1)
    if isinstance(rho, bool) or not least <= rho <= 1:
        raise ArgumentError(f"rho has to lie between {least:.4g} and 1 for {count} numbers, not {rho!r}")
