"""Identities that are repeated until they fill a matrix: IDInit's, and the tanh rule's with noise on top."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero
from wellbegun.laws.basic import FARTHEST_NORMAL
from wellbegun.laws.fans import Fans
from wellbegun.laws.indexed import OrientedLaw
from wellbegun.laws.initializer import Initializer, Law, required, scale
from wellbegun.sampler import Draw, Stream, write


@dataclass(frozen=True, repr=False)
class PaddedIdentity(Law):
    """Identity matrices side by side until the layer is full: no input is dropped and no output is silent.

    >>> PaddedIdentity().points((2, 5))[0].tolist()
    [0, 6, 2, 8, 4]

    Need: residual networks
    Formula: W[i, j] = gain where i and j leave the same rest when divided by min(outputs, inputs), else 0.
    Use it for: layers that are not square in networks that start as the identity. IDInit is gain 1 in the layers of a
        residual branch and 1e-6 in the last one: recipe "idinit".
    Not for: convolutions: IDInit fills their kernels in a way of its own, which is left out here; use Dirac. Units that
        copy one input are told apart by training with momentum only.
    Parts: any part is computed alone.
    Args:
        gain: the number at the ones, above 0.
    Source: Pan et al. (2025), "IDInit: A Universal and Stable Initialization Method for Neural Network Training".
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix."""
        if len(shape) != 2:
            raise ArgumentError(f"{self!r} needs a tensor of two dimensions, got shape {shape}; for kernels see Dirac")

    def points(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], float]:
        """Return the repeated diagonals."""
        self.check_shape(shape)
        longer, shorter = np.arange(max(shape), dtype=np.int64), min(shape)
        wrapped = longer % max(shorter, 1)
        rows, columns = (longer, wrapped) if shape[0] >= shape[1] else (wrapped, longer)
        return (rows * shape[1] + columns)[: max(shape) if shorter else 0], self.gain

    def reach(self) -> float:
        """The gain."""
        return self.gain

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements: one in each min(shape) is the gain."""
        share = 1 / max(min(shape), 1)
        return self.gain * share, self.gain * math.sqrt(share * (1 - share))


@dataclass(frozen=True, repr=False)
class NoisyIdentity(OrientedLaw):
    """A number on the diagonal, repeated for further outputs, and normal noise on every element.

    >>> NoisyIdentity(std=0.01)
    NoisyIdentity(std=0.01)

    Need: deep networks without normalisation
    Formula: W[i, j] = gain·[i = j modulo inputs] + N(0, std²), i counting outputs and j inputs.
    Use it for: what `tanh_fixed_point` becomes once the number of inputs is known.
    Not for: a std that shall fit the width by itself: use TanhFixedPoint.
    Parts: any part is computed alone.
    Args:
        std: of the noise, at least 0.
        gain: the number on the diagonal, above 0.
        inputs_first: a matrix stored as [inputs, outputs], as in x @ W; planning reads it from the operation.
    Source: Lee, Choi and Kim (2025), "Robust Weight Initialization for Tanh Neural Networks with Fixed Point Analysis".
    """

    std: float
    gain: float = 1.0
    inputs_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))
        object.__setattr__(self, "std", _not_negative(self.std))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors that are no matrix."""
        if len(shape) != 2:
            raise ArgumentError(f"{self!r} needs a tensor of two dimensions, got shape {shape}")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:
        """Return a flat stretch: the numbers of Normal(std) there, and the ones."""
        values = np.empty(count, np.float64)
        write(values, Draw.normal(0.0, self.std), stream, first)
        out, into = self.places(shape, first, count)
        return np.asarray(values + self.gain * (out % max(self.matrix_shape(shape)[1], 1) == into), np.float64)

    def reach(self) -> float:
        """The diagonal, and 6.77 sigma of noise."""
        return self.gain + FARTHEST_NORMAL * self.std

    def scaled(self, factor: float) -> Law:
        """Diagonal and noise times the factor."""
        return replace(self, std=self.std * scale(factor), gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        share = 1 / max(self.matrix_shape(shape)[1], 1)
        return self.gain * share, math.sqrt(self.std**2 + self.gain**2 * share * (1 - share))


@dataclass(frozen=True, repr=False)
class TanhFixedPoint(Initializer):
    """An identity with a little noise, for tanh: each unit hands its own value on, however deep the network is.

    >>> TanhFixedPoint().law(Fans(fan_in=100, fan_out=100))
    NoisyIdentity(std=0.0085)

    Need: deep networks without normalisation
    Formula: W = D + Z with D[i, j] = 1 where i = j modulo the number of inputs, Z ~ N(0, noise²/fan_in); biases 0.
    Use it for: very deep or very narrow plain tanh networks, and small tanh networks that solve equations: without the
        noise a unit's value falls like sqrt(1.5/depth), and not exponentially.
    Not for: other activations (ReLU would cut the negative half at once), and convolutions: refused. Units stay close
        to one input each until training mixes them.
    Parts: any part is computed alone.
    Args:
        noise: factor of the noise's standard deviation, at least 0; the paper's value is 0.085.
    Source: Lee, Choi and Kim (2025), "Robust Weight Initialization for Tanh Neural Networks with Fixed Point Analysis",
        section 3.2.
    """

    noise: float = 0.085

    def __post_init__(self) -> None:
        _not_negative(self.noise, "noise")

    def law(self, fans: Fans | None = None) -> Law:
        """Return the identity with noise of standard deviation noise/sqrt(fan_in)."""
        return NoisyIdentity(self.noise / math.sqrt(required(fans, self).fan_in))


def _not_negative(value: float, name: str = "std") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ArgumentError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(np.float32(value))
