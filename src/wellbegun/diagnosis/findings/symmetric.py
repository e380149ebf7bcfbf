"""Units that compute the same number as another unit, and always will."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import hidden, weights_of

MOSTLY = 0.5
"""Share of a layer's units that equal another one."""


def find(facts: Facts) -> list[Finding]:
    """Return the first layer most of whose units are copies.

    What the loss does not depend on gets no gradient at all, and is the finding `unused`. A table's units part with the
    first step if any weight behind them tells them apart: rows of zeros (padding) or of ones (scales) may be read.
    """
    layers = facts.layers[:-1]
    lost = {tensor.name for tensor in facts.tensors if tensor.trained and not tensor.reached}
    # where nothing flows in, the guilty layer is an earlier one
    guilty = [
        layer
        for at, layer in enumerate(layers)
        if layer.twins > MOSTLY
        and not layer.starts_at_zero
        and layer.inflow != 0
        and not lost.issuperset(facts.aliases.get(layer.name, (layer.name,)))
        and not (layer.kind == "lookup" and any(behind.twins <= MOSTLY for behind in facts.layers[at + 1 :]))
    ]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"{first.twins:.0%} of the units of {first.name} compute the same number as another unit on every input"
        f" ({len(guilty)} of {hidden(layers)}): equal units get equal gradients and stay copies"
    )
    remedy = "draw the weights at random"
    return [Finding("symmetric", "error", first.name, message, remedy, weights_of(facts, guilty))]
