"""docs/coverage.md: written from results, and read back as what is expected."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .walk import Result

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
COLUMNS = (
    "architecture",
    "class",
    "family",
    "parameters",
    "tensors",
    "planned",
    "inputs",
    "author",
    "kept",
    "NaN left",
    "loss - ln V",
    "note",
)
BAND = 0.3


@dataclass(frozen=True)
class Row:
    """One line of the table, as text."""

    name: str
    cells: tuple[str, ...]

    @property
    def planned(self) -> bool:
        return self.cells[COLUMNS.index("planned")] == "yes"

    @property
    def excess(self) -> float | None:
        text = self.cells[COLUMNS.index("loss - ln V")]
        return float(text) if text else None

    def text(self) -> str:
        return "| " + " | ".join(self.cells) + " |"


def row_of(result: Result) -> Row:
    """Write a result as a row; what differs from machine to machine (seconds) is left out."""
    planned = result.planned
    cells = (
        f"`{result.name}`",
        result.kind,
        result.family,
        f"{result.parameters:,}",
        str(result.tensors),
        "yes" if planned else "no",
        "ours" if result.own_inputs else "automatic",
        str(result.author) if planned else "",
        str(result.kept) if planned else "",
        str(len(result.nan)) if planned else "",
        "" if result.excess is None else f"{result.excess:+.2f}",
        ("text alone" if result.text_alone else "") if planned else cause(result.error),
    )
    return Row(result.name, cells)


def cause(error: str) -> str:
    """The reason of a failure in a few words, without names, numbers and places of files."""
    kind, _, text = error.partition(": ")
    if kind == "UnplannedError":
        uses = Counter(re.findall(r"\((?:parameter|buffer) of \w+; ([^\n]*)\)\n", text + "\n"))
        most = ", ".join(use.split(";")[0] for use, _ in uses.most_common(2))
        return _plain(f"{sum(uses.values())} tensors left over ({most})")
    found = re.search(r"\(at [^)]*\): (.*)", text, re.DOTALL)
    return _plain(f"{kind}: {(found[1] if found else text)}")


def _plain(text: str) -> str:
    text = re.sub(r"\s+", " ", text.replace("|", "/"))
    return text if len(text) <= 110 else text[:107] + "..."


def read() -> dict[str, Row]:
    """Rows of the page as it is, by name."""
    if not PAGE.exists():
        return {}
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    split = [tuple(cell.strip() for cell in line[2:-2].split(" | ")) for line in lines]
    return {cells[0].strip("`"): Row(cells[0].strip("`"), cells) for cells in split}


def write(results: Iterable[Result], names: Iterable[str], unbuilt: dict[str, str]) -> None:
    """Replace the rows of these results; rows of architectures that are no longer walked go."""
    results = list(results)
    rows = read() | {result.name: row_of(result) for result in results}
    kept = [rows[name] for name in names if name in rows]
    PAGE.write_text(page(kept, unbuilt))
    if results:
        seconds = sorted((result.seconds, result.name) for result in results)
        middle = statistics.median(second for second, _ in seconds)
        print(f"\nplanning: median {middle:.2f} s; longest {seconds[-1][0]:.1f} s ({seconds[-1][1]})")


def page(rows: list[Row], unbuilt: dict[str, str]) -> str:
    """The whole page."""
    count, planned = len(rows), [row for row in rows if row.planned]
    excesses = [row.excess for row in planned if row.excess is not None]
    inside = sum(abs(excess) <= BAND for excess in excesses)
    automatic = sum(row.cells[COLUMNS.index("inputs")] == "automatic" for row in planned)
    clean = sum(row.cells[COLUMNS.index("NaN left")] == "0" for row in planned)
    reasons = Counter(row.cells[COLUMNS.index("note")] for row in rows if not row.planned)
    families = Counter(row.cells[2] for row in rows)
    good = Counter(row.cells[2] for row in planned)
    lines = [
        "# Coverage",
        "",
        "What `wb.plan(factory, seed=0)`, with the recipe `auto` and without a rule, makes of the model types of",
        "transformers and of layers of torch.nn, in small configurations. This page is written by the tests in",
        "`tests/zoo/` (`WELLBEGUN_WRITE_COVERAGE=1 pytest tests/zoo -m 'slow or not slow'`); a run without the",
        "variable fails if an architecture that is planned here no longer is.",
        "",
        f"* **{len(planned)} of {count} architectures ({len(planned) / max(count, 1):.1%}) are planned** without a"
        " rule; the others stop with an error that says why, before anything is written.",
        f"* Inputs for tracing were made by wellbegun itself for {automatic} of these {len(planned)};"
        " the others were given the tests' own.",
        f"* Every parameter and buffer has exactly one entry; {clean} of {len(planned)} models that were filled with"
        " NaN before have none after `apply`; the same plan, applied to the model built without memory",
        "  (`wb.skeleton()`), gives the same bits.",
        f"* {inside} of {len(excesses)} language models start within {BAND} of ln V (mean of 3 seeds; over all targets,"
        " so that only the model's own spread counts).",
        "",
        "Columns: *inputs*: who made them; *author*: parameters that have the values of the model's own code, because",
        "`auto` knows no rule for them; *kept*: tensors that are left as they are; *text alone*: the tests do not know",
        "the pictures or sounds that the model takes beside its text, so that a part of it does not run.",
        "",
        "| family | architectures | planned |",
        "|---|---|---|",
        *(f"| {family} | {number} | {good[family]} |" for family, number in families.most_common()),
        "",
        *(["## Why some are not planned", "", "| architectures | reason |", "|---|---|"] if reasons else []),
        *(
            f"| {number} | {reason} |"
            for reason, number in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        ),
        *([""] if reasons else []),
        "## Every architecture",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *(row.text() for row in rows),
        "",
        "## Not walked",
        "",
        f"{len(unbuilt)} model types of transformers are not among the {count}:",
        "",
    ]
    by_reason: dict[str, list[str]] = {}
    for name, reason in unbuilt.items():
        by_reason.setdefault(reason, []).append(name)
    lines += [
        f"* {reason}: {', '.join(names)}" for reason, names in sorted(by_reason.items(), key=lambda i: -len(i[1]))
    ]
    return "\n".join(lines) + "\n"
