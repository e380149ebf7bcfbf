"""Where bounded activations are flat."""

from __future__ import annotations

import math

_FLAT_BELOW = 0.1
"""An activation counts as flat where its slope is below this share of its largest, as in `measure.flat_share`."""


def flat_beyond(activation: str) -> tuple[tuple[float, float], ...]:
    """Return the ranges of its inputs for which a bounded activation is flat; () for any other.

    >>> [round(low, 3) for low, _ in flat_beyond("tanh")], flat_beyond("relu")
    ([-inf, 1.818], ())

    Args:
        activation: its name, as the diagnosis tells it.
    """
    edge = {
        "tanh": math.atanh(math.sqrt(1 - _FLAT_BELOW)),
        "sigmoid": 2 * math.atanh(math.sqrt(1 - _FLAT_BELOW)),
        "erf": math.sqrt(-math.log(_FLAT_BELOW)),
        "atan": math.sqrt(1 / _FLAT_BELOW - 1),
        "softsign": math.sqrt(1 / _FLAT_BELOW) - 1,
        "hardtanh": 1.0,
    }.get(activation)
    return () if edge is None else ((-math.inf, -edge), (edge, math.inf))
