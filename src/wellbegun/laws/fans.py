"""Fans: how many products meet in one output, and how many gradients in one input."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

    @classmethod
    def of(cls, shape: Sequence[int], axes: str) -> Fans:
        """Count the fans of a weight from what each of its dimensions is.

        >>> Fans.of((8, 512, 2048), "bio")
        Fans(fan_in=512, fan_out=2048)
        >>> Fans.of((64, 3, 7, 7), "oikk")
        Fans(fan_in=147, fan_out=3136)

        Args:
            shape: of the weight.
            axes: one letter a dimension: "i" inputs, "o" outputs, "k" taps of a kernel (counted for both), "b" a stack
                of separate weights (experts, heads, groups), counted for neither.

        Raises:
            ArgumentError: another letter, no "i", or not one letter for each dimension.
        """
        if len(axes) != len(shape) or not set(axes) <= set("iokb") or "i" not in axes:
            raise ArgumentError(
                f"axes must have one letter for each of the {len(shape)} dimensions of {list(shape)}: i (inputs, at "
                f"least one), o (outputs), k (taps of a kernel), b (a stack of separate weights); got {axes!r}"
            )
        sizes = list(zip(shape, axes, strict=True))
        return cls(*(math.prod(size for size, letter in sizes if letter in counted) for counted in ("ik", "ok")))

    @property
    def average(self) -> float:
        """The mean of both, which Xavier's rule divides by."""
        return (self.fan_in + self.fan_out) / 2
