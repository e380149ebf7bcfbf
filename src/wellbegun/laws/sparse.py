"""Sparse weights: in every column, a fixed number of rows chosen at random is zero."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.basic import Normal
from wellbegun.laws.initializer import Floats, Law, scale
from wellbegun.sampler import Stream, smallest_of_columns

MOST_ROWS = 2**32
"""Rows that a word and a row number of 32 bits each can put in order."""


@dataclass(frozen=True, repr=False)
class Sparse(Law):
    """Sparse weights: each input reaches only a few units, with weights of a size that does not depend on the width.

    >>> Sparse(0.9)
    Sparse(sparsity=0.9, std=0.01)

    Need: one rule for every weight
    Formula: in every column, ceil(sparsity·rows) rows chosen uniformly without replacement are 0, the others
        N(0, std²), the same numbers that Normal(std) has there. Rows are outputs where the tensor is [out, in]: each
        input is then connected to the same number of units.
    Use it for: wide networks whose units should not saturate however many inputs they have, echo-state reservoirs.
    Not for: a scale that fits the fans: std is what you make it. A part of the tensor needs whole columns, so the whole
        is drawn wherever a part is asked for.
    Args:
        sparsity: share of zeros in each column, 0 to 1; counted in float64, so that 0.1 of 10 rows is one row.
        std: standard deviation of the others, at least 0.
    Source: Martens (2010), "Deep learning via Hessian-free optimization" (15 connections for each unit, std 1).
    """

    sparsity: float
    std: float = 0.01
    structured = True

    def __post_init__(self) -> None:
        share = self.sparsity
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ArgumentError(f"sparsity must be a share of 0 to 1, got {share!r}")
        object.__setattr__(self, "sparsity", float(share) + 0.0)
        object.__setattr__(self, "std", Normal(self.std).std)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix."""
        if len(shape) != 2:
            raise ArgumentError(f"{self!r} needs a tensor of two dimensions, got shape {shape}")
        if shape[0] > MOST_ROWS:
            raise ArgumentError(f"{self!r} takes up to 2**32 rows, got shape {shape}")

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the normals with the chosen rows of each column set to zero."""
        self.check_shape(shape)
        matrix = np.empty(shape, dtype)
        Normal(self.std).draw(matrix.reshape(-1), stream, 0)
        for columns, chosen in smallest_of_columns(stream, shape[0], shape[1], self._zeros(shape[0])):
            matrix[:, columns][chosen] = 0
        return matrix

    def reach(self) -> float:
        """6.77 sigma, the farthest that 32 bits go."""
        return Normal(self.std).reach()

    def scaled(self, factor: float) -> Law:
        """The standard deviation times the factor."""
        return replace(self, std=self.std * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        return 0.0, self.std * math.sqrt(1 - self._zeros(shape[0]) / max(shape[0], 1))

    def _zeros(self, rows: int) -> int:
        """Zeros in each column."""
        return math.ceil(self.sparsity * rows)
