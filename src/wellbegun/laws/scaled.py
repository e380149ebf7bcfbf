"""Rules that set the variance from the fans: Xavier, He, LeCun and the family they belong to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from wellbegun.errors import ArgumentError
from wellbegun.laws.basic import Normal, TruncatedNormal, Uniform
from wellbegun.laws.fans import Fans
from wellbegun.laws.initializer import Initializer, Law, required, single

_MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("normal", "uniform", "truncated_normal")


@dataclass(frozen=True, repr=False)
class VarianceScaling(Initializer):
    """The family that Xavier, He and LeCun belong to: a variance divided by a fan.

    >>> VarianceScaling(variance=2.0, mode="fan_in", distribution="normal").law(Fans(200, 100))
    Normal(std=0.1)

    Need: one rule for every weight
    Formula: Var(W) = variance / fan, with fan = fan_in, fan_out or their mean (fan_avg).
    Use it for: a published rule that is none of the named ones.
    Not for: guessing. `variance` is a variance, not a standard deviation: Kumar's "3.6" for sigmoid is a standard
        deviation and means variance=12.96 here.
    Args:
        variance: the numerator, above 0; what Keras and JAX call `scale`.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient, "fan_avg" compromises.
        distribution: "normal", "uniform" or "truncated_normal" (±2 sigma, corrected to the full variance).
    Source: He et al. (2015), eqs. 10 and 14; Glorot and Bengio (2010), eqs. 10 to 12.
    """

    variance: float
    mode: str = "fan_in"
    distribution: str = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "variance", _positive("variance", self.variance))
        one_of("mode", self.mode, _MODES)
        one_of("distribution", self.distribution, DISTRIBUTIONS)

    def law(self, fans: Fans | None = None) -> Law:
        """Return the law with Var(W) = variance / fan."""
        known = required(fans, self)
        fan = {"fan_in": known.fan_in, "fan_out": known.fan_out, "fan_avg": known.average}[self.mode]
        std = math.sqrt(self.variance / fan)
        if self.distribution == "uniform":
            return symmetric_uniform(std)
        return Normal(std) if self.distribution == "normal" else TruncatedNormal(std).law()


@dataclass(frozen=True, repr=False)
class FanInUniform(Initializer):
    """The older U(±1/sqrt(n)) that is often called Xavier and is not: it keeps only a third of the variance.

    >>> FanInUniform().law(Fans(fan_in=64, fan_out=64))
    Uniform(low=-0.125, high=0.125)

    Need: one rule for every weight
    Formula: W ~ U(-1/sqrt(fan_in), 1/sqrt(fan_in)), so fan_in·Var(W) = 1/3 and not 1.
    Use it for: reproducing PyTorch's own default (nn.Linear and nn.Conv draw weights and biases so), or shallow
        networks and layers followed by normalisation, where the lost scale does not matter.
    Not for: deep plain networks, and not where the name Xavier promises a kept variance. Each layer passes on a third
        of the variance (a sixth after ReLU) and as little of the gradient: 30 layers stay at chance.
    Source: Glorot and Bengio (2010), eq. 1, "commonly used heuristic", which that paper replaces by eq. 16.
    """

    def law(self, fans: Fans | None = None) -> Law:
        """Return U(±1/sqrt(fan_in))."""
        bound = 1.0 / math.sqrt(required(fans, self).fan_in)
        return Uniform(-bound, bound)


@dataclass(frozen=True, repr=False)
class XavierUniform(Initializer):
    """Xavier (Glorot) uniform weights: the compromise between keeping the signal and keeping the gradient.

    >>> XavierUniform().law(Fans(fan_in=100, fan_out=50))
    Uniform(low=-0.2, high=0.2)

    Need: one rule for every weight
    Formula: W ~ U(±gain·sqrt(6/(fan_in + fan_out))), so Var(W) = gain²·2/(fan_in + fan_out).
    Use it for: tanh and other odd functions that are nearly linear around 0, linear layers, attention projections.
    Not for: ReLU, which halves the second moment in every layer: after 30 layers 2^-30 of it is left; use He.
    Args:
        gain: factor on the standard deviation, above 0.
    Source: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
        eq. 16 ("normalized initialization").
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", _positive("gain", self.gain))

    def law(self, fans: Fans | None = None) -> Law:
        """Return U(±gain·sqrt(6/(fan_in + fan_out)))."""
        return symmetric_uniform(self.gain / math.sqrt(required(fans, self).average))


@dataclass(frozen=True, repr=False)
class XavierNormal(Initializer):
    """Xavier (Glorot) normal weights: the same variance as XavierUniform from a normal law.

    >>> XavierNormal().law(Fans(fan_in=100, fan_out=100))
    Normal(std=0.1)

    Need: one rule for every weight
    Formula: W ~ N(0, gain²·2/(fan_in + fan_out)).
    Use it for: tanh and other odd functions that are nearly linear around 0, linear layers.
    Not for: ReLU, which halves the second moment in every layer; use He.
    Args:
        gain: factor on the standard deviation, above 0.
    Source: Glorot and Bengio (2010), eq. 12.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", _positive("gain", self.gain))

    def law(self, fans: Fans | None = None) -> Law:
        """Return N(0, gain²·2/(fan_in + fan_out))."""
        return Normal(self.gain / math.sqrt(required(fans, self).average))


@dataclass(frozen=True, repr=False)
class _He(Initializer):
    """What both forms of He's rule share; the forms differ in the distribution."""

    nonlinearity: str = "relu"
    mode: str = "fan_in"
    distribution: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        one_of("mode", self.mode, _MODES)

    def law(self, fans: Fans | None = None) -> Law:
        """Return the law of variance gain²/fan."""
        variance = activation_gain(self.nonlinearity) ** 2
        return VarianceScaling(variance, self.mode, self.distribution).law(required(fans, self))


