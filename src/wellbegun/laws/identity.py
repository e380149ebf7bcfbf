"""Laws that pass their input through, zero but at a few points: identity matrices and Dirac kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero, whole
from wellbegun.laws.initializer import Law, scale


@dataclass(frozen=True, repr=False)
class Identity(Law):
    """The identity matrix: a layer that starts by handing on what it gets.

    >>> Identity().points((2, 3))[0].tolist()
    [0, 4]

    Need: recurrent and state-space networks
    Formula: W[i, i] = gain, every other element 0; of a matrix that is not square, the first min(rows, columns).
    Use it for: recurrent weights of ReLU units (the state then stays as it is), layers added to a trained network.
    Not for: a stack of layers of a plain network: their units are tied to one input each, and a matrix that is not
        square drops inputs or leaves outputs at zero.
    Args:
        gain: the number on the diagonal, above 0.
    Source: Le, Jaitly and Hinton (2015), "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units".
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix."""
        if len(shape) != 2:
            raise ArgumentError(f"{self!r} needs a tensor of two dimensions, got shape {shape}; for kernels see Dirac")

    def points(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], float]:
        """Return the diagonal."""
        self.check_shape(shape)
        return np.arange(min(shape), dtype=np.int64) * (shape[1] + 1), self.gain

    def reach(self) -> float:
        """The gain."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        return _moments(min(shape), math.prod(shape), self.gain)


@dataclass(frozen=True, repr=False)
class Dirac(Law):
    """Convolution kernels that pass channels through unchanged.

    >>> Dirac().points((2, 2, 3))[0].tolist()
    [1, 10]

    Need: deep networks without normalisation
    Formula: W[g·m + d, d, centre] = gain for every group g and d < min(m, inputs), where m = outputs/groups is the
        number of outputs of a group and inputs counts those of one group; every other element 0. The centre of a
        kernel of size k is k // 2 (counted from 0) in each dimension, also where k is even: torch's `dirac_`.
    Use it for: convolutions added to a trained network, deep networks without shortcuts (DiracNets).
    Not for: a whole plain network: channels that only copy are alike in every layer until training parts them, and
        outputs beyond the inputs of their group stay zero.
    Args:
        groups: of the convolution; each passes its own channels through.
        gain: the number at the centre, above 0.
    Source: Zagoruyko and Komodakis (2017), "DiracNets: Training Very Deep Neural Networks Without Skip-Connections".
    """

    groups: int = 1
    gain: float = 1.0

    def __post_init__(self) -> None:
        whole("groups", self.groups, 1)
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless it is a convolution's kernel whose outputs split into the groups."""
        if not 3 <= len(shape) <= 5:
            raise ArgumentError(
                f"{self!r} needs a kernel of 3 to 5 dimensions [out, in, size ...], got shape {shape}; "
                "for matrices see Identity"
            )
        if shape[0] % self.groups:
            raise ArgumentError(
                f"{self!r} cannot split {shape[0]} outputs of shape {shape} into {self.groups} equal groups; "
                f"choose a number of groups that divides {shape[0]}"
            )

    def points(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], float]:
        """Return the centre of every kernel that passes a channel through."""
        self.check_shape(shape)
        kernel, outputs = shape[2:], shape[0] // self.groups
        if 0 in shape:
            return np.empty(0, np.int64), self.gain
        centre = int(np.ravel_multi_index([size // 2 for size in kernel], kernel))
        channel = np.arange(min(outputs, shape[1]), dtype=np.int64)
        output = np.arange(self.groups, dtype=np.int64)[:, None] * outputs + channel
        return ((output * shape[1] + channel) * math.prod(kernel) + centre).reshape(-1), self.gain

    def reach(self) -> float:
        """The gain."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        count = self.groups * min(shape[0] // self.groups, shape[1])
        return _moments(count, math.prod(shape), self.gain)


def _moments(count: int, size: int, value: float) -> tuple[float, float]:
    """Mean and standard deviation of `size` elements of which `count` have the value and the others are zero."""
    share = count / size if size else 0.0
    return value * share, value * math.sqrt(share * (1 - share))
