"""Parameters that are to be trained and that no operation takes."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, names


def find(facts: Facts) -> list[Finding]:
    """Return a warning that names them."""
    unused = [tensor.name for tensor in facts.tensors if tensor.trained and not tensor.used]
    if not unused or facts.predicted:
        return []
    verb = "is" if len(unused) == 1 else "are"
    message = f"{count(len(unused), 'parameter')} {verb} trained and not used by the forward pass: {names(unused)}"
    remedy = "call the module that holds them, or remove it; no starting value helps"
    return [Finding("unused", "warning", unused[0], message, remedy)]
