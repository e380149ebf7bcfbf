"""wellbegun methods and wellbegun explain: the catalogue and its cards."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
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
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", style="bold", no_wrap=True)
    table.add_column("formula")
    table.add_column("in one sentence")
    for need, group in by_need(cards).items():
        table.add_row(Text(need, style="cyan"), end_section=False)
        for card in group:
            table.add_row(f"  {card.name}", Text(card.formula.split(";")[0].split(". ")[0]), Text(card.summary))
    console.print(table)
    console.print("The card of one method: wellbegun explain METHOD", style="dim")


def explain_command(
    method: Annotated[str, typer.Argument(help="Name of a method, for example he.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a method's card: formula, when to use it, when not, and the source."""
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
        *((name, meaning) for name, meaning in card.arguments),
        ("source", card.source),
    ):
        if text:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(style="cyan", width=12, justify="right")
            grid.add_column()
            grid.add_row(title, Text(text))
            console.print(Padding(grid, (0, 0, 1, 0)))
