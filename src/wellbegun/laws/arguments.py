"""Checks that several laws make of their arguments."""

from __future__ import annotations

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import single


def above_zero(name: str, value: float) -> float:
    """Return a number above 0, rounded to float32."""
    rounded = single(name, value)
    if rounded <= 0:
        raise ArgumentError(f"{name} must be above 0, got {value!r}")
    return rounded


def whole(name: str, value: int, least: int) -> int:
    """Return a whole number that is not too small; True and False are no numbers here."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return value
