"""The window of a truncated normal law: which numbers may pass, and how they are found with bounded work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np

from wellbegun.errors import ArgumentError

_DIGITS = 380
_FARTHEST = 36.0
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Window:
    """Bounds in units of sigma, with what the inverse method needs of them.

    Attributes:
        low, high: the bounds, float32 values in units of sigma; infinite where a side is open.
        mean, deviation: of N(0, 1) given that it lies inside. In float64 the textbook formula loses every digit in a
            narrow window (it is a difference of nearly equal numbers), so they come from the long arithmetic too.
        inverse: True where the mass is below one half, so that a quantile is cheaper and safer than redrawing.
        reflected: the inverse method works on the mirrored window, whose mass lies to the right.
        near, far: the bounds after that reflection.
        upper_tail, mass: Q(near) and Q(near) - Q(far), each rounded once to float64, with Q(x) = P(N(0, 1) > x).
    """

    low: float
    high: float
    mean: float
    deviation: float
    inverse: bool
    reflected: bool
    near: float
    far: float
    upper_tail: float
    mass: float

    @classmethod
    def of(cls, low: float, high: float) -> Window:
        """Make the window between two bounds in units of sigma (rounded to float32).

        >>> Window.of(-2, 2).inverse, round(Window.of(-2, 2).mass, 7)
        (False, 0.9544997)
        >>> Window.of(3, 4).inverse
        True

        Raises:
            ArgumentError: the bounds are not in order, or hold less than 1e-280 of the mass.
        """
        low, high = _single("low", low), _single("high", high)
        if not low < high:
            raise ArgumentError(f"low must lie below high, both in units of sigma; got low={low}, high={high}")
        return _window(low, high)


def _single(name: str, value: float) -> float:
    try:
        number = math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number) or (math.isfinite(number) and abs(number) > _LARGEST):
        raise ArgumentError(f"{name} must be a float32 number in units of sigma, or infinite, not {value!r}")
    return float(np.float32(number))


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
        mean = (_density(near) - _density(far)) / mass
        variance = 1 + (_edge(near) - _edge(far)) / mass - mean * mean
        return Window(
            low=low,
            high=high,
            mean=float(-mean if reflected else mean),
            deviation=float(variance.sqrt()),
            inverse=mass < Decimal("0.5"),
            reflected=reflected,
            near=near,
            far=far,
            upper_tail=float(near_tail),
            mass=float(mass),
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
    return Decimal("0.5") - _density(x) * total


def _density(x: float) -> Decimal:
    """phi(x) = exp(-x²/2)/sqrt(2·pi)."""
    if math.isinf(x) or abs(x) > _FARTHEST + 4:
        return Decimal(0)
    value = Decimal(x)
    return (-value * value / 2).exp() / (2 * _pi()).sqrt()


def _edge(x: float) -> Decimal:
    """x·phi(x), which is 0 where x is infinite."""
    return Decimal(0) if math.isinf(x) else Decimal(x) * _density(x)


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
