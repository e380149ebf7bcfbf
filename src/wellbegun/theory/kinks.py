"""Where a callable is not smooth, found by sampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wellbegun.errors import TheoryError
from wellbegun.theory.quadrature import resolve

Array = npt.NDArray[np.float64]

REACH, STEP, OFFSET, NARROW = 32.0, 1 / 32, 0.3819660112501051, 2.0**-14
"""Kinks are sought on [-32, 32], on panels of width STEP that no round number bounds, so that nothing wider than 0.001
lies between all points; a leaf of width NARROW marks a kink."""

STENCIL = 2e-4
"""Step of the cubics that are continued from both sides of a kink: their error, STENCIL^4, is rounding."""


CERTAIN, SHORT = 1e-10, 6
"""A number of so few decimals within so little of where a kink must be is its place, even of a cusp, which no cubics
meet at."""


def find_kinks(function: Callable[[Array], Array]) -> tuple[float, ...]:
    """Return the points in [-32, 32] where a function or its slope jumps, or where it has a narrow feature.

    >>> find_kinks(lambda x: np.maximum(x, 0.1 * x) + (x > 2.5))
    (0.0, 2.5)
    >>> find_kinks(lambda x: np.exp(-1e8 * (x - 0.5) ** 2))  # smooth, but easily missed by what follows
    (0.5,)

    They are found where halving panels does not help, then placed where the function's continuations from
    both sides meet. One that is left out costs `gaussian_sample` time and the last digits of the slope's
    moments (1e-8 instead of 1e-12), no more; a feature that is narrower than its panels and left out is overlooked.
    """
    try:
        panels = resolve(function, np.arange(-REACH, REACH, STEP) + OFFSET, 2.0)
    except TheoryError:  # 1/x and its like, which cost panels without end: fewer of them to start with
        panels = resolve(function, np.arange(-REACH, REACH) + OFFSET, 2.0)
    width = panels.high - panels.low
    found = []
    for feature in _runs(np.flatnonzero(width < STEP / 2)):
        kinks = feature[width[feature] < NARROW]
        for run in _runs(kinks) if kinks.size else [feature]:
            smallest = run[width[run] <= 1.5 * width[run].min()]
            low, high = float(panels.low[smallest[0]]), float(panels.high[smallest[-1]])
            found.append(
                _crossing(function, low, high) if kinks.size else _roundest((low + high) / 2, (high - low) / 2)
            )
    return tuple(found)


def _runs(places: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """Split ascending numbers where one is left out."""
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if places.size else []


def _crossing(function: Callable[[Array], Array], low: float, high: float) -> float:
    """Return where the cubics through four points on either side of an interval meet in it, or its middle."""
    middle, slack = (low + high) / 2, high - low
    near = _roundest(middle, slack)
    if slack < CERTAIN and near == round(near, SHORT):
        return near
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
