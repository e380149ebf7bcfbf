"""A diagnosis: the facts of every layer, the findings, and how they are shown."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.facts import Finding, LayerFacts

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Diagnosis:
    """What one forward and one backward pass showed before training.

    Attributes:
        layers: facts of each layer, in the order of execution.
        findings: what is wrong, worst first; empty for a sound network.
        loss: at step 0.
    """

    layers: tuple[LayerFacts, ...]
    findings: tuple[Finding, ...]
    loss: float

    @property
    def healthy(self) -> bool:
        """Whether there is no finding of level "error"."""
        return all(finding.level != "error" for finding in self.findings)

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data; numbers that JSON does not know are null."""
        record: dict[str, Any] = plain(asdict(self) | {"healthy": self.healthy})
        return record

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_record(), indent=1)

    def __str__(self) -> str:
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, force_terminal=False).print(*self.renderables(), sep="\n")
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def renderables(self) -> list[RenderableType]:
        """Return a table of facts and the findings, for a rich console."""
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, title="step 0, layer by layer", title_justify="left", pad_edge=False)
        for heading in ("layer", "activation", "signal", "gradient", "dead", "saturated", "cosine"):
            table.add_column(heading, justify="left" if heading in ("layer", "activation") else "right")
        for layer in self.layers:
            shares = (_cell(layer.dead, ".0%"), _cell(layer.saturated, ".0%")) if layer.activation else ("", "")
            sizes = f"{layer.signal:.3g}", _cell(layer.gradient, ".3g")
            table.add_row(layer.name, layer.activation, *sizes, *shares, _cell(layer.cosine, ".3f"))
        lines: list[RenderableType] = [table, f"loss at step 0: {self.loss:.4g}"]
        if not self.findings:
            lines.append("no faults found")
        lines += [f"{f.level}: {f.kind}{_place(f)}: {f.message}. Mend: {f.remedy}." for f in self.findings]
        return lines


def _place(finding: Finding) -> str:
    return f" at {finding.layer}" if finding.layer else ""


def _cell(value: float, form: str) -> str:
    """A number in the table; what was not measured stays empty."""
    return "" if math.isnan(value) else format(value, form)


def plain(value: Any) -> Any:
    """Make nested data fit for JSON: tuples become lists, infinities and nan become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
