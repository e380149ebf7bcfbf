"""Recipes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.laws import METHODS, method_names, parse_method

if TYPE_CHECKING:
    from wellbegun.recipes.proposal import Recipe


def find_recipe(recipe: str) -> Recipe:
    """Return the policy of a name.

    >>> find_recipe("auto").name
    'auto@0'

    Raises:
        UnknownNameError: neither "auto", "author", a preset nor a method; the closest names are offered.
    """
    from wellbegun.recipes.author import AuthorRecipe
    from wellbegun.recipes.auto import Auto
    from wellbegun.recipes.by_method import ByMethod
    from wellbegun.recipes.presets import PRESETS, find_preset

    if not isinstance(recipe, str):
        raise ArgumentError(f"recipe must be a name such as 'auto' or 'he', got {recipe!r}; initializers go into rules")
    name = recipe.strip().lower()
    if name in ("auto", Auto.name):
        return Auto()
    if name in ("author", AuthorRecipe.name):
        return AuthorRecipe()
    preset = find_preset(recipe)
    if preset is not None:
        return preset
    try:
        return ByMethod(*parse_method(recipe))
    except UnknownNameError as error:
        names = ["auto", "author", *(kind.name_only for kind in PRESETS), *(method.name for method in METHODS)]
        raise UnknownNameError("recipe", error.given, names, method_names()) from None
