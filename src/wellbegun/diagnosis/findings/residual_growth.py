"""Residual streams that grow too fast, or that one branch drowns."""

from __future__ import annotations

import math
import statistics

from wellbegun.diagnosis.facts import Facts, Finding, StreamFacts
from wellbegun.diagnosis.findings.words import count, weights_of

LINEAR = 2.0
"""Factor on the second half of a stream to which every write adds as much as any other, at most."""

WARNING, ERROR = 8.0, 1e3
"""Factors beyond that one."""

DROWNS = 1e3
"""A write this many times as large as what the stream held, and as the usual write, is all that is left of it."""


def find(facts: Facts) -> list[Finding]:
    """Return what is wrong with the residual streams.

    Branches that begin with a normalisation write as much each: the stream grows in proportion to depth. Branches that
    pass the stream's own size on make it grow by a factor a block, 2 with He's weights (Zhang, Dauphin and Ma 2019,
    Fixup, arXiv 1901.09321).
    """
    return [finding for stream in facts.streams for finding in (_drowned(facts, stream) or _growth(facts, stream))]


def _drowned(facts: Facts, stream: StreamFacts) -> list[Finding]:
    usual = statistics.median(stream.branches)
    for writer, branch, before in zip(stream.writers, stream.branches, stream.sums, strict=False):
        if branch > DROWNS * max(before, usual) and len(stream.branches) > 2:
            message = (
                f"{writer} writes a second moment of {branch:.3g} on a residual stream of {before:.3g}, where others "
                f"write {usual:.3g}: what the stream held before is lost beside it"
            )
            layers = [layer for layer in facts.layers if layer.name == writer]
            remedy = "lower the scale of that weight, as auto does"
            return [Finding("residual growth", "error", writer, message, remedy, weights_of(facts, layers))]
    return []


def _growth(facts: Facts, stream: StreamFacts) -> list[Finding]:
    blocks, middle = len(stream.writers), len(stream.writers) // 2
    start, end = stream.sums[middle], stream.sums[-1]
    if blocks < 4 or not start > 0 or not math.isfinite(end):
        return []
    beyond = end / start / LINEAR
    if beyond <= WARNING:
        return []
    rate = (end / start) ** (1 / (blocks - middle))
    message = (
        f"the residual stream's second moment is multiplied by {rate:.3g} at each of its {count(blocks, 'addition')}, "
        f"from {stream.sums[0]:.3g} to {end:.3g}; branches that write equally much would at most double its second half"
    )
    remedy = "scale what branches write with their number, or start them at zero, as auto does"
    writers = [layer for layer in facts.layers if layer.name in stream.writers]
    level = "error" if beyond > ERROR else "warning"
    return [Finding("residual growth", level, stream.writers[0], message, remedy, weights_of(facts, writers))]
