"""A diagnosis: the facts of every layer, the findings, and the plan that mends them."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.facts import Facts, Finding, LayerFacts
from wellbegun.plans import Plan

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from rich.console import RenderableType

SCHEMA = "wellbegun.diagnosis/1"

_TOLD = 3
"""Findings that the verdict names."""


@dataclass(frozen=True)
class Diagnosis:
    """What one forward and one backward pass showed before training; of a skeleton, what theory predicts.

    Attributes:
        facts: all that was measured, see `Facts`.
        findings: what is wrong, worst first; empty for a sound network.
        source: the inputs that it rests on, in words.
        plan: that the model was compared with, or None.
    """

    facts: Facts
    findings: tuple[Finding, ...]
    source: str = "a batch"
    plan: Plan | None = None
    _model: torch.nn.Module | None = field(default=None, repr=False, compare=False)
    _example: Any = field(default=None, repr=False, compare=False)

    @property
    def layers(self) -> tuple[LayerFacts, ...]:
        """Facts of each layer, in the order of execution."""
        return self.facts.layers

    @property
    def loss(self) -> float:
        """The loss at step 0."""
        return self.facts.loss

    @property
    def predicted(self) -> bool:
        """Whether these are predictions of theory for a model without weights."""
        return self.facts.predicted

    @property
    def model_name(self) -> str:
        """The class of the model; "" where it is not known."""
        return "" if self._model is None else type(self._model).__name__

    @property
    def healthy(self) -> bool:
        """Whether there is no finding of level "error"."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The answer in one line: is the network fit to be trained, and if not, what is wrong where."""
        serious = [finding for finding in self.findings if finding.level != "note"]
        errors = sum(finding.level == "error" for finding in serious)
        if not serious:
            return "sound: no faults found" if not self.findings else "sound: nothing but notes"
        said = [f"{f.kind} at {f.layer}" if f.layer else f.kind for f in serious[:_TOLD]]
        more = f", and {len(serious) - _TOLD} more" if len(serious) > _TOLD else ""
        return f"{'not sound' if errors else 'sound, with warnings'}: {', '.join(said)}{more}"

    def repair(self, *, seed: int = 0) -> Plan:
        """Return the plan that mends what initialisation can mend: apply it with `overwrite=True`.

        >>> import torch, wellbegun as wb
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        >>> _ = torch.nn.init.ones_(model[0].weight)
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> plan = wb.diagnose(model, batch).repair()
        >>> plan["0.weight"].law, plan["2.weight"].law
        (Normal(std=0.3398836), Keep())
        >>> _ = wb.apply(plan, model)
        >>> wb.diagnose(model, batch).healthy
        True

        The weights that the findings of level error and warning blame, and the biases and scales beside them, get what
        `auto` plans for them. The rest stays as it is: as in the plan that was given to `wb.diagnose`, or with
        `Keep()`, the values that the model holds.

        Args:
            seed: of the new numbers, where no plan was given.

        Raises:
            ArgumentError: no finding can be mended by other starting values.
            TraceError, UnplannedError: the model cannot be planned, see `wb.plan`.
        """
        from wellbegun.diagnosis.repair import repaired

        assert self._model is not None
        return repaired(self.findings, self._model, self._example, self.plan, seed)

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data; numbers that JSON does not know are null."""
        facts = asdict(self.facts)
        record = {
            "schema": SCHEMA,
            "healthy": self.healthy,
            "verdict": self.verdict,
            "predicted": self.predicted,
            "inputs": self.source,
            "loss": self.loss,
            "findings": [asdict(finding) for finding in self.findings],
            **{
                name: facts[name]
                for name in (
                    "layers",
                    "bands",
                    "spreads",
                    "phase",
                    "tensors",
                    "attentions",
                    "streams",
                    "copies",
                    "jacobian",
                )
            },
            **{name: facts[name] for name in ("classes", "prior", "logits", "unseen", "data_cosine")},
        }
        made: dict[str, Any] = plain(record)
        return made

    def to_json(self) -> str:
        """Return everything as JSON, in the form that `wellbegun.diagnosis.json_schema()` describes.

        >>> import torch, wellbegun as wb
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        >>> json.loads(wb.diagnose(model, "vector:8").to_json())["schema"]
        'wellbegun.diagnosis/1'
        """
        return json.dumps(self.to_record(), indent=1)

    def __str__(self) -> str:
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, force_terminal=False).print(*self.renderables(), sep="\n")
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def renderables(self) -> list[RenderableType]:
        """Return the verdict, the findings and a table of the layers, for a rich console."""
        from wellbegun.diagnosis.table import renderables

        return renderables(self)

    def figure(self, *, dark: bool = False) -> Figure:
        """Draw signal, gradient, cosine between inputs, and dead and saturated units, layer by layer.

        >>> import torch, wellbegun as wb
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        >>> figure = wb.diagnose(model, "vector:8", theory=True).figure()
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['signal', 'gradient', 'cosine between inputs', 'lost units', 'outputs', 'activations']

        Where `theory=True` was asked, theory is drawn beside the measurement, with a band around it: of a plain chain
        the range of 99 of 100 draws of its weights, of other networks what the findings allow for.

        Args:
            dark: for a dark background.

        Returns:
            a matplotlib figure; `figure.savefig(path)` writes it.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from wellbegun.diagnosis.profile_figure import profile_figure

        return profile_figure(self, dark=dark)

    def save_html(self, path: str | Path) -> None:
        """Write one HTML page with the verdict, the findings, the figure and a table of the layers that sorts.

        >>> import tempfile, torch, wellbegun as wb
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wb.diagnose(model, "vector:8").save_html(f"{folder}/diagnosis.html")
        ...     "sound: no faults found</h1>" in Path(f"{folder}/diagnosis.html").read_text("utf-8")
        True

        The page needs no network and no other file, is light or dark as its reader's screen is, and can be printed.

        Args:
            path: the file to write, whole or not at all; its folder must exist.

        Raises:
            MissingExtraError: jinja2 or matplotlib is not installed.
            OutputError: the folder does not exist or cannot be written.
        """
        from wellbegun.diagnosis.page import write_page

        write_page(self, path)

    def _repr_html_(self) -> str:
        return f'<pre style="line-height:1.3;overflow-x:auto">{escape(str(self))}</pre>'


def plain(value: Any) -> Any:
    """Make nested data fit for JSON: tuples become lists, infinities and nan become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
