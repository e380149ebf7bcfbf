"""Structured laws of which any stretch can be computed alone, from the indices of its elements."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.laws.initializer import Floats, Law
from wellbegun.sampler import Stream

PIECE = 1 << 20
"""Elements that are computed at once."""


class IndexedLaw(Law):
    """A law whose elements are functions of their place (and of the stream), so that no part needs the whole."""

    structured = True
    apart = True

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the whole tensor, piece by piece."""
        self.check_shape(shape)
        values = np.empty(shape, dtype) if out is None else out
        flat = values.reshape(-1)
        for first in range(0, flat.size, PIECE):
            count = min(PIECE, flat.size - first)
            flat[first : first + count] = self.stretch(stream, shape, first, count)
        return values


class OrientedLaw(IndexedLaw):
    """An indexed law that treats outputs and inputs differently: it has to know which of them the rows are.

    Its field `inputs_first` says that a matrix is stored as [inputs, outputs]. Planning reads that from the operation.
    """

    inputs_first: bool = False

    def turned(self) -> OrientedLaw:
        """Return the law of the same matrix stored as [inputs, outputs]."""
        return replace(self, inputs_first=True)  # type: ignore[type-var]  # every subclass is a dataclass

    def matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return (outputs, inputs) of a matrix or of a kernel's channels."""
        rows, columns = shape[0], math.prod(shape[1:2])
        return (columns, rows) if self.inputs_first else (rows, columns)

    def places(self, shape: tuple[int, ...], first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (output, input) of each element of a flat stretch of a matrix."""
        rows, columns = np.divmod(np.arange(first, first + count, dtype=np.int64), shape[1])
        return (columns, rows) if self.inputs_first else (rows, columns)
