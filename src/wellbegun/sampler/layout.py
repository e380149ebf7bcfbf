"""Where element *i* of a stream finds its Philox counter and its word."""

from __future__ import annotations

LANES = 64
"""Consecutive counters of a tile: word j of LANES counters gives LANES consecutive elements (SIMD order)."""

TILE = 4 * LANES
"""Elements of a tile: one Philox block yields four words."""

ELEMENT_DRAW, HOUSEHOLDER_DRAW, IMAGINARY_DRAW, PATTERN_DRAW = 0, 1, 2, 7
"""Purposes: what a counter is spent on, so that different uses of one stream never share a word."""

LOW_HALF = 128
"""Added to a purpose: the words that extend those of the purpose to 64 bits, for float64."""

MAX_ATTEMPTS = 64
"""Bound on the redraws of one element of a truncated law, the first draw included."""


def counter_tag(purpose: int, attempt: int) -> int:
    """Return the counter word that holds the purpose (high byte) and the attempt (low 24 bits)."""
    return purpose << 24 | attempt
