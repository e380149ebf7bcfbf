"""Why a difference of two plans matters: known troubles, told from the numbers of the entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellbegun.plans.entry import Entry

if TYPE_CHECKING:
    from wellbegun.plans.diff import PlanDiff

_SHARES = 2.5
"""Targets of equal layers that add up to at most this are shares of residual streams: 1 for each stream."""


@dataclass(frozen=True)
class Finding:
    """A known trouble that explains why two plans differ.

    Attributes:
        level: "error", "warning" or "note".
        plan: "first" or "second", the one that has the trouble.
        title: a few words.
        text: what happens, in numbers.
        names: the tensors, repeated layers as one.
    """

    level: str
    plan: str
    title: str
    text: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.level}: {self.title}: {self.text}"


@dataclass(frozen=True)
class Judged:
    """One group of repeated layers, under the law of one plan and the target of the other.

    Attributes:
        label: names as one text.
        count: how many layers.
        target: the entry whose before and after say what is aimed at.
        actual: the entry that is judged.
        reached: second moment behind the operation, under the actual law; its input is taken to be as planned.
        changed: whether the two plans differ here.
    """

    label: str
    count: int
    target: Entry
    actual: Entry
    reached: float
    changed: bool = True

    @property
    def aimed(self) -> float:
        """Second moment aimed at."""
        return self.target.after or 1.0

    @property
    def factor(self) -> float:
        """Second moment reached over the one aimed at."""
        return self.reached / self.aimed

    @property
    def is_table(self) -> bool:
        """Whether its rows enter the network as they are."""
        return self.target.role.startswith("embedding weight")

    @property
    def is_gate(self) -> bool:
        """Whether it belongs to the gates of a recurrent layer."""
        return "gate" in self.target.role


@dataclass(frozen=True)
class Judgement:
    """All layers of one plan that the other plan has targets for, by what they do.

    Attributes:
        side: "first" or "second", the plan that is judged.
        normalised: whether the network has normalisation.
        outputs: what makes the logits, tied tables among them.
        tables: look-up tables, tied ones among them.
        writers: layers that aim at a share of a residual stream.
        layers: all others.
    """

    side: str
    normalised: bool
    outputs: tuple[Judged, ...]
    tables: tuple[Judged, ...]
    writers: tuple[Judged, ...]
    layers: tuple[Judged, ...]


def explain_difference(diff: PlanDiff) -> tuple[Finding, ...]:
    """Return what explains the differences, worst first.

    Second moments are multiplied through as the entries tell them: the law's E w² times fan_in times the entry's
    `before`, against its `after`. Of two plans with such targets, the second is judged by those of the first.
    """
    from wellbegun.plans.troubles import CHECKS, gates, other_laws

    found: list[Finding] = []
    for side, groups in _judged(diff).items():
        plan = diff.first if side == "first" else diff.second
        judgement = _sorted_by_use(side, any(e.role.startswith("normalisation") for e in plan), groups)
        for check in CHECKS:
            found += check(judgement)
    found += gates(diff)
    found += other_laws(diff)
    return tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level)))


def _judged(diff: PlanDiff) -> dict[str, list[Judged]]:
    """Return the layers that can be judged, by the plan that is judged; those that do not differ one by one."""
    judged: dict[str, list[Judged]] = {"first": [], "second": []}
    for label, changes in diff.grouped():
        made = _judge(label, len(changes), changes[0].first, changes[0].second)
        if made is not None:
            judged[made[0]].append(made[1])
    different = {change.name for change in diff}
    for entry in diff.first:
        if entry.name not in different and entry.name in diff.second:
            made = _judge(entry.name, 1, entry, diff.second[entry.name], changed=False)
            for side, groups in judged.items():
                if made is not None and any(group.changed for group in groups):
                    judged[side].append(made[1])
    return judged


def _judge(
    label: str, count: int, first: Entry | None, second: Entry | None, changed: bool = True
) -> tuple[str, Judged] | None:
    if first is None or second is None:
        return None
    if first.after is not None:
        side, target, actual = "second", first, second
    elif second.after is not None:
        side, target, actual = "first", second, first
    else:
        return None
    mean, std = actual.law.moments(actual.shape)
    if math.isnan(std):
        return None
    reached = mean**2 + std**2
    if not target.role.startswith("embedding weight"):
        if target.fans is None or target.before is None:
            return None
        reached *= target.fans.fan_in * target.before
    return side, Judged(label, count, target, actual, reached, changed)


def _sorted_by_use(side: str, normalised: bool, groups: list[Judged]) -> Judgement:
    tables = [g for g in groups if g.is_table]
    others = [g for g in groups if not g.is_table]
    alike: dict[float, int] = {}
    for group in others:
        alike[round(group.aimed, 4)] = alike.get(round(group.aimed, 4), 0) + group.count

    def shares(group: Judged) -> bool:
        """One of several equal targets that together are about one."""
        number = alike[round(group.aimed, 4)]
        return number > 1 and group.aimed < 0.7 and number * group.aimed <= _SHARES

    # a layer of its own that aims at small results makes the logits; the last of a network even if another aims so
    single = [g for g in others if g.count == 1 and g.aimed < 1 and g.changed and not g.is_gate]
    outputs = [g for g in single if alike[round(g.aimed, 4)] == 1 or g is others[-1]]
    writers = [g for g in others if g not in outputs and shares(g)]
    layers = [g for g in others if g not in outputs and g not in writers and not g.is_gate]
    tied = [g for g in tables if "linear weight" in g.target.role]
    return Judgement(side, normalised, (*outputs, *tied), tuple(tables), tuple(writers), tuple(layers))
