"""How alike the tokens of a transformer become before it has learnt anything."""

from __future__ import annotations

import math

from wellbegun.errors import ArgumentError


def attended_correlation(rho: float, tokens: int, value_variance: float, *, skip: bool = True) -> float:
    """Return the correlation of two tokens behind attention that averages all tokens alike, as it does at the start.

    >>> rho = 0.0032
    >>> for _ in range(4):
    ...     rho = attended_correlation(rho, tokens=16, value_variance=1.0)
    >>> round(rho, 3)
    0.497

    rho: their correlation before, between 0 and 1. tokens: how many, >= 2. value_variance: the factor that value and
    output weights put on a variance. skip: whether the tokens themselves are added.
    rho' = (rho + v m) / (1 + v m) with m = (1 + (n - 1) rho) / n; without a skip all tokens are one at once.
    ArgumentError: a value outside its range.
    Noci et al. 2022 (arXiv 2206.03126); Dong et al. 2021 (arXiv 2103.03404).
    """
    if isinstance(rho, bool) or not 0 <= rho <= 1:
        raise ArgumentError(f"rho has to lie between 0 and 1, not {rho!r}")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 2:
        raise ArgumentError(f"tokens has to be a whole number, at least 2, not {tokens!r}")
    if isinstance(value_variance, bool) or not 0 <= value_variance < math.inf:
        raise ArgumentError(f"value_variance has to be a finite number, at least 0, not {value_variance!r}")
    if not skip:
        return 1.0
    added = value_variance * (1 + (tokens - 1) * rho) / tokens
    return (rho + added) / (1 + added)
