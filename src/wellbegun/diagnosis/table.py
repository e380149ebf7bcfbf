"""How a diagnosis looks in a terminal: the verdict, the findings, and the profile layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from wellbegun.diagnosis.diagnosis import Diagnosis
    from wellbegun.diagnosis.facts import Finding

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_BARS = "▁▂▃▄▅▆▇█"


def renderables(diagnosis: Diagnosis) -> list[RenderableType]:
    """Return what a rich console prints."""
    from rich.text import Text

    serious = [finding for finding in diagnosis.findings if finding.level != "note"]
    style = "bold green" if not serious else STYLES[serious[0].level]
    lines: list[RenderableType] = [Text(diagnosis.verdict, style=style)]
    lines += [_finding(finding) for finding in diagnosis.findings]
    lines.append("")
    lines.append(_table(diagnosis))
    for what in ("signal", "gradient"):
        values = [getattr(layer, what) for layer in diagnosis.layers]
        if len(values) > 2 and any(value > 0 for value in values):
            lines.append(f"{what:<9}{sparkline(values)}")
    if diagnosis.predicted:
        lines.append("the model has no weights yet: these are predictions of theory, and nothing was run")
    else:
        lines.append(f"loss at step 0: {diagnosis.loss:.4g} (on {diagnosis.source})")
    return lines


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as bars on a logarithmic scale of at least three decades; a dot for zero and what is no number.

    >>> sparkline([1.0, 1e-3, 1e-6, 0.0])
    '█▅▁·'
    """
    logs = [math.log10(value) if 0 < value < math.inf else math.nan for value in values]
    known = [value for value in logs if not math.isnan(value)]
    high = max(known, default=0.0)
    span = max(high - min(known, default=0.0), 3.0)
    return "".join("·" if math.isnan(x) else _BARS[min(7, int(8 * (1 - (high - x) / span)))] for x in logs)


def _finding(finding: Finding) -> Text:
    from rich.text import Text

    place = f" at {finding.layer}" if finding.layer else ""
    head = Text(f"{finding.level}: {finding.kind}{place}", style=STYLES[finding.level])
    return head.append(f": {finding.message}. Mend: {finding.remedy}.", style="none")


def _table(diagnosis: Diagnosis) -> RenderableType:
    from rich import box
    from rich.table import Table

    columns = {
        "signal": [cell(layer.signal, ".3g") for layer in diagnosis.layers],
        "theory": [cell(layer.expected, ".3g") for layer in diagnosis.layers],
        "gradient": [cell(layer.gradient, ".2g") for layer in diagnosis.layers],
        "theory ": [cell(layer.expected_gradient, ".2g") for layer in diagnosis.layers],
        "dead": [cell(layer.dead, ".0%") if layer.activation else "" for layer in diagnosis.layers],
        "saturated": [cell(layer.saturated, ".0%") if layer.activation else "" for layer in diagnosis.layers],
        "cosine": [cell(layer.cosine, ".3f").replace("-0.000", "0.000") for layer in diagnosis.layers],
    }
    if diagnosis.predicted:
        columns["theory"] = columns["theory "] = []
    table = Table(box=box.SIMPLE_HEAD, title="step 0, layer by layer", title_justify="left", pad_edge=False)
    table.add_column("layer", no_wrap=True)
    table.add_column("activation", no_wrap=True)
    # a column that says nothing would take the room of one that does
    shown = {heading: cells for heading, cells in columns.items() if set(cells) - {"", "0%"} or heading == "signal"}
    for heading, cells in shown.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=max(map(len, (*cells, heading))))
    for layer, *cells in zip(diagnosis.layers, *shown.values(), strict=True):
        table.add_row(layer.name, layer.activation, *cells)
    return table


def cell(value: float, form: str) -> str:
    """A number in the table; what was not measured stays empty."""
    return "" if math.isnan(value) else format(value, form)
