"""Kumar's rule: the variance of weights from the value and the slope of the activation at 0."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from wellbegun.errors import ArgumentError
from wellbegun.laws.fans import Fans
from wellbegun.laws.initializer import Initializer, Law, required
from wellbegun.laws.scaled import DISTRIBUTIONS, VarianceScaling, one_of

SAME = 1e-9
"""What value or slope may differ by on both sides of 0, relative to the size of the function on [-1, 1]: rounding."""


@dataclass(frozen=True, repr=False)
class Kumar(Initializer):
    """Kumar's rule for activations with a slope at 0: each unit is taken for its tangent there.

    >>> Kumar("sigmoid").law(Fans(fan_in=1280, fan_out=10))
    Normal(std=0.1)
    >>> Kumar("tanh").law(Fans(fan_in=100, fan_out=10))
    Normal(std=0.1)

    Need: one rule for every weight
    Formula: W ~ N(0, 1/(fan_in·g'(0)²·(1 + g(0)²))) for the activation g. Sigmoid: g(0) = 1/2, g'(0) = 1/4, so the
        variance is 12.8/fan_in, the standard deviation 3.58/sqrt(fan_in) (often printed as 3.6/sqrt(fan_in)). tanh:
        1/fan_in, LeCun's rule.
    Use it for: plain sigmoid networks of up to about 10 hidden layers, where Xavier stays at chance; tanh and other odd
        functions that saturate, where the signal fades slowly and does not die.
    Not for: GELU, SiLU, Mish and softplus. Away from 0 they are steeper than their tangent, so the signal explodes.
        Not for ReLU and its relatives, which have no slope at 0, nor for even functions, whose slope there is 0: both
        are refused. Not for deeper sigmoid networks, whose squared gradient shrinks to 0.35 in each layer: use auto.
    Args:
        nonlinearity: name of the activation that feeds the layer (see `wellbegun gain`).
        distribution: "normal", "uniform" or "truncated_normal" (±2 sigma, corrected to the full variance).
    Source: Kumar (2017), "On weight initialization in deep neural networks", arXiv 1704.08863; measured in
        docs/papers/kumar_2017.md.
    """

    nonlinearity: str = "sigmoid"
    distribution: str = "normal"

    def __post_init__(self) -> None:
        one_of("distribution", self.distribution, DISTRIBUTIONS)
        _variance(self.nonlinearity)  # refuses what has no slope at 0, here and not when the plan is half made

    def law(self, fans: Fans | None = None) -> Law:
        """Return the law of variance 1/(fan_in·g'(0)²·(1 + g(0)²))."""
        return VarianceScaling(_variance(self.nonlinearity), "fan_in", self.distribution).law(required(fans, self))


@functools.lru_cache(maxsize=256)
def _variance(nonlinearity: str) -> float:
    """fan_in times the variance of the weights."""
    value, slope = _tangent_at_zero(nonlinearity)
    return 1 / (slope**2 * (1 + value**2))


def _tangent_at_zero(nonlinearity: str) -> tuple[float, float]:
    """Return g(0) and g'(0) of a named activation, to about 12 digits, or refuse it."""
    from wellbegun.theory import find_activation
    from wellbegun.theory.quadrature import ORDER, legendre_rule, resolve

    found = find_activation(nonlinearity)
    panels = resolve(found.function, np.array([-1.0, 0.0, 1.0]), 1.0)
    beside = (int(np.flatnonzero(panels.high == 0)[0]), int(np.flatnonzero(panels.low == 0)[0]))
    rule, degrees = legendre_rule(), np.arange(ORDER)
    # the polynomial through a panel's points, read at the end that touches 0: P_k(±1) = (±1)^k,
    # P_k'(±1) = (±1)^(k+1)·k(k+1)/2
    basis = np.polynomial.legendre.legvander(rule.nodes, ORDER - 1) * rule.weights[:, None] * (degrees + 0.5)
    values, slopes = [], []
    for panel, end in zip(beside, (1.0, -1.0), strict=True):
        coefficients = panels.values[panel] @ basis
        values.append(float(coefficients @ end**degrees))
        rise = float(coefficients @ (end ** (degrees + 1) * degrees * (degrees + 1) / 2))
        slopes.append(2 * rise / float(panels.high[panel] - panels.low[panel]))
    (left, right), slack = slopes, SAME * float(np.abs(panels.values).max())
    whole = bool(panels.resolved[list(beside)].all())
    if not whole or abs(values[0] - values[1]) > slack or abs(left - right) > slack:
        sides = f" ({left:.4g} on its left, {right:.4g} on its right)" if whole else ""
        raise ArgumentError(
            f"{found.name} has no slope at 0{sides}, and Kumar's rule is made from that slope; "
            f"use HeNormal(nonlinearity={nonlinearity!r}), or auto"
        )
    if abs(left + right) / 2 <= slack:
        raise ArgumentError(
            f"{found.name} is flat at 0 (its slope there is 0), so Kumar's rule would ask for weights of infinite "
            f"variance; use HeNormal(nonlinearity={nonlinearity!r}), or auto"
        )
    return sum(values) / 2, (left + right) / 2
