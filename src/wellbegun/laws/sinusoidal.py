"""Weights that are waves: each unit a sine of its own frequency over the inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import above_zero
from wellbegun.laws.indexed import IndexedLaw
from wellbegun.laws.initializer import Law, scale
from wellbegun.sampler import Stream


@dataclass(frozen=True, repr=False)
class Sinusoidal(IndexedLaw):
    """Deterministic waves in place of random numbers: unit i is a sine of frequency i over the inputs.

    >>> Sinusoidal()
    Sinusoidal(gain=1.0)

    Need: one rule for every weight
    Formula: W[i, j] = a·sin(i·(2π·j/n + 2π/m)) for i = 1 ... m outputs and j = 0 ... n - 1 inputs (taps counted with
        them), a such that the variance of all elements, divided by m·n - 1, is gain²·2/(m + n), Xavier's.
    Use it for: starts without a seed; comparing with random weights what the paper's claim (4.8 points of accuracy and
        21% fewer steps, on average) comes to on your problem.
    Not for: ReLU networks of many layers, whose variance Xavier's rule halves. Rows that are a multiple of n apart have
        the same frequency. Weights stored as [inputs, outputs] get waves over the outputs.
    Parts: any part is computed alone.
    Args:
        gain: factor on the standard deviation, above 0.
    Source: Fernández-Hernández et al. (2025), "Sinusoidal Initialization, Time for a New Start", and its published
        code, which this follows.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", above_zero("gain", self.gain))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for tensors of fewer than two dimensions, or so small that all waves are 0."""
        if len(shape) < 2:
            raise ArgumentError(f"{self!r} needs a tensor of at least two dimensions, got shape {shape}")
        if math.prod(shape) and not _statistics(*_matrix(shape))[1]:
            raise ArgumentError(f"{self!r}: the waves of a tensor of shape {shape} are 0 at every element; use Xavier")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:  # noqa: ARG002
        """Return a flat stretch."""
        outputs, inputs = _matrix(shape)
        rows, columns = np.divmod(np.arange(first, first + count, dtype=np.int64), inputs)
        # the frequencies are whole: reduced before the sine, so that large products lose no digits
        turns = ((rows + 1) * columns % inputs) / inputs + (rows + 1) / outputs
        variance = _statistics(outputs, inputs)[1]
        size = outputs * inputs
        unbiased = variance * size / (size - 1)
        return self.gain * math.sqrt(2 / (unbiased * (outputs + inputs))) * np.sin(2 * math.pi * turns)

    def reach(self) -> float:
        """Not known without the shape."""
        return math.inf

    def scaled(self, factor: float) -> Law:
        """The gain times the factor."""
        return replace(self, gain=self.gain * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        outputs, inputs = _matrix(shape)
        mean, variance = _statistics(outputs, inputs)
        size = outputs * inputs
        if variance == 0 or size < 2:
            return 0.0, 0.0
        factor = self.gain * math.sqrt(2 * (size - 1) / size / (variance * (outputs + inputs)))
        return factor * mean, factor * math.sqrt(variance)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], math.prod(shape[1:])


def _statistics(outputs: int, inputs: int) -> tuple[float, float]:
    """Mean and variance of the waves before they are scaled: a whole wave sums to 0, its square to half a row."""
    if outputs * inputs == 0:
        return 0.0, 0.0
    number = np.arange(1, outputs + 1, dtype=np.int64)
    phase = np.sin(2 * math.pi * number / outputs)
    constant = number % inputs == 0
    squares = np.where(2 * number % inputs == 0, phase**2, 0.5)  # of frequencies that only see the phase, up to signs
    mean = float(phase[constant].sum() / outputs)
    variance = float(squares.mean()) - mean**2
    return mean, variance if variance > 1e-12 else 0.0
