"""An anchor: one published result, measured again on this machine, with what has to come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wellbegun.lab.measured_page import MeasuredPage, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Gate:
    """What has to come out for the anchor to hold.

    >>> Gate("He minus Xavier, points", 51.2, at_least=30.0).holds
    True

    Attributes:
        what: the quantity, with its unit.
        value: as measured.
        at_least, at_most: bounds; either may be missing.
    """

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value lies within the bounds; a value that is not a number does not."""
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return self.value == self.value and above and below

    @property
    def bound(self) -> str:
        """The bounds in words."""
        words = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {value:g}" for word, value in words if value is not None)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A published result with a small honest version of it.

    Attributes:
        name: on the command line.
        title: what it shows, in one line.
        source: authors, title, where it was published.
        reported: what the paper reports, with its numbers.
        setup: what is done here.
        differs: what is different from the paper's experiment, plainly.
        minutes: of the whole measurement on two cores.
        measure: makes the numbers; True asks for a part of them that takes seconds.
        tables: heading and rows of the tables, from the numbers.
        gates: what has to come out, from the numbers.
        findings: sentences, from the numbers.
        figure: from the numbers; None if nothing is worth drawing.
        needs: data sets that are fetched first.
    """

    name: str
    title: str
    source: str
    reported: str
    setup: str
    differs: str
    minutes: float
    measure: Callable[[bool], Results]
    tables: Callable[[Results], Sequence[Table]]
    gates: Callable[[Results], Sequence[Gate]]
    findings: Callable[[Results], str]
    figure: Callable[[Results], Figure] | None = None
    needs: tuple[str, ...] = ()

    def measured_page(self, folder: Path) -> MeasuredPage:
        """Return the anchor's page in a folder."""
        from wellbegun.lab.anchors.page import page_of

        def figures(results: Results) -> dict[str, Figure]:
            return {} if self.figure is None else {"curve": self.figure(results)}

        return MeasuredPage(name=self.name, folder=folder, page=lambda results: page_of(self, results), figures=figures)


@dataclass(frozen=True)
class Table:
    """A table of an anchor.

    Attributes:
        head: of the columns.
        rows: of text.
        title: above it; empty if it needs none.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
