"""The card of every recipe and initializer, from its docstring; `tuning.cards` adds what looks at data or gradients."""

from __future__ import annotations

from wellbegun.laws import METHODS, Card, find_method
from wellbegun.recipes.author import AuthorRecipe
from wellbegun.recipes.auto import Auto
from wellbegun.recipes.presets.catalogue import preset_card, preset_cards


def recipe_cards() -> list[Card]:
    """Return the cards of auto and author, of all presets and of all initializers."""
    return [_auto(), _author(), *preset_cards(), *(method.card() for method in METHODS)]


def recipe_card(name: str) -> Card:
    """Return the card of a recipe or initializer by any of its names.

    >>> recipe_card("kaiming").name
    'he'

    Raises:
        UnknownNameError: no such method; the closest names are offered.
    """
    if name.strip().lower() in ("auto", Auto.name):
        return _auto()
    if name.strip().lower() in ("author", AuthorRecipe.name):
        return _author()
    return preset_card(name) or find_method(name).card()


def _auto() -> Card:
    return Card.of("auto", Auto, "initialize(model, batch, seed=7)")


def _author() -> Card:
    return Card.of("author", AuthorRecipe, 'plan(model, seed=7, recipe="author")')
