"""Residual blocks, skip * x + factor * F(x), in the limit of infinite width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from wellbegun.errors import ArgumentError
from wellbegun.theory.moments import positive


class Layer(Protocol):
    """What a branch is made of: `MeanField`, `Gated` or `Residual`."""

    def length_map(self, q: float) -> float:
        """Return the variance that comes out."""

    def gradient_factor(self, q: float) -> float:
        """Return the factor on the gradient's variance, backward."""

    def correlation_map(self, rho: float, q: float) -> float:
        """Return the correlation that comes out."""


@dataclass(frozen=True)
class Residual:
    """A block x' = skip * x + factor * F(x) whose branch F ends in weights of mean 0.

    >>> from wellbegun.theory import MeanField
    >>> block = Residual([MeanField("identity", 2.0), MeanField("relu", 1.0)])
    >>> round(block.length_map(1.0), 9)  # x + W2 relu(W1 x), He and LeCun: twice the variance, block by block
    2.0
    >>> tenth = Residual(block.branch, factor=0.1**0.5)
    >>> round(tenth.lengths(1.0, 11)[-1], 6)
    2.593742

    branch: its layers, in order; a weight matrix alone is MeanField("identity", variance). skip, factor: what the two
    ways are multiplied with. normalisation: of what enters the branch ("layer" or "rms": pre-norm), to mean square 1;
    the stream then grows linearly and gradients by the product of (1 + v / q_l), v what a branch adds.
    ArgumentError: an empty branch, a factor that is not finite.
    Zhang et al. 2019 (arXiv 1901.09321); Yang & Schoenholz 2017 (arXiv 1712.08969).
    """

    branch: Sequence[Layer]
    skip: float = 1.0
    factor: float = 1.0
    normalisation: Literal["none", "layer", "rms"] = "none"

    def __post_init__(self) -> None:
        if not self.branch:
            raise ArgumentError("a residual block needs at least one layer in its branch")
        object.__setattr__(self, "branch", tuple(self.branch))
        for name in ("skip", "factor"):
            if not math.isfinite(getattr(self, name)):
                raise ArgumentError(f"{name} has to be a finite number, not {getattr(self, name)!r}")
        if self.normalisation not in ("none", "layer", "rms"):
            raise ArgumentError(f"normalisation has to be 'none', 'layer' or 'rms', not {self.normalisation!r}")

    def length_map(self, q: float) -> float:
        """Return the stream's variance behind the block; the branch's last weights make the two parts uncorrelated."""
        return self.skip**2 * q + self.factor**2 * self._branch(q)

    def gradient_factor(self, q: float) -> float:
        """Return the factor on the gradient's variance, from behind the block to before it."""
        through = 1.0
        for layer, inner in zip(self.branch, self._inner(q), strict=True):
            through *= layer.gradient_factor(inner)
        return self.skip**2 + self.factor**2 * through / (1.0 if self.normalisation == "none" else q)

    def correlation_map(self, rho: float, q: float) -> float:
        """Return the correlation of two inputs behind the block, both of variance q before it."""
        entering = rho
        for layer, inner in zip(self.branch, self._inner(q), strict=True):
            entering = layer.correlation_map(entering, inner)
        added = self.factor**2 * self._branch(q)
        return (self.skip**2 * q * rho + added * entering) / (self.skip**2 * q + added)

    def lengths(self, q: float, depth: int) -> tuple[float, ...]:
        """Return the stream's variance before each of depth blocks and so on: q, then the map of it, depth numbers.

        >>> from wellbegun.theory import MeanField
        >>> Residual([MeanField("relu", 2.0)], normalisation="rms").lengths(1.0, 4)
        (1.0, 2.0, 3.0, 4.0)
        """
        found = [positive("q", q)]
        while len(found) < depth:
            found.append(self.length_map(found[-1]))
        return tuple(found)

    def _inner(self, q: float) -> list[float]:
        """Return the variance that enters each layer of the branch."""
        found = [q if self.normalisation == "none" else 1.0]
        for layer in self.branch[:-1]:
            found.append(layer.length_map(found[-1]))
        return found

    def _branch(self, q: float) -> float:
        """Return the variance that the branch hands out."""
        return self.branch[-1].length_map(self._inner(q)[-1])
