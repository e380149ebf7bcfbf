"""A diagnosis as one HTML page that needs nothing else: no network, no fonts, no files beside it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.table import cell
from wellbegun.errors import MissingExtraError
from wellbegun.plans import write_text_atomically

if TYPE_CHECKING:
    from wellbegun.diagnosis.diagnosis import Diagnosis


@dataclass(frozen=True)
class Column:
    """One column of the layer table.

    Attributes:
        heading: what stands above it.
        name: what it is called where its neighbours are not seen.
        words: whether it is sorted as text.
    """

    heading: str
    name: str
    words: bool = False


_FIRST = (Column("#", "order of execution"), Column("layer", "layer", True), Column("activation", "activation", True))


def write_page(diagnosis: Diagnosis, path: str | Path) -> None:
    """Write the page of a diagnosis to a file, whole or not at all.

    Args:
        diagnosis: what was found.
        path: the file to write; its folder must exist.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        OutputError: the folder does not exist or cannot be written.
    """
    write_text_atomically(path, render_page(diagnosis))


def require_page(purpose: str = "writing the page of a diagnosis") -> None:
    """Raise MissingExtraError unless a page can be drawn: asked before anything takes time, not after."""
    for library in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "report", purpose)


def render_page(diagnosis: Diagnosis) -> str:
    """Return the page of a diagnosis as HTML text; the same diagnosis gives the same text.

    Args:
        diagnosis: what was found.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    require_page()
    import jinja2

    from wellbegun.diagnosis.page_svg import panel_svg
    from wellbegun.diagnosis.phase_panel import phase_sentence
    from wellbegun.diagnosis.profile_figure import guilty_places, panels

    files = resources.files("wellbegun.diagnosis")
    script = files.joinpath("page.js").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    columns, rows = _table(diagnosis)
    drawn = panels(diagnosis) if diagnosis.layers else {}
    page = environment.from_string(files.joinpath("page.html.jinja").read_text("utf-8")).render(
        verdict=diagnosis.verdict,
        tone=_tone(diagnosis),
        about=_about(diagnosis),
        findings=diagnosis.findings,
        mendable=any(finding.weights for finding in diagnosis.findings if finding.level != "note"),
        panels=[(panel, panel_svg(panel, key)) for key, panel in drawn.items()],
        no_phase=phase_sentence(diagnosis.facts),
        columns=columns,
        rows=rows,
        marked=guilty_places(diagnosis),
        script=script,
        # the browser runs this script and no other, whatever a name in the model may hold
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    # half a surrogate pair, which Python allows in a name, is no text that a file can hold
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _tone(diagnosis: Diagnosis) -> str:
    return next((finding.level for finding in diagnosis.findings if finding.level != "note"), "sound")


def _about(diagnosis: Diagnosis) -> str:
    """What was looked at, in a sentence or two."""
    model, number = diagnosis.model_name, len(diagnosis.layers)
    subject = f"{model}: " if model else ""
    counted = f"{number} layer{'' if number == 1 else 's'}"
    if diagnosis.predicted:
        return (
            f"{subject}{counted}. The model has no weights yet: these are predictions of theory, and nothing was run."
        )
    text = f"{subject}{counted}, before the first training step, on {diagnosis.source}."
    if math.isfinite(diagnosis.loss):
        text += f" Loss at step 0: {diagnosis.loss:.4g}"
        classes = diagnosis.facts.classes
        text += f"; equal chances for all {classes} classes give {math.log(classes):.4g}." if classes else "."
    return text


def _table(diagnosis: Diagnosis) -> tuple[list[Column], list[tuple[Any, ...]]]:
    """The columns and rows of the layer table; a column in which nothing was measured is left out."""
    layers = diagnosis.layers
    theory = "" if diagnosis.predicted else "theory"

    def shares(what: str) -> list[str]:
        return [cell(getattr(layer, what), ".1%") if layer.activation else "" for layer in layers]

    numbers = {
        Column("signal", "signal"): [cell(layer.signal, ".3g") for layer in layers],
        Column(theory, "signal by theory"): [cell(layer.expected, ".3g") for layer in layers],
        Column("gradient", "gradient"): [cell(layer.gradient, ".3g") for layer in layers],
        Column(theory, "gradient by theory"): [cell(layer.expected_gradient, ".3g") for layer in layers],
        Column("dead", "dead"): shares("dead"),
        Column("saturated", "saturated"): [
            cell(layer.saturated, ".1%") if layer.activation else "" for layer in layers
        ],
        Column("cosine", "cosine"): [cell(layer.cosine, ".3f").replace("-0.000", "0.000") for layer in layers],
        Column("tokens", "cosine between tokens"): [cell(layer.tokens, ".3f") for layer in layers],
    }
    shown = {column: cells for column, cells in numbers.items() if column.heading and any(cells)}
    cells = zip(*shown.values(), strict=True) if shown else [()] * len(layers)
    rows = [
        (place, layer.name, layer.activation, row)
        for place, (layer, row) in enumerate(zip(layers, cells, strict=True), start=1)
    ]
    return [*_FIRST, *shown], rows
