"""How far a network of finite width strays from the limit of infinite width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellbegun.errors import ArgumentError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.band import Band
from wellbegun.theory.chain import log_gamma
from wellbegun.theory.moments import moments


@dataclass(frozen=True)
class FiniteWidth:
    """The spread of |x|² over draws of the weights, behind `depth` layers of one width that keep its mean.

    kappa: E f⁴ / (E f²)² - 1 (ReLU 5, linear 2, tanh 0.63). strength: kappa * depth / width; above about 1 the mean
    says nothing about one network. ratio: E |x|⁴ / (E |x|²)² = (1 + kappa / width)^depth. band: |x|², whose limit is 1.
    """

    kappa: float
    strength: float
    ratio: float
    band: Band


def finite_width(
    activation: str | Callable[..., Any] | Activation, depth: int, width: int, q: float = 1.0, **parameters: float
) -> FiniteWidth:
    """Return the spread of a network's signal that a finite width brings, for weights that keep its mean.

    >>> narrow = finite_width("relu", depth=8, width=32)
    >>> round(narrow.kappa, 9), round(narrow.ratio, 4), round(narrow.band.median, 2)
    (5.0, 3.1946, 0.53)

    For scale-free functions such as ReLU, whose layers multiply |x|² by independent factors. Where the length finds
    back to a stable q* (tanh) the spread stays bounded instead; `predict_chain` knows that. Quote the median: few draws
    carry the mean.

    activation: a name, an expression, a callable or an `Activation`. depth, width: layers and units, >= 1.
    q: pre-activation variance. parameters: those of a named activation.
    ArgumentError: a depth or width below 1.
    Hanin & Nica 2020 (arXiv 1812.05994); Hanin & Rolnick 2018 (arXiv 1803.01719).
    """
    for name, size in (("depth", depth), ("width", width)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(f"{name} has to be a whole number, at least 1, not {size!r}")
    at = moments(find_activation(activation, **parameters), q)
    kappa = at.fourth / at.second**2 - 1
    shift, variance = log_gamma(kappa / width)
    band = Band(1.0, depth * shift, math.sqrt(depth * variance))
    return FiniteWidth(kappa, kappa * depth / width, (1 + kappa / width) ** depth, band)
