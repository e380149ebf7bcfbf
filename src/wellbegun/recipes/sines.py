"""Networks of sines: sin(omega·x) behind each layer, whose first layer sets the frequencies."""

from __future__ import annotations

import math
import re

from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import FanInUniform, Initializer, Uniform
from wellbegun.recipes.factors import factor_on_way
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed

_SOURCE = "Sitzmann et al. (2020), section 3.2 and the published code"


def propose(layers: Layers, operation: Operation, feed: Feed) -> dict[str, Proposal]:
    """Return proposals for a layer of a network of sines and its biases; nothing for other layers.

    A factor above 1 inside the sine says that its network is one of frequencies: without it, a sine is an activation
    like others.
    """
    inside = factor_in_sine(layers.graph, operation)
    before = factor_before(layers.graph, operation) if operation.index in layers.outputs else None
    omega = before if inside is None else inside
    if omega is None or omega <= 1:
        return {}
    is_first = inside is not None and feed.kind == "input"
    fan_in = layers.fans(operation).fan_in
    law, words = sine_weight(fan_in, omega, is_first)
    size = feed.second_moment / (3 * fan_in) if is_first else 2 * feed.second_moment / omega**2
    if is_first:
        reason = f"fed by the data; {words}, so that sin({omega:g}·x) has the frequencies of the data"
    elif inside is None:
        reason = f"reads sines of {omega:g}·x; {words}, as the layers before it, so that the output starts near 0"
    else:
        phases = "gives the phases a second moment of about 1, beside that of the biases"
        reason = f"in front of sin({omega:g}·x); {words} {phases}"
    biases = layers.biases(operation)
    size += len(biases) / (3 * fan_in)
    made = {operation.weight: Proposal(law, reason, _SOURCE, feed.second_moment, size)}
    why = "every sine starts at a phase of its own; with biases of 0 the network would be an odd function"
    return made | {name: Proposal(FanInUniform(), why, _SOURCE) for name in biases}


def factor_in_sine(graph: Graph, operation: Operation) -> float | None:
    """What the result of a layer is multiplied with before its sine, or None if no sine follows."""
    factor, index = 1.0, operation.index
    while True:
        step = next((s for s in graph.consumers(index) if s.kind in ("scale", "view", "shift", "activation")), None)
        if step is None:
            return None
        if step.kind == "activation":
            inside = _omega_of(step)
            return None if inside is None else factor * inside
        factor *= step.factor if step.kind == "scale" else 1.0
        index = step.index


def factor_before(graph: Graph, operation: Operation) -> float | None:
    """The factor inside the sine that feeds a layer, or None if none does."""
    if not operation.inputs:
        return None
    step = graph.source(operation.inputs[0])
    inside = _omega_of(step) if step.kind == "activation" else None
    if inside is None:
        return None
    return inside * factor_on_way(graph, step.inputs[0])


def sine_weight(fan_in: float, omega: float, is_first: bool) -> tuple[Initializer, str]:
    """Return the law of a layer in a network of sines, and the law in words.

    >>> sine_weight(64, 30, is_first=False)[1]
    'U(±sqrt(6/64)/30)'

    Args:
        fan_in: inputs of the layer.
        omega: factor inside of the sines.
        is_first: whether it reads the coordinates.
    """
    bound = 1 / fan_in if is_first else math.sqrt(6 / fan_in) / omega
    return Uniform(-bound, bound), f"U(±1/{fan_in:g})" if is_first else f"U(±sqrt(6/{fan_in:g})/{omega:g})"


def _omega_of(step: Operation) -> float | None:
    """The factor that is part of an activation's name, "sin_30"; None for another function than a sine."""
    sine = re.fullmatch(r"sin(?:_([-+.e\d]+))?", step.detail)
    return float(sine[1] or 1.0) if sine else None
