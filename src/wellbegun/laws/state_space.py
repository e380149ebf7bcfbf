"""Starts of state-space models: decay rates, frequencies, and the steps of time they are sampled with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero
from wellbegun.laws.computed import Computed
from wellbegun.laws.fans import Fans
from wellbegun.laws.indexed import IndexedLaw
from wellbegun.laws.initializer import Initializer, Law
from wellbegun.sampler import Stream

_WHY_FIXED = "its numbers are rates that the model exponentiates or discretises: scaled they mean another memory"


class _Ramp(IndexedLaw):
    """A function of the place along the last dimension."""

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for a scalar."""
        if not shape:
            raise ArgumentError(f"{self!r} needs a tensor of at least one dimension, the states; got a scalar")

    def reach(self) -> float:
        """Not known without the number of states."""
        return math.inf

    def scaled(self, factor: float) -> Law:  # noqa: ARG002
        """Refuse."""
        raise ArgumentError(f"{self!r} cannot be scaled: {_WHY_FIXED}")

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over the states; nan without a shape."""
        if not shape:
            return math.nan, math.nan
        values = self.along(np.arange(shape[-1], dtype=np.float64))
        return (float(values.mean()), float(values.std())) if values.size else (0.0, 0.0)

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:  # noqa: ARG002
        """Return a flat stretch."""
        return self.along((np.arange(first, first + count, dtype=np.int64) % max(shape[-1], 1)).astype(np.float64))

    def along(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers of states 0, 1, 2 ..."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class S4DReal(_Ramp):
    """Decay rates 1, 2, 3 ... along the states, stored as logarithms: S4D-Real, and Mamba's A_log.

    >>> S4DReal().stretch(None, (4,), 0, 4).round(4).tolist()
    [0.0, 0.6931, 1.0986, 1.3863]

    Need: recurrent and state-space networks
    Formula: W[..., n] = ln(n + 1), so that A = -exp(W) has the rates -1, -2, ... -N, the spectrum of HiPPO-LegS.
    Use it for: A_log of Mamba and of diagonal state-space models with real states.
    Not for: any other weight. A generic rule over it makes all states forget at the same rate.
    Parts: any part is computed alone.
    Source: Gu, Gupta, Goel and Ré (2022), "On the Parameterization and Initialization of Diagonal State Space Models";
        Gu and Dao (2023), Mamba, and its published code.
    """

    def along(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ln(n + 1)."""
        return np.log1p(place)


