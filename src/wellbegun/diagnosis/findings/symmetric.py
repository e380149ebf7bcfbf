"""Units that compute the same number as another unit, and always will."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import hidden, weights_of

MOSTLY = 0.5
"""Share of a layer's units that equal another one."""


def find(facts: Facts) -> list[Finding]:
    """Return the first layer most of whose units are copies."""
    layers = facts.layers[:-1]
    # where nothing flows in, the guilty layer is an earlier one
    guilty = [layer for layer in layers if layer.twins > MOSTLY and not layer.starts_at_zero and layer.inflow != 0]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"{first.twins:.0%} of the units of {first.name} compute the same number as another unit on every input"
        f" ({len(guilty)} of {hidden(layers)}): equal units get equal gradients and stay copies"
    )
    remedy = "draw the weights at random"
    return [Finding("symmetric", "error", first.name, message, remedy, weights_of(facts, guilty))]
