"""The gain of an activation: torch's numbers for torch's names, the exact expectation for all others."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from wellbegun.errors import ArgumentError, closest_names
from wellbegun.nn_init.draw import eagerly
from wellbegun.theory import Activation, activation_names, find_activation, gain

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_TORCH: Mapping[str, float] = {
    **dict.fromkeys((*_LINEAR, "sigmoid"), 1),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}
_PARAMETERS: Mapping[str, str] = {
    "leaky_relu": "negative_slope",
    "prelu": "negative_slope",
    "elu": "alpha",
    "celu": "alpha",
    "softplus": "beta",
    "hardshrink": "lambd",
    "softshrink": "lambd",
    "threshold": "threshold",
}
"""What `param` stands for; the other activations have none."""
_OWN = ("glu", "rrelu", "threshold")
_WHOLE_ROWS = ("softmax", "softmin", "log_softmax", "gumbel_softmax")


def calculate_gain(nonlinearity: str, param: int | float | None = None) -> float:
    """Return the factor by which weights behind this activation should be larger than 1/sqrt(fan).

    >>> calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    True
    >>> round(calculate_gain("gelu"), 4), round(calculate_gain("silu"), 4)
    (1.5335, 1.6765)

    Args:
        nonlinearity: name of a function of torch.nn.functional.
        param: its parameter: the slope of leaky_relu (default 0.01) and prelu (0.25), alpha of elu and celu, beta of
            softplus, lambd of hardshrink and softshrink, the threshold of threshold. torch's own names without a
            parameter ignore it, as in torch.

    torch's names keep torch's numbers, so that networks start as their authors meant: 1 for linear, the convolutions
    and sigmoid; sqrt(2) for relu; sqrt(2/(1 + slope²)) for leaky_relu; 5/3 for tanh and 3/4 for selu, which were found
    by trial and keep no variance. Every other activation has the exact gain 1/sqrt(E f(z)²), z ~ N(0, 1), by which the
    second moment stays 1; `wellbegun.gain` has it for tanh (1.5925), selu (1.0) and sigmoid (1.8462) as well. For glu,
    z is both halves, independent; for rrelu, the slope varies too, as in training.

    Raises:
        ArgumentError: an unknown name, a function of whole rows such as softmax, a parameter that is no number.
    Source: He et al. (2015), "Delving Deep into Rectifiers", equations 10 and 14; here for any activation.
    """
    if not isinstance(nonlinearity, str):
        raise ArgumentError(f"Unsupported nonlinearity {nonlinearity!r}; `wellbegun.gain` takes callables")
    if nonlinearity in _TORCH:
        return _TORCH[nonlinearity]
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + _slope(param) ** 2))
    if nonlinearity in _WHOLE_ROWS:
        raise ArgumentError(f"Unsupported nonlinearity {nonlinearity}: it acts on whole rows, so it has no gain")
    if nonlinearity not in (*_OWN, *activation_names()):
        closest = closest_names(nonlinearity, [*_TORCH, "leaky_relu", *_OWN, *activation_names()])
        offer = f"; did you mean {' or '.join(closest)}?" if closest else ""
        raise ArgumentError(f"Unsupported nonlinearity {nonlinearity}{offer}")
    if param is not None and nonlinearity not in _PARAMETERS:
        raise ArgumentError(f"{nonlinearity} takes no parameter, got {param!r}")
    return eagerly(_exact, nonlinearity, param)


def _slope(param: object) -> float:
    if param is None:
        return 0.01
    if isinstance(param, bool) or not isinstance(param, int | float):
        raise ArgumentError(f"negative_slope {param} not a valid number")
    return param


@functools.lru_cache(maxsize=256)
def _exact(name: str, param: float | None) -> float:
    """1/sqrt(E f²); kept, because a model asks for the same one in every layer."""
    if name == "glu":  # a·sigmoid(b) with a and b independent: E f² = E a² · E sigmoid(b)²
        return gain("sigmoid")
    if name == "rrelu":  # slopes from U(1/8, 1/3): E slope² = (l² + l·u + u²)/3
        lower, upper = 1 / 8, 1 / 3
        return math.sqrt(2 / (1 + (lower**2 + lower * upper + upper**2) / 3))
    if name == "threshold":
        return gain(_threshold(param))
    parameters = {} if param is None else {_PARAMETERS[name]: param}
    return gain(find_activation(name, **parameters))


def _threshold(limit: float | None) -> Activation:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise ArgumentError(f"threshold has no default in torch; pass its threshold (value 0) as param, not {limit!r}")
    return Activation("threshold", lambda x: np.where(x > limit, x, 0.0), (float(limit),))