@dataclass(frozen=True, repr=False)
class S4DLin(_Ramp):
    """Frequencies 0, π, 2π ... along the states: the imaginary part of S4D-Lin.

    >>> S4DLin().stretch(None, (3,), 0, 3).round(4).tolist()
    [0.0, 3.1416, 6.2832]

    Need: recurrent and state-space networks
    Formula: W[..., n] = π·n; together with the real part -1/2, stored as wb.Constant(ln 0.5), A = -1/2 + iπn.
    Use it for: A_imag of diagonal state-space models with complex states.
    Not for: any other weight.
    Parts: any part is computed alone.
    Source: Gu, Gupta, Goel and Ré (2022), "On the Parameterization and Initialization of Diagonal State Space Models",
        S4D-Lin, and its published code.
    """

    def along(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return π·n."""
        return math.pi * place


@dataclass(frozen=True, repr=False)
class HippoLegS(IndexedLaw):
    """HiPPO-LegS: the state that remembers the whole past as coefficients of Legendre polynomials.

    >>> HippoLegS().stretch(None, (2, 2), 0, 4).round(4).tolist()
    [-1.0, 0.0, -1.7321, -2.0]

    Need: recurrent and state-space networks
    Formula: a square matrix (or a stack of them): A[n, k] = -sqrt(2n + 1)·sqrt(2k + 1) for n > k, -(n + 1) for n = k,
        else 0; eigenvalues -1 ... -N. A vector: B[n] = sqrt(2n + 1).
    Use it for: the state matrix and the input vector of S4-like models that keep the full matrix.
    Not for: diagonal models (S4DReal, S4DLin), and models that normalise or transform A: give them wb.Stored.
    Parts: any part is computed alone.
    Source: Gu, Dao, Ermon, Rudra and Ré (2020), "HiPPO: Recurrent Memory with Optimal Polynomial
        Projections", theorem 2; Gu, Goel and Ré (2022), S4, and its published code (`transition`).
    """

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless it is a vector or square matrices."""
        if not shape or (len(shape) > 1 and shape[-1] != shape[-2]):
            raise ArgumentError(f"{self!r} needs a vector (B) or square matrices (A), got shape {shape}")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:  # noqa: ARG002
        """Return a flat stretch."""
        index = np.arange(first, first + count, dtype=np.int64)
        size = max(shape[-1], 1)
        k = index % size
        if len(shape) == 1:
            return np.asarray(np.sqrt(2.0 * k + 1), np.float64)
        n = index // size % size
        below = -np.sqrt(2.0 * n + 1) * np.sqrt(2.0 * k + 1)
        return np.asarray(np.where(n > k, below, np.where(n == k, -(n + 1.0), 0.0)), np.float64)

    def reach(self) -> float:
        """Not known without the number of states."""
        return math.inf

    def scaled(self, factor: float) -> Law:  # noqa: ARG002
        """Refuse."""
        raise ArgumentError(f"{self!r} cannot be scaled: {_WHY_FIXED}")

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements; nan without a shape."""
        if not shape:
            return math.nan, math.nan
        n = np.arange(shape[-1], dtype=np.float64)
        if not n.size:
            return 0.0, 0.0
        weights = 2 * n + 1
        if len(shape) == 1:
            return float(np.sqrt(weights).mean()), float(np.sqrt(weights).std())
        roots = np.sqrt(weights)
        total = -float(roots @ (np.cumsum(roots) - roots)) - float((n + 1).sum())
        squares = float(weights @ (np.cumsum(weights) - weights)) + float(((n + 1) ** 2).sum())
        mean = total / n.size**2
        return mean, math.sqrt(max(squares / n.size**2 - mean**2, 0.0))


@dataclass(frozen=True, repr=False)
class TimeStepBias(Initializer):
    """Biases behind which softplus gives steps of time that are log-uniform: Mamba's dt_bias.

    >>> TimeStepBias(low=0.01)
    TimeStepBias(low=0.01)

    Need: recurrent and state-space networks
    Formula: dt = max(exp(U(ln low, ln high)), floor); b = dt + ln(1 - exp(-dt)), the inverse of softplus.
    Use it for: dt_bias of Mamba-2, the bias of dt_proj in Mamba, and their kin.
    Not for: models whose step is stored as its logarithm: log-uniform is then U(ln low, ln high).
    Parts: any part is computed alone.
    Args:
        low, high: of the steps, 0 < low < high.
        floor: no step is smaller, at least 0.
    Source: Gu and Dao (2023), Mamba, section 3.6, and its published code (0.001, 0.1, 1e-4).
    """

    low: float = 0.001
    high: float = 0.1
    floor: float = 1e-4
    needs_fans = False

    def __post_init__(self) -> None:
        above_zero("low", self.low)
        if not self.low < self.high < math.inf:
            raise ArgumentError(f"high must lie above low, got low={self.low!r}, high={self.high!r}")
        if not 0 <= self.floor < self.high:
            raise ArgumentError(f"floor must be at least 0 and below high, got {self.floor!r}")

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return the program that draws them."""
        steps = (("uniform", math.log(self.low), math.log(self.high)), ("exp", "%0"), ("maximum", "%1", self.floor))
        back = (("neg", "%2"), ("expm1", "%3"), ("neg", "%4"), ("log", "%5"), ("add", "%2", "%6"))
        return Computed((*steps, *back))


@dataclass(frozen=True, repr=False)
class Mamba2Decay(Initializer):
    """Logarithms of uniform decay rates, one for each head: Mamba-2's A_log.

    >>> Mamba2Decay().law()
    Computed(steps=(('uniform', 1.0, 16.0), ('log', '%0')))

    Need: recurrent and state-space networks
    Formula: W = ln a, a ~ U(low, high); A = -exp(W).
    Use it for: A_log of Mamba-2 and of gated delta networks, one number a head.
    Not for: Mamba's A_log, which has one number for each channel and state: S4DReal.
    Parts: any part is computed alone.
    Args:
        low, high: of the rates, 0 < low < high.
    Source: Dao and Gu (2024), "Transformers are SSMs", and its published code (A_init_range 1 to 16).
    """

    low: float = 1.0
    high: float = 16.0
    needs_fans = False

    def __post_init__(self) -> None:
        above_zero("low", self.low)
        if not self.low < self.high < math.inf:
            raise ArgumentError(f"high must lie above low, got low={self.low!r}, high={self.high!r}")

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return the program that draws them."""
        return Computed((("uniform", self.low, self.high), ("log", "%0")))
