"""Units that are zero for every input."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding, LayerFacts
from wellbegun.diagnosis.findings.words import cosine, hidden, weights_of
from wellbegun.theory import share_off

NEARLY_ALL, MOSTLY, OFTEN = 0.9, 0.5, 0.3
"""Shares of dead units: an error, a warning, a note."""

CHANCE, MARGIN = 4.0, 0.02
"""Deviations by which a layer of finite width may differ from theory, and what is left to cosines that differ."""

RECTIFIED = frozenset({"relu", "relu6"})
"""Activations that are zero for all negative numbers, which theory's share is about."""


def find(facts: Facts) -> list[Finding]:
    """Return the first layer with many dead units, and how bad the worst is."""
    layers = facts.hidden
    guilty = [layer for layer in layers if layer.activation and layer.dead > OFTEN]
    if not guilty:
        return []
    worst = max(guilty, key=lambda layer: layer.dead)
    level = "error" if worst.dead > NEARLY_ALL else "warning" if worst.dead > MOSTLY else "note"
    message = (
        f"{worst.dead:.0%} of the units of {worst.name} are zero for every input of the batch "
        f"({len(guilty)} of {hidden(layers)} with more than {OFTEN:.0%}); a dead unit learns nothing"
    )
    message += _why(facts, worst)
    remedy = "start biases at zero, and weights mirrored or orthogonal, which keeps inputs apart, as auto does"
    return [Finding("dead", level, guilty[0].name, message, remedy, weights_of(facts, guilty))]


def _why(facts: Facts, layer: LayerFacts) -> str:
    """What theory says: how many units are off for so many inputs of this cosine, with weights of mean 0."""
    plain = layer.kind == "linear" and math.isnan(layer.tokens) and not layer.normalised
    if not (plain and layer.activation in RECTIFIED and facts.inputs and layer.width and layer.cosine >= 0):
        return ""
    if layer.mean < -CHANCE * math.sqrt(layer.signal / layer.width):
        return f"; biases or weights of one sign keep them off: the layer's outputs have the mean {layer.mean:.3g}"
    expected = share_off(min(layer.cosine, 1.0), facts.inputs)
    told = f"; by theory {facts.inputs} inputs of cosine {cosine(layer.cosine)} leave {expected:.0%} of units off"
    if layer.dead <= expected + CHANCE * math.sqrt(expected * (1 - expected) / layer.width) + MARGIN:
        return f"{told}: the inputs have become alike"
    return f"{told}, and something else the rest"
