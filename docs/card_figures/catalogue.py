"""Which figure belongs to which card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from card_figures.of_laws import law_figure
from card_figures.of_recipes import start_of
from card_figures.of_tunings import tuning_figure
from wellbegun.laws import METHODS
from wellbegun.recipes.cards import recipe_cards
from wellbegun.recipes.presets.catalogue import PRESETS
from wellbegun.recipes.presets.preset import Preset
from wellbegun.tuning.cards import TUNINGS


@dataclass(frozen=True)
class CardFigure:
    """The figure of one card.

    Attributes:
        name: of the card.
        draw: makes it.
        note: what it is made from, where drawing it again takes its time: a comment that the file holds.
        is_cheap: whether it is drawn in a moment.
    """

    name: str
    draw: Callable[[], str]
    note: Callable[[], str] | None = None
    is_cheap: bool = False


def card_figures() -> list[CardFigure]:
    """Return the figure of every card."""
    laws = {method.name: method for method in METHODS}
    found = [CardFigure(name, lambda method=method: law_figure(method), is_cheap=True) for name, method in laws.items()]
    asked = {kind.name_only: _recipe(kind) for kind in PRESETS}
    for card in (card for card in recipe_cards() if card.name not in laws):
        recipe = asked.get(card.name, card.name)
        found.append(
            CardFigure(
                card.name,
                lambda card=card, recipe=recipe: start_of(card, recipe).figure(card.name),
                lambda card=card, recipe=recipe: start_of(card, recipe).note,
            )
        )
    return found + [CardFigure(one.name, lambda name=one.name: tuning_figure(name)) for one in TUNINGS]


def _recipe(kind: type[Preset]) -> str:
    """What `wb.plan` takes, with the arguments that `wb.advise` tries first."""
    arguments = kind.code if kind.trials is None else kind.trials[0]
    return f"{kind.name_only}@{kind.version}{arguments}"
