"""The card of every method and recipe, from its docstring."""

from __future__ import annotations

from wellbegun.laws import METHODS, Card, find_method
from wellbegun.recipes.auto import Auto


def all_cards() -> list[Card]:
    """Return the cards of all methods, auto first."""
    return [_auto(), *(method.card() for method in METHODS)]


def find_card(name: str) -> Card:
    """Return the card of a method by any of its names.

    >>> find_card("kaiming").name
    'he'

    Raises:
        UnknownNameError: no such method; the closest names are offered.
    """
    if name.strip().lower() in ("auto", Auto.name):
        return _auto()
    return find_method(name).card()


def _auto() -> Card:
    return Card.of("auto", Auto, "initialize(model, batch, seed=7)")
