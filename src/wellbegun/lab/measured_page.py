"""Pages that are made from measurements: numbers that are kept, and the Markdown and figures written from them."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIGITS = 6
"""Significant digits of the numbers that are kept."""

COLOURS = {"black": "#000000", "blue": "#0072b2", "red": "#d55e00", "green": "#009e73", "pink": "#cc79a7"}
STYLE: dict[Any, Any] = {"font.size": 11, "svg.fonttype": "path", "axes.spines.top": False, "axes.spines.right": False}

Results = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MeasuredPage:
    """A page and its figures, the numbers that they are made from, and where all of them are kept.

    Attributes:
        name: of the page, the numbers and the figures.
        folder: where the page is; numbers are in its `results`, figures in its `figures`.
        page: the page, from the numbers.
        figures: the figures of the page by name, from the numbers.
    """

    name: str
    folder: Path
    page: Callable[[Results], str]
    figures: Callable[[Results], dict[str, Figure]]

    @property
    def page_file(self) -> Path:
        """Where the page is."""
        return self.folder / f"{self.name}.md"

    @property
    def results_file(self) -> Path:
        """Where the numbers are that the page was written from."""
        return self.folder / "results" / f"{self.name}.json"

    def figure_file(self, figure: str) -> Path:
        """Where a figure is."""
        return self.folder / "figures" / f"{self.name}_{figure}.svg"

    def load(self) -> Results:
        """Return the numbers that the page was written from."""
        kept: Results = json.loads(self.results_file.read_text("utf-8"))
        return kept

    def text(self, results: Results) -> str:
        """Return the page as it is kept."""
        return wrapped(self.page(results))

    def write(self, results: Results) -> None:
        """Write numbers, page and figures."""
        from matplotlib import rc_context

        for file in (self.results_file, self.figure_file("")):
            file.parent.mkdir(parents=True, exist_ok=True)
        self.results_file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        self.page_file.write_text(self.text(results), "utf-8")
        with rc_context(STYLE | {"svg.hashsalt": self.name}):
            for name, figure in self.figures(results).items():
                # the figure says which numbers it was drawn from, so that a test can tell an old one
                about = {"Date": None, "Description": digest(results)}
                figure.savefig(self.figure_file(name), metadata=about, bbox_inches="tight", facecolor="white")


def made_with() -> Results:
    """Return the versions that the numbers come from."""
    versions = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    return {"made_with": versions | {"python": platform.python_version()}}


def digest(results: Results) -> str:
    """Return a short name of the numbers."""
    return "numbers " + hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()[:16]


def kept_digits(value: Any) -> Any:
    """Round every number to the digits that are kept; what is not finite becomes None, as JSON has no name for it."""
    if isinstance(value, dict):
        return {str(key): kept_digits(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [kept_digits(inner) for inner in value]
    if isinstance(value, str | bool | int) or value is None:
        return value
    return float(f"{float(value):.{DIGITS}g}") if math.isfinite(value) else None


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(table(["width", "error"], [["16", "0.1"]]))
    | width | error |
    |---|---|
    | 16 | 0.1 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cells) + " |" if i != 1 else "|---" * len(head) + "|" for i, cells in enumerate(lines)
    )


def wrapped(text: str) -> str:
    """Fill the paragraphs and list items of a Markdown text, whatever the length of the numbers put into it."""
    blocks = []
    for part in re.split(r"(```.*?```)", text, flags=re.DOTALL):
        if part.startswith("```"):
            blocks.append(part)
            continue
        paragraphs = re.split(r"(\n\n+|\n(?=- ))", part)
        blocks += [_filled(paragraph) if paragraph.strip() else paragraph for paragraph in paragraphs]
    return "".join(blocks)


def _filled(paragraph: str) -> str:
    if paragraph.lstrip().startswith(("#", "|", "!", ">")):
        return paragraph
    indent = "  " if paragraph.startswith("- ") else ""
    lines = textwrap.wrap(
        " ".join(paragraph.split()), 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines) + "\n" * paragraph.endswith("\n")


def percent(shares: Sequence[float]) -> str:
    """Return the mean of some shares, and the lowest and highest where there are several.

    >>> percent([0.9, 0.95]), percent([0.5])
    ('92.5% (90–95)', '50.0%')
    """
    mean = f"{np.mean(shares):.1%}"
    return f"{mean} ({100 * min(shares):.0f}–{100 * max(shares):.0f})" if len(shares) > 1 else mean


def number(value: float) -> str:
    """Return a number with three digits, as people write it.

    >>> number(0.35381), number(744123.0), number(3.5e-6), number(12.8)
    ('0.354', '7.4·10⁵', '3.5·10⁻⁶', '12.8')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}·10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
