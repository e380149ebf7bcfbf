"""Entries that repeat from layer to layer, as one row: model.layers.{0..79}.mlp.up_proj.weight."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wellbegun.plans.entry import Entry
from wellbegun.plans.identity import law_identity

Indices = tuple[int, ...]

_LONG = 40
"""Letters of the parts in braces from which one row would be harder to read than several."""


@dataclass(frozen=True)
class Group:
    """Entries that differ in nothing but the numbers in their names.

    Attributes:
        entries: in the order of the plan.
        label: their names as one text, "h.{0..11}.ln_1.weight".
        ties: the same of their further names.
    """

    entries: tuple[Entry, ...]
    label: str
    ties: tuple[str, ...] = ()

    @property
    def first(self) -> Entry:
        """The entry that stands for all."""
        return self.entries[0]

    def __len__(self) -> int:
        return len(self.entries)


def group_entries(entries: Iterable[Entry]) -> list[Group]:
    """Return the groups of a plan, each at the place of its first entry.

    Entries are together if they agree in kind, shape, storage type, role, law, reason, source and targets, and the
    numbers in their names make a full grid: layers.{0..60}.experts.{0..255}.
    """
    listed = list(entries)
    groups = [[listed[i] for i in places] for places in group_names([e.name for e in listed], map(_key, listed))]
    return [_group(members) for members in groups]


def shown_groups(entries: Iterable[Entry]) -> list[Group]:
    """Return the groups as a table shows them: those that differ in one part of their names alone are one row.

    The query, key and value weights of an attention, say, where shape, law and reason are the same: {q,k,v}.weight.
    """
    made: list[list[Group]] = []
    alike: dict[Hashable, list[list[Group]]] = {}
    for group in group_entries(entries):
        rows = alike.setdefault(_key(group.first), []) if not group.ties else []
        for row in rows:
            if join_siblings([*(member.label for member in row), group.label]):
                row.append(group)
                break
        else:
            made.append([group])
            rows.append(made[-1])
    return [
        Group(tuple(e for g in row for e in g.entries), join_siblings([g.label for g in row]), row[0].ties)
        for row in made
    ]


def group_names(names: Sequence[str], keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the positions of names that belong together: equal keys, equal but for numbers that make a full grid."""
    together: dict[Hashable, list[int]] = {}
    split = [split_name(name) for name in names]
    for position, ((template, _), key) in enumerate(zip(split, keys, strict=True)):
        together.setdefault((template, len(split[position][1]), key), []).append(position)
    found = [part for places in together.values() for part in _grids(places, [split[i][1] for i in places])]
    return sorted(found, key=lambda places: places[0])


def split_name(name: str) -> tuple[str, Indices]:
    """Return a name without its numbers, and the numbers.

    >>> split_name("h.3.attn.weight")
    ('h.{}.attn.weight', (3,))
    """
    if "{" in name:  # a brace of the name's own would look like a place for numbers
        return name, ()
    parts = name.split(".")
    numbers = tuple(int(part) for part in parts if _is_number(part))
    return ".".join("{}" if _is_number(part) else part for part in parts), numbers


def join_names_of(names: Sequence[str]) -> str:
    """Return names that differ only in their numbers as one text.

    >>> join_names_of(["h.0.w", "h.1.w", "h.2.w"])
    'h.{0..2}.w'
    """
    template, _ = split_name(names[0])
    columns = list(zip(*(split_name(name)[1] for name in names), strict=True))
    return template.format(*(_ranges(sorted(set(column))) for column in columns)) if columns else names[0]


def join_siblings(labels: Sequence[str]) -> str:
    """Return labels that differ in one part alone as one text; an empty one where they differ otherwise, or too much.

    >>> join_siblings(["h.{0..3}.q.weight", "h.{0..3}.k.weight"]), join_siblings(["a.w", "b.v"])
    ('h.{0..3}.{q,k}.weight', '')
    """
    if len(labels) == 1:
        return labels[0]
    # the two dots of a range are no separators
    split = [label.replace("..", "\0").split(".") for label in labels]
    if len({len(parts) for parts in split}) > 1 or len(split[0]) == 1:
        return ""
    columns = list(zip(*split, strict=True))
    differ = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(differ) != 1 or any("{" in part for part in columns[differ[0]]):
        return ""
    parts = list(split[0])
    if sum(len(part) + 1 for part in columns[differ[0]]) > _LONG:
        return ""
    parts[differ[0]] = "{" + ",".join(columns[differ[0]]) + "}"
    return ".".join(parts).replace("\0", "..")


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and str(int(part)) == part


def _grids(places: list[int], indices: list[Indices]) -> list[list[int]]:
    """Split positions until the numbers of each part are a full grid."""
    columns = [set(column) for column in zip(*indices, strict=True)]
    if len(places) == math.prod(len(column) for column in columns):
        return [places]
    for column in range(len(columns)):
        rests: dict[int, set[Indices]] = {}
        for index in indices:
            rests.setdefault(index[column], set()).add(index[:column] + index[column + 1 :])
        parts: dict[frozenset[Indices], list[int]] = {}
        for position, index in enumerate(indices):
            parts.setdefault(frozenset(rests[index[column]]), []).append(position)
        if len(parts) > 1:  # numbers that are followed by the same others stay together
            return [
                grid
                for part in parts.values()
                for grid in _grids([places[i] for i in part], [indices[i] for i in part])
            ]
    return [[place] for place in places]


def _ranges(numbers: list[int]) -> str:
    """Return numbers as 5, {0..11}, {0,2..38} or {0..3,7}."""
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) > 3 and len(steps) == 1 and steps != {1}:
        return f"{{{numbers[0]},{numbers[1]}..{numbers[-1]}}}"
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]
    return texts[0] if len(numbers) == 1 else "{" + ",".join(texts) + "}"


def _key(entry: Entry) -> Hashable:
    record = law_identity(entry.law)
    if isinstance(record.get("weight"), str):  # a law that names a neighbour in its own layer
        record["weight"] = split_name(record["weight"])[0]
    law = json.dumps(record, sort_keys=True)
    stream = "" if entry.stream == entry.name else split_name(entry.stream)[0]
    ties = tuple(split_name(name)[0] for name in entry.ties)
    words = (entry.kind, entry.dtype, entry.role, entry.reason, entry.source)
    numbers = (entry.shape, entry.fans, _rounded(entry.before), _rounded(entry.after), entry.zero_row, entry.training)
    return (*words, *numbers, law, stream, ties)


def _rounded(moment: float | None) -> float | None:
    """Second moments that print alike are alike."""
    return None if moment is None else float(f"{moment:.6g}")


def _group(members: list[Entry]) -> Group:
    ties = tuple(join_names_of(names) for names in zip(*(entry.ties for entry in members), strict=True))
    return Group(tuple(members), join_names_of([entry.name for entry in members]), ties)
