"""Different inputs that have come to point the same way: the network ignores what it is shown."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import cosine, weights_of

FORGOTTEN, NEARLY_FORGOTTEN = 0.9999, 0.95
"""Mean cosine between different inputs at the last hidden layer."""


def find(facts: Facts) -> list[Finding]:
    """Return the layer from which on inputs are alike that were not so at the start.

    A variance does not show this: 30 layers of ReLU with He weights have a perfect one, and a cosine of 0.97.
    """
    known = [layer for layer in facts.hidden if not math.isnan(layer.cosine)]
    if not known or known[-1].cosine <= NEARLY_FORGOTTEN:
        return []
    first, last = known[0], known[-1]
    start, where = first.cosine, first.name
    if start > NEARLY_FORGOTTEN:
        start, where = facts.data_cosine, "the inputs"
    if not start <= NEARLY_FORGOTTEN:  # they were alike from the start, or nobody knows
        return []
    guilty = next(layer for layer in known if layer.cosine > NEARLY_FORGOTTEN)
    level = "error" if last.cosine > FORGOTTEN else "warning"
    extent = "has forgotten its input" if level == "error" else "all but ignores its input"
    kept = first.signal > 0 and 0.1 < last.signal / first.signal < 10
    sizes = f"; the variance is no sign of it (second moments {first.signal:.2g} and {last.signal:.2g})" if kept else ""
    message = (
        f"different inputs point the same way: mean cosine {cosine(start)} at {where}, "
        f"{cosine(last.cosine)} at {last.name}; the network {extent}" + sizes
    )
    remedy = "orthogonal or mirrored weights keep the angles: auto"
    layers = facts.layers[: facts.layers.index(last) + 1]
    return [Finding("collapsed", level, guilty.name, message, remedy, weights_of(facts, layers))]
