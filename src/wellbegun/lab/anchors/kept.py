"""The numbers of all anchors as they are kept, and everything that is written from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from wellbegun.lab.anchors.anchor import Anchor
from wellbegun.lab.anchors.page import INDEX, index_of
from wellbegun.lab.measured_page import Results
from wellbegun.laws.anchored import FILE

EVIDENCE = Path("src", "wellbegun", "laws", FILE)
"""Where the cards of methods find what anchors say, from the root of a checkout."""


def kept(folder: Path, anchors: Iterable[Anchor]) -> list[tuple[Anchor, Results]]:
    """Return the anchors that have numbers in a folder, and the numbers."""
    pages = [(anchor, anchor.measured_page(folder)) for anchor in anchors]
    return [(anchor, page.load()) for anchor, page in pages if page.results_file.is_file()]


def write_pages(folder: Path, anchors: Iterable[Anchor]) -> None:
    """Write every page and figure anew from the numbers kept, and then the list."""
    anchors = tuple(anchors)
    for anchor, results in kept(folder, anchors):
        anchor.measured_page(folder).write(results)
    write_list(folder, anchors)


def write_list(folder: Path, anchors: Iterable[Anchor]) -> None:
    """Write the list of the anchors that have numbers in a folder, and in a checkout what cards say of them."""
    measured = kept(folder, anchors)
    (folder / INDEX).write_text(index_of(measured), "utf-8")
    file = folder.resolve().parents[1] / EVIDENCE
    if file.parent.is_dir():
        file.write_text(json.dumps(evidence(measured), indent=1) + "\n", "utf-8")


def evidence(measured: Iterable[tuple[Anchor, Results]]) -> dict[str, list[str]]:
    """Return a sentence for each anchor that says something about a method, by method."""
    found: dict[str, list[str]] = {}
    for anchor, results in measured:
        for method in anchor.methods:
            found.setdefault(method, []).append(f"Our anchor {anchor.name}: {anchor.headline(results)}.")
    return dict(sorted(found.items()))
