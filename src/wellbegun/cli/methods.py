"""wellbegun methods and wellbegun explain: the catalogue and its cards."""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wellbegun.laws import Card, by_need


def methods_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every method with one sentence each, grouped by what it is for."""
    from wellbegun.tuning.cards import all_cards

    cards = all_cards()
    if as_json:
        print(json.dumps([asdict(card) for card in cards], indent=1))
        return
    console = Console()
    width = max(len(card.name) for card in cards)
    for need, group in by_need(cards).items():
        console.print(Text(need, style="bold cyan"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        table.add_column(style="bold", no_wrap=True, min_width=width)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        for card in group:
            formula = card.formula.split(";")[0].split(". ")[0]
            table.add_row(card.name, Text(card.summary), Text(formula, style="dim"))
        console.print(Padding(table, (0, 0, 1, 2)))
    console.print("The card of one method: wellbegun explain METHOD", style="dim")


def explain_command(
    method: Annotated[str, typer.Argument(help="Name of a method, for example he.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a method's card: formula, when to use it, when not, the evidence, and the source."""
    from wellbegun.tuning.cards import find_card

    card = find_card(method)
    if as_json:
        print(json.dumps(asdict(card), indent=1))
    else:
        show_card(card, Console())


def show_card(card: Card, console: Console) -> None:
    """Print a card."""
    console.print(Text(card.name, style="bold") + Text(f"   wb.{card.code}" if card.code else "", style="dim"))
    console.print(Padding(Text(card.summary), (0, 0, 1, 0)))
    for title, text in (
        *((title.lower(), text) for title, text in card.paragraphs()),
        *(("measured", line) for line in anchors_for(card.name)),
        *((name, meaning) for name, meaning in card.arguments),
        ("source", card.source),
    ):
        if text:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="cyan", width=12, justify="right")
            grid.add_column()
            grid.add_row(title, Text(text))
            console.print(Padding(grid, (0, 0, 1, 0)))


def anchors_for(method: str) -> tuple[str, ...]:
    """Return what the lab has measured again of a method, a line for each page; none where it has no anchors."""
    if importlib.util.find_spec("wellbegun.lab.anchors") is None:
        return ()
    catalogue = importlib.import_module("wellbegun.lab.anchors.catalogue")
    return tuple(f"{anchor.title}: docs/anchors/{anchor.name}.md" for anchor in catalogue.evidence_for(method))
