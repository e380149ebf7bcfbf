"""Biases of gates that say how long a recurrent network remembers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.arguments import whole
from wellbegun.laws.indexed import IndexedLaw
from wellbegun.laws.initializer import Law, single
from wellbegun.sampler import Draw, Stream, write


@dataclass(frozen=True, repr=False)
class ChronoBias(IndexedLaw):
    """Chrono biases: the units of an LSTM remember for times spread from 1 to the longest that matters.

    >>> ChronoBias(longest=100)
    ChronoBias(longest=100.0)

    Need: recurrent and state-space networks
    Formula: forget gate b_f = ln u, u ~ U(1, longest - 1), so that a unit keeps u/(1 + u) of its state a step;
        input gate b_i = -b_f; every other gate 0.
    Use it for: the gate biases of an LSTM whose task has a known longest delay. As a recipe for a whole model:
        "chrono(longest=100)", which sets the other of torch's two biases to 0.
    Not for: GRUs, whose one gate does both (the recipe names them), and tasks without such a delay.
    Parts: any part is computed alone.
    Args:
        longest: longest delay in steps, above 2.
        gates: equal blocks that the biases are split into.
        forget, input: which of them are the forget and the input gate; torch's order is input, forget, cell, output.
    Source: Tallec and Ollivier (2018), "Can recurrent neural networks warp time?", section 2.
    """

    longest: float
    gates: int = 4
    forget: int = 1
    input: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", single("longest", self.longest))
        if not self.longest > 2:
            raise ArgumentError(f"longest must be above 2 steps, got {self.longest!r}")
        whole("gates", self.gates, 2)
        for name, place in (("forget", self.forget), ("input", self.input)):
            if whole(name, place, 0) >= self.gates:
                raise ArgumentError(f"{name} must be one of the gates 0 to {self.gates - 1}, got {place!r}")
        if self.forget == self.input:
            raise ArgumentError(f"forget and input must be two gates, both are {self.forget}")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless it is a vector of equal blocks."""
        if len(shape) != 1 or shape[0] % self.gates:
            raise ArgumentError(f"{self!r} needs a vector of {self.gates} equal blocks, got shape {shape}")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:
        """Return a stretch; the input gate repeats the numbers of the forget gate with the other sign."""
        width = shape[0] // self.gates
        drawn = np.empty(width, np.float64)
        write(drawn, Draw.uniform(1.0, self.longest - 1.0), stream, self.forget * width)
        gate, place = np.divmod(np.arange(first, first + count, dtype=np.int64), max(width, 1))
        sign = (gate == self.forget).astype(np.float64) - (gate == self.input)
        return np.asarray(sign * np.log(drawn)[place], np.float64)

    def reach(self) -> float:
        """ln(longest - 1)."""
        return math.log(self.longest - 1)

    def scaled(self, factor: float) -> Law:  # noqa: ARG002
        """Refuse: the numbers are times."""
        raise ArgumentError(f"{self!r} cannot be scaled: its numbers say for how many steps a unit remembers")

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation over all biases: those of the two gates cancel."""
        high = self.longest - 1  # E ln²u = (h·ln²h - 2(h·ln h - h + 1)) / (h - 1)
        log = math.log(high)
        second = (high * log**2 - 2 * (high * log - high + 1)) / (high - 1)
        return 0.0, math.sqrt(2 * second / self.gates)
