"""Plain chains of many layers: rules that hold the signal, the gradient and the angles between inputs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from wellbegun.errors import TheoryError
from wellbegun.graph.graph import Operation
from wellbegun.laws import Initializer, MeanCompensation, MirroredOrthogonal, Normal, Orthogonal
from wellbegun.recipes.chain import Chain
from wellbegun.recipes.fixed import ZERO_BIAS
from wellbegun.recipes.goal import Goal
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed
from wellbegun.theory import (
    Activation,
    CriticalPoint,
    critical,
    mean_compensated,
    moments,
    odd_part_slope,
    point_for_depth,
)

LOWEST, HIGHEST = 0.1, 4.0
"""Smallest and largest q of a critical point that is chosen for its depth; odd functions may go below."""

SPREAD = 3.0
"""What a whole chain may add to the spread of the squared singular values of its Jacobian (docs/auto.md): with more it
trains worse, and with much less it starts linear and stays so for long."""

LEAST_CARRIED = 0.25
"""Share of q at a critical point that has to come from the weights."""

_MIRRORED = "Balduzzi et al. (2017), section 4; Burkholz and Dubatovka (2019)"
_COMPENSATED = "wellbegun's pilot (2026), rules k and l; Schoenholz et al. (2017), eq. 6, with Var f in place of E f²"
_CRITICAL = "Schoenholz et al. (2017), eq. 6; Pennington, Schoenholz and Ganguli (2017), section 2.4"


@dataclass(frozen=True)
class Choice:
    """The rule for a whole chain: mirrored weights (with the slope of the odd part), or a critical point."""

    slope: float | None = None
    point: CriticalPoint | None = None


def choose(layers: Layers, chain: Chain) -> Choice | None:
    """Return the rule for a deep plain chain, or None where no deep rule applies."""
    if not chain.all_linear or not chain.activation or not chain.straight or chain.repeats:
        return None
    activation = layers.activation(chain.activation)
    slope = odd_part_slope(activation)
    if slope and can_mirror(layers, chain):
        return Choice(slope=slope)
    point = _critical_point(activation, chain.depth)
    return Choice(point=point) if point is not None and _all_have_biases(layers, chain) else None


def propose(
    layers: Layers, operation: Operation, chain: Chain, feed: Feed, goal: Goal, choice: Choice
) -> dict[str, Proposal]:
    """Return proposals for one weight of a deep plain chain and its bias."""
    if choice.slope is not None:
        return _mirrored(layers, operation, chain, feed, choice.slope, goal)
    assert choice.point is not None
    return _at_critical_point(layers, operation, chain, feed, choice.point, goal)


def why_not(layers: Layers, chain: Chain) -> str:
    """Say in a clause why a deep chain gets the shallow rule, for the entry's reason."""
    if not chain.activation:
        cause = "its hidden layers have different activations"
    elif not chain.all_linear:
        cause = "it has convolutions, whose kernels no rule of auto@0 makes isometric"
    elif not chain.straight:
        cause = "between its layers units are cut, pooled or mixed with other axes"
    elif chain.repeats:
        cause = "a weight stands in it more than once"
    elif _all_have_biases(layers, chain):
        cause = (
            f"{chain.activation} has no critical point that is stable: signals too small fade, too large ones blow up"
        )
    else:
        cause = f"no critical point of {chain.activation} can be reached without a bias in every layer"
    return f"a rule for one layer at a time: better ones exist for {chain.depth} hidden layers in a row, but {cause}"


def _mirrored(
    layers: Layers, operation: Operation, chain: Chain, feed: Feed, slope: float, goal: Goal
) -> dict[str, Proposal]:
    first, last = operation is chain.operations[0], operation.index in chain.ends
    rows, columns = layers.matrix_shape(operation)
    height, width = rows // (1 if last else 2), columns // (1 if first else 2)
    target = goal.target if last else 1.0
    # the odd part passes slope·u on, so behind a mirrored layer the pairs carry slope²·E u²
    incoming = feed.second_moment if first else slope**2
    gain = math.sqrt(target / incoming) * _expansion(height, width)
    law = MirroredOrthogonal(gain, rows=not last, columns=not first)
    if layers.use(operation).inputs_first:
        law = MirroredOrthogonal(gain, rows=law.columns, columns=law.rows)
    what = f"{chain.depth} hidden layers of {_people(chain.activation)} in a row"
    if first:
        reason = f"first of {what}: units in pairs u, -u, at second moment 1 from the data's {incoming:.4g}"
    elif last:
        reason = f"reads the pairs behind {what} into a second moment of {target:.4g}{_why(goal)}"
    else:
        reason = (
            f"{what}: mirrored orthogonal weights start as an exact rotation, which depth cannot stretch or flatten"
        )
    before = feed.second_moment if first else moments(layers.activation(chain.activation), 1.0).second
    return {operation.weight: Proposal(law, reason, _MIRRORED, before, target)}


