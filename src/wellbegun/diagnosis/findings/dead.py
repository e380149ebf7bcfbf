"""Units that are zero for every input."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import hidden, weights_of

NEARLY_ALL, MOSTLY, OFTEN = 0.9, 0.5, 0.3
"""Shares of dead units: an error, a warning, a note."""


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
    remedy = "start biases at zero, and weights mirrored or orthogonal, which keeps inputs apart, as auto does"
    return [Finding("dead", level, guilty[0].name, message, remedy, weights_of(facts, guilty))]
