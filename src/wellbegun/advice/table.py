"""Advice on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wellbegun.advice.advice import Advice, Choice


def advice_parts(advice: Advice) -> list[RenderableType]:
    """Return what rich prints: what was seen, the choices, and what is wrong here."""
    seen = "; ".join(dict.fromkeys(advice.traits.values())) or "nothing that a method asks for"
    parts: list[RenderableType] = [
        Text(f"{advice.model_name}: {seen}"),
        Text(f"Judged by {advice.source}." if advice.source == "theory" else f"Measured on {advice.source}.", "dim"),
        Text(),
    ]
    for number, choice in enumerate(advice.choices, start=1):
        parts.append(Text(f"{number}. {choice.name}", "bold") + Text(f"   wb.{choice.code}", "dim"))
        parts.append(Padding(_choice(choice), (0, 0, 1, 3)))
    if advice.others:
        parts += [Text("Also possible: " + ", ".join(advice.others)), Text()]
    if advice.wrong:
        parts.append(Text("Not here", "bold"))
        table = _grid()
        for refusal in advice.wrong:
            table.add_row(refusal.name, Text(("refuses: " if refusal.refused else "") + refusal.reason))
        parts.append(Padding(table, (0, 0, 0, 3)))
    return parts


def _choice(choice: Choice) -> Table:
    table = _grid()
    rows = (
        ("why", choice.reasons),
        ("needs", choice.needs or ("nothing but its weights",)),
        ("against", choice.against),
        ("same", (f"the same numbers as {', '.join(choice.also)}",) if choice.also else ()),
    )
    for title, texts in rows:
        if texts:
            table.add_row(title, Text("\n".join(texts)))
    return table


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column()
    return grid
