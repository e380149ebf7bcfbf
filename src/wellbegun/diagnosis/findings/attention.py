"""Attentions that look at one place alone, or can tell no place from another."""

from __future__ import annotations

from collections.abc import Sequence

from wellbegun.diagnosis.facts import AttentionFacts, Facts, Finding, LayerFacts
from wellbegun.diagnosis.findings.words import count, weights_of

SHARP, NEARLY_SHARP = 0.15, 0.4
"""Entropy over the largest possible: scores of standard deviation 1 leave 0.8 to 0.95 of it."""

FLAT = 1e-4
"""Spread of scores below which no input moves the attention."""


def find(facts: Facts) -> list[Finding]:
    """Return the first attention of each kind."""
    return [*_sharp(facts), *_flat(facts)]


def _sharp(facts: Facts) -> list[Finding]:
    guilty = [a for a in facts.attentions if a.entropy < NEARLY_SHARP and a.scores > 1]
    if not guilty:
        return []
    first = min(guilty, key=lambda attention: attention.entropy >= SHARP)
    message = (
        f"the attention that {first.layer} feeds looks at one place of {first.places:.0f} alone (entropy "
        f"{first.entropy:.0%} of the largest, scores with a standard deviation of {first.scores:.3g}, "
        f"{len(guilty)} of {count(len(facts.attentions), 'attention')}): a softmax that is sure passes no gradient"
    )
    remedy = "lower the scale of the query and key weights, so that scores have a standard deviation of about 1"
    level = "error" if first.entropy < SHARP else "warning"
    layers = _sources(facts, guilty)
    return [Finding("sharp attention", level, first.layer, message, remedy, weights_of(facts, layers))]


def _flat(facts: Facts) -> list[Finding]:
    guilty = [a for a in facts.attentions if a.scores < FLAT]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"the attention that {first.other} feeds weighs {first.places:.0f} places alike (scores with a standard "
        f"deviation of {first.scores:.1e}, {len(guilty)} of {count(len(facts.attentions), 'attention')}): it averages, "
        "and its queries and keys hardly learn"
    )
    remedy = "give queries and keys a second moment of 1, as auto does; none is needed if this is meant"
    layers = _sources(facts, guilty)
    return [Finding("uniform attention", "warning", first.other, message, remedy, weights_of(facts, layers))]


def _sources(facts: Facts, attentions: Sequence[AttentionFacts]) -> list[LayerFacts]:
    """The layers that make their queries and keys."""
    names = {name for attention in attentions for name in (attention.layer, attention.other)}
    return [layer for layer in facts.layers if layer.name in names]
