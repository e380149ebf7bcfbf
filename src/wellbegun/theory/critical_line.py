"""The line of critical points in the plane of weight and bias variance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wellbegun.errors import ArgumentError, NoCriticalPointError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.critical import CriticalPoint, critical

LOWEST, HIGHEST, STEPS = 1e-9, 1e3, 240
"""Where a variance with the wanted bias is sought, on this many steps of equal ratio."""


def critical_line(
    activation: str | Callable[..., Any] | Activation,
    *,
    low: float = 0.01,
    high: float = 10.0,
    points: int = 60,
    **parameters: float,
) -> tuple[CriticalPoint, ...]:
    """Return critical points for variances q from low to high, at equal ratios; those that do not exist are left out.

    >>> line = critical_line("tanh", low=0.1, high=1.0, points=2)
    >>> [(round(point.weight_variance, 4), round(point.bias_variance, 4)) for point in line]
    [(1.1776, 0.0008), (2.1533, 0.151)]

    Stable points and others are on the line (`stable` says which). Softplus has none, sigmoid none below q = 45.

    activation: a name, an expression, a callable or an `Activation`. low, high: 0 < low < high. points: at least 2.
    parameters: those of a named activation.
    ArgumentError: a range or a number of points that makes no sense.
    """
    if not 0 < low < high < math.inf:
        raise ArgumentError(f"low and high have to be 0 < low < high, not {low!r} and {high!r}")
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise ArgumentError(f"points has to be a whole number, at least 2, not {points!r}")
    found, line = find_activation(activation, **parameters), []
    for q in np.geomspace(low, high, points):
        try:
            line.append(critical(found, q=float(q), stable=False))
        except NoCriticalPointError:
            continue
    return tuple(line)


def critical_at_bias(
    activation: str | Callable[..., Any] | Activation, bias_variance: float, **parameters: float
) -> CriticalPoint:
    """Return the critical point of the smallest q with a given sigma_b² > 0, stable or not.

    >>> point = critical_at_bias("tanh", 0.05)
    >>> round(point.q, 9), round(point.weight_variance, 8)
    (0.570047882, 1.76095464)

    It is sought in ln q: for hard-tanh sigma_b² falls off so fast (as e^(-1 / 2q)) that a search in q gets nowhere.

    activation: a name, an expression, a callable or an `Activation`. bias_variance: sigma_b², > 0. parameters: those of
    a named activation.
    ArgumentError: sigma_b² is not positive. NoCriticalPointError: no q between 1e-9 and 1000 has it (ReLU has
    sigma_b² = 0 everywhere, softplus none at all).
    """
    from scipy import optimize

    if isinstance(bias_variance, bool) or not 0 < bias_variance < math.inf:
        raise ArgumentError(
            f"bias_variance has to be a positive finite number, not {bias_variance!r}; without biases take a q instead"
        )
    found = find_activation(activation, **parameters)

    def excess(log_q: float) -> float:
        try:
            return critical(found, q=math.exp(log_q), stable=False).bias_variance - bias_variance
        except NoCriticalPointError:
            return -bias_variance

    grid = [float(log_q) for log_q in np.linspace(math.log(LOWEST), math.log(HIGHEST), STEPS + 1)]
    for low, high in itertools.pairwise(grid):
        if excess(low) < 0 <= excess(high):
            root = float(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14))
            return critical(found, q=math.exp(root), stable=False)
    raise NoCriticalPointError(
        f"{found.name} has no critical point with sigma_b² = {bias_variance:.6g} for q from {LOWEST:g} to {HIGHEST:g}; "
        "wellbegun.theory.critical_line shows those there are"
    )
