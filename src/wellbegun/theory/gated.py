"""A gated layer, W (a * f(b)) with a and b two products of the input, in the limit of infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellbegun.errors import ArgumentError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.correlation import correlated
from wellbegun.theory.moments import moments


@dataclass(frozen=True)
class Gated:
    """x' = W (A x * f(B x)), as in SwiGLU: A, B and W independent, each with variance ... / fan_in.

    >>> swiglu = Gated("silu")
    >>> round(swiglu.length_map(1.0) ** -0.5, 9), round(swiglu.gradient_factor(1.0), 9)
    (1.67653247, 0.735257871)

    Its length map is q E f(b)² up to factors, so that d ln q' / d ln q = 1 + (that of f) >= 1 for every f that grows:
    a stack of gated layers without normalisation or skip has no stable length.

    activation: f. value_variance, gate_variance, weight_variance: fan_in times the variances of A, B and W.
    ArgumentError: a variance that is not positive.
    Shazeer 2020 (arXiv 2002.05202) for the units.
    """

    activation: str | Callable[..., Any] | Activation
    value_variance: float = 1.0
    gate_variance: float = 1.0
    weight_variance: float = 1.0

    def __post_init__(self) -> None:
        find_activation(self.activation)
        for name in ("value_variance", "gate_variance", "weight_variance"):
            given = getattr(self, name)
            if isinstance(given, bool) or not 0 < given < math.inf:
                raise ArgumentError(f"{name} has to be a finite number above 0, not {given!r}")

    def length_map(self, q: float) -> float:
        """Return the variance of what comes out, for an input of mean square q."""
        return self.weight_variance * self.value_variance * q * moments(self.activation, self.gate_variance * q).second

    def length_slope(self, q: float) -> float:
        """Return the derivative of the length map."""
        at = moments(self.activation, self.gate_variance * q)
        return self.weight_variance * self.value_variance * (at.second + q * self.gate_variance * at.second_growth)

    def gradient_factor(self, q: float) -> float:
        """Return the factor on the gradient's variance, backward through both branches."""
        at = moments(self.activation, self.gate_variance * q)
        value, gate = at.second, q * self.gate_variance * at.slope_second
        return self.weight_variance * self.value_variance * (value + gate)

    def correlation_map(self, rho: float, q: float) -> float:
        """Return the correlation of what comes out for two inputs of mean square q and correlation rho."""
        pair = correlated(self.activation, rho, self.gate_variance * q)
        return rho * pair.product / (pair.product + pair.distance / 2)
