"""Moments behind an activation of a graph, for normal signals of any mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from wellbegun.graph.graph import Graph
from wellbegun.theory import Activation, Moments, find_activation, moments

SILENT = 1e-12
"""Second moment below which a signal counts as zero: nothing can be scaled by it."""


def activation_of(graph: Graph, detail: str) -> Activation:
    """Return the function that an activation of the graph applies; PReLU at its slope of 0.25."""
    functions: Mapping[str, Callable[..., object]] = getattr(graph, "functions", {})
    if detail in functions:
        return _by_function(detail, functions[detail])
    return find_activation("prelu_0.25" if detail == "prelu" else detail)


def behind_activation(graph: Graph, detail: str, second_moment: float, mean: float = 0.0) -> Moments:
    """Moments of f(z) for a normal z of this second moment and mean."""
    activation = activation_of(graph, detail)
    variance = second_moment - mean**2
    if mean**2 < 1e-3 * second_moment or variance <= SILENT:
        return moments(activation, max(second_moment, SILENT))
    return moments(_moved(activation, float(f"{mean:.6g}"), float(f"{math.sqrt(variance):.6g}")), 1.0)


@lru_cache(maxsize=256)
def _moved(activation: Activation, mean: float, std: float) -> Activation:
    """f(mean + std·z) as a function of z."""
    kinks = tuple((kink - mean) / std for kink in activation.kinks)
    return Activation(activation.name, lambda z: activation.function(mean + std * z), kinks)


@lru_cache(maxsize=1024)
def exponent_of(activation: Activation, second_moment: float) -> float:
    """d log E f² / d log q: 1 where f is linear, 2 for squares, near 0 for what saturates."""
    low, high = (max(moments(activation, max(second_moment, SILENT) * by).second, SILENT) for by in (1 / 1.1, 1.1))
    return max(math.log(high / low) / math.log(1.21), 0.0)


@lru_cache(maxsize=256)
def _by_function(name: str, function: Callable[..., object]) -> Activation:
    found = find_activation(function)
    return Activation(name, found.function, found.kinks)
