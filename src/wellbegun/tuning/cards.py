"""The cards of all methods: recipes and initializers, and those that look at data or gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellbegun.errors import UnknownNameError
from wellbegun.laws import Card, method_names
from wellbegun.recipes.cards import recipe_card, recipe_cards
from wellbegun.tuning.adapters import plan_adapters
from wellbegun.tuning.admin import profile_admin
from wellbegun.tuning.calibrate import calibrate
from wellbegun.tuning.equal_rates import equal_rates
from wellbegun.tuning.gradinit import gradinit
from wellbegun.tuning.metainit import metainit
from wellbegun.tuning.new_tokens import plan_new_tokens
from wellbegun.tuning.select_weights import select_weights
from wellbegun.tuning.standardize import standardize
from wellbegun.tuning.swim import swim
from wellbegun.tuning.upcycle import upcycle


@dataclass(frozen=True)
class Tuning:
    """A function that makes a better plan, or new values, from data, gradients or trained weights.

    Attributes:
        name: what it is called on the command line.
        function: its docstring is its card.
        code: the call that the card shows, without "wb.".
        aliases: other names for the same thing.
    """

    name: str
    function: Callable[..., Any]
    code: str
    aliases: tuple[str, ...] = ()

    def card(self) -> Card:
        """The method's card."""
        return Card.of(self.name, self.function, self.code)


TUNINGS: tuple[Tuning, ...] = (
    Tuning("calibrate", calibrate, "calibrate(plan, model, batch)", ("lsuv",)),
    Tuning("standardize", standardize, "standardize(plan, model, batch)", ("weight_norm_init", "actnorm")),
    Tuning("metainit", metainit, "metainit(plan, model, batch)"),
    Tuning("gradinit", gradinit, "gradinit(plan, model, batch)"),
    Tuning("adapters", plan_adapters, "plan_adapters(model, seed=7)", ("lora", "pissa", "olora", "rslora", "eva")),
    Tuning("new_tokens", plan_new_tokens, "plan_new_tokens(model, old=100, seed=7)", ("mean_resizing",)),
    Tuning("profile_admin", profile_admin, "profile_admin(plan, model, batch)", ()),
    Tuning("swim", swim, "swim(plan, model, (inputs, targets))"),
    Tuning("weight_selection", select_weights, "select_weights(plan, larger)", ("select_weights",)),
    Tuning("upcycle", upcycle, "upcycle(plan, dense, names)", ("upcycling", "sparse_upcycling")),
    Tuning("equal_rates", equal_rates, "equal_rates(plan, model, batch)", ("krahenbuhl", "magic_init")),
)
"""Every function of this room (and of the rooms below) that has a card."""


def all_cards() -> list[Card]:
    """Return the cards of all methods."""
    return [*recipe_cards(), *(tuning.card() for tuning in TUNINGS)]


def find_card(name: str) -> Card:
    """Return the card of a method by any of its names.

    >>> find_card("kaiming").name
    'he'

    Raises:
        UnknownNameError: no such method; the closest names are offered.
    """
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    found = next((tuning for tuning in TUNINGS if wanted in (tuning.name, *tuning.aliases)), None)
    if found is not None:
        return found.card()
    try:
        return recipe_card(name)
    except UnknownNameError:
        aliases = [*method_names(), *(alias for tuning in TUNINGS for alias in tuning.aliases)]
        known = (card.name for card in all_cards())
        raise UnknownNameError("method", name, known, aliases, list_with="wellbegun methods") from None
