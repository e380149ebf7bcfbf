"""A law whose numbers are multiplied by a factor of their own in each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law
from wellbegun.laws.patched import whole_block
from wellbegun.laws.stored import Stored
from wellbegun.sampler import Stream


@dataclass(frozen=True, repr=False)
class PerChannel(Law):
    """Another law, with a factor of its own for each channel: what standardisation by a batch makes of a weight.

    >>> from wellbegun.laws import Normal
    >>> PerChannel(Normal(0.1), Stored([1.0, 2.0]))
    PerChannel(base=Normal(std=0.1), factors=Stored(values=[1.0, 2.0]))

    Formula: W_cj = f_c·V_cj with V of the base law; c counts along `axis`. The product is rounded once.
    Use it for: weights that data have scaled channel by channel (`wb.standardize` makes it); the plan stays small,
        and a part of the tensor holds the numbers that the whole has there.
    Not for: one factor for the whole tensor, which every law takes in by itself (`Law.scaled`).
    Args:
        base: law of the numbers before the factors; not Keep(), whose numbers no plan knows.
        factors: Stored vector of one finite number for each channel.
        axis: the dimension that counts channels; 0 for the weights of torch.nn.Linear and convolutions.
    Source: Salimans and Kingma (2016), "Weight Normalization", section 3, where f_c is 1 over a standard deviation.
    """

    base: Law
    factors: Stored
    axis: int = 0
    structured = True

    def __post_init__(self) -> None:
        if not isinstance(self.base, Law) or self.base.keeps:
            raise ArgumentError(f"base must be a law whose numbers the plan makes, got {self.base!r}")
        if not isinstance(self.factors, Stored) or self.factors.values.ndim != 1 or self.factors.dtype != "float32":
            raise ArgumentError(f"factors must be Stored float32 numbers, one for each channel, got {self.factors!r}")
        if isinstance(self.axis, bool) or not isinstance(self.axis, int) or self.axis < 0:
            raise ArgumentError(f"axis must be a dimension from 0 on, got {self.axis!r}")

    @property
    def companion(self) -> str | None:
        """That of the base."""
        return self.base.companion

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless the tensor has a channel for each factor."""
        self.base.check_shape(shape)
        if self.axis >= len(shape) or shape[self.axis] != self.factors.values.size:
            raise ArgumentError(
                f"{self!r} holds {self.factors.values.size} factors for dimension {self.axis}, the tensor has shape "
                f"{tuple(shape)}"
            )

    def check_companion(self, shape: tuple[int, ...], companion: tuple[int, ...]) -> None:
        """Raise ArgumentError if the base cannot fill a tensor of this shape from a companion of that shape."""
        self.base.check_companion(shape, companion)

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the whole tensor."""
        self.check_shape(shape)
        values = whole_block(self.base, stream, shape, dtype, companion, out)
        factors = self.factors.values.reshape(-1, *(1,) * (len(shape) - 1 - self.axis))
        made: NDArray[Any] = np.multiply(values, factors, out=values if values.flags.writeable else None)
        return made

    def reach(self) -> float:
        """The largest magnitude that the base can have, times the largest factor."""
        return self.base.reach() * self.factors.reach()

    def scaled(self, factor: float) -> Law:
        """The base times the factor."""
        return PerChannel(self.base.scaled(factor), self.factors, self.axis)

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements: channels are equally large."""
        mean, std = self.base.moments(shape)
        factors = self.factors.values.astype(np.float64)
        middle = mean * float(factors.mean()) if factors.size else 0.0
        second = (mean**2 + std**2) * float(np.mean(factors**2)) if factors.size else 0.0
        return middle, math.sqrt(max(second - middle**2, 0.0))
