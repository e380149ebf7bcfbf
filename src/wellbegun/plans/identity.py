"""What decides an entry's numbers, as plain data: the plan's hash and its groups rest on it."""

from __future__ import annotations

from typing import Any

from wellbegun.laws import Law, law_to_record
from wellbegun.plans.entry import UNCHANGED, Entry


def law_identity(law: Law) -> dict[str, Any]:
    """Return a law's record; given numbers by their SHA-256 alone."""
    kept: dict[str, Any] = without_values(law_to_record(law))
    return kept


def entry_identity(entry: Entry) -> list[object]:
    """Return what a plan's hash covers of an entry: not its reason, role or storage type."""
    law = law_identity(entry.law)
    known: list[object] = [entry.name, list(entry.ties), list(entry.shape), entry.stream, law, entry.zero_row]
    return known if entry.training == UNCHANGED else [*known, list(entry.training)]


def without_values(record: Any) -> Any:
    """Drop the bytes of stored numbers, which have a hash beside them, wherever they stand in a record."""
    if isinstance(record, dict):
        return {key: without_values(part) for key, part in record.items() if key != "base64"}
    return [without_values(part) for part in record] if isinstance(record, list) else record
