"""Parameters that all processes should hold alike and do not."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, names


def find(facts: Facts) -> list[Finding]:
    """Data parallel training adds the same steps to all copies: what differs at the start differs for ever."""
    if not facts.differing:
        return []
    guilty = list(facts.differing)
    ranks = sorted({rank for found in facts.differing.values() for rank in found})
    what = "process holds" if len(ranks) == 1 else "processes hold"
    message = (
        f"{what} other numbers than the first one in {count(len(guilty), 'parameter')}: {names(guilty)} "
        f"(rank {', '.join(map(str, ranks))})"
    )
    remedy = "apply the same plan on every process (wb.apply), then ask wb.verify_replicas"
    return [Finding("replicas", "error", guilty[0], message, remedy, tuple(guilty))]
