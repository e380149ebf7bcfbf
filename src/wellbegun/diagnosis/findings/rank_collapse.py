"""Tokens of one input that have become alike: attention averages them, and nothing keeps them apart."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import cosine, weights_of

ALIKE, NEARLY_ALIKE, APART = 0.999, 0.97, 0.9
"""Mean cosine between places at the end: an error, a warning; and at the start, where they were still apart."""


def find(facts: Facts) -> list[Finding]:
    """Return the place from which on the tokens of an input are alike.

    Attention without residual sums loses all but one direction of them doubly exponentially with depth (Dong,
    Cordonnier and Loukas 2021, arXiv 2103.03404). The residual stream is looked at where there
    is one: what attention writes is alike in sound networks too.
    """
    if not facts.attentions:
        return []
    path: list[tuple[str, float]] = []
    for stream in facts.streams:
        path += zip(("", *stream.writers), stream.tokens, strict=True)
    if not path:
        path = [(layer.name, layer.tokens) for layer in facts.layers]
    path = [(name, likeness) for name, likeness in path if not math.isnan(likeness)]
    if len(path) < 2 or path[0][1] > APART or path[-1][1] <= NEARLY_ALIKE:
        return []
    start, (_, end) = path[0][1], path[-1]
    guilty = next(name for name, likeness in path if likeness > NEARLY_ALIKE)
    message = (
        f"the tokens of an input become alike: mean cosine {cosine(start)} at the start, {cosine(end)} at the end; "
        "what attention averages, nothing tells apart again"
    )
    remedy = "let residual branches write less than the stream holds, as auto does; without residual sums, add them"
    writers = {name for stream in facts.streams for name in stream.writers}
    layers = [layer for layer in facts.layers if layer.name in writers] or list(facts.layers)
    level = "error" if end > ALIKE else "warning"
    return [Finding("rank collapse", level, guilty, message, remedy, weights_of(facts, layers))]
