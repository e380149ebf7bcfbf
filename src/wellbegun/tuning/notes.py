"""What a step of tuning writes into a plan besides laws: the recipe's name and the reasons of entries."""

from __future__ import annotations

from dataclasses import replace

from wellbegun.laws import Law
from wellbegun.plans import Entry


def marked(recipe: str, suffix: str) -> str:
    """Put a step's name behind that of the recipe, once: the laws are no longer those of the recipe alone.

    >>> marked("auto@0", ", calibrated")
    'auto@0, calibrated'
    """
    return recipe if recipe.endswith(suffix) else recipe + suffix


def with_note(reason: str, note: str) -> str:
    """Put a note behind a reason, unless it stands there already."""
    if not reason or not note or reason.endswith(note):
        return reason or note
    return f"{reason}; {note}"


def noted(entry: Entry, note: str) -> Entry:
    """Return the entry with a note behind its reason."""
    return replace(entry, reason=with_note(entry.reason, note))


def measured_law(entry: Entry, law: Law, reason: str, source: str) -> Entry:
    """Return the entry with a law that was made of data or of other weights; nothing of what stood there counts."""
    return replace(with_law(replace(entry, reason="", source=""), law, reason, source), measured=None)


def with_law(entry: Entry, law: Law, note: str, source: str = "") -> Entry:
    """Return the entry with another law, and the reason for it."""
    reason = with_note(entry.reason, note)
    return replace(entry, law=law, initializer=repr(law), reason=reason, source=source or entry.source)