def _at_critical_point(
    layers: Layers, operation: Operation, chain: Chain, feed: Feed, point: CriticalPoint, goal: Goal
) -> dict[str, Proposal]:
    first, last = operation is chain.operations[0], operation.index in chain.ends
    rows, columns = layers.matrix_shape(operation)
    behind = moments(layers.activation(chain.activation), point.q)
    # with the mean compensated, a weight carries on what varies of the activation, else all of it
    compensated = point.mean_compensated and bool(layers.biases(operation))
    carried = behind.variance if compensated else behind.second
    target = goal.target if last else point.q
    where = f"the critical point, second moment {point.q:.4g}"
    if first:
        variance = (point.q - point.bias_variance) / feed.second_moment
        reason = f"brings an input of second moment {feed.second_moment:.4g} to {where}"
    elif last:
        variance = target / carried
        what = f"{'variance' if compensated else 'second moment'} of {carried:.4g}"
        reason = f"reads {chain.activation}'s {what} into a second moment of {target:.4g}{_why(goal)}"
    else:
        variance = point.weight_variance
        reason = (
            f"{chain.depth} hidden layers of {chain.activation}: orthogonal at {where}, where signal and gradient keep "
            f"their size (sigma_w² = {variance:.4g})"
        )
    law = Orthogonal(math.sqrt(variance) * _expansion(rows, columns))
    source = _COMPENSATED if point.mean_compensated else _CRITICAL
    before = feed.second_moment if first else behind.second
    made = {operation.weight: Proposal(law, reason, source, before, target)}
    for name in layers.biases(operation):
        bias, why = _bias(layers, operation, point, first, last)
        made[name] = Proposal(bias, why, source)
    return made


def _bias(
    layers: Layers, operation: Operation, point: CriticalPoint, first: bool, last: bool
) -> tuple[Initializer, str]:
    std = 0.0 if last else math.sqrt(point.bias_variance)
    if point.mean_compensated and not first:
        order = layers.use(operation).inputs_first
        law = MeanCompensation(operation.weight, point.mean, std, order)
        return law, f"takes the mean {point.mean:.4g} of {point.activation} out, so that only what varies is passed on"
    if std:
        return Normal(
            std
        ), f"with biases of std {std:.4g} the signal stays at the critical point, second moment {point.q:.4g}"
    return ZERO_BIAS.initializer, ZERO_BIAS.reason


@lru_cache(maxsize=64)
def _critical_point(activation: Activation, depth: int) -> CriticalPoint | None:
    """The critical point for this depth, with the mean taken out where the function has one; a larger one where signals
    that are too large would not come back to it. Functions without a scale (ReLU) have one that needs no biases.
    """
    at = moments(activation, 1.0)
    is_odd = abs(at.mean) < 1e-9
    try:
        if math.isclose(at.slope_second, at.second) and math.isclose(at.second_growth, at.second):
            return critical(activation)
        point = point_for_depth(activation, depth, budget=SPREAD, mean_compensated=not is_odd)
        if is_odd:
            return point if _carries_signal(activation, point) else None
        if point.q < LOWEST:
            point = mean_compensated(activation, q=LOWEST)
        while not _holds_from_afar(activation, point) and point.q < HIGHEST:
            point = mean_compensated(activation, q=min(2 * point.q, HIGHEST))
        return point if _holds_from_afar(activation, point) else None
    except TheoryError:
        return None


def _carries_signal(activation: Activation, point: CriticalPoint) -> bool:
    """Whether weights, and not random biases, make what a layer passes on: a function that is flat around 0 has points
    where few units are active, and those that are carry all gradient.
    """
    return point.weight_variance * moments(activation, point.q).second >= LEAST_CARRIED * point.q


def _holds_from_afar(activation: Activation, point: CriticalPoint) -> bool:
    """Whether signals 4 and 16 times too large shrink: near softplus's point at q = 0.4 they do not, and a narrow
    network, whose signal wanders, runs away from it.
    """
    sizes = (4 * point.q, 16 * point.q)
    carried = (moments(activation, q).variance for q in sizes)
    grown = (point.weight_variance * variance + point.bias_variance for variance in carried)
    return point.stable and all(after < before for before, after in zip(sizes, grown, strict=True))


def is_mostly_mean(layers: Layers, chain: Chain) -> bool:
    """Whether a chain's activation passes on more mean than variance (sigmoid, softplus), which no scale mends."""
    at = moments(layers.activation(chain.activation), 1.0)
    return at.variance < 0.5 * at.second


def can_mirror(layers: Layers, chain: Chain) -> bool:
    """Whether every hidden layer of a chain has an even number of units."""
    hidden = zip(chain.operations, chain.activations, strict=True)
    return all(layers.matrix_shape(operation)[0] % 2 == 0 for operation, activation in hidden if activation)


def _all_have_biases(layers: Layers, chain: Chain) -> bool:
    hidden = (op for op, activation in zip(chain.operations, chain.activations, strict=True) if activation)
    return all(layers.biases(operation) for operation in hidden)


def _why(goal: Goal) -> str:
    return f", which {goal.purpose}" if goal.target < 1 else ""


def _expansion(outputs: int, inputs: int) -> float:
    """An orthogonal map to more outputs spreads the same length over them: sqrt(outputs/inputs) gives it back."""
    return math.sqrt(max(1.0, outputs / inputs))


def _people(activation: str) -> str:
    return {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}.get(activation, activation)
