"""Plain chains of many layers: rules that hold the signal, the gradient and the angles between inputs at once."""

from __future__ import annotations

import math
from functools import lru_cache

from wellbegun.errors import TheoryError
from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.laws import Initializer, MeanCompensation, MirroredOrthogonal, Normal, Orthogonal
from wellbegun.recipes.chain import Chain
from wellbegun.recipes.fixed import ZERO_BIAS
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed, activated
from wellbegun.theory import (
    Activation,
    CriticalPoint,
    critical,
    find_activation,
    mean_compensated,
    moments,
    odd_part_slope,
    point_for_depth,
)

HIGHEST = 4.0
"""Largest q of a critical point that is chosen for its depth."""

_MIRRORED = "Balduzzi et al. (2017), section 4; Burkholz and Dubatovka (2019)"
_COMPENSATED = "wellbegun's pilot (2026), rules k and l; Schoenholz et al. (2017), eq. 6, with Var f in place of E f²"
_CRITICAL = "Schoenholz et al. (2017), eq. 6; Pennington, Schoenholz and Ganguli (2017), section 2.4"


def propose(graph: Graph, operation: Operation, chain: Chain, feed: Feed, logits: float) -> dict[str, Proposal] | None:
    """Return proposals for one weight of a deep plain chain and its bias, or None where no deep rule applies."""
    if not chain.all_linear or not chain.activation or not chain.straight or chain.repeats:
        return None
    slope = odd_part_slope(chain.activation)
    if slope and _can_mirror(graph, chain):
        return _mirrored(graph, operation, chain, feed, slope, logits)
    point = _critical_point(chain.activation, chain.depth)
    if point is not None and _all_have_biases(graph, chain):
        return _at_critical_point(graph, operation, chain, feed, point, logits)
    return None


def why_not(chain: Chain) -> str:
    """Say in a clause why a deep chain gets the shallow rule, for the entry's reason."""
    if not chain.activation:
        cause = "its hidden layers have different activations"
    elif not chain.all_linear:
        cause = "it has convolutions, whose kernels no rule of auto@0 makes isometric"
    elif not chain.straight:
        cause = "between its layers units are cut, pooled or mixed with other axes"
    elif chain.repeats:
        cause = "a weight stands in it more than once"
    else:
        cause = f"no critical point of {chain.activation} can be reached without a bias in every layer"
    return f"a rule for one layer at a time: better ones exist for {chain.depth} hidden layers in a row, but {cause}"


def _mirrored(
    graph: Graph, operation: Operation, chain: Chain, feed: Feed, slope: float, logits: float
) -> dict[str, Proposal]:
    first, last = operation is chain.operations[0], not chain.activations[chain.operations.index(operation)]
    rows, columns = _matrix_shape(graph, operation)
    height, width = rows // (1 if last else 2), columns // (1 if first else 2)
    target = logits if last and rows > 1 else 1.0
    # the odd part passes slope·u on, so behind a mirrored layer the pairs carry slope²·E u²
    incoming = feed.second_moment if first else slope**2
    gain = math.sqrt(target / incoming) * _expansion(height, width)
    law = MirroredOrthogonal(gain, rows=not last, columns=not first)
    if _weight_use(graph, operation).inputs_first:
        law = MirroredOrthogonal(gain, rows=law.columns, columns=law.rows)
    what = f"{chain.depth} hidden layers of {_people(chain.activation)} in a row"
    if first:
        reason = f"first of {what}: units in pairs u, -u, at second moment 1 from the data's {incoming:.4g}"
    elif last:
        reason = f"reads the pairs behind {what} into a second moment of {target:g}{_why(target)}"
    else:
        reason = (
            f"{what}: mirrored orthogonal weights start as an exact rotation, which depth cannot stretch or flatten"
        )
    before = feed.second_moment if first else activated(chain.activation, 1.0)
    return {operation.weight: Proposal(law, reason, _MIRRORED, before, target)}


def _at_critical_point(
    graph: Graph, operation: Operation, chain: Chain, feed: Feed, point: CriticalPoint, logits: float
) -> dict[str, Proposal]:
    first, last = operation is chain.operations[0], not chain.activations[chain.operations.index(operation)]
    rows, columns = _matrix_shape(graph, operation)
    behind = moments(find_activation(chain.activation), point.q)
    # with the mean compensated, a weight carries on what varies of the activation, else all of it
    compensated = point.mean_compensated and bool(_biases(graph, operation))
    carried = behind.variance if compensated else behind.second
    target = (logits if rows > 1 else 1.0) if last else point.q
    where = f"the critical point q = {point.q:.4g}"
    if first:
        variance = (point.q - point.bias_variance) / feed.second_moment
        reason = f"brings the data (second moment {feed.second_moment:.4g}) to {where}"
    elif last:
        variance = target / carried
        what = f"{'variance' if compensated else 'second moment'} of {carried:.4g}"
        reason = f"reads {chain.activation}'s {what} into a second moment of {target:g}{_why(target)}"
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
    for name in _biases(graph, operation):
        bias, why = _bias(graph, operation, point, first, last)
        made[name] = Proposal(bias, why, source)
    return made


