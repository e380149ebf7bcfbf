"""Biases that take an activation's mean out of the layer behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law, scale, single
from wellbegun.sampler import Draw, Stream, write


@dataclass(frozen=True, repr=False)
class MeanCompensation(Law):
    """Biases that cancel what the mean of an activation sends through a weight.

    >>> MeanCompensation("hidden.1.weight", mean=0.5)
    MeanCompensation(weight='hidden.1.weight', mean=0.5)

    Formula: b_i = -mean·(sum of row i of W) + N(0, std²), so that W·f(u) + b = W·(f(u) - E f) at step 0. The signal
        then carries Var f and not E f², and a critical point exists for every activation, because
        Var f <= q·E f'² (Gaussian Poincaré inequality).
    Use it for: deep plain networks of sigmoid, softplus and other functions that are mostly their mean, in a plan:
        auto sets it.
    Not for: a tensor of its own: it needs the plan's entry of the weight whose rows it sums.
    Args:
        weight: name of that weight in the plan.
        mean: E f of the activation that feeds the weight.
        std: of the random part.
        inputs_first: the weight is stored as [inputs, outputs], as in x @ W.
    Source: wellbegun's pilot (2026), rules k and l; the inequality: Chernoff (1981).
    """

    weight: str
    mean: float
    std: float = 0.0
    inputs_first: bool = False
    structured = True

    def __post_init__(self) -> None:
        if not isinstance(self.weight, str) or not self.weight:
            raise ArgumentError(f"weight must be the name of a tensor in the plan, got {self.weight!r}")
        object.__setattr__(self, "mean", single("mean", self.mean))
        object.__setattr__(self, "std", single("std", self.std))
        if self.std < 0:
            raise ArgumentError(f"std must not be negative, got {self.std!r}")

    @property
    def companion(self) -> str:
        """The weight."""
        return self.weight

    def check_companion(self, shape: tuple[int, ...], companion: tuple[int, ...]) -> None:
        """Raise ArgumentError unless the weight is a matrix with one output for each bias."""
        if len(companion) != 2 or shape != (companion[1 if self.inputs_first else 0],):
            raise ArgumentError(f"{self!r} makes no biases of shape {shape} from a weight of shape {companion}")

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the biases for a weight's values."""
        if companion is None:
            raise ArgumentError(f"{self!r} needs the weight's values: it can stand in a plan only, not alone")
        self.check_companion(shape, companion.shape)
        sums = companion.sum(axis=0 if self.inputs_first else 1, dtype=np.float64)
        noise = np.empty(shape, np.float32)
        write(noise, Draw.normal(0.0, self.std), stream, 0)
        return np.asarray((noise - self.mean * sums).astype(np.float32), dtype)

    def scaled(self, factor: float) -> Law:
        """Both parts times the factor. A weight that is scaled takes its mean part along by itself."""
        return replace(self, mean=self.mean * scale(factor), std=self.std * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean, and the standard deviation of the random part alone: that of the sums is the weight's affair."""
        return 0.0, self.std
