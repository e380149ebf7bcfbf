"""ZerO's weights: identities, and a Hadamard matrix where a layer has more outputs than inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero
from wellbegun.laws.indexed import OrientedLaw
from wellbegun.laws.initializer import Law, scale
from wellbegun.sampler import Stream


@dataclass(frozen=True, repr=False)
class Hadamard(OrientedLaw):
    """Deterministic weights of zeros and plus or minus one number: ZerO's identity and Hadamard matrices.

    >>> Hadamard()
    Hadamard(gain=1.0)
    >>> Hadamard().stretch(None, (3, 2), 0, 6).reshape(3, 2).tolist()
    [[0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]

    Need: deep networks without normalisation
    Formula: outputs <= inputs: W[i, i] = gain, else 0. outputs > inputs: W[i, j] = gain·2^(-m/2)·(-1)^(number of common
        ones in the binary digits of i and j), m = ceil(log2 outputs): the corner of a Hadamard matrix. Kernels of
        convolutions: this matrix at the centre tap, 0 elsewhere.
    Use it for: starts without a seed: two runs are equal to the bit whatever the machine, and widening layers have full
        rank, which a partial identity does not. In residual networks with zeros at the end of each branch:
        "zero_residual(base='hadamard')" is ZerO.
    Not for: better accuracy than random weights (the paper reports the same within its error). Grouped convolutions:
        the groups start as copies of one another. The paper's text prints the factor 2^(-(m-1)/2), sqrt(2) more; the
        authors' code has 2^(-m/2), and so has this. With outputs a power of two that is an isometry.
    Parts: any part is computed alone.
    Args:
        gain: factor on all numbers, above 0.
        inputs_first: a matrix stored as [inputs, outputs], as in x @ W; planning reads it from the operation.
    Source: Zhao, Schäfer and Anandkumar (2022), "ZerO Initialization: Initializing Neural Networks with only Zeros and
        Ones", algorithm 1, and the authors' notebook.
    """

    gain: float = 1.0
    inputs_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are neither a matrix nor a kernel."""
        if not 2 <= len(shape) <= 5:
            raise ArgumentError(f"{self!r} needs a matrix or a kernel of 3 to 5 dimensions, got shape {shape}")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:  # noqa: ARG002
        """Return a flat stretch."""
        taps = math.prod(shape[2:])
        index, tap = np.divmod(np.arange(first, first + count, dtype=np.int64), max(taps, 1))
        rows, columns = np.divmod(index, max(shape[1], 1))
        out, into = (columns, rows) if self.inputs_first else (rows, columns)
        outputs, inputs = self.matrix_shape(shape)
        if outputs <= inputs:
            values = self.gain * (out == into).astype(np.float64)
        else:
            signs = 1.0 - 2.0 * (np.bitwise_count(out & into) % 2)
            values = self._factor(outputs) * signs
        middle = int(np.ravel_multi_index([size // 2 for size in shape[2:]], shape[2:])) if taps else 0
        return np.where(tap == middle, values, 0.0)

    def reach(self) -> float:
        """The gain."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        outputs, inputs = self.matrix_shape(shape)
        size = max(math.prod(shape), 1)
        if outputs <= inputs:
            mean, second = outputs * self.gain / size, outputs * self.gain**2 / size
        else:
            factor = self._factor(outputs)
            mean, second = factor * _signs(outputs, inputs) / size, factor**2 * outputs * inputs / size
        return mean, math.sqrt(max(second - mean**2, 0.0))

    def _factor(self, outputs: int) -> float:
        return self.gain * math.pow(2.0, -((outputs - 1).bit_length()) / 2)


def _signs(rows: int, columns: int) -> float:
    """Sum of the corner of a Hadamard matrix, by the blocks that the binary digits of `rows` cut it into."""
    column, total, start = np.arange(columns, dtype=np.int64), 0.0, 0
    for bit in reversed(range(rows.bit_length())):
        if rows >> bit & 1:
            alone = column % (1 << bit) == 0  # of a column with a digit below, a block of 2^bit rows sums to 0
            total += (1 << bit) * float((1.0 - 2.0 * (np.bitwise_count(column & start) % 2))[alone].sum())
            start += 1 << bit
    return total
