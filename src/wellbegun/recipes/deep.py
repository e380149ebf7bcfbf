"""Plain chains of many layers: rules that hold the signal, the gradient and the angles between inputs at once."""

from __future__ import annotations

import math
from functools import lru_cache

from wellbegun.errors import TheoryError
from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.laws import MirroredOrthogonal, Normal, Orthogonal, Zeros
from wellbegun.recipes.chain import Chain
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed, activated
from wellbegun.theory import CriticalPoint, critical, find_activation, moments, odd_part_slope, point_for_depth

_MIRRORED = "Balduzzi et al. (2017), section 4; Burkholz and Dubatovka (2019)"
_CRITICAL = "Schoenholz et al. (2017), eq. 6; Pennington, Schoenholz and Ganguli (2017), section 2.4"


def propose(graph: Graph, operation: Operation, chain: Chain, feed: Feed, logits: float) -> dict[str, Proposal] | None:
    """Return proposals for one weight of a deep plain chain and its bias, or None where no deep rule applies."""
    if not chain.all_linear or not chain.activation or not chain.straight or chain.repeats:
        return None
    slope = odd_part_slope(chain.activation)
    if slope and _can_mirror(graph, chain):
        return _mirrored(graph, operation, chain, feed, slope, logits)
    point = _critical_point(chain.activation, chain.depth)
    if point is not None and _biases(graph, chain):
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
        cause = f"{chain.activation} has no stable critical point with independent biases, or the layers have no biases"
    return f"a rule for one layer only: this chain is {chain.depth} deep, but {cause}; expect slow training"


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
    behind = moments(find_activation(chain.activation), point.q).second
    incoming = feed.second_moment if first else behind
    if last:
        target, variance = (logits if rows > 1 else 1.0), (logits if rows > 1 else 1.0) / incoming
        reason = f"reads {chain.activation}'s second moment of {incoming:.4g} into one of {target:g}{_why(target)}"
    elif first:
        target, variance = point.q, (point.q - point.bias_variance) / incoming
        reason = f"brings the data (second moment {incoming:.4g}) to the critical point q = {point.q:.4g}"
    else:
        target, variance = point.q, point.weight_variance
        reason = (
            f"{chain.depth} hidden layers of {chain.activation}: orthogonal at the critical point q = {point.q:.4g}, "
            f"where signal and gradient keep their size (sigma_w² = {point.weight_variance:.4g})"
        )
    law = Orthogonal(math.sqrt(variance) * _expansion(rows, columns))
    made = {operation.weight: Proposal(law, reason, _CRITICAL, incoming, target)}
    for use in (use for uses in graph.uses.values() for use in uses if use.role == "bias"):
        if use.operation == operation.index or _shifts(graph, use.operation, operation):
            std = 0.0 if last else math.sqrt(point.bias_variance)
            why = f"the critical point q = {point.q:.4g} needs biases of std {std:.4g}"
            made[use.variable] = Proposal(
                Normal(std) if std else Zeros(), why if std else "an output bias of 0", _CRITICAL
            )
    return made


@lru_cache(maxsize=64)
def _critical_point(activation: str, depth: int) -> CriticalPoint | None:
    """The critical point for this depth: from the depth where f is odd and saturates, else the default stable one."""
    try:
        if abs(moments(find_activation(activation), 1.0).mean) < 1e-9:
            return point_for_depth(activation, depth)
        return critical(activation)
    except TheoryError:
        return None


def _can_mirror(graph: Graph, chain: Chain) -> bool:
    hidden = zip(chain.operations, chain.activations, strict=True)
    return all(_matrix_shape(graph, operation)[0] % 2 == 0 for operation, activation in hidden if activation)


def _biases(graph: Graph, chain: Chain) -> bool:
    with_bias = {use.operation for uses in graph.uses.values() for use in uses if use.role == "bias"}
    hidden = (op for op, activation in zip(chain.operations, chain.activations, strict=True) if activation)
    return all(any(at == op.index or _shifts(graph, at, op) for at in with_bias) for op in hidden)


def _shifts(graph: Graph, at: int, operation: Operation) -> bool:
    """Whether a bias is added by a step of its own right behind this operation."""
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
    return ", which starts the loss within 0.3 of ln K" if target < 1 else ""


def _expansion(outputs: int, inputs: int) -> float:
    """An orthogonal map to more outputs spreads the same length over them: sqrt(outputs/inputs) gives it back."""
    return math.sqrt(max(1.0, outputs / inputs))


def _people(activation: str) -> str:
    return {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}.get(activation, activation)
