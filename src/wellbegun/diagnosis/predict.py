"""What theory says about every layer: second moments of the signal going forward, of the gradient going back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.chain_bands import Sized, chain_bands
from wellbegun.diagnosis.facts import Facts, LayerFacts, PhaseFacts
from wellbegun.diagnosis.phase_points import phase_of
from wellbegun.errors import TheoryError
from wellbegun.laws import Constant, Law, Normal
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Signals
from wellbegun.theory import moments

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph, Operation
    from wellbegun.plans import Plan

_UNMOVED = frozenset({"shift", "concat", "parameter"})


@dataclass(frozen=True)
class Prediction:
    """Second moments behind each operation of a graph, by its index; what theory does not reach is missing.

    Attributes:
        signals: of the results.
        gradients: of the loss's gradient with respect to the results, where that of the outputs is 1.
    """

    signals: Mapping[int, float]
    gradients: Mapping[int, float]


def with_theory(facts: Facts, model: torch.nn.Module, example: Any, plan: Plan | None, *, traced: bool) -> Facts:
    """Return the facts with `expected` and `expected_gradient` where theory reaches, with `bands` and `phase`.

    Args:
        facts: measured.
        model: that they are about.
        example: inputs, as `wb.plan` takes them.
        plan: its entries' targets are expected where the model is not traced.
        traced: trace the model and follow the sizes that its weights really have.
    """
    from wellbegun.diagnosis.planned import planned_names

    names = planned_names(model)
    if not traced:
        layers = tuple(
            replace(layer, expected=_target(plan, names.get(layer.name, layer.name))) for layer in facts.layers
        )
        return replace(facts, layers=layers)
    from wellbegun.graph.trace import trace

    graph = trace(model, example)
    held = {names.get(t.name, t.name): (t.mean, t.mean**2 + t.std**2) for t in facts.tensors}
    made = predict(graph, held)
    layers, sized, means = _beside(facts.layers, graph, made, names), _sized(graph, held), _means(held)
    start = next((made.signals[at.index] for at in graph.operations if at.kind == "input"), math.nan)
    bands = chain_bands(layers, graph, sized, means, start)
    return replace(facts, layers=layers, bands=bands, phase=phase_of(layers, graph, sized, means))


def phase_by_plan(layers: Sequence[LayerFacts], graph: Graph, held: Mapping[str, tuple[float, float]]) -> PhaseFacts:
    """Return where the layers will lie in the plane of weight and bias variance.

    Args:
        layers: predicted, of all weights that are held.
        graph: of the model.
        held: mean and second moment of each parameter.
    """
    return phase_of(layers, graph, _sized(graph, held), _means(held))


def _sized(graph: Graph, held: Mapping[str, tuple[float, float]]) -> Sized:
    """Of each weight operation, its weight's second moment, its fans, and its bias's second moment."""
    biases = _biases(graph, held)
    return {at.index: (*_weight(graph, at, held), biases.get(at.index, 0.0)) for at in graph.weight_operations()}


def _means(held: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    return {name: mean for name, (mean, _) in held.items()}


def predict(graph: Graph, held: Mapping[str, tuple[float, float]]) -> Prediction:
    """Follow the second moments through a graph.

    Forward: q' = fan_in E[w²] q behind a weight, E[f(z)²] behind an activation, z ~ N(0, q) (Poole et al. 2016, arXiv
    1606.05340, eq. 3). Backward: fan_out E[w²] and E[f'(z)²] (Schoenholz et al. 2017, arXiv 1611.01232, eq. 7). Sums,
    products, normalisations, pooling and views are followed too; attention's scores are not.

    Args:
        graph: what the forward pass does.
        held: mean and second moment of each parameter, by its name in a plan.
    """
    proposals = {name: Proposal(_law(*values), "") for name, values in held.items()}
    signals, biases = Signals(graph, noisy=True), _biases(graph, held)
    for operation in graph.operations:
        target = _behind_weight(graph, operation, signals, held) + biases.get(operation.index, 0.0)
        signals.follow(operation, target, proposals)
    sizes = {operation.index: signals[operation.index].second_moment for operation in graph.operations}
    return Prediction(sizes, _gradients(graph, sizes, held))


def activation_behind(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Return the activation that the result of a weight goes through, and whether a normalisation stands behind it."""
    normalised, index = False, operation.index
    while True:
        following = [step for step in graph.consumers(index) if step.kind in _BETWEEN or step.kind == "activation"]
        if not following:
            return "", normalised
        if following[0].kind == "activation":
            return following[0].detail, normalised
        normalised |= following[0].kind == "norm"
        index = following[0].index


_BETWEEN = frozenset({"view", "dropout", "shift", "scale", "norm", "add", "pool"})


def _beside(
    layers: Sequence[LayerFacts], graph: Graph, made: Prediction, names: Mapping[str, str]
) -> tuple[LayerFacts, ...]:
    waiting: dict[str, list[Operation]] = {}
    for operation in graph.weight_operations():
        waiting.setdefault(operation.weight, []).append(operation)
    found: list[LayerFacts] = []
    for layer in layers:
        same = waiting.get(names.get(layer.name, layer.name), [])
        if layer.kind == "recurrent" or not same:
            found.append(layer)
            continue
        index = same.pop(0).index
        slope = made.gradients.get(index, math.nan)
        found.append(replace(layer, expected=made.signals.get(index, math.nan), expected_gradient=slope))
    unit = next(
        (x.gradient / x.expected_gradient for x in reversed(found) if x.gradient > 0 and x.expected_gradient > 0),
        math.nan,
    )
    return tuple(replace(layer, expected_gradient=layer.expected_gradient * unit) for layer in found)


def _target(plan: Plan | None, name: str) -> float:
    after = plan[name].after if plan is not None and name in plan else None
    return math.nan if after is None else after


def _law(mean: float, second: float) -> Law:
    spread = math.sqrt(max(second - mean**2, 0.0))
    return Normal(std=spread, mean=mean) if spread > 0 and math.isfinite(mean + spread) else Constant(mean)


def _biases(graph: Graph, held: Mapping[str, tuple[float, float]]) -> dict[int, float]:
    """Second moment of the biases added behind each operation; those with a mean of their own are `Signals`' matter."""
    found: dict[int, float] = {}
    for name, uses in graph.uses.items():
        mean, second = held.get(name, (0.0, 0.0))
        for use in uses:
            if use.role == "bias" and mean**2 <= second - mean**2:
                found[use.operation] = found.get(use.operation, 0.0) + second
    return found


def _behind_weight(
    graph: Graph, operation: Operation, signals: Signals, held: Mapping[str, tuple[float, float]]
) -> float:
    size, fan_in, _ = _weight(graph, operation, held)
    if operation.kind == "embedding":
        return size
    flows = [signals[index].second_moment for index in operation.inputs] or [1.0]
    return size * fan_in * flows[0] * (flows[1] if operation.kind == "bilinear" and len(flows) > 1 else 1.0)


def _weight(graph: Graph, operation: Operation, held: Mapping[str, tuple[float, float]]) -> tuple[float, float, float]:
    """Second moment of a weight's elements as they are used, its fan-in and its fan-out; 1 for what is not known."""
    if operation.weight not in held:
        return 1.0, 1.0, 1.0
    use = next((u for u in graph.uses.get(operation.weight, ()) if u.operation == operation.index and u.fans), None)
    size = held[operation.weight][1]
    if use is None or use.fans is None:
        return size, 1.0, 1.0
    return size * use.factor**2, use.fans.fan_in, use.fans.fan_out


def _gradients(graph: Graph, sizes: Mapping[int, float], held: Mapping[str, tuple[float, float]]) -> dict[int, float]:
    found = dict.fromkeys(graph.outputs[:1], 1.0)
    scales: dict[int, float] = {}
    for name, uses in graph.uses.items():
        for use in uses:
            if use.role in ("normalisation scale", "multiplied", "scalar gate") and name in held:
                scales[use.operation] = scales.get(use.operation, 1.0) * held[name][1]
    for operation in reversed(graph.operations):
        gradient = found.get(operation.index)
        if gradient is None:
            continue
        gradient *= scales.get(operation.index, 1.0)
        for index in operation.inputs:
            factor = _back(graph, operation, index, sizes, held)
            if factor is not None:
                found[index] = found.get(index, 0.0) + gradient * factor
    return found


def _back(
    graph: Graph,
    operation: Operation,
    index: int,
    sizes: Mapping[int, float],
    held: Mapping[str, tuple[float, float]],
) -> float | None:
    """Factor on the gradient's second moment from an operation's result to one of its inputs; None: not known."""
    kind, flow = operation.kind, sizes[index]
    ratio = math.prod(operation.shape) / max(math.prod(graph.operations[index].shape), 1)
    if kind in ("linear", "convolution", "transposed convolution"):
        size, _, fan_out = _weight(graph, operation, held)
        return size * fan_out if operation.weight in held else None
    if kind == "activation":
        try:
            slope = moments(graph.activation(operation), flow).slope_second if flow > 0 else math.inf
            return slope if slope < math.inf else None
        except TheoryError:
            return None
    if kind == "norm":
        return (operation.second_moment or 1.0) / flow if flow > 0 else None
    if kind == "multiply" and len(operation.inputs) == 2:
        other = next((i for i in operation.inputs if i != index), index)
        return sizes[other]
    if kind == "scale":
        return operation.factor**2
    if kind == "dropout":
        return 1 / operation.kept
    if kind == "pool":  # a mean spreads each gradient over its places, a maximum gives it to one of them
        return ratio if "max" in operation.detail else ratio**2
    if kind == "view":
        return ratio
    return 1.0 if kind == "add" or kind in _UNMOVED or kind == "multiply" else None