def _bias(graph: Graph, operation: Operation, point: CriticalPoint, first: bool, last: bool) -> tuple[Initializer, str]:
    std = 0.0 if last else math.sqrt(point.bias_variance)
    if point.mean_compensated and not first:
        order = _weight_use(graph, operation).inputs_first
        law = MeanCompensation(operation.weight, point.mean, std, order)
        return law, f"takes the mean {point.mean:.4g} of {point.activation} out, so that only what varies is passed on"
    if std:
        return Normal(std), f"the critical point q = {point.q:.4g} needs biases of std {std:.4g}"
    return ZERO_BIAS.initializer, ZERO_BIAS.reason


@lru_cache(maxsize=64)
def _critical_point(activation: str | Activation, depth: int) -> CriticalPoint | None:
    """The critical point for this depth: from the depth where f is odd, else the stable one, else compensated."""
    try:
        if abs(moments(find_activation(activation), 1.0).mean) < 1e-9:
            return point_for_depth(activation, depth)
        return critical(activation)
    except TheoryError:
        pass
    try:
        point = point_for_depth(activation, depth, mean_compensated=True)
        while not _holds_from_afar(activation, point) and point.q < HIGHEST:
            point = mean_compensated(activation, q=min(2 * point.q, HIGHEST))
        return point if _holds_from_afar(activation, point) else None
    except TheoryError:
        return None


def _holds_from_afar(activation: str | Activation, point: CriticalPoint) -> bool:
    """Whether signals 4 and 16 times too large shrink: near softplus's point at q = 0.4 they do not, and a narrow
    network, whose signal wanders, runs away from it.
    """
    sizes = (4 * point.q, 16 * point.q)
    carried = (moments(find_activation(activation), q).variance for q in sizes)
    grown = (point.weight_variance * variance + point.bias_variance for variance in carried)
    return point.stable and all(after < before for before, after in zip(sizes, grown, strict=True))


def is_mostly_mean(activation: str | Activation) -> bool:
    """Whether an activation passes on more mean than variance (sigmoid, softplus), which no scale mends."""
    at = moments(find_activation(activation), 1.0)
    return at.variance < 0.5 * at.second


def _can_mirror(graph: Graph, chain: Chain) -> bool:
    hidden = zip(chain.operations, chain.activations, strict=True)
    return all(_matrix_shape(graph, operation)[0] % 2 == 0 for operation, activation in hidden if activation)


def _biases(graph: Graph, operation: Operation) -> list[str]:
    """The biases of an operation, given to it or added by a step of its own right behind it."""
    at = {operation.index} | {step.index for step in graph.operations if _shifts(graph, step.index, operation)}
    uses = (use for uses in graph.uses.values() for use in uses)
    return [use.variable for use in uses if use.role == "bias" and use.operation in at]


def _all_have_biases(graph: Graph, chain: Chain) -> bool:
    hidden = (op for op, activation in zip(chain.operations, chain.activations, strict=True) if activation)
    return all(_biases(graph, operation) for operation in hidden)


def _shifts(graph: Graph, at: int, operation: Operation) -> bool:
    shift = graph.operations[at]
    return shift.kind == "shift" and bool(shift.inputs) and graph.source(shift.inputs[0]).index == operation.index


def _matrix_shape(graph: Graph, operation: Operation) -> tuple[int, int]:
    """(outputs, inputs) of a matrix product, from its fans."""
    fans = _weight_use(graph, operation).fans
    assert fans is not None
    return round(fans.fan_out), round(fans.fan_in)


def _weight_use(graph: Graph, operation: Operation) -> Use:
    """The use that this operation makes of its weight."""
    return next(use for use in graph.uses[operation.weight] if use.operation == operation.index and use.fans)


def _why(target: float) -> str:
    return ", which starts the loss within 0.3 of ln K, if these are K logits" if target < 1 else ""


def _expansion(outputs: int, inputs: int) -> float:
    """An orthogonal map to more outputs spreads the same length over them: sqrt(outputs/inputs) gives it back."""
    return math.sqrt(max(1.0, outputs / inputs))


def _people(activation: str | Activation) -> str:
    return {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}.get(str(activation), str(activation))
