"""What was not looked at, so that silence is not taken for praise."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, names


def find(facts: Facts) -> list[Finding]:
    """Return the weights that no watched function takes."""
    unseen = facts.unseen
    if facts.layers and not unseen:
        return []
    level = "note" if facts.layers else "warning"
    remedy = "none; judge them by other means"
    if not unseen:
        return [Finding("not judged", level, "", "the model has no weights of two or more dimensions", remedy)]
    message = (
        f"{count(len(unseen), 'weight')} {'goes' if len(unseen) == 1 else 'go'} through functions that are not "
        f"watched, or through none: {names(unseen)}"
    )
    return [Finding("not judged", level, unseen[0], message, remedy)]
