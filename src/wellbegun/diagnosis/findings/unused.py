"""Parameters that are to be trained and that no operation takes."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, names


def find(facts: Facts) -> list[Finding]:
    """Return a warning that names them, and one for those whose results the loss does not depend on."""
    if facts.predicted:
        return []
    trained = [tensor for tensor in facts.tensors if tensor.trained]
    unused = [tensor.name for tensor in trained if not tensor.used]
    lost = [tensor.name for tensor in trained if tensor.used and not tensor.reached]
    return [
        *_warning(unused, "not used by the forward pass", "call the module that holds them, or remove it"),
        *_warning(lost, "used for nothing that the loss depends on", "look for what drops their results, or detaches"),
    ]


def _warning(guilty: list[str], what: str, remedy: str) -> list[Finding]:
    if not guilty:
        return []
    message = f"{count(len(guilty), 'parameter')} to be trained {'is' if len(guilty) == 1 else 'are'} {what}: "
    return [Finding("unused", "warning", guilty[0], message + names(guilty), f"{remedy}; no starting value helps")]
