"""Laws that shape the whole matrix and not only its elements: orthogonal and mirrored orthogonal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law, single
from wellbegun.sampler import Stream, orthogonal


@dataclass(frozen=True, repr=False)
class Orthogonal(Law):
    """Random rotations: every direction keeps its length, so depth neither stretches nor flattens the signal.

    >>> Orthogonal(gain=1.0)
    Orthogonal(gain=1.0)

    Formula: W = gain·Q, Q drawn from the Haar measure; WᵀW or WWᵀ (the smaller one) is gain²·I. Dimensions after the
        first are taken together, as torch does.
    Use it for: deep plain networks (with the activation's own gain), recurrent weights, policy networks.
    Not for: convolutions as an isometry: an orthogonal kernel matrix is no isometry of the convolution. A layer with
        more outputs than inputs shrinks the mean square by inputs/outputs: put sqrt(outputs/inputs) into the gain.
    Args:
        gain: every singular value of W, above 0.
    Source: Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks"; drawn after Stewart (1980).
    """

    gain: float = 1.0
    structured = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", _above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix."""
        if len(shape) < 2:
            raise ArgumentError(f"{self!r} needs a tensor of at least two dimensions, got shape {shape}")

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return gain·Q in this shape."""
        self.check_shape(shape)
        matrix = orthogonal(stream, shape[0], math.prod(shape[1:])).astype(dtype) * np.float32(self.gain)
        return matrix.reshape(shape)

    def reach(self) -> float:
        """The gain: no element of Q exceeds 1."""
        return self.gain

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element: Q has min(rows, columns) units of square in all."""
        longer = max(shape[0], math.prod(shape[1:]), 1)
        return 0.0, self.gain / math.sqrt(longer)


@dataclass(frozen=True, repr=False)
class MirroredOrthogonal(Law):
    """Mirrored ("looks linear") orthogonal weights: a ReLU, GELU or SiLU network starts as an exact rotation.

    >>> MirroredOrthogonal(gain=1.0)
    MirroredOrthogonal(gain=1.0)

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
        object.__setattr__(self, "gain", _above_zero("gain", self.gain))
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
    ) -> NDArray[Any]:
        """Return the mirrored matrix."""
        self.check_shape(shape)
        height, width = shape[0] // (1 + self.rows), shape[1] // (1 + self.columns)
        matrix = orthogonal(stream, height, width).astype(dtype) * np.float32(self.gain)
        if self.columns:
            matrix = np.concatenate([matrix, -matrix], axis=1)
        return np.concatenate([matrix, -matrix], axis=0) if self.rows else matrix

    def reach(self) -> float:
        """The gain: no element of Q exceeds 1."""
        return self.gain

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element."""
        longer = max(shape[0] // (1 + self.rows), shape[1] // (1 + self.columns), 1)
        return 0.0, self.gain / math.sqrt(longer)


def _above_zero(name: str, value: float) -> float:
    rounded = single(name, value)
    if rounded <= 0:
        raise ArgumentError(f"{name} must be above 0, got {value!r}")
    return rounded
