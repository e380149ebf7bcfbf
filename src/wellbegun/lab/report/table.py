"""A comparison in the terminal: one table and a few sentences for each network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wellbegun.lab.outcome.result import Arm, Comparison, Interval, NetworkResult
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.trials.trial_result import DIVERGED, VANISHED

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


WIDE = 105
"""Columns of a terminal from which on the table has room for all findings and for blanks."""


def comparison_renderables(comparison: Comparison, width: int = WIDE) -> list[RenderableType]:
    """Return what a person shall see at the end, for a rich console of this width."""
    from rich.padding import Padding
    from rich.text import Text

    shown: list[RenderableType] = []
    if comparison.interrupted:
        seeds = {run.seed for network in comparison.networks for arm in network.arms for run in arm.runs}
        shown.append(Text(f"Interrupted: what follows rests on {len(seeds)} finished seed(s).", style="yellow"))
    if comparison.left_out:
        shown.append(Text(f"Left out: {comparison.left_out}.", style="yellow"))
    for network in comparison.networks:
        shown.append(network_table(network, wide=width >= WIDE))
        bullets = Text("\n").join(Text(f"• {sentence}") for sentence in network.sentences)
        shown += [Padding(bullets, (0, 0, 1, 2))]
    return shown


def network_table(network: NetworkResult, *, wide: bool = True) -> Table:
    """Return the table of one network, best method first."""
    from rich import box
    from rich.table import Table

    table = Table(title=network.name, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    table.show_edge, table.padding = False, (0, 1 if wide else 0, 0, 0)
    scale = network.scale
    for heading in (
        "method",
        scale.words if wide else scale.measure,
        f"steps\nto {scale.text(network.target).replace('.0%', '%')}",
        "rates\nthat work" if wide else "rates",
        "signal\nfirst → last",
        "gradient\nlast → first",
        "found before the first step" if wide else "found",
    ):
        words = heading in ("method", "found", "found before the first step")
        table.add_column(heading, justify="left" if words else "right", no_wrap=not heading.startswith("found"))
    for arm in network.ranked():
        style = "bold green" if arm.method == network.winner else ""
        table.add_row(*_cells(arm, scale, wide), style=style)
    return table


def _cells(arm: Arm, scale: Scale, wide: bool) -> tuple[str, ...]:
    rates = {run.learning_rate for run in arm.runs}
    arrow, of = (" → ", " of ") if wide else ("→", "/")
    signal = gradient = ""
    if arm.hidden:
        first, last = arm.hidden[0], arm.hidden[-1]
        signal = f"{_size(first.signal)}{arrow}{_size(last.signal)}"
        gradient = f"{_size(last.gradient)}{arrow}{_size(first.gradient)}"
    return (
        arm.method,
        _score(arm.score, scale),
        "never" if arm.steps_to_target is None else f"{arm.steps_to_target:g}",
        f"{len(arm.working_rates)}{of}{len(rates)}",
        signal,
        gradient,
        _found(arm, most=9 if wide else 1),
    )


def _score(interval: Interval, scale: Scale) -> str:
    if not scale.is_share:
        bounds = scale.bounds(interval)
        return f"{scale.text(interval.mean)} ({bounds})" if bounds else scale.text(interval.mean)
    return f"{interval.mean:6.1%} ({100 * interval.low:.0f}–{100 * interval.high:.0f})"


def _found(arm: Arm, most: int) -> str:
    """Kinds of the findings, errors in red, and whether the runs had to be stopped; at most this many."""
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    kinds = list(dict.fromkeys((finding.kind, finding.level) for finding in arm.findings))
    worst = dict(reversed(kinds))  # findings come worst first, so the first level of a kind stays
    words = [f"[{colours[worst[kind]]}]{kind}[/]" for kind in dict.fromkeys(kind for kind, _ in kinds)]
    if any(run.ended == DIVERGED for run in arm.chosen_runs()):
        words.append("[red]diverged[/]")
    elif any(run.ended == VANISHED for run in arm.chosen_runs()):
        words.append("[dim]stopped early[/]")
    return ", ".join(words[:most]) or "–"


def _size(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.2g}" if 1e-2 <= value < 1e3 else f"{value:.0e}"
