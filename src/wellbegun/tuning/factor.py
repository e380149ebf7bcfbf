"""The factor that brings a product and its bias to a second moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from wellbegun.tuning.operations import mean, second_moment, variance


@dataclass(frozen=True)
class Parts:
    """Second moments of a result y = s·a + n: a is what follows the weight's factor s, n what does not.

    Attributes:
        square: E a².
        cross: E a·n.
        rest: E n².

    Centred, all of them are about the means of a and n, and y² stands for the variance.
    """

    square: float
    cross: float = 0.0
    rest: float = 0.0

    @classmethod
    def of(
        cls, product: torch.Tensor, bias: torch.Tensor | None, mean_part: torch.Tensor | None, centred: bool
    ) -> Parts:
        """Measure a product and its bias, in float64.

        Args:
            product: of the weight and what flows in, of any shape.
            bias: what is added to it, or None.
            mean_part: the part of the bias that follows the weight, or None.
            centred: whether to measure about the means.
        """
        moment = variance if centred else second_moment
        if bias is None:
            return cls(moment(product))
        wide = torch.complex128 if product.is_complex() else torch.float64
        moving, still = product.to(wide), bias.to(wide)
        if mean_part is not None:
            moving, still = moving + mean_part, still - mean_part
        still = still.expand_as(moving)
        cross = float((moving * still.conj()).real.mean())
        if centred:
            cross -= (mean(moving) * mean(still).conjugate()).real
        return cls(moment(moving), cross, moment(still))

    def at(self, factor: float) -> float:
        """E y² with this factor."""
        return factor**2 * self.square + 2 * factor * self.cross + self.rest

    def factor_for(self, target: float) -> float | None:
        """The factor above 0 with which E y² is the target; None if the bias alone is more than that."""
        reach = self.cross**2 - self.square * (self.rest - target)
        factor = (math.sqrt(reach) - self.cross) / self.square if reach > 0 else 0.0
        return factor if 0 < factor < math.inf else None
