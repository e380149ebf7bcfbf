"""Bounded activations that are flat where their inputs lie."""

from __future__ import annotations

from collections.abc import Sequence

from wellbegun.diagnosis.facts import Facts, Finding, LayerFacts
from wellbegun.diagnosis.findings.words import hidden, weights_of
from wellbegun.diagnosis.flat import flat_beyond

MOSTLY, OFTEN = 0.5, 0.3
"""Shares of values on the flat parts: an error, a warning. A signal of second moment 1 has 14% with a tanh."""

_ROUNDING = 1e-3
"""Types of few bits may have a value on the edge that is flat for one measurement and not for the other."""


def find(facts: Facts) -> list[Finding]:
    """Return the first layer whose activation is flat for most values, else the first where it is for many."""
    layers = facts.hidden
    guilty = [layer for layer in layers if layer.saturated > OFTEN]
    if not guilty:
        return []
    moved = [layer for layer in guilty if _is_moved(layer)]
    guilty = [layer for layer in guilty if layer not in moved]
    return [*_by_weights(facts, guilty), *_by_code(facts, moved)]


def _is_moved(layer: LayerFacts) -> bool:
    """Whether so many flat values need a larger second moment than the layer's output has: something moved it."""
    edge = flat_beyond(layer.activation)[-1][0]
    return not layer.normalised and layer.signal < layer.saturated * edge**2 * (1 - _ROUNDING)


def _by_code(facts: Facts, moved: Sequence[LayerFacts]) -> list[Finding]:
    """What is added to or multiplied with the output, as a gate's own bias or rate of decay, may be meant so."""
    if not moved:
        return []
    first = moved[0]
    message = (
        f"{first.saturated:.0%} of the values behind {first.name} lie where {first.activation} is flat "
        f"({len(moved)} of {hidden(facts.hidden)}), though its output has second moment {first.signal:.3g}: what is "
        "added to it or multiplied with it moves it there"
    )
    remedy = (
        "none if a gate is meant to start open or shut; else lower what stands between the layer and its activation"
    )
    return [Finding("saturated", "warning", first.name, message, remedy)]


def _by_weights(facts: Facts, guilty: Sequence[LayerFacts]) -> list[Finding]:
    if not guilty:
        return []
    layers = facts.hidden
    first = max(guilty, key=lambda layer: layer.saturated > MOSTLY)
    level = "error" if first.saturated > MOSTLY else "warning"
    cause = "the normalisation in front of it scales" if first.normalised else "its input has"
    message = (
        f"{first.saturated:.0%} of the values behind {first.name} lie where {first.activation} is flat "
        f"({len(guilty)} of {hidden(layers)}): {cause} "
        + ("too high" if first.normalised else f"second moment {first.signal:.3g}")
        + ", and hardly any gradient passes a flat unit"
    )
    remedy = f"lower the scale of the {'normalisation' if first.normalised else 'weights, as Xavier or auto do'}"
    scales = tuple(layer.norm for layer in guilty if layer.normalised and layer.norm)
    weights = weights_of(facts, [layer for layer in guilty if not layer.normalised])
    return [Finding("saturated", level, first.name, message, remedy, (*weights, *scales))]
