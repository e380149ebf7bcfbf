"""The odd part of an activation, which is all that mirrored weights let through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wellbegun.theory.activation import Activation, find_activation

ODD_REACH, ODD_POINTS, ODD_TOLERANCE = 8.0, 512, 1e-9
"""The odd part is compared with a line at this many points up to ODD_REACH, relative to its largest value."""


def odd_part_slope(activation: str | Callable[..., Any] | Activation, **parameters: float) -> float | None:
    """Return the slope of f(u) - f(-u) if that is linear in u, else None.

    >>> round(odd_part_slope("gelu"), 12), odd_part_slope("tanh")
    (1.0, None)

    Where it is linear, weights [[M, -M], [-M, M]] with M orthogonal / slope make a network of any depth an
    exact isometry at the start: ReLU, GELU, SiLU, softplus and their kin (slope 1), leaky ReLU (1 + a).
    None for the others, and for even functions, whose odd part is 0 and lets nothing through.

    activation: a name, a callable or an `Activation`. parameters: those of a named activation.
    Balduzzi et al. 2017 (arXiv 1702.08591), "looks linear".
    """
    found = find_activation(activation, **parameters)
    # from the first point on, none is a round number, so no jump is met exactly
    u = np.asarray((np.arange(ODD_POINTS) + 0.6180339887498949) * (ODD_REACH / ODD_POINTS), dtype=np.float64)
    odd = found.function(u) - found.function(-u)
    slope = float(odd @ u / (u @ u))
    size = float(np.abs(odd).max())
    linear = float(np.abs(odd - slope * u).max()) <= ODD_TOLERANCE * size
    scale = float(np.abs(found.function(u)).max())
    return slope if linear and size > ODD_TOLERANCE * scale else None
