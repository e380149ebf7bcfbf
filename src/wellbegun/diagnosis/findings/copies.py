"""Weights that hold the same random numbers: layers cloned by deepcopy, shards and experts drawn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from wellbegun.diagnosis.copies import BLOCK
from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import NAMED, count

_REMEDY = "give each weight numbers of its own: wb.initialize does, as it draws by name"


def find(facts: Facts) -> list[Finding]:
    """Return a finding for each set of layers, of single weights, and of parts of weights that are copies."""
    layers: dict[tuple[str, ...], list[str]] = defaultdict(list)
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    found = []
    for copies in facts.copies:
        split = None if copies.blocks else _layers(copies.names)
        if split is not None:
            layers[split[0]].append(split[1])
            members[split[0]] += copies.names
        else:
            first, message = copies.names[0], _single(copies.names, copies.blocks)
            found.append(Finding("copies", "error", first, message, _REMEDY, copies.names))
    for where, weights in layers.items():
        many = f"{where[0]} to {where[-1]}" if len(where) > NAMED else " and ".join(where)
        message = f"{len(where)} identical layers ({many}): the same numbers in {_some(weights)}"
        found.append(Finding("copies", "error", where[0], message, _REMEDY, tuple(members[where])))
    return found


def _single(names: Sequence[str], blocks: int) -> str:
    if not blocks:
        return f"{len(names)} weights hold the same numbers: {_some(names)}"
    shared = f"{count(blocks, 'block')} of {BLOCK} numbers"
    if len(set(names)) == 1:
        return f"parts of {names[0]} repeat other parts of it: {shared}, as shards drawn alike do"
    return f"{names[0]} and {names[1]} have {shared} in common"


def _layers(names: Sequence[str]) -> tuple[tuple[str, ...], str] | None:
    """The layers that names belong to, and what the weight is called in each; None if they differ otherwise."""
    parts = [name.split(".") for name in names]
    if len({len(part) for part in parts}) > 1:
        return None
    differ = [place for place, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    if len(differ) != 1 or differ[0] == len(parts[0]) - 1:
        return None
    end = differ[0] + 1
    return tuple(".".join(part[:end]) for part in parts), ".".join(parts[0][end:])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
