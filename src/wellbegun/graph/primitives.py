"""Elementwise primitives of PyTorch in float64, to evaluate an activation that was written out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.graph.graph import Operation
from wellbegun.theory import find_activation
from wellbegun.theory.activation import Activation

Array = npt.NDArray[np.float64]

TESTS = frozenset({"gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"})
"""Primitives whose results are true or false."""


def _special(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)

    return function


def _clamp(x: Any, low: Any = None, high: Any = None, **named: Any) -> Any:
    return np.clip(x, named.get("min", low), named.get("max", high))


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return np.where(x * beta > threshold, x, np.logaddexp(0.0, beta * x) / beta)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x * input_scale, 0.0)))


def _gelu(x: Any, approximate: str = "none") -> Any:
    return find_activation("gelu_tanh" if approximate == "tanh" else "gelu").function(x)


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(exponent, float) and exponent.is_integer()
    return np.power(base, int(exponent) if whole and exponent >= 0 else exponent)


PRIMITIVES: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": np.abs,
    "sign": np.sign,
    "sgn": np.sign,
    "square": np.square,
    "round": np.round,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "frac": lambda a: a - np.trunc(a),
    "sqrt": np.sqrt,
    "rsqrt": lambda a: 1 / np.sqrt(a),
    "reciprocal": lambda a: 1 / a,
    "pow": _power,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinc": np.sinc,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "sigmoid": _special("expit"),
    "special_ndtr": _special("ndtr"),
    "logaddexp": np.logaddexp,
    "relu": lambda a: np.maximum(a, 0.0),
    "softplus": _softplus,
    "elu": _elu,
    "gelu": _gelu,
    "leaky_relu": lambda a, slope=0.01: np.where(a > 0, a, slope * a),
    "threshold": lambda a, threshold, value: np.where(a > threshold, a, value),
    "softshrink": lambda a, lambd=0.5: np.sign(a) * np.maximum(np.abs(a) - lambd, 0.0),
    "hardshrink": lambda a, lambd=0.5: np.where(np.abs(a) > lambd, a, 0.0),
    "hardtanh": lambda a, low=-1.0, high=1.0: np.clip(a, low, high),
    "clamp": _clamp,
    "clamp_min": lambda a, low: np.maximum(a, low),
    "clamp_max": lambda a, high: np.minimum(a, high),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": np.where,
    "masked_fill": lambda a, mask, value: np.where(mask, value, a),
    "gt": lambda a, b: a > b,
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "addcmul": lambda a, b, c, value=1: a + value * b * c,
    "addcdiv": lambda a, b, c, value=1: a + value * b / c,
    "lerp": lambda a, b, weight: a + weight * (b - a),
}
"""By PyTorch's name: a function of its positional arguments, arrays and numbers, and of its keywords."""

_ARITY = {"where": 3, "masked_fill": 3, "addcmul": 3, "addcdiv": 3, "lerp": 3, "threshold": 3} | dict.fromkeys(
    "add sub rsub mul div true_divide pow logaddexp clamp_min clamp_max maximum minimum gt lt ge le eq ne "
    "logical_and logical_or".split(),
    2,
)


def arguments(operation: Operation) -> tuple[list[int | float | str], dict[str, Any], set[int]] | None:
    """Return an operation's positional arguments, its keywords, and which positions hold a number.

    The other positions hold the index of the operation that made the value. None if a tensor among the arguments came
    from nothing that was recorded, so that the function of the others is not known.
    """
    numbers = {key: value for key, value in operation.scalars if isinstance(key, int)}
    named = {key: value for key, value in operation.scalars if isinstance(key, str)}
    values = list(operation.inputs)
    length = len(values) + len(numbers)
    if length != _ARITY.get(operation.detail, length):
        return None
    filled: list[int | float | str] = []
    for position in range(max([length, *(key + 1 for key in numbers)])):
        if position in numbers:
            filled.append(numbers[position])
        elif values:
            filled.append(values.pop(0))
        else:
            filled.append(np.nan)  # an optional number that was left out
    return (filled, named, set(numbers)) if not values else None


def own_activation(operation: Operation) -> Activation | None:
    """Return the activation that an operation of kind "activation" names, or None."""
    if operation.kind != "activation" or operation.detail in PRIMITIVES or operation.detail == "prelu":
        return None
    try:
        return find_activation(operation.detail)
    except ValueError:
        return None
