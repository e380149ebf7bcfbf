"""Orthogonal weights that keep the size of the signal where a layer gets wider."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellbegun.laws.arguments import above_zero
from wellbegun.laws.fans import Fans
from wellbegun.laws.geometric import Orthogonal
from wellbegun.laws.initializer import Initializer, Law, required


@dataclass(frozen=True, repr=False)
class ScaledOrthogonal(Initializer):
    """Orthogonal weights with the factor that a layer with more outputs than inputs needs.

    >>> ScaledOrthogonal().law(Fans(fan_in=64, fan_out=256))
    Orthogonal(gain=2.0)
    >>> ScaledOrthogonal().law(Fans(fan_in=256, fan_out=64))
    Orthogonal(gain=1.0)

    Need: deep networks without normalisation
    Formula: W = gain·max(1, sqrt(outputs/inputs))·Q with Q (semi-)orthogonal. Q keeps a vector's length, which then is
        spread over more outputs: the mean square would shrink by inputs/outputs.
    Use it for: `orthogonal` in networks whose layers get wider, the first layer above all.
    Not for: convolutions on their own: a kernel's fans count its taps (in a plan the recipe reads the kernel's matrix);
        see DeltaOrthogonal.
    Args:
        gain: factor that makes up for the activation that feeds the layer, above 0.
    Source: Martens et al. (2021), "Rapid training of deep neural networks without skip connections or normalization
        layers using Deep Kernel Shaping", scale-corrected uniform orthogonal; Saxe et al. (2014).
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def law(self, fans: Fans | None = None) -> Law:
        """Return the orthogonal law of that gain."""
        known = required(fans, self)
        return Orthogonal(self.gain * math.sqrt(max(1.0, known.fan_out / known.fan_in)))
