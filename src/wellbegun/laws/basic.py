"""Laws that ask nothing of the network: constants, plain random numbers, and keeping what is there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wellbegun.errors import ArgumentError
from wellbegun.laws.fans import Fans
from wellbegun.laws.initializer import Initializer, Law, required, scale, single
from wellbegun.sampler import Draw, Window

FARTHEST_NORMAL = 6.77
"""Sigmas that a float32 draw can reach: sqrt(2·33·ln 2) = 6.764 for the smallest u, 2^-33 (float64: 9.5)."""


@dataclass(frozen=True, repr=False)
class Constant(Law):
    """Every element the same number.

    >>> Constant(0.1)
    Constant(value=0.1)

    Need: single values and parts
    Formula: W = value.
    Use it for: biases, the scale (1) and shift (0) of normalisation layers, a gate that should start open.
    Not for: weight matrices: units with equal weights get equal gradients and stay copies of one another.
    Args:
        value: any float32 number.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.4 (breaking symmetry).
    """

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", single("value", self.value))

    def element_draw(self) -> Draw:
        """The constant."""
        return Draw.constant(self.value)

    def reach(self) -> float:
        """Magnitude of the constant."""
        return abs(self.value)

    def scaled(self, factor: float) -> Law:
        """The constant times the factor."""
        return Constant(self.value * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation."""
        return self.value, 0.0


@dataclass(frozen=True, repr=False)
class Zeros(Initializer):
    """Every element zero.

    >>> Zeros().law()
    Constant(value=0.0)

    Need: single values and parts
    Formula: W = 0.
    Use it for: biases, and the last layer of a residual branch, which then starts as the identity.
    Not for: weights in general: with zero weights no signal passes forward, no gradient passes back, nothing is learnt.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.4 (breaking symmetry).
    """

    needs_fans = False

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return Constant(0)."""
        return Constant(0.0)


@dataclass(frozen=True, repr=False)
class Ones(Initializer):
    """Every element one.

    >>> Ones().law()
    Constant(value=1.0)

    Need: single values and parts
    Formula: W = 1.
    Use it for: the scale of a normalisation layer.
    Not for: weight matrices: see `equal`.
    Source: Ioffe and Szegedy (2015), "Batch Normalization", section 3.
    """

    needs_fans = False

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return Constant(1)."""
        return Constant(1.0)


@dataclass(frozen=True, repr=False)
class Equal(Initializer):
    """All weights equal, at a scale that keeps the signal: only the symmetry is wrong.

    >>> Equal().law(Fans(fan_in=64, fan_out=64))
    Constant(value=0.015625)

    Need: one rule for every weight
    Formula: W = 1/fan_in, so that each unit is the mean of its inputs.
    Use it for: seeing why weights must differ. All units of a layer compute the same number and receive the same
        gradient, so the layer has one unit, however wide it is drawn.
    Not for: training.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.4 (breaking symmetry).
    """

    def law(self, fans: Fans | None = None) -> Law:
        """Return Constant(1/fan_in)."""
        return Constant(1.0 / required(fans, self).fan_in)


