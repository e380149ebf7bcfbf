"""Critical points: weight and bias variances at which signals and gradients neither grow nor die."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellbegun.errors import ArgumentError, NoCriticalPointError, TheoryError
from wellbegun.theory.activation import Activation, find_activation
from wellbegun.theory.moments import Moments, moments, positive

MARGIN = 1e-9
"""Rounding allowed in chi_q <= 1 and sigma_b² >= 0, where scale-free functions such as ReLU lie exactly."""

SEARCH_HIGH, SEARCH_STEPS = 100.0, 40
"""A stable q is sought between 1 and SEARCH_HIGH, on this many steps of equal ratio."""

CLEARANCE = 1.1
"""How far above the smallest stable q the default q lies: on it, the length map would not contract."""

DEPTH_LOW, DEPTH_HIGH = 0.01, 4.0
"""The q that `point_for_depth` may choose."""


@dataclass(frozen=True)
class CriticalPoint:
    """Variances that keep u ~ N(0, q) and the size of gradients from layer to layer.

    >>> point = critical("tanh")
    >>> round(point.weight_variance, 9), round(point.bias_variance, 9), round(point.length_slope, 6)
    (2.153302649, 0.150964629, 0.391465)

    activation: its name. q: the pre-activation variance that is a fixed point. weight_variance: sigma_w², so
    weights have variance sigma_w² / fan_in. bias_variance: sigma_b². mean: E f.
    mean_compensated: whether biases are -mean * (row sums of W) + N(0, sigma_b²) instead of N(0, sigma_b²).
    chi: factor on the gradient variance per layer, 1 by construction. length_slope: chi_q, the factor on a
    small deviation of q per layer. stable: chi_q <= 1 (the scale-free ones, with chi_q = 1, included).
    spread: E f'⁴ / (E f'²)² - 1, what a layer adds to the spread of squared singular values.
    """

    activation: str
    q: float
    weight_variance: float
    bias_variance: float
    length_slope: float
    stable: bool
    spread: float
    mean: float
    mean_compensated: bool = False
    chi: float = 1.0

    @property
    def length_depth(self) -> float:
        """Return the number of layers in which a deviation of q shrinks by e: -1 / ln chi_q, or infinity."""
        if self.length_slope >= 1 - MARGIN:
            return math.inf
        return -1 / math.log(self.length_slope) if self.length_slope > 0 else 0.0


def critical(
    activation: str | Callable[..., Any] | Activation,
    *,
    q: float | None = None,
    stable: bool = True,
    **parameters: float,
) -> CriticalPoint:
    """Return the critical point with independent biases: sigma_w² = 1 / E f'², sigma_b² = q - sigma_w² E f².

    >>> critical("erf").length_slope
    0.3333333333333...
    >>> critical("gelu", q=1)
    Traceback (most recent call last):
    wellbegun.errors.NoCriticalPointError: gelu has no stable critical point at q = 1: chi_q = 1.06719, ...

    activation: a name, a callable or an `Activation`. q: variance of the pre-activations; None chooses 1 if
    that is stable, else 1.1 times the smallest stable q (GELU 3.92, SiLU 15.8). stable: refuse chi_q > 1.
    parameters: those of a named activation.
    NoCriticalPointError: sigma_b² would be negative (softplus, sigmoid: use `mean_compensated`), or the
    point is not stable; the message gives the smallest stable q below 100, if there is one.
    Schoenholz et al. 2017 (arXiv 1611.01232); Hayou et al. 2019 (arXiv 1902.06853).
    """
    found = find_activation(activation, **parameters)
    point = _independent(found, moments(found, 1.0 if q is None else q))
    if point.stable or not stable:
        return point
    least = _smallest_stable(found)
    if q is None and least is not None:
        return _independent(found, moments(found, CLEARANCE * least))
    rescue = f"the smallest stable q is {least:.8g}" if least is not None else f"none is below {SEARCH_HIGH:g}"
    raise NoCriticalPointError(
        f"{found.name} has no stable critical point at q = {point.q:.6g}: chi_q = {point.length_slope:.6g}, "
        f"so a deviation of the variance grows with depth; {rescue}; "
        f"wellbegun.theory.mean_compensated has points of its own, and stable=False takes this one as it is"
    )


def mean_compensated(
    activation: str | Callable[..., Any] | Activation, *, q: float, **parameters: float
) -> CriticalPoint:
    """Return the critical point where the biases also remove the mean: sigma_b² = q - Var f / E f'².

    >>> point = mean_compensated("sigmoid", q=0.2)
    >>> round(point.weight_variance, 9), round(point.bias_variance, 9), point.stable
    (17.498037026, 0.000513186, True)

    Biases are b = -E f * (row sums of W) + N(0, sigma_b²). It exists for every continuous activation and
    every q, because Var f <= q E f'² (the Gaussian Poincaré inequality). chi_q is sigma_w² d Var f / dq.

    activation: a name, a callable or an `Activation`. q: variance of the pre-activations, > 0.
    parameters: those of a named activation.
    NoCriticalPointError: f is constant, or jumps, where E f'² says nothing about Var f.
    Chernoff 1981 for the inequality; the point itself is this project's own.
    """
    found = find_activation(activation, **parameters)
    return _compensated(found, moments(found, q))


def point_for_depth(
    activation: str | Callable[..., Any] | Activation,
    depth: int,
    *,
    budget: float = 6.0,
    mean_compensated: bool = False,
    **parameters: float,
) -> CriticalPoint:
    """Return the critical point whose q makes depth * spread(q) equal to the budget.

    >>> point = point_for_depth("tanh", 60)
    >>> round(60 * point.spread, 9), round(point.q, 3)
    (6.0, 0.195)

    For odd saturating functions such as tanh: a smaller q is nearer to a linear network (well conditioned,
    but unable to use its depth), a larger one spreads the singular values of the Jacobian.

    depth: number of layers, >= 1. budget: the spread allowed in the whole network. mean_compensated: which
    kind of point. q is held within [0.01, 4]. parameters: those of a named activation.
    ArgumentError: a bad depth or budget. NoCriticalPointError: as for the kind of point.
    Pennington et al. 2017 (arXiv 1711.04735) for the spread; the budget is from this project's pilot.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ArgumentError(f"depth has to be a whole number of layers, at least 1, not {depth!r}")
    target = positive("budget", budget) / depth
    found = find_activation(activation, **parameters)
    low, high = math.log(DEPTH_LOW), math.log(DEPTH_HIGH)
    least, most = _at(found, low).spread, _at(found, high).spread
    if min(least, most) >= target:
        q = DEPTH_LOW if least <= most else DEPTH_HIGH
    elif max(least, most) <= target:
        q = DEPTH_HIGH
    elif least < most:
        q = math.exp(_bisect(lambda log_q: _at(found, log_q).spread >= target, low, high))
    else:  # flat around 0 and linear far away (softshrink)
        q = math.exp(_bisect(lambda log_q: _at(found, log_q).spread <= target, low, high))
    at = moments(found, q)
    return _compensated(found, at) if mean_compensated else critical(found, q=q)


