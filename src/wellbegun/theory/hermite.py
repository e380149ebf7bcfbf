"""An activation as a series of Hermite polynomials."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.moments import positive
from wellbegun.theory.quadrature import REACHES, gaussian_sample

Array = npt.NDArray[np.float64]

HIGHEST = 256
"""The largest degree: its polynomial oscillates up to 32 standard deviations, within the longest reach but one."""


def hermite_coefficients(
    activation: str | Callable[..., Any] | Activation, degree: int, q: float = 1.0, **parameters: float
) -> Array:
    """Return a_0 ... a_degree of f(sqrt(q) z) in Hermite polynomials of norm 1: E f(sqrt(q) z) He_k(z) / sqrt(k!).

    >>> [round(float(a), 6) for a in hermite_coefficients("relu", 2)]
    [0.398942, 0.5, 0.282095]

    Their squares sum to E f², k times them to q E f'²; rho^k times them to E f(u) f(v) at correlation rho.

    activation: a name, an expression, a callable or an `Activation`. degree: 0 to 256. q: variance of the
    argument, > 0. parameters: those of a named activation.
    ArgumentError: a degree outside 0 to 256.
    """
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= HIGHEST:
        raise ArgumentError(f"degree has to be a whole number from 0 to {HIGHEST}, not {degree!r}")
    return _coefficients(find_activation(activation, **parameters), degree, positive("q", q)).copy()


@functools.lru_cache(maxsize=256)
def _coefficients(found: Activation, degree: int, q: float) -> Array:
    reach = next(reach for reach in REACHES if 2 * math.sqrt(degree) + 4 <= reach)
    sample = gaussian_sample(found.function, found.kinks, q, least_reach=reach)
    coefficients, before, polynomial = np.empty(degree + 1), np.zeros_like(sample.z), np.ones_like(sample.z)
    terms = sample.terms(1)
    for order in range(degree + 1):
        coefficients[order] = float(np.sum(terms * polynomial))
        following = (sample.z * polynomial - math.sqrt(order) * before) / math.sqrt(order + 1)
        before, polynomial = polynomial, following
    coefficients.setflags(write=False)
    return coefficients
