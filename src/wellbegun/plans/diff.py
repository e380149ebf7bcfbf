"""What differs between two plans, by how much, and which known trouble that explains."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wellbegun.plans.entry import Entry
from wellbegun.plans.groups import group_names, join_names_of, join_siblings
from wellbegun.plans.identity import entry_identity, law_identity
from wellbegun.plans.words import law_words, shape_words, std_words

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from wellbegun.plans.explanation import Finding
    from wellbegun.plans.multiplier import Multiplier
    from wellbegun.plans.plan import Plan


Row = tuple[str, tuple["Change", ...]]
"""Names as one text, and what changes under these names, the same in all."""

MOST = 12
"""Rows that one finding shows."""


@dataclass(frozen=True)
class Change:
    """One tensor that two plans treat differently.

    Attributes:
        name: its canonical name, in the first plan where it has one.
        first, second: its entries; None where a plan does not have it.
    """

    name: str
    first: Entry | None
    second: Entry | None

    @property
    def ratio(self) -> float | None:
        """Standard deviation in the second plan over that in the first; None where there is no such number."""
        if self.first is None or self.second is None or not self.first.std > 0 or math.isnan(self.second.std):
            return None
        return self.second.std / self.first.std

    @property
    def what(self) -> str:
        """What differs, in a few words."""
        first, second = self.first, self.second
        if first is None or second is None:
            return "only in the second plan" if first is None else "only in the first plan"
        parts = []
        if law_identity(first.law) != law_identity(second.law):
            ratio, kinds = self.ratio, law_words(first.law) != law_words(second.law)
            if ratio is not None and not math.isclose(ratio, 1.0, rel_tol=1e-3):
                parts.append(f"std ×{ratio:.3g}" if ratio else "set to a constant")
            elif ratio is not None and kinds:
                parts.append("same std, another distribution")
            else:
                parts.append("another law" if kinds else "other numbers")
        for what, mine, theirs in (
            ("shape", shape_words(first.shape), shape_words(second.shape)),
            ("names", ", ".join(first.ties) or "not tied", ", ".join(second.ties) or "not tied"),
            ("stream", first.stream, second.stream),
            ("zero row", str(first.zero_row), str(second.zero_row)),
            ("learning rate", f"×{first.lr_factor:.4g}", f"×{second.lr_factor:.4g}"),
            ("weight decay", f"×{first.decay_factor:.4g}", f"×{second.decay_factor:.4g}"),
            ("epsilon", f"×{first.eps_factor:.4g}", f"×{second.eps_factor:.4g}"),
        ):
            if mine != theirs:
                parts.append(f"{what} {mine} → {theirs}")
        return "; ".join(parts)

    def __str__(self) -> str:
        laws = " → ".join("-" if entry is None else repr(entry.law) for entry in (self.first, self.second))
        return f"{self.name}: {laws} ({self.what})"


class PlanDiff:
    """The differences of two plans: false where there is none, iterable, and printed with repeated layers as one row.

    >>> from wellbegun.laws import Normal
    >>> from wellbegun.plans import Plan
    >>> plans = [
    ...     Plan((Entry("w", "parameter", (4, 4), "float32", "linear weight", "", Normal(std), ""),), 0, "mine")
    ...     for std in (0.5, 0.25)
    ... ]
    >>> [(change.name, change.ratio) for change in plans[0].diff(plans[1])]
    [('w', 0.5)]

    Attributes:
        first, second: the plans.
        changes: one for each tensor, in the order of the first plan, then what only the second has.
        multipliers: those that the plans want at other places or of another size, as (first, second) pairs; None where
            a plan has none there.
    """

    def __init__(self, first: Plan, second: Plan) -> None:
        self.first, self.second = first, second
        self.changes = _changes(first, second)
        self.multipliers = _multipliers(first, second)

    def __bool__(self) -> bool:
        return bool(self.changes or self.multipliers)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __getitem__(self, name: str) -> Change:
        for change in self.changes:
            if change.name == name:
                return change
        raise KeyError(f"the plans do not differ in {name!r}")

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Known troubles that explain the differences, each for the plan that has it."""
        from wellbegun.plans.explanation import explain_difference

        return explain_difference(self)

    @property
    def headings(self) -> tuple[str, str]:
        """What to call the two plans: by their recipes, where these differ."""
        names = self.first.recipe, self.second.recipe
        return names if names[0] != names[1] else ("first", "second")

    @property
    def headline(self) -> str:
        """Return what is compared, and how many tensors differ."""
        count = len({entry.name for plan in (self.first, self.second) for entry in plan})
        differ = f"the same laws for all {count} tensors"
        if self.changes:
            numbers = sum(entry.size for entry in self.first) or 1
            share = sum(change.first.size for change in self.changes if change.first is not None) / numbers
            words = "all" if share > 0.9995 else f"{share:.1%}" if share >= 0.0005 else "under 0.1%"
            differ = f"{len(self)} of {count} tensors differ, {words} of the numbers"
        return f"{self.first.recipe} → {self.second.recipe} · {differ}"

    def recipe_of(self, finding: Finding) -> str:
        """Name the plan that a finding is about: by its recipe, where the two have different ones."""
        if self.first.recipe == self.second.recipe:
            return f"{finding.plan} plan"
        return (self.first if finding.plan == "first" else self.second).recipe

    def sections(self) -> list[tuple[Finding | None, list[Row]]]:
        """Return the findings, each with the rows that it explains; last the rows that none explains, largest first.

        A row stands once, at the first finding that names it.
        """
        rows = dict(self.grouped())
        found: list[tuple[Finding | None, list[Row]]] = []
        for finding in self.findings:
            found.append((finding, _siblings([(name, rows.pop(name)) for name in finding.names if name in rows])))
        if rows:
            found.append((None, _siblings(sorted(rows.items(), key=lambda row: -_size_of(row[1][0])))))
        return found

    def grouped(self) -> list[tuple[str, tuple[Change, ...]]]:
        """Return the changes with those of repeated layers together: (label, changes)."""
        places = group_names([change.name for change in self.changes], map(_key, self.changes))
        groups = [[self.changes[i] for i in positions] for positions in places]
        return [(join_names_of([change.name for change in members]), tuple(members)) for members in groups]

    def multiplier_lines(self) -> list[str]:
        """Return what differs in the forward pass that the plans want, as lines under a heading; none if nothing."""
        if not self.multipliers:
            return []
        asked = [(a or b, a and a.value, b and b.value) for a, b in self.multipliers]
        places = group_names(
            [m.weight for m, *_ in asked if m], [(m.place, first, second) for m, first, second in asked if m]
        )
        lines = ["", "the forward pass must multiply"]
        for at in places:
            here, first, second = asked[at[0]]
            assert here is not None
            names = join_names_of([m.weight for m, *_ in (asked[i] for i in at) if m])
            sizes = " → ".join("-" if value is None else f"×{value:.6g}" for value in (first, second))
            lines.append(f"    {replace(here, weight=names).where}: {sizes}")
        return lines

    def __str__(self) -> str:
        from wellbegun.plans.table import plain_text

        return plain_text(self, 150)

    __repr__ = __str__

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        from wellbegun.plans.table import fitting

        yield Text(self.headline, style="bold")
        sections = self.sections()
        shown = [row_of(label, changes[0]) for _, rows in sections for label, changes in rows[:MOST]]
        widths = [max((len(row[i]) for row in shown), default=0) for i in range(3)]
        widths[0] = fitting((row[0] for row in shown), options.max_width - sum(widths[1:]) - 10)
        for finding, rows in sections:
            yield Text("")
            if finding is not None:
                style = {"error": "red", "warning": "yellow", "note": "cyan"}[finding.level]
                head = (f"{finding.level}, {self.recipe_of(finding)}: ", style)
                yield Text.assemble(head, (finding.title, "bold"))
                yield Padding(Text(finding.text), (0, 0, 0, 2))
            elif len(sections) > 1:
                yield Text("other differences", style="bold")
            for label, changes in rows[:MOST]:
                yield _row(row_of(label, changes[0]), widths)
            if len(rows) > MOST:
                left = sum(len(changes) for _, changes in rows[MOST:])
                yield Text(f"    ... and {left} more tensors in {len(rows) - MOST} rows", style="dim")
        for line in self.multiplier_lines():
            yield Text(line)

    def _repr_html_(self) -> str:
        from wellbegun.plans.html import diff_html

        return diff_html(self)


