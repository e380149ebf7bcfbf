"""The card of every method and recipe, from its docstring."""

from __future__ import annotations

from wellbegun.laws import METHODS, Card, find_method
from wellbegun.recipes.auto import Auto
from wellbegun.recipes.presets.catalogue import preset_card, preset_cards


def all_cards() -> list[Card]:
    """Return the cards of auto, of all presets and of all methods."""
    return [_auto(), *preset_cards(), *(method.card() for method in METHODS)]


def find_card(name: str) -> Card:
    """Return the card of a method by any of its names.

    >>> find_card("kaiming").name
    'he'

    Raises:
        UnknownNameError: no such method; the closest names are offered.
    """
    if name.strip().lower() in ("auto", Auto.name):
        return _auto()
    return preset_card(name) or find_method(name).card()


def _auto() -> Card:
    return Card.of("auto", Auto, "initialize(model, batch, seed=7)")
