"""Weights that get a gradient of exactly zero: for good, or until a zero in front of them has moved."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, weights_of


def find(facts: Facts) -> list[Finding]:
    """Return an error for weights that never learn, and a note for those that wait.

    Zeros that training leaves are legal: the last normalisation of a branch, the second factor of a low-rank adapter,
    the modulation of adaLN-Zero, a zero output layer. Zero behind zero is not: no gradient passes either.
    """
    # a layer that no input was sent to, as experts may be, has no signal and says nothing
    without = [layer for layer in facts.layers if layer.weight_gradient == 0 and not math.isnan(layer.signal)]
    found = []
    lost = [layer for layer in without if not layer.waits_for]
    if lost:
        message = f"{_of(len(lost), len(facts.layers))} a gradient of exactly zero, {lost[0].name} first"
        remedy = "no step will ever change them all: draw the weights at random"
        at = facts.layers.index(lost[0])
        behind = facts.layers[at:]
        zero = {tensor.name for tensor in facts.tensors if tensor.zero == 1.0}
        mended = [layer for layer in behind if layer in lost or layer.name in zero]
        weights = weights_of(facts, mended)
        if lost[0].inflow == 0 and not any(layer.signal == 0 for layer in facts.layers[:at]):
            message += ": all that flows into it is zero, and no weight before it is the reason"
            remedy = (
                "fill what is zero in front of it: a table or buffer that is to be loaded or set from data, a batch"
            )
            weights = ()
        found.append(Finding("no gradient", "error", lost[0].name, message, remedy, weights))
    waiting = [layer for layer in without if layer.waits_for]
    if waiting:
        first = waiting[0]
        message = (
            f"{_of(len(waiting), len(facts.layers))} no gradient yet, {first.name} first, because {first.waits_for} "
            "is zero; they begin to learn after the first step, which moves it"
        )
        remedy = "none is needed if that zero is meant"
        found.append(Finding("no gradient", "note", first.name, message, remedy))
    return found


def _of(number: int, layers: int) -> str:
    return f"{number} of {count(layers, 'weight')} {'gets' if number == 1 else 'get'}"
