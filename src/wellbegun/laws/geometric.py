"""Laws that shape the whole matrix and not only its elements: orthogonal, mirrored and delta-orthogonal."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero, whole
from wellbegun.laws.initializer import Floats, Law, scale
from wellbegun.sampler import Stream, orthogonal


@dataclass(frozen=True, repr=False)
class Orthogonal(Law):
    """Random rotations: every direction keeps its length, so depth neither stretches nor flattens the signal.

    >>> Orthogonal(gain=1.0)
    Orthogonal(gain=1.0)
    >>> Orthogonal(blocks=4)  # the gates of an LSTM
    Orthogonal(gain=1.0, blocks=4)

    Need: deep networks without normalisation
    Formula: W = gain·Q, Q drawn from the Haar measure; WᵀW or WWᵀ (the smaller one) is gain²·I. Dimensions after the
        rows are taken together, as torch does.
    Use it for: deep plain networks (with the activation's own gain), recurrent weights, policy networks. blocks for
        gates, heads or groups that share one tensor, batch for stacks of experts: each matrix is then orthogonal by
        itself, and its numbers are its own.
    Not for: convolutions as an isometry: an orthogonal kernel matrix is no isometry of the convolution; see
        `delta_orthogonal`. A layer with more outputs than inputs shrinks the mean square by inputs/outputs: put
        sqrt(outputs/inputs) into the gain.
    Args:
        gain: every singular value of W, above 0.
        blocks: equal parts that the rows are split into, each orthogonal by itself (4 for the gates of an LSTM).
        batch: leading dimensions that count matrices (1 for experts stored as [expert, in, out]).
    Source: Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks"; drawn after Stewart (1980).
    """

    gain: float = 1.0
    blocks: int = 1
    batch: int = 0
    structured = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))
        whole("blocks", self.blocks, 1)
        whole("batch", self.batch, 0)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix, or whose rows do not split into the blocks."""
        least = self.batch + 2
        if len(shape) < least:
            counting = f" ({self.batch} of them count matrices)" if self.batch else ""
            needed = f"at least {'two' if least == 2 else least} dimensions{counting}"
            raise ArgumentError(f"{self!r} needs a tensor of {needed}, got shape {shape}")
        rows = shape[self.batch]
        if rows % self.blocks:
            raise ArgumentError(
                f"{self!r} cannot split {rows} rows of shape {shape} into {self.blocks} equal blocks; "
                f"choose a number of blocks that divides {rows}"
            )

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return gain·Q in this shape, or one gain·Q after the other."""
        self.check_shape(shape)
        values = np.empty(shape, dtype) if out is None else out
        rows, columns = self._matrix(shape)
        count = math.prod(shape[: self.batch]) * self.blocks
        for i, matrix in enumerate(values.reshape(count, rows, columns)):
            orthogonal(stream, rows, columns, dtype, i * rows * columns, out=matrix)
        return _scaled(values, self.gain)

    def reach(self) -> float:
        """The gain: no element of Q exceeds 1."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element: Q has min(rows, columns) units of square in all."""
        return 0.0, self.gain / math.sqrt(max(*self._matrix(shape), 1))

    def _matrix(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of one of the matrices."""
        return shape[self.batch] // self.blocks, math.prod(shape[self.batch + 1 :])


@dataclass(frozen=True, repr=False)
class MirroredOrthogonal(Law):
    """Mirrored ("looks linear") orthogonal weights: a ReLU, GELU or SiLU network starts as an exact rotation.

    >>> MirroredOrthogonal(gain=1.0)
    MirroredOrthogonal(gain=1.0)

    Need: deep networks without normalisation
    Formula: W = gain·[[Q, -Q], [-Q, Q]] with Q orthogonal: units come in pairs u, -u, and f(u) - f(-u) is all that the
        next layer sees. Where that difference is c·u (ReLU, GELU, SiLU, softplus: c = 1), gain = 1/c makes every layer
        an isometry. First layer: rows only, gain·[Q; -Q]; last layer: columns only, gain·[Q, -Q].
    Use it for: deep plain networks (about 6 hidden layers and more) of even width with such an activation.
    Not for: tanh, sigmoid, ELU, Mish, whose odd part is not linear, and odd widths. Half of the width starts as the
        mirror image of the other half, until training parts them.
    Args:
        gain: singular values of the linear map that the network starts as, above 0.
        rows: outputs come in pairs; needs an even number of them.
        columns: inputs come in pairs; needs an even number of them.
    Source: Balduzzi et al. (2017), "The Shattered Gradients Problem", section 4; Burkholz and Dubatovka (2019),
        "Initialization of ReLUs for Dynamical Isometry".
    """

    gain: float = 1.0
    rows: bool = True
    columns: bool = True
    structured = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))
        for name, value in (("rows", self.rows), ("columns", self.columns)):
            if not isinstance(value, bool):
                raise ArgumentError(f"{name} must be True or False, not {value!r}")
        if not (self.rows or self.columns):
            raise ArgumentError("rows and columns are both False: nothing is mirrored; use Orthogonal")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless the mirrored dimensions are even."""
        if len(shape) != 2:
            raise ArgumentError(f"{self!r} needs a matrix, got shape {shape}")
        for mirrored, size, what in ((self.rows, shape[0], "rows"), (self.columns, shape[1], "columns")):
            if mirrored and size % 2:
                raise ArgumentError(f"{self!r} needs an even number of {what}, got shape {shape}")

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the mirrored matrix."""
        self.check_shape(shape)
        height, width = shape[0] // (1 + self.rows), shape[1] // (1 + self.columns)
        matrix = _scaled(orthogonal(stream, height, width, dtype), self.gain)
        if self.columns:
            matrix = np.concatenate([matrix, -matrix], axis=1)
        return np.concatenate([matrix, -matrix], axis=0) if self.rows else matrix

    def reach(self) -> float:
        """The gain: no element of Q exceeds 1."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element."""
        longer = max(shape[0] // (1 + self.rows), shape[1] // (1 + self.columns), 1)
        return 0.0, self.gain / math.sqrt(longer)


@dataclass(frozen=True, repr=False)
class DeltaOrthogonal(Law):
    """Convolutions that start as a rotation of the channels at every pixel: signals of any depth keep their length.

    >>> DeltaOrthogonal(gain=1.0)
    DeltaOrthogonal(gain=1.0)

    Need: deep networks without normalisation
    Formula: W[:, :, centre] = gain·Q with Q of [outputs, inputs] drawn from the Haar measure and QᵀQ = I; every other
        tap is 0. The centre of a kernel of size k is k // 2 (counted from 0) in each dimension.
    Use it for: very deep plain convolutional networks (with the activation's own gain); with stride 1 and circular
        padding the layer multiplies every length by exactly gain.
    Not for: layers with fewer outputs than inputs, which no matrix can make an isometry: refused. Zero padding costs
        nothing with odd kernels padded by k // 2; an even kernel has no middle, so its image moves by half a pixel
        and, without circular padding, loses a border. Grouped convolutions: each group is a matrix of its own, so
        the tensor's [outputs, inputs/groups] is not the operation.
    Args:
        gain: every singular value of the convolution, above 0.
    Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington (2018), "Dynamical Isometry and a Mean Field Theory
        of CNNs: How to Train 10,000-Layer Vanilla Convolutional Neural Networks".
    """

    gain: float = 1.0
    structured = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless it is the kernel of a convolution that does not lose channels."""
        if not 3 <= len(shape) <= 5:
            raise ArgumentError(f"{self!r} needs a kernel of 3 to 5 dimensions [out, in, size ...], got shape {shape}")
        if shape[0] < shape[1]:
            raise ArgumentError(
                f"{self!r} needs at least as many outputs as inputs to keep lengths, got {shape[0]} outputs for "
                f"{shape[1]} inputs in shape {shape}; use Orthogonal for a layer that drops channels"
            )

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return zeros with gain·Q in the centre."""
        self.check_shape(shape)
        kernel = np.zeros(shape, dtype)
        if kernel.size:
            middle = np.ravel_multi_index([size // 2 for size in shape[2:]], shape[2:])
            taps = kernel.reshape(shape[0], shape[1], -1)
            taps[:, :, middle] = _scaled(orthogonal(stream, shape[0], shape[1], dtype), self.gain)
        return kernel

    def reach(self) -> float:
        """The gain: no element of Q exceeds 1."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element: inputs units of square in all."""
        return 0.0, self.gain / math.sqrt(max(shape[0] * math.prod(shape[2:]), 1))


def _scaled(matrix: NDArray[Any], gain: float) -> NDArray[Any]:
    """Multiply in place."""
    if gain != 1:
        np.multiply(matrix, matrix.dtype.type(gain), out=matrix)
    return matrix
