"""The activations that have a name: formula, parameters and kinks, in float64 and without overflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017, equation 14: they make (mean 0, variance 1) a fixed point."""

GELU_TANH_SCALE, GELU_TANH_CUBIC = math.sqrt(2 / math.pi), 0.044715
"""Hendrycks & Gimpel 2016, section 2: the tanh form of GELU."""


@dataclass(frozen=True)
class Formula:
    """A named activation: `evaluate(x, **parameters)`, its kinks, and its parameters' defaults."""

    evaluate: Callable[..., Array]
    kinks: Callable[..., tuple[float, ...]] = lambda **_: ()
    defaults: Mapping[str, float] = field(default_factory=dict)


def _erf(x: Array) -> Array:
    from scipy import special

    return np.asarray(special.erf(x), dtype=np.float64)


def _sigmoid(x: Array) -> Array:
    from scipy import special

    return np.asarray(special.expit(x), dtype=np.float64)


def _gelu(x: Array) -> Array:
    from scipy import special

    # ndtr keeps its relative accuracy for x far below 0, where 1 + erf(x / sqrt(2)) is all rounding
    return np.asarray(x * special.ndtr(x), dtype=np.float64)


def _gelu_tanh(x: Array) -> Array:
    # (1 + tanh(y)) / 2 = sigmoid(2 y), which does not cancel for large negative y
    return x * _sigmoid(2 * GELU_TANH_SCALE * (x + GELU_TANH_CUBIC * x**3))


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _softplus(x: Array, beta: float = 1.0) -> Array:
    return np.logaddexp(0.0, beta * x) / beta


def _shifted_softplus(x: Array) -> Array:
    # the middle form does not cancel near 0, the outer one does not overflow
    return np.where(np.abs(x) < 1, np.log1p(np.expm1(np.clip(x, -1, 1)) / 2), _softplus(x) - math.log(2))


def _leaky_relu(x: Array, negative_slope: float) -> Array:
    return np.where(x > 0, x, negative_slope * x)


def _hardsigmoid(x: Array) -> Array:
    return np.clip(x / 6 + 0.5, 0.0, 1.0)


def _at_zero(**_: float) -> tuple[float, ...]:
    return (0.0,)


def _at_three(**_: float) -> tuple[float, ...]:
    return (-3.0, 3.0)


def _at_lambd(lambd: float) -> tuple[float, ...]:
    return (-abs(lambd), abs(lambd))


FORMULAS: Mapping[str, Formula] = {
    "identity": Formula(lambda x: x),
    "relu": Formula(lambda x: np.maximum(x, 0.0), _at_zero),
    "leaky_relu": Formula(_leaky_relu, _at_zero, {"negative_slope": 0.01}),
    "prelu": Formula(_leaky_relu, _at_zero, {"negative_slope": 0.25}),
    "relu_squared": Formula(lambda x: np.maximum(x, 0.0) ** 2, _at_zero),
    "relu6": Formula(lambda x: np.clip(x, 0.0, 6.0), lambda: (0.0, 6.0)),
    "elu": Formula(_elu, _at_zero, {"alpha": 1.0}),
    "celu": Formula(lambda x, alpha: np.where(x > 0, x, _elu(x / alpha, alpha)), _at_zero, {"alpha": 1.0}),
    "selu": Formula(lambda x: SELU_SCALE * _elu(x, SELU_ALPHA), _at_zero),
    "gelu": Formula(_gelu),
    "gelu_tanh": Formula(_gelu_tanh),
    "quick_gelu": Formula(lambda x: x * _sigmoid(1.702 * x)),
    "silu": Formula(lambda x: x * _sigmoid(x)),
    "mish": Formula(lambda x: x * np.tanh(_softplus(x))),
    "hardswish": Formula(lambda x: x * _hardsigmoid(x), _at_three),
    "softplus": Formula(_softplus, defaults={"beta": 1.0}),
    "ssp": Formula(_shifted_softplus),
    "logsigmoid": Formula(lambda x: -_softplus(-x)),
    "tanh": Formula(np.tanh),
    "lecun_tanh": Formula(lambda x: 1.7159 * np.tanh(x * (2 / 3))),
    "erf": Formula(_erf),
    "atan": Formula(np.arctan),
    "softsign": Formula(lambda x: x / (1 + np.abs(x)), _at_zero),
    "hardtanh": Formula(
        lambda x, min_val, max_val: np.clip(x, min_val, max_val),
        lambda min_val, max_val: (min_val, max_val),
        {"min_val": -1.0, "max_val": 1.0},
    ),
    "sigmoid": Formula(_sigmoid),
    "hardsigmoid": Formula(_hardsigmoid, _at_three),
    "sin": Formula(lambda x, frequency: np.sin(frequency * x), defaults={"frequency": 1.0}),
    "cos": Formula(np.cos),
    "gaussian": Formula(lambda x: np.exp(-(x**2) / 2)),
    "tanhshrink": Formula(lambda x: x - np.tanh(x)),
    "softshrink": Formula(lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0.0), _at_lambd, {"lambd": 0.5}),
    "hardshrink": Formula(lambda x, lambd: np.where(np.abs(x) > lambd, x, 0.0), _at_lambd, {"lambd": 0.5}),
    "snake": Formula(lambda x, a: x + np.sin(a * x) ** 2 / a, defaults={"a": 1.0}),
    "abs": Formula(np.abs, _at_zero),
    "exp": Formula(np.exp),
}
"""Every named activation; a number at the end of a name (`leaky_relu_0.2`) is its first parameter."""

ALIASES: Mapping[str, str] = {
    "linear": "identity",
    "relu2": "relu_squared",
    "swish": "silu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "arctan": "atan",
}
"""Other names in use for the same function."""
