"""An anchor: one published result, measured again on this machine, with what has to come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wellbegun.lab.anchors.gate import Check, Gate
from wellbegun.lab.measured_page import MeasuredPage, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int, str], None]
"""Told (steps done, steps in all, what is done now)."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a measurement.

    Attributes:
        quick: a part of it that takes seconds, with the same names in its numbers.
        device: "cpu", or another one if the anchor knows it.
        depth: of the network, in place of the anchor's own; None for that.
        on_progress: told how far it is.
    """

    quick: bool = False
    device: str = "cpu"
    depth: int | None = None
    on_progress: Progress = lambda *_: None

    def counter(self, total: int, what: str = "training") -> Callable[[int], None]:
        """Return what takes numbers of steps just finished, as trainings tell them, and passes on their sum.

        >>> count = Asked(on_progress=lambda done, total, what: print(what, done, "of", total)).counter(20)
        >>> count(5); count(10)
        training 5 of 20
        training 15 of 20

        Args:
            total: steps of the whole measurement.
            what: is done.
        """
        done = 0

        def count(steps: int) -> None:
            nonlocal done
            done = min(done + steps, total)
            self.on_progress(done, total, what)

        return count


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
        minutes: of the whole measurement on one core.
        measure: makes the numbers.
        tables: heading and rows of the tables, from the numbers.
        gates: what has to come out.
        headline: what came out in one sentence, with its numbers.
        findings: paragraphs, from the numbers.
        figure: from the numbers; None if nothing is worth drawing.
        methods: names of the methods that it is evidence for, or against.
        needs: data sets that are fetched first.
        devices: where it can be measured.
        deep: whether the depth can be chosen.
    """

    name: str
    title: str
    source: str
    reported: str
    setup: str
    differs: str
    minutes: float
    measure: Callable[[Asked], Results]
    tables: Callable[[Results], Sequence[Table]]
    gates: Sequence[Gate]
    headline: Callable[[Results], str]
    findings: Callable[[Results], str]
    figure: Callable[[Results], Figure] | None = None
    methods: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    devices: tuple[str, ...] = field(default=("cpu",))
    deep: bool = False

    def checks(self, results: Results, quick: bool = False) -> list[Check]:
        """Return what came out for each gate; the short form leaves out those that it does not measure."""
        return [gate.check(results) for gate in self.gates if gate.quick or not quick]

    def measured_page(self, folder: Path) -> MeasuredPage:
        """Return the anchor's page in a folder."""
        from wellbegun.lab.anchors.page import page_of

        def figures(results: Results) -> dict[str, Figure]:
            return {} if self.figure is None else {"figure": self.figure(results)}

        return MeasuredPage(name=self.name, folder=folder, page=lambda results: page_of(self, results), figures=figures)