@dataclass(frozen=True, repr=False)
class Normal(Law):
    """Plain random normal numbers of a fixed size.

    >>> Normal(std=0.02)
    Normal(std=0.02)

    Need: one rule for every weight
    Formula: W ~ N(mean, std²).
    Use it for: embeddings, and networks whose published recipe fixes the number (GPT-2 and BERT: 0.02).
    Not for: deep networks without normalisation. A fixed std is right for one width only (0.02 for 2,500 inputs);
        std = 1 multiplies a signal by about sqrt(width) in every layer.
    Args:
        std: standard deviation, at least 0.
        mean: centre.
    Source: Radford et al. (2019), "Language Models are Unsupervised Multitask Learners" (std 0.02).
    """

    std: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", _not_negative("std", self.std))
        object.__setattr__(self, "mean", single("mean", self.mean))

    def element_draw(self) -> Draw:
        """N(mean, std²)."""
        return Draw.normal(self.mean, self.std)

    def reach(self) -> float:
        """Mean and 6.77 sigma, the farthest that 32 bits go."""
        return abs(self.mean) + FARTHEST_NORMAL * self.std

    def scaled(self, factor: float) -> Law:
        """Mean and standard deviation times the factor."""
        return Normal(self.std * scale(factor), self.mean * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation."""
        return self.mean, self.std


@dataclass(frozen=True, repr=False)
class Uniform(Law):
    """Plain random uniform numbers of a fixed size.

    >>> Uniform(-0.05, 0.05)
    Uniform(low=-0.05, high=0.05)

    Need: one rule for every weight
    Formula: W ~ U(low, high), standard deviation (high - low)/sqrt(12).
    Use it for: tables and heads whose published recipe fixes the bounds.
    Not for: deep networks without normalisation: fixed bounds are right for one width only (±0.05 for 1,200 inputs).
    Args:
        low, high: closed bounds, low below high.
    Source: Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.4; ±0.05 is the default of Keras's
        RandomUniform.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        low, high = single("low", self.low), single("high", self.high)
        if not low < high:
            raise ArgumentError(f"low must lie below high, got low={self.low!r}, high={self.high!r}; see Constant")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def element_draw(self) -> Draw:
        """U(low, high)."""
        return Draw.uniform(self.low, self.high)

    def bounds(self) -> tuple[float, float]:
        """Return (low, high)."""
        return self.low, self.high

    def scaled(self, factor: float) -> Law:
        """Both bounds times the factor."""
        return Uniform(self.low * scale(factor), self.high * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation."""
        return (self.low + self.high) / 2, (self.high - self.low) / math.sqrt(12)


@dataclass(frozen=True, repr=False)
class TruncatedNormal(Law):
    """Normal numbers without the tails, at the standard deviation that was asked for.

    >>> TruncatedNormal(std=0.02).law()
    TruncatedNormal(std=0.022736944, match_std=False)

    Need: one rule for every weight
    Formula: W = mean + s·z, z ~ N(0, 1) given low <= z <= high. With match_std, s = std / sd(z), so that W really has
        the standard deviation std (at ±2 the plain cut leaves 0.8796 of it); without, s = std.
    Use it for: transformers and vision models whose recipe asks for it; it keeps rare large weights out.
    Not for: copying numbers from `torch.nn.init.trunc_normal_`, whose bounds are absolute: at std 0.02 its default
        ±2 cuts at 100 sigma, that is, never.
    Args:
        std: standard deviation of the result (match_std=True) or of the normal before the cut.
        low, high: bounds in units of the normal's own sigma; either may be infinite.
        mean: centre of the normal before the cut.
        match_std: correct for what the cut takes away.
    Source: exact by redrawing single elements, or by the normal quantile (Wichura 1988, AS 241) where the window
        holds less than half of the mass; moments from Johnson, Kotz and Balakrishnan (1994), section 13.10.1.
    """

    std: float
    low: float = -2.0
    high: float = 2.0
    mean: float = 0.0
    match_std: bool = True

    def __post_init__(self) -> None:
        window = Window.of(self.low, self.high)
        for name, value in (("std", _not_negative("std", self.std)), ("low", window.low), ("high", window.high)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "mean", single("mean", self.mean))
        if not isinstance(self.match_std, bool):
            raise ArgumentError(f"match_std must be True or False, not {self.match_std!r}")

    @property
    def sigma(self) -> float:
        """Standard deviation of the normal before the cut."""
        return self.std / self._shape()[1] if self.match_std else self.std

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return the same law with sigma written out."""
        return TruncatedNormal(self.sigma, self.low, self.high, self.mean, match_std=False)

    def element_draw(self) -> Draw:
        """N(mean, sigma²) between the bounds."""
        return Draw.truncated(self.mean, single("sigma", self.sigma), Window.of(self.low, self.high))

    def bounds(self) -> tuple[float, float]:
        """Return mean + sigma·(low, high)."""
        draw = self.element_draw()
        return draw.low, draw.high

    def reach(self) -> float:
        """The farther bound; an open side goes 6.77 sigma beyond the other bound or the mean."""
        finite = [abs(side) for side in (self.low, self.high) if math.isfinite(side)]
        open_side = FARTHEST_NORMAL if len(finite) < 2 else 0.0
        return abs(self.mean) + single("sigma", self.sigma) * (max(finite, default=0.0) + open_side)

    def scaled(self, factor: float) -> Law:
        """Mean and sigma times the factor; the bounds are counted in sigmas."""
        return replace(self, std=self.std * scale(factor), mean=self.mean * scale(factor))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation."""
        mean, deviation = self._shape()
        return self.mean + self.sigma * mean, self.sigma * deviation

    def _shape(self) -> tuple[float, float]:
        """Mean and standard deviation of the standard normal inside the window."""
        window = Window.of(self.low, self.high)
        return window.mean, window.deviation


@dataclass(frozen=True, repr=False)
class Keep(Law):
    """Leave the tensor's own value: a buffer that its constructor has computed, a loaded weight.

    >>> Keep()
    Keep()
    """

    @property
    def keeps(self) -> bool:
        """All of it."""
        return True

    def writes(self, shape: tuple[int, ...]) -> int:  # noqa: ARG002
        """Nothing."""
        return 0

    def element_draw(self) -> Draw:
        """Refuse: there is nothing to write."""
        raise ArgumentError("Keep() leaves a tensor's own value: there is nothing to fill; use it in a plan's rules")

    def scaled(self, factor: float) -> Law:  # noqa: ARG002
        """Refuse: the value is the model's own."""
        raise ArgumentError("Keep() leaves a tensor's own value, which a plan cannot scale")

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Not known: the value is the model's own."""
        return math.nan, math.nan


def _not_negative(name: str, value: float) -> float:
    rounded = single(name, value)
    if rounded < 0:
        raise ArgumentError(f"{name} must not be negative, got {value!r}")
    return rounded