@dataclass(frozen=True, repr=False)
class HeNormal(_He):
    """He (Kaiming) normal weights: the variance that an activation takes away is given back.

    >>> HeNormal().law(Fans(fan_in=200, fan_out=10))
    Normal(std=0.1)
    >>> HeNormal(nonlinearity="tanh").law(Fans(fan_in=100, fan_out=10))
    Normal(std=0.15925375)

    Need: one rule for every weight
    Formula: W ~ N(0, gain²/fan); for ReLU gain² = 2, so 2/fan_in is the variance (the std is its root). For any other
        activation f, gain = 1/sqrt(E f(z)²) with z ~ N(0, 1).
    Use it for: ReLU networks and their relatives (leaky ReLU, PReLU).
    Not for: GELU, SiLU or Mish with the ReLU gain: the signal shrinks to nothing within 30 layers. With their own
        gain the scale is an unstable fixed point: use auto.
    Args:
        nonlinearity: name of the activation that feeds the layer (see `wellbegun gain`).
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient, "fan_avg" compromises.
    Source: He, Zhang, Ren and Sun (2015), "Delving Deep into Rectifiers", eqs. 10 and 14.
    """

    distribution = "normal"


@dataclass(frozen=True, repr=False)
class HeUniform(_He):
    """He (Kaiming) uniform weights: the same variance as HeNormal from a uniform law.

    >>> HeUniform().law(Fans(fan_in=150, fan_out=10))
    Uniform(low=-0.2, high=0.2)

    Need: one rule for every weight
    Formula: W ~ U(±gain·sqrt(3/fan)); for ReLU U(±sqrt(6/fan_in)).
    Use it for: ReLU networks and their relatives (leaky ReLU, PReLU).
    Not for: GELU, SiLU or Mish with the ReLU gain; see HeNormal. (`torch.nn.init.kaiming_uniform_(a=sqrt(5))`, the
        call inside nn.Linear, is FanInUniform and not He.)
    Args:
        nonlinearity: name of the activation that feeds the layer (see `wellbegun gain`).
        mode: "fan_in", "fan_out" or "fan_avg".
    Source: He, Zhang, Ren and Sun (2015), "Delving Deep into Rectifiers", eqs. 10 and 14.
    """

    distribution = "uniform"


@dataclass(frozen=True, repr=False)
class LecunNormal(Initializer):
    """LeCun normal weights: a linear layer keeps the variance of its input.

    >>> LecunNormal().law(Fans(fan_in=100, fan_out=10))
    Normal(std=0.1)

    Need: one rule for every weight
    Formula: W ~ N(0, 1/fan_in).
    Use it for: linear layers, SELU networks, tanh networks of moderate depth, layers fed by a normalisation.
    Not for: ReLU, which halves the second moment in every layer; use He.
    Source: LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", eq. 16; Klambauer et al. (2017) for SELU.
    """

    def law(self, fans: Fans | None = None) -> Law:
        """Return N(0, 1/fan_in)."""
        return Normal(1.0 / math.sqrt(required(fans, self).fan_in))


@dataclass(frozen=True, repr=False)
class LecunUniform(Initializer):
    """LeCun uniform weights: the same variance as LecunNormal from a uniform law.

    >>> LecunUniform().law(Fans(fan_in=75, fan_out=10))
    Uniform(low=-0.2, high=0.2)

    Need: one rule for every weight
    Formula: W ~ U(±sqrt(3/fan_in)).
    Use it for: linear layers, SELU networks, tanh networks of moderate depth.
    Not for: ReLU, which halves the second moment in every layer; use He. Not the same as FanInUniform, which has a
        third of this variance.
    Source: LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", eq. 16.
    """

    def law(self, fans: Fans | None = None) -> Law:
        """Return U(±sqrt(3/fan_in))."""
        return symmetric_uniform(1.0 / math.sqrt(required(fans, self).fan_in))


def symmetric_uniform(std: float) -> Uniform:
    """Return the uniform law around 0 with this standard deviation."""
    bound = math.sqrt(3.0) * std
    return Uniform(-bound, bound)


def activation_gain(nonlinearity: str) -> float:
    """Return 1/sqrt(E f(z)²) for the named activation."""
    from wellbegun.theory import gain

    return gain(nonlinearity)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not one of those allowed."""
    if value not in allowed:
        raise ArgumentError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")


def _positive(name: str, value: float) -> float:
    """Check a rule's number and keep all its digits: only the law that comes of it is rounded to float32."""
    if not single(name, value) > 0:
        raise ArgumentError(f"{name} must be above 0, got {value!r}")
    return float(value)
