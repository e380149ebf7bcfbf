"""The window of a truncated normal law: which numbers may pass, and how they are found without a loop over the tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np

from wellbegun.errors import ArgumentError

_DIGITS = 380
_FARTHEST = 36.0


@dataclass(frozen=True)
class Window:
    """Bounds in units of sigma, with what the inverse method needs of them.

    Attributes:
        low, high: the bounds, float32 values in units of sigma; infinite where a side is open.
        probability: mass of N(0, 1) inside the bounds.
        inverse: True where the mass is below one half, so that a quantile is cheaper and safer than redrawing.
        reflected: the inverse method works on the mirrored window, whose mass lies to the right.
        near, far: the bounds after that reflection.
        upper_tail, mass: Q(near) and Q(near) - Q(far), each rounded once to float64, with Q(x) = P(N(0, 1) > x).
    """

    low: float
    high: float
    probability: float
    inverse: bool
    reflected: bool
    near: float
    far: float
    upper_tail: float
    mass: float

    @classmethod
    def of(cls, low: float, high: float) -> Window:
        """Make the window between two bounds in units of sigma (rounded to float32).

        >>> Window.of(-2, 2).inverse, round(Window.of(-2, 2).probability, 7)
        (False, 0.9544997)
        >>> Window.of(3, 4).inverse
        True

        Raises:
            ArgumentError: the bounds are not in order, or hold less than 1e-280 of the mass.
        """
        low, high = float(np.float32(low)), float(np.float32(high))
        if not low < high:
            raise ArgumentError(f"low must lie below high, both in units of sigma; got low={low}, high={high}")
        return _window(low, high)


@lru_cache(maxsize=256)
def _window(low: float, high: float) -> Window:
    reflected = low + high < 0
    near, far = (-high, -low) if reflected else (low, high)
    if near > _FARTHEST:
        raise ArgumentError(
            f"the window from {low} to {high} sigma holds no mass that float64 can measure; "
            f"bounds up to {_FARTHEST:g} sigma from the mean are supported"
        )
    with localcontext() as context:
        context.prec = _DIGITS
        near_tail, far_tail = _upper_tail(near), _upper_tail(far)
        mass = near_tail - far_tail
        return Window(
            low, high, float(mass), mass < Decimal("0.5"), reflected, near, far, float(near_tail), float(mass)
        )


def _upper_tail(x: float) -> Decimal:
    """Q(x) to far more digits than float64 holds: 1/2 - phi(x)·(x + x³/3 + x⁵/15 + ...)."""
    if math.isinf(x) or abs(x) > _FARTHEST + 4:
        return Decimal(0) if x > 0 else Decimal(1)
    value = Decimal(x)
    square, term, total, n = value * value, value, value, 1
    while term != 0 and abs(term) > abs(total).scaleb(-_DIGITS):
        n += 2
        term = term * square / n
        total += term
    density = (-square / 2).exp() / (2 * _pi()).sqrt()
    return Decimal("0.5") - density * total


@lru_cache(maxsize=1)
def _pi() -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(n: int) -> Decimal:
    power, total, k = Decimal(1) / n, Decimal(0), 0
    while power > Decimal(1).scaleb(-_DIGITS - 5):
        total += (power if k % 2 == 0 else -power) / (2 * k + 1)
        power, k = power / (n * n), k + 1
    return total
