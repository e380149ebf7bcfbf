"""Outputs that are too sure before anything was learnt, and losses that do not start at the prior entropy."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import weights_of

SURE, VERY_SURE = 2.0, 10.0
"""A loss this far above ln K, and this many times ln K, for K classes."""

LARGE, VERY_LARGE = 9.0, 100.0
"""Second moments of logits about the mean of their row: standard deviations of 3 and 10."""

UNEVEN = 0.5
"""Entropy of the targets this far below ln K: a bias that knows the frequencies saves that much."""


def find(facts: Facts) -> list[Finding]:
    """Return what the loss shows, else what the logits alone do, and what the frequencies of the targets would save."""
    return [*(_overconfident(facts) or _large(facts)), *_prior(facts)]


def _overconfident(facts: Facts) -> list[Finding]:
    """A network that knows nothing yet should give every class about the same chance: loss ln K."""
    classes, loss = facts.classes, facts.loss
    if classes is None or classes < 2 or not math.isfinite(loss) or loss <= math.log(classes) + SURE:
        return []
    chance = math.log(classes)
    level = "error" if loss > VERY_SURE * chance else "warning"
    message = (
        f"the loss starts at {loss:.3g}, where equal chances for all {classes} classes give ln {classes} = "
        f"{chance:.3g}: the first steps go into unlearning wrong answers"
    )
    return [_at_output(facts, "overconfident", level, message, "scale the output layer down")]


def _large(facts: Facts) -> list[Finding]:
    if not facts.logits > LARGE:
        return []
    level = "error" if facts.logits > VERY_LARGE else "warning"
    message = (
        f"the logits have a standard deviation of {math.sqrt(facts.logits):.3g} in a row: the softmax is sure of "
        "answers that nobody has taught it"
    )
    return [_at_output(facts, "large logits", level, message, "scale the output layer down, to 0.5 or less")]


def _prior(facts: Facts) -> list[Finding]:
    classes, loss = facts.classes, facts.loss
    if classes is None or not facts.prior < math.log(max(classes, 2)) - UNEVEN or not loss > facts.prior + UNEVEN:
        return []
    message = (
        f"the targets are uneven: a network that knew their frequencies alone would start at {facts.prior:.3g}, and "
        f"this one starts at {loss:.3g}"
    )
    remedy = "start the output layer's bias at the logarithms of the frequencies"
    return [_at_output(facts, "prior", "note", message, remedy, mends=False)]


def _at_output(facts: Facts, kind: str, level: str, message: str, remedy: str, *, mends: bool = True) -> Finding:
    last = facts.layers[-1:]
    where = last[0].name if last else "the output"
    return Finding(kind, level, where, message, remedy, weights_of(facts, last) if mends else ())
