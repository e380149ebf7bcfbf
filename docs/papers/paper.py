"""What the three papers have in common: a script that measures, prints its tables, and writes the page anew."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from wellbegun.lab.measured_page import (
    COLOURS,
    MeasuredPage,
    Results,
    digest,
    kept_digits,
    made_with,
    number,
    percent,
    table,
)

__all__ = ["COLOURS", "Paper", "Results", "digest", "kept_digits", "number", "percent", "table"]

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Paper(MeasuredPage):
    """One paper as a page that is measured.

    Attributes:
        measure: makes the numbers; True asks for a part of them that takes seconds.
        tables: the tables of the page, as Markdown, by title.
    """

    measure: Callable[[bool], Results]
    tables: Callable[[Results], dict[str, str]]
    folder: Path = field(default=HERE)

    def main(self) -> None:
        """Measure, print the tables, and with --write make the page anew."""
        parser = argparse.ArgumentParser(description=f"Measures what {self.page_file.name} shows.")
        parser.add_argument("--quick", action="store_true", help="measure a part of it, in seconds")
        parser.add_argument("--write", action="store_true", help="write page, figures and numbers anew")
        parser.add_argument("--from-results", action="store_true", help="use the numbers kept, measure nothing")
        given = parser.parse_args()
        if given.quick and given.write:
            parser.error("a page is written from the whole measurement: leave --quick out")
        torch.set_num_threads(1)  # these networks are small; more threads only wait for one another
        began = time.perf_counter()
        results = self.load() if given.from_results else kept_digits(self.measure(given.quick)) | made_with()
        for title, text in self.tables(results).items():
            print(f"{title}\n\n{text}\n")
        print(f"{time.perf_counter() - began:.0f} s")
        if given.write:
            self.write(results)
