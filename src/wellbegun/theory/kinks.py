"""Where a callable is not smooth, found by sampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wellbegun.theory.quadrature import resolve

Array = npt.NDArray[np.float64]

REACH, OFFSET, NARROW = 32.0, 0.3819660112501051, 2.0**-14
"""Kinks are sought on [-32, 32], on panels that no round number bounds; a leaf this narrow marks one."""

STENCIL = 2e-4
"""Step of the cubics that are continued from both sides of a kink: their error, STENCIL^4, is rounding."""


def find_kinks(function: Callable[[Array], Array]) -> tuple[float, ...]:
    """Return the points in [-32, 32] where a function or its slope jumps.

    >>> find_kinks(lambda x: np.maximum(x, 0.1 * x) + (x > 2.5))
    (0.0, 2.5)

    They are found where halving panels does not help, then placed where the function's continuations from
    both sides meet. One that is left out costs `gaussian_sample` time and the last digits of the slope's
    moments (1e-8 instead of 1e-12), no more.
    """
    panels = resolve(function, np.arange(-REACH, REACH) + OFFSET, 2.0)
    width = panels.high - panels.low
    narrow = np.flatnonzero(width < NARROW)
    if narrow.size == 0:
        return ()
    kinks = []
    for run in np.split(narrow, np.flatnonzero(np.diff(narrow) > 1) + 1):
        smallest = run[width[run] <= 1.5 * width[run].min()]
        low, high = float(panels.low[smallest[0]]), float(panels.high[smallest[-1]])
        kinks.append(_crossing(function, low, high))
    return tuple(kinks)


def _crossing(function: Callable[[Array], Array], low: float, high: float) -> float:
    """Return where the cubics through four points on either side of an interval meet in it, or its middle."""
    middle, slack = (low + high) / 2, high - low
    steps = np.array([1.0, 2.0, 3.0, 4.0])
    right = np.linalg.solve(np.vander(steps, increasing=True), function(middle + STENCIL * steps))
    left = np.linalg.solve(np.vander(-steps, increasing=True), function(middle - STENCIL * steps))
    gap = right - left
    offset = 0.0
    for _ in range(3):  # Newton; quadratic convergence from within 1e-5 stencils of the root
        slope = gap[1] + offset * (2 * gap[2] + offset * 3 * gap[3])
        if not np.isfinite(gap).all() or slope == 0:
            return _roundest(middle, slack)
        offset -= float((gap[0] + offset * (gap[1] + offset * (gap[2] + offset * gap[3]))) / slope)
    # a jump (no crossing here) and a kink of f'' (a double root) stay where the panels put them
    if not abs(STENCIL * offset) <= slack:
        return _roundest(middle, slack)
    return _roundest(middle + STENCIL * offset, 1e-13)


def _roundest(number: float, slack: float) -> float:
    """Return the number with the fewest decimals within slack: people put kinks at round numbers."""
    for digits in range(13):
        if abs(round(number, digits) - number) <= slack:
            return round(number, digits) + 0.0
    return number
