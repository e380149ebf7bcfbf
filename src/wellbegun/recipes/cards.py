"""The card of every recipe and initializer, from its docstring; `tuning.cards` adds what looks at data or gradients."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.laws import METHODS, Card, find_method
from wellbegun.recipes.author import AuthorRecipe
from wellbegun.recipes.auto import Auto
from wellbegun.recipes.presets.catalogue import PRESETS, preset_card, preset_cards
from wellbegun.recipes.presets.preset import Preset


@dataclass(frozen=True)
class Named:
    """A method, and the recipes by which `wb.plan` makes it.

    Attributes:
        card: of the method.
        recipes: what `wb.plan` takes, one for each set of arguments that is worth trying.
    """

    card: Card
    recipes: tuple[str, ...]


def named_recipes() -> list[Named]:
    """Return every recipe and initializer whose card says which networks it is for, in the order of the catalogue."""
    presets = zip(preset_cards(), PRESETS, strict=True)
    found = [
        Named(_auto(), (Auto.name,)),
        Named(_author(), (AuthorRecipe.name,)),
        *(Named(card, _trials(kind)) for card, kind in presets),
        *(Named(method.card(), (method.name,)) for method in METHODS),
    ]
    return [named for named in found if named.card.domain]


def _trials(kind: type[Preset]) -> tuple[str, ...]:
    given = (kind.code,) if kind.trials is None else kind.trials
    return tuple(f"{kind.name_only}@{kind.version}{arguments}" for arguments in given)


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
