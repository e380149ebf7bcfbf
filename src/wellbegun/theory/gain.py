"""The factor on the weights' standard deviation that undoes what an activation does to a variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.moments import moments


def gain(
    activation: str | Callable[..., Any] | Activation,
    *,
    kind: Literal["forward", "backward", "compromise"] = "forward",
    variance: float = 1.0,
    **parameters: float,
) -> float:
    """Return the gain that keeps a pre-activation variance (forward), a gradient variance (backward), or halfway both.

    >>> round(gain("relu"), 12) == round(math.sqrt(2), 12)
    True
    >>> round(gain("tanh"), 9), round(gain("tanh", kind="backward"), 9)
    (1.59253742, 1.467413592)

    Weights of variance gain² / fan_in after the activation keep u ~ N(0, variance) at that variance: forward
    gain sqrt(q / E f(u)²), backward gain 1 / sqrt(E f'(u)²), q = variance; the compromise takes the mean of what the
    activation leaves of both, as Glorot and Bengio take that of the fans: gain² = 2 / (E f²/q + E f'²). A gate a·f(b)
    with a of second moment 1 has the gain of f. This is an exact expectation, not
    torch's `calculate_gain`: that has 5/3 for tanh (1.5925 here), 3/4 for SELU (1.0), 1 for sigmoid (1.8462);
    for ReLU and leaky ReLU both agree.

    activation: a name, a callable or an `Activation`. kind: "forward", "backward" or "compromise". variance: of the
    pre-activation, > 0; for scale-free functions such as ReLU it makes no difference.
    parameters: those of a named activation, such as `negative_slope`.
    ArgumentError: an unknown kind, or a variance that is not positive. TheoryError: the moment is 0.
    He et al. 2015 (arXiv 1502.01852), equations 10 and 14 for ReLU, here for any activation.
    """
    if kind not in ("forward", "backward", "compromise"):
        raise ArgumentError(f"kind has to be 'forward', 'backward' or 'compromise', not {kind!r}")
    found = find_activation(activation, **parameters)
    at = moments(found, variance)
    left = {"forward": at.second / at.q, "backward": at.slope_second}
    moment = left[kind] if kind in left else sum(left.values()) / 2
    if not 0 < moment < math.inf:
        what = {"forward": "E f²", "backward": "E f'²"}.get(kind, "E f²/q + E f'²")
        raise TheoryError(
            f"{found.name} has no {kind} gain at variance {at.q:.6g}: {what} is {moment:g}, so no weights "
            f"can restore the variance; use another activation or another variance"
        )
    return 1 / math.sqrt(moment)