def _at(activation: Activation, log_q: float) -> Moments:
    return moments(activation, math.exp(log_q))


def _independent(activation: Activation, at: Moments) -> CriticalPoint:
    """Build the point with independent biases, or say why there is none."""
    weight_variance = _weight_variance(activation, at)
    bias_variance = _bias_variance(at.q, weight_variance * at.second)
    if bias_variance < 0:
        mendable = _bias_variance(at.q, weight_variance * at.variance) >= 0
        raise NoCriticalPointError(
            f"{activation.name} has no critical point at q = {at.q:.6g}: weights with chi = 1 (sigma_w² = "
            f"{weight_variance:.6g}) pass on more than q by themselves, so sigma_b² would be "
            f"{bias_variance:.6g}; "
            + (
                f"its mean {at.mean:.6g} is too large: use wellbegun.theory.mean_compensated, "
                "which removes it, or another q"
                if mendable
                else "only a function that jumps can do that: use a continuous activation"
            )
        )
    return _point(activation, at, weight_variance, bias_variance, compensated=False)


def _compensated(activation: Activation, at: Moments) -> CriticalPoint:
    """Build the point whose biases remove the mean."""
    weight_variance = _weight_variance(activation, at)
    bias_variance = _bias_variance(at.q, weight_variance * at.variance)
    if bias_variance < 0:
        raise NoCriticalPointError(
            f"{activation.name} has no mean-compensated critical point at q = {at.q:.6g}: sigma_b² would be "
            f"{bias_variance:.6g}, which only a function that jumps can have; use a continuous activation"
        )
    return _point(activation, at, weight_variance, bias_variance, compensated=True)


def _point(
    activation: Activation, at: Moments, weight_variance: float, bias_variance: float, *, compensated: bool
) -> CriticalPoint:
    length_slope = weight_variance * (at.variance_growth if compensated else at.second_growth)
    return CriticalPoint(
        activation=activation.name,
        q=at.q,
        weight_variance=weight_variance,
        bias_variance=bias_variance,
        length_slope=length_slope,
        stable=length_slope <= 1 + MARGIN,
        spread=at.spread,
        mean=at.mean,
        mean_compensated=compensated,
    )


def _weight_variance(activation: Activation, at: Moments) -> float:
    if not 0 < at.slope_second < math.inf:
        raise NoCriticalPointError(
            f"{activation.name} has no critical point at q = {at.q:.6g}: E f'² is {at.slope_second:g}, so no "
            "weights can keep a gradient; use an activation with a slope"
        )
    return 1 / at.slope_second


def _bias_variance(q: float, passed_on: float) -> float:
    """Return q - passed_on, with rounding around 0 taken as 0."""
    left = q - passed_on
    return 0.0 if -MARGIN * q <= left <= 1e-13 * q else left


def _smallest_stable(activation: Activation) -> float | None:
    """Return the smallest q in [1, SEARCH_HIGH] with a stable critical point, to nine digits."""

    def is_stable(log_q: float) -> bool:
        try:
            # without MARGIN: chi_q is so flat in q that it would move the seventh digit
            return _independent(activation, _at(activation, log_q)).length_slope <= 1
        except TheoryError:
            return False

    step = math.log(SEARCH_HIGH) / SEARCH_STEPS
    for number in range(SEARCH_STEPS + 1):
        if is_stable(number * step):
            return math.exp(_bisect(is_stable, max(number - 1, 0) * step, number * step))
    return None


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that is false at low and true at high begins to hold."""
    while high - low > 1e-11:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
