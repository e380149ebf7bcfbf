"""Where the second moments of a plain chain's layers end, over draws of its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wellbegun.diagnosis.facts import LayerBands, LayerFacts
from wellbegun.errors import ArgumentError, TheoryError
from wellbegun.theory import Activation, Band, ChainLayer, predict_chain

if TYPE_CHECKING:
    from wellbegun.graph.graph import Graph, Operation

COVERAGE = 0.99
"""Share of all draws that a band holds."""

CENTRED = 0.02
"""Largest share of the mean in a weight's second moment: theory's chains have weights about zero."""

Sized = Mapping[int, tuple[float, float, float, float]]
"""Of each weight operation: its weight's second moment, its fan-in and fan-out, its bias's second moment."""


def chain_bands(
    layers: Sequence[LayerFacts], graph: Graph, sizes: Sized, means: Mapping[str, float], second_moment: float
) -> tuple[LayerBands, ...]:
    """Return the bands of all layers of a plain chain; () for any other network.

    A plain chain is one input, and linear or convolutional layers one behind the other with at most one activation
    behind each: no sums, normalisation, pooling or dropout. See `wellbegun.theory.predict_chain`.

    Args:
        layers: with what theory expects of them.
        graph: of the model.
        sizes: of the weight operations, by their index.
        means: mean of each weight.
        second_moment: of the input.
    """
    chain = chain_of(graph)
    if chain is None or len(chain) != len(layers) or not second_moment > 0:
        return ()
    made: list[ChainLayer] = []
    for (operation, activation), layer in zip(chain, layers, strict=True):
        size, fan_in, fan_out, bias = sizes[operation.index]
        centred = means.get(operation.weight, math.inf) ** 2 <= CENTRED * size
        if not (centred and layer.width and float(fan_in).is_integer() and float(fan_out).is_integer()):
            return ()
        deviations = math.sqrt(size), math.sqrt(bias)
        made.append(ChainLayer(int(fan_in), int(fan_out), *deviations, activation=activation, units=layer.width))
    try:
        found = predict_chain(made, second_moment=second_moment)
    except (TheoryError, ArgumentError):  # a signal that is zero or not finite, an activation that theory cannot take
        return ()
    return tuple(
        LayerBands(_about(layer.expected, at.preactivation), _about(layer.expected_gradient, at.preactivation_gradient))
        for layer, at in zip(layers, found, strict=True)
    )


def _about(expected: float, band: Band) -> tuple[float, float]:
    """The band's range, moved to where theory has the limit for the values that the weights hold."""
    low, high = band.interval(COVERAGE)
    return expected * low / band.limit, expected * high / band.limit


def chain_of(graph: Graph) -> list[tuple[Operation, str | Activation]] | None:
    """Return the weight operations of a chain in order, each with the activation behind it; None if it is no chain.

    Args:
        graph: of the model.
    """
    starts = [operation for operation in graph.operations if operation.kind == "input"]
    found: list[tuple[Operation, str | Activation]] = []
    following = starts
    while len(following) == 1:
        operation = following[0]
        if operation.kind in ("linear", "convolution") and operation.weight:
            found.append((operation, "identity"))
        elif operation.kind == "activation" and found and found[-1][1] == "identity":
            found[-1] = found[-1][0], graph.activation(operation)
        elif operation.kind not in ("input", "view"):
            return None
        if operation.index == graph.outputs[0]:
            return found
        following = graph.consumers(operation.index)
    return None
