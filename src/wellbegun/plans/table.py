"""Plans and entries as text for people."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wellbegun.laws import Constant, Keep
from wellbegun.plans.entry import UNCHANGED, Entry
from wellbegun.plans.groups import Group, shown_groups
from wellbegun.plans.multiplier import multiplier_lines
from wellbegun.plans.words import bytes_words, element_bytes, law_words, shape_words, std_words

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from wellbegun.plans.plan import Plan

WIDE = 130
"""Columns from which reasons stand beside the rows; in fewer they stand below."""
_HEADINGS = ("tensor", "shape", "law", "std")


class PlanView:
    """A plan as rich prints it: repeated layers as one row, reasons beside or below, a summary at the end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        groups = shown_groups(self.plan)
        yield Text(headline(self.plan), style="bold")
        if options.max_width >= WIDE:
            yield _wide(groups)
        else:
            yield from narrow([(_cells(group), group.first.reason) for group in groups], _HEADINGS, options.max_width)
            yield Text("")
        for text, style in notes(self.plan):
            yield Text(text, style=style)
        yield Text(summary(self.plan, len(groups)), style="dim")


def plan_text(plan: Plan, width: int = 150) -> str:
    """Return the plan's table as plain text of at most this width."""
    return plain_text(PlanView(plan), width)


def plain_text(view: Any, width: int) -> str:
    """Return what rich would print, without colours and without blanks at the ends of lines."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(view, highlight=False)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def headline(plan: Plan) -> str:
    """Return the first line: recipe, size, seed."""
    return f"plan by {plan.recipe} · seed {plan.seed} · sampler {plan.sampler}"


def notes(plan: Plan) -> list[tuple[str, str]]:
    """Return what a model needs besides its tensors, as (line, style): multipliers, and factors for the optimizer."""
    lines = []
    for title, style, chosen in (
        ("the forward pass must multiply, and does not:", "bold yellow", plan.unmet),
        ("the forward pass must multiply, and does:", "dim", tuple(m for m in plan.multipliers if m.met)),
    ):
        if chosen:
            lines += [(title, style), *((f"  {line}", style.split()[-1]) for line in multiplier_lines(chosen))]
    scaled = sum(entry.training != UNCHANGED for entry in plan)
    if scaled:
        lines.append((f"{scaled} parameters have factors for the optimizer: plan.param_groups(lr) uses them", "dim"))
    return lines


def summary(plan: Plan, rows: int) -> str:
    """Return the last line: that everything is accounted for, and how."""
    numbers = sum(entry.size for entry in plan)
    size = sum(entry.size * element_bytes(entry.dtype) for entry in plan)
    constant = sum(isinstance(entry.law, Constant) for entry in plan)
    kept = sum(isinstance(entry.law, Keep) for entry in plan)
    counts = [(len(plan) - constant - kept, "drawn or computed"), (constant, "constant"), (kept, "kept")]
    kinds = ", ".join(f"{count} {word}" for count, word in counts if count)
    return (
        f"{len(plan)} tensors in {rows} rows, {numbers:,} numbers, {bytes_words(size)}: {kinds} · hash {plan.hash[:12]}"
    )


def entry_text(plan: Plan, entry: Entry) -> str:
    """Return all that the plan knows about one tensor."""
    parts = [
        ("role", entry.role),
        ("initializer", entry.initializer),
        ("law", f"{entry.law!r}" + ("" if math.isnan(entry.std) else f", std {entry.std:.6g}")),
        ("reason", entry.reason),
        ("source", entry.source),
    ]
    if entry.fans is not None:
        parts.append(("fans", f"fan_in {entry.fans.fan_in:g}, fan_out {entry.fans.fan_out:g}"))
        if entry.std > 0:
            parts.append(("gain", f"{entry.std * math.sqrt(entry.fans.fan_in):.4g} = std·sqrt(fan_in)"))
    if entry.before is not None and entry.after is not None:
        parts.append(("second moment", f"{entry.before:.4g} before the operation, aimed at {entry.after:.4g} after it"))
    elif entry.after is not None:
        parts.append(("second moment", f"aimed at {entry.after:.4g} after the operation"))
    if entry.measured is not None:
        parts.append(("calibrated", f"second moment {entry.measured:.4g} behind the operation"))
    if entry.zero_row is not None:
        parts.append(("zeros", f"row {entry.zero_row}, which stands for padding"))
    factors = zip(("learning rate", "weight decay", "epsilon"), entry.training, strict=True)
    training = ", ".join(f"{what} ×{factor:.6g}" for what, factor in factors if factor != 1)
    parts.append(("training", f"{training} (plan.param_groups)" if training else ""))
    asked = [multiplier for multiplier in plan.multipliers if multiplier.weight in (entry.name, *entry.ties)]
    parts += [("multiplier", f"{multiplier}; {multiplier.reason}") for multiplier in asked]
    parts.append(("tied with", ", ".join(entry.ties)))
    parts.append(("stream", f"(seed {plan.seed}, {entry.stream!r}), sampler {plan.sampler}"))
    head = f"{entry.name}  ({entry.kind}, {shape_words(entry.shape)}, {entry.dtype})"
    return "\n".join([head, *(f"  {title:<13}  {text}" for title, text in parts if text)])


def name_lines(group: Group) -> str:
    """Return a group's names, further names below."""
    return "\n= ".join((group.label, *group.ties))


def narrow(rows: list[tuple[tuple[str, ...], str]], headings: tuple[str, ...], width: int) -> RenderResult:
    """Yield rows as lines in columns with the reason below; rows that share a reason share the line.

    Args:
        rows: (cells, reason) pairs; the first cell is a name, the last a number.
        headings: of the cells.
        width: columns of the terminal.
    """
    from rich.padding import Padding
    from rich.text import Text

    cells = [headings, *(row for row, _ in rows)]
    widths = [max(len(line) for row in cells for line in row[i].split("\n")) for i in range(len(headings))]
    widths[0] = fitting((row[0].split("\n")[0] for row in cells), width - sum(widths[1:]) - 3 * len(widths[1:]))
    yield Text("")
    yield Text(_line(headings, widths), style="bold")
    yield Text("─" * min(width, sum(widths) + 3 * len(widths) - 3), style="dim")
    for position, (row, reason) in enumerate(rows):
        name, *further = row[0].split("\n")
        yield Text(_line((name, *row[1:]), widths))
        for line in further:
            yield Text(line)
        if position + 1 == len(rows) or rows[position + 1][1] != reason:
            yield Padding(Text(reason, style="dim italic"), (0, 0, 0, 4))


def fitting(names: Iterable[str], width: int) -> int:
    """Return the width of a column of names: of the longest that fits; longer ones get a line of their own."""
    return max((len(name) for name in names if len(name) <= width), default=0)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell.ljust(size) for cell, size in zip(row[:-1], widths[:-1], strict=True)]
    rest = "   ".join((*cells[1:], row[-1].rjust(widths[-1])))
    if len(row[0]) > widths[0]:  # a long name has a line of its own
        return f"{row[0]}\n{'':{widths[0]}}   {rest}"
    return f"{cells[0]}   {rest}"


def _wide(groups: list[Group]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", justify="right" if heading == "std" else "left")
    table.add_column("reason", ratio=1)
    for group in groups:
        table.add_row(*(Text(cell) for cell in _cells(group)), Text(group.first.reason, style="dim"))
    return table


def _cells(group: Group) -> tuple[str, ...]:
    entry = group.first
    return name_lines(group), shape_words(entry.shape), law_words(entry.law), std_words(entry)
