"""Bounded activations that are flat where their inputs lie."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import hidden, weights_of

MOSTLY, OFTEN = 0.5, 0.3
"""Shares of values on the flat parts: an error, a warning. A signal of second moment 1 has 14% with a tanh."""


def find(facts: Facts) -> list[Finding]:
    """Return the first layer whose activation is flat for most values, else the first where it is for many."""
    layers = facts.hidden
    guilty = [layer for layer in layers if layer.saturated > OFTEN]
    if not guilty:
        return []
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