def row_of(label: str, change: Change) -> tuple[str, str, str]:
    """Return a row: names, both laws with their std, what differs."""
    return label, f"{_law(change.first)} → {_law(change.second)}", change.what


def _changes(first: Plan, second: Plan) -> tuple[Change, ...]:
    made = []
    for entry in first:
        other = next((second[name] for name in (entry.name, *entry.ties) if name in second), None)
        if other is None or entry_identity(entry) != entry_identity(other):
            made.append(Change(entry.name, entry, other))
    for entry in second:
        if not any(name in first for name in (entry.name, *entry.ties)):
            made.append(Change(entry.name, None, entry))
    return tuple(made)


def _multipliers(first: Plan, second: Plan) -> tuple[tuple[Multiplier | None, Multiplier | None], ...]:
    mine, theirs = ({(m.place, m.weight): m for m in plan.multipliers} for plan in (first, second))
    pairs = [(mine.get(key), theirs.get(key)) for key in dict.fromkeys([*mine, *theirs])]
    return tuple((a, b) for a, b in pairs if a is None or b is None or a.value != b.value)


def _row(row: tuple[str, str, str], widths: list[int]) -> Text:
    """Return a row in columns; a name that is too long for its column has a line of its own."""
    from rich.text import Text

    name, laws, what = row
    start = f"    {name.ljust(widths[0])}   " if len(name) <= widths[0] else f"    {name}\n    {'':{widths[0]}}   "
    return Text.assemble(start, (f"{laws.ljust(widths[1])}   ", "dim"), what)


def _siblings(rows: list[Row]) -> list[Row]:
    """Put neighbours that differ in nothing but one part of their names together: attn.{query,key,value}.weight."""
    made: list[list[Row]] = []
    for label, changes in rows:
        last = made[-1] if made else []
        alike = last and row_of("", last[0][1][0])[1:] == row_of("", changes[0])[1:]
        if alike and join_siblings([name for name, _ in last] + [label]):
            last.append((label, changes))
        else:
            made.append([(label, changes)])
    return [
        (join_siblings([name for name, _ in part]) or part[0][0], tuple(change for _, more in part for change in more))
        for part in made
    ]


def _size_of(change: Change) -> float:
    """How much differs, for the order of rows: factors first."""
    ratio = change.ratio
    return abs(math.log(ratio)) if ratio else 0.5


def _law(entry: Entry | None) -> str:
    return "-" if entry is None else f"{law_words(entry.law)} {std_words(entry)}".strip()


def _key(change: Change) -> Hashable:
    sides: list[Any] = []
    for entry in (change.first, change.second):
        law = None if entry is None else law_identity(entry.law)
        numbers = None
        if entry is not None:
            numbers = (entry.shape, entry.role, entry.before, entry.after, len(entry.ties), entry.training)
        sides.append((json.dumps(law, sort_keys=True), numbers))
    return tuple(sides)
