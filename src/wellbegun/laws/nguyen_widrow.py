"""Rows of one length in random directions, and the rule of Nguyen and Widrow that asks for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero
from wellbegun.laws.basic import Uniform
from wellbegun.laws.fans import Fans
from wellbegun.laws.indexed import IndexedLaw
from wellbegun.laws.initializer import Initializer, Law, required, scale
from wellbegun.sampler import Draw, Stream, write


@dataclass(frozen=True, repr=False)
class FixedLengthRows(IndexedLaw):
    """Rows in random directions, all of the same length.

    >>> FixedLengthRows(length=2.0)
    FixedLengthRows(length=2.0)

    Need: single values and parts
    Formula: W[i] = length·u/|u|, the elements of u from U(-1, 1); dimensions after the rows are taken together.
    Use it for: what `nguyen_widrow` becomes once the fans are known.
    Not for: a matrix stored as [inputs, outputs], whose rows are no units.
    Parts: a part needs the rows that it touches, and no others.
    Args:
        length: of each row, above 0.
    Source: Nguyen and Widrow (1990), "Improving the Learning Speed of 2-Layer Neural Networks by Choosing Initial
        Values of the Adaptive Weights".
    """

    length: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", above_zero("length", self.length))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors of fewer than two dimensions."""
        if len(shape) < 2:
            raise ArgumentError(f"{self!r} needs a tensor of at least two dimensions, got shape {shape}")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:
        """Return a flat stretch, from the rows that it touches."""
        columns = max(math.prod(shape[1:]), 1)
        top, bottom = first // columns, -(-(first + count) // columns)
        rows = np.empty((bottom - top) * columns, np.float64)
        write(rows, Draw.uniform(-1.0, 1.0), stream, top * columns)
        matrix = rows.reshape(bottom - top, columns)
        matrix *= self.length / np.maximum(np.sqrt(np.square(matrix).sum(axis=1, keepdims=True)), 1e-30)
        return rows[first - top * columns :][:count]

    def reach(self) -> float:
        """The length."""
        return self.length

    def scaled(self, factor: float) -> Law:
        """The length times the factor."""
        return replace(self, length=self.length * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element."""
        return 0.0, self.length / math.sqrt(max(math.prod(shape[1:]), 1))


@dataclass(frozen=True, repr=False)
class NguyenWidrow(Initializer):
    """Nguyen and Widrow's weights: the bends of a hidden layer are spread over the whole range of its inputs.

    >>> NguyenWidrow().law(Fans(fan_in=2, fan_out=100))
    FixedLengthRows(length=7.0)

    Need: one rule for every weight
    Formula: every row of W has the length 0.7·outputs^(1/inputs), in a random direction; as a recipe the biases are
        U(±that length), so that the planes W·x + b = 0 lie all over the cube [-1, 1]^inputs.
    Use it for: small regression networks with one hidden layer of tanh, and inputs scaled to [-1, 1].
    Not for: many inputs (the length tends to 0.7, whatever the data's size) and deep networks: no second moment is
        aimed at. Inputs outside of [-1, 1] saturate.
    Parts: a part needs the rows that it touches, and no others.
    Source: Nguyen and Widrow (1990), "Improving the Learning Speed of 2-Layer Neural Networks by Choosing Initial
        Values of the Adaptive Weights".
    """

    def law(self, fans: Fans | None = None) -> Law:
        """Return rows of length 0.7·fan_out^(1/fan_in)."""
        return FixedLengthRows(self._length(fans))

    def bias(self, fans: Fans | None) -> Law:
        """Return the law of the biases of a layer with these fans, U(±length)."""
        length = self._length(fans)
        return Uniform(-length, length)

    def _length(self, fans: Fans | None) -> float:
        known = required(fans, self)
        return float(0.7 * math.pow(known.fan_out, 1 / known.fan_in))
