"""Where the layers of a network lie in the plane of weight and bias variance, if they lie in it at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wellbegun.diagnosis.chain_bands import CENTRED, Sized, chain_of
from wellbegun.diagnosis.facts import LayerFacts, PhaseFacts, PhasePoint
from wellbegun.errors import WellbegunError
from wellbegun.theory import find_activation

if TYPE_CHECKING:
    from wellbegun.graph.graph import Graph, Operation

FEWEST = 2
"""Layers that come after one with the same activation: with fewer of them there is no depth to speak of."""

_REASONS = {
    "norm": "normalises its signals, which sets their size anew whatever the weights are",
    "attention": "has attention, whose mixing of places depends on the signal",
    "softmax": "has a softmax inside, which no activation of single numbers is",
    "recurrent": "is recurrent: the same weights act again and again",
    "multiply": "multiplies signals (gates), so that sizes multiply too",
    "add": "adds signals (residual branches), so that sizes add up",
    "pool": "pools, and theory's layers have nothing between weights and activation",
    "dropout": "drops numbers at random, which adds to their second moment",
    "concat": "joins signals of different layers",
}
"""What keeps a network out of the plane, the strongest first; each goes on behind "the network"."""


def phase_of(layers: Sequence[LayerFacts], graph: Graph, sizes: Sized, means: Mapping[str, float]) -> PhaseFacts:
    """Return the points of a plain chain's layers, or why there are none.

    The plane is that of Poole et al. 2016 (arXiv 1606.05340): q' = sigma_w² E f(z)² + sigma_b². A layer has a point if
    what flows into it went through the activation that stands behind it too: the first one, which sees data, and the
    output layer have none.

    Args:
        layers: of the network, in the order of execution.
        graph: of the model.
        sizes: second moment of each weight, its fans, and the second moment of its bias, by weight operation.
        means: mean of each weight.
    """
    chain = chain_of(graph)
    if chain is None:
        return PhaseFacts(reason=f"the network {_reason(graph)}")
    if len(chain) != len(layers):
        return PhaseFacts(reason="the layers that were measured are not those of the trace")
    follows: list[tuple[str, Operation, LayerFacts]] = []
    for (_, before), (operation, activation), layer in zip(chain, chain[1:], layers[1:], strict=False):
        if str(activation) == str(before) != "identity":
            follows.append((str(activation), operation, layer))
    counted = Counter(name for name, _, _ in follows)
    if not counted or max(counted.values()) < FEWEST:
        return PhaseFacts(reason=f"fewer than {FEWEST + 1} layers with the same activation follow one another")
    name = counted.most_common(1)[0][0]
    try:
        find_activation(name)
    except WellbegunError:
        return PhaseFacts(reason=f"theory does not know the activation {name}")
    points = []
    for activation, operation, layer in follows:
        size, fan_in, _, bias = sizes[operation.index]
        if activation != name:
            continue
        if not means.get(operation.weight, math.inf) ** 2 <= CENTRED * size:
            return PhaseFacts(reason=f"the weights of {layer.name} do not have a mean of zero, as theory's have")
        points.append(PhasePoint(layer.name, fan_in * size, bias))
    return PhaseFacts(name, tuple(points))


def _reason(graph: Graph) -> str:
    kinds = {operation.kind for operation in graph.operations}
    known = next((reason for kind, reason in _REASONS.items() if kind in kinds), "")
    return known or "is no chain of layers with one activation behind each"
