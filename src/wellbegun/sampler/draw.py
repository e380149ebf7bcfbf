"""What an element-wise law asks of the sampler, as plain numbers."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from wellbegun.errors import ArgumentError
from wellbegun.sampler.formats import inward
from wellbegun.sampler.layout import ELEMENT_DRAW, HOUSEHOLDER_DRAW, IMAGINARY_DRAW
from wellbegun.sampler.window import Window

Kind = Literal["constant", "uniform", "normal", "truncated"]


class Draw(NamedTuple):
    """A standard draw, scaled, shifted and kept inside closed bounds: min(max(z·scale + shift, low), high).

    Attributes:
        kind: of the standard draw z: "uniform" on [-1, 1], "normal", "truncated" (normal, inside the window);
            "constant" has none.
        scale, shift: rounded once to the precision of the draw.
        low, high: closed bounds; the outermost numbers of the storage type inside them are what a draw stops at.
        window: of a truncated draw.
        purpose: which of the stream's counters are used (sampler.layout).
    """

    kind: Kind
    scale: float
    shift: float
    low: float = -math.inf
    high: float = math.inf
    window: Window | None = None
    purpose: int = ELEMENT_DRAW

    @classmethod
    def constant(cls, value: float) -> Draw:
        """Every element the same number."""
        return cls("constant", 0.0, value)

    @classmethod
    def uniform(cls, low: float, high: float) -> Draw:
        """U(low, high); both ends can occur."""
        return cls("uniform", (float(high) - float(low)) / 2, (float(low) + float(high)) / 2, low, high)

    @classmethod
    def normal(cls, mean: float, std: float) -> Draw:
        """N(mean, std²)."""
        return cls("normal", std, mean)

    @classmethod
    def truncated(cls, mean: float, std: float, window: Window) -> Draw:
        """N(mean, std²) given that it lies inside a window, whose bounds are in units of std."""
        low, high = (mean, mean) if std == 0 else (mean + std * window.low, mean + std * window.high)
        return cls("truncated", std, mean, low, high, window)

    @classmethod
    def householder(cls) -> Draw:
        """The standard normals that Householder vectors are made of."""
        return cls.normal(0.0, 1.0)._replace(purpose=HOUSEHOLDER_DRAW)

    def within(self, dtype: np.dtype[Any]) -> Draw:
        """Return the same draw with the outermost numbers of a storage type inside its bounds as bounds."""
        low, high = inward(self.low, dtype, up=True), inward(self.high, dtype, up=False)
        return self._replace(low=float(low), high=float(high))

    def complex_parts(self) -> tuple[Draw, Draw]:
        """Return the draws of real and imaginary part, which share the variance: independent, each with half of it.

        Raises:
            ArgumentError: a truncated draw has no complex form.
        """
        if self.kind == "truncated":
            raise ArgumentError("a complex tensor takes constant, uniform and normal laws, not a truncated one")
        scale = self.scale / math.sqrt(2)
        real = self._replace(scale=scale, low=-math.inf, high=math.inf)
        return real, real._replace(shift=0.0, purpose=IMAGINARY_DRAW)
