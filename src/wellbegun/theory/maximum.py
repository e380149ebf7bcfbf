"""The largest of several normal numbers, as a max-pooling takes it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from wellbegun.theory.average import check_group

REACH, PANELS, NODES = 12.0, 48, 24
"""Range and panels of the integral."""


@dataclass(frozen=True)
class Maximum:
    """Mean and second moment of the largest of `count` numbers N(0, 1), any two of correlation rho."""

    count: int
    mean: float
    second: float
    rho: float = 0.0


def maximum(count: int, rho: float = 0.0) -> Maximum:
    """Return the moments of the largest of several standard normal numbers.

    >>> four = maximum(4)  # a 2 by 2 max-pooling
    >>> round(four.mean, 9), round(four.second, 9)
    (1.029375373, 1.551328895)
    >>> alike = maximum(4, rho=0.5)
    >>> round(alike.mean, 9), round(alike.second, 9)
    (0.727878307, 1.275664448)

    count: how many, >= 1. rho: correlation of any two, 0 to 1; 0 for independent ones, more for places of an image.
    Numbers of mean square q: multiply by sqrt(q) and q. What all share is added to the largest of the rest: sqrt(1 -
    rho) times its mean, rho + (1 - rho) times its second moment.
    ArgumentError: a count below 1, a rho outside 0 to 1.
    """
    check_group(count, rho, 0.0)
    alone = _independent(count)
    return Maximum(count, math.sqrt(1 - rho) * alone.mean, rho + (1 - rho) * alone.second, rho)


@functools.lru_cache(maxsize=256)
def _independent(count: int) -> Maximum:
    from scipy import special

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = REACH / PANELS
    z = (np.linspace(-REACH + half, REACH - half, PANELS)[:, None] + half * nodes).ravel()
    density = np.exp(-(z**2) / 2 + (count - 1) * special.log_ndtr(z)) * (count / math.sqrt(2 * math.pi))
    masses = density * np.tile(half * weights, PANELS)
    return Maximum(count, float(masses @ z), float(masses @ z**2))
