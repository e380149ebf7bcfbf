"""Fans: how many products meet in one output, and how many gradients in one input."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellbegun.errors import ArgumentError


@dataclass(frozen=True)
class Fans:
    """The two counts that variance rules are built on, read from the operation and not from a tensor's shape.

    >>> Fans(fan_in=784, fan_out=128)
    Fans(fan_in=784, fan_out=128)

    Args:
        fan_in: products summed into one output; may be fractional (a transposed convolution with stride).
        fan_out: gradients summed into one input.

    Raises:
        ArgumentError: a fan is not a positive finite number.
    """

    fan_in: float
    fan_out: float

    def __post_init__(self) -> None:
        for name, value in (("fan_in", self.fan_in), ("fan_out", self.fan_out)):
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ArgumentError(f"{name} must be a positive number, not {value!r}")
            if float(value).is_integer():
                object.__setattr__(self, name, int(value))

    @property
    def average(self) -> float:
        """The mean of both, which Xavier's rule divides by."""
        return (self.fan_in + self.fan_out) / 2
