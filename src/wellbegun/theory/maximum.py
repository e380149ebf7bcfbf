"""The largest of several independent normal numbers, as a max-pooling takes it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from wellbegun.errors import ArgumentError

REACH, PANELS, NODES = 12.0, 48, 24
"""Range and panels of the integral."""


@dataclass(frozen=True)
class Maximum:
    """Mean and second moment of the largest of `count` numbers N(0, 1)."""

    count: int
    mean: float
    second: float


@functools.lru_cache(maxsize=256)
def maximum(count: int) -> Maximum:
    """Return the moments of the largest of independent standard normal numbers.

    >>> four = maximum(4)  # a 2 by 2 max-pooling
    >>> round(four.mean, 9), round(four.second, 9)
    (1.029375373, 1.551328895)

    count: how many, >= 1. Numbers of mean square q: multiply by sqrt(q) and q. Neighbours in an image are correlated,
    so that behind convolutions the truth lies between this and (0, 1).
    ArgumentError: a count below 1.
    """
    from scipy import special

    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ArgumentError(f"count has to be a whole number, at least 1, not {count!r}")
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = REACH / PANELS
    z = (np.linspace(-REACH + half, REACH - half, PANELS)[:, None] + half * nodes).ravel()
    density = np.exp(-(z**2) / 2 + (count - 1) * special.log_ndtr(z)) * (count / math.sqrt(2 * math.pi))
    masses = density * np.tile(half * weights, PANELS)
    return Maximum(count, float(masses @ z), float(masses @ z**2))
