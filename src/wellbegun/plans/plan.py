"""A plan: one entry for every parameter and buffer of a network. Data, not code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from wellbegun.errors import ArgumentError, closest_names, join_names
from wellbegun.laws import Keep, MeanCompensation, law_to_record
from wellbegun.plans.entry import Entry
from wellbegun.sampler import SAMPLER_VERSION, check_seed


@dataclass(frozen=True)
class Plan:
    """What every parameter and buffer of a network will hold, before anything is written.

    Attributes:
        entries: one for each tensor, in the order of the model's state.
        seed: with the names it decides every random number.
        recipe: the policy that made the plan, with its version ("auto@0").
        sampler: version of the sampler's definition.
    """

    entries: tuple[Entry, ...]
    seed: int
    recipe: str
    sampler: int = SAMPLER_VERSION

    def __post_init__(self) -> None:
        check_seed(self.seed)
        names = [name for entry in self.entries for name in (entry.name, *entry.ties)]
        if len(set(names)) != len(names):
            doubled = sorted({name for name in names if names.count(name) > 1})
            raise ArgumentError(f"a plan holds each tensor once; twice here: {', '.join(doubled)}")

        for entry in self.entries:
            needed = entry.law.companion
            if needed is None:
                continue
            if needed not in self or isinstance(self[needed].law, Keep | MeanCompensation):
                raise ArgumentError(f"{entry.name}: {entry.law!r} needs a planned weight of that name")
            entry.law.check_companion(entry.shape, self[needed].shape)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return any(name == entry.name or name in entry.ties for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if name == entry.name or name in entry.ties:
                return entry
        near = closest_names(name, [entry.name for entry in self.entries])
        offer = f"; did you mean {join_names(near)}?" if near else ""
        raise KeyError(f"the plan has no entry {name!r}{offer}")

    def __str__(self) -> str:
        from wellbegun.plans.table import plan_text

        return plan_text(self)

    def with_seed(self, seed: int) -> Plan:
        """Return the same plan for another seed."""
        return replace(self, seed=seed)

    def explain(self, name: str) -> str:
        """Return everything the plan knows about one tensor, in a few lines."""
        from wellbegun.plans.table import entry_text

        return entry_text(self, self[name])

    def diff(self, other: Plan) -> list[str]:
        """Return what differs from another plan, one line for each tensor; seeds and reasons do not count."""
        mine, theirs = ({entry.name: entry for entry in plan} for plan in (self, other))
        lines = [f"- {name}: only in the first plan" for name in mine if name not in theirs]
        lines += [f"+ {name}: only in the second plan" for name in theirs if name not in mine]
        for name in mine:
            if name in theirs and _identity(mine[name]) != _identity(theirs[name]):
                lines.append(f"~ {name}: {_brief(mine[name])} -> {_brief(theirs[name])}")
        return lines

    @property
    def hash(self) -> str:
        """Hash of names, shapes, laws and versions; not of seed, reasons or storage type."""
        content = [self.recipe, self.sampler, [_identity(entry) for entry in self.entries]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON; the file appears whole or not at all."""
        from wellbegun.plans.file import save_plan

        save_plan(self, path)


def _identity(entry: Entry) -> list[object]:
    law = law_to_record(entry.law)
    return [entry.name, list(entry.ties), list(entry.shape), entry.stream, law, entry.zero_row]


def _brief(entry: Entry) -> str:
    return f"{entry.law!r} {list(entry.shape)}"
