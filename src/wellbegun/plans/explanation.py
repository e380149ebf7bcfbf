"""Why a difference of two plans matters: known troubles, told from the numbers of the entries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wellbegun.plans.entry import Entry

if TYPE_CHECKING:
    from wellbegun.plans.diff import Change, PlanDiff
    from wellbegun.plans.plan import Plan

NOTABLE = 1.25
"""Factor on a second moment from which it is worth a sentence."""

_ALARM, _DEEP_ALARM = 4.0, 100.0
_UNSCALED = 2.0
"""Factor of residual writes over that of the other layers from which they count as not scaled."""


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
        reached: second moment behind the operation, under the actual law.
        role: of the tensor.
    """

    label: str
    count: int
    target: Entry
    actual: Entry
    reached: float

    @property
    def factor(self) -> float:
        """Second moment reached over the one aimed at."""
        return self.reached / (self.target.after or 1.0)


def explain_difference(diff: PlanDiff) -> tuple[Finding, ...]:
    """Return what explains the differences, worst first.

    Second moments are multiplied through as the entries tell them: the law's E w² times fan_in times the entry's
    `before`, against its `after`. Of two plans with such targets, the second is judged by those of the first.
    """
    judged: dict[str, list[Judged]] = {"first": [], "second": []}
    for label, changes in diff.grouped():
        made = _judge(label, changes)
        if made is not None:
            judged[made[0]].append(made[1])
    found: list[Finding] = []
    for side, groups in judged.items():
        plan = diff.first if side == "first" else diff.second
        for check in (_outputs, _tables, _writers, _layers, _zeroed):
            found += check(side, plan, groups)
    found += _shapes_of_law(diff)
    return tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level)))


def _judge(label: str, changes: tuple[Change, ...]) -> tuple[str, Judged] | None:
    first, second = changes[0].first, changes[0].second
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
    element = mean**2 + std**2
    if _is_table(target):
        reached = element
    elif target.fans is not None and target.before is not None:
        reached = element * target.fans.fan_in * target.before
    else:
        return None
    return side, Judged(label, len(changes), target, actual, reached)


def _is_table(entry: Entry) -> bool:
    """Rows of a look-up table enter the network as they are."""
    return entry.role.startswith("embedding weight")


def _is_output(group: Judged) -> bool:
    """A weight that aims at small logits: one of a kind, with a target below 1; or a table that is the output too."""
    tied = _is_table(group.target) and "linear weight" in group.target.role
    return tied or (group.count == 1 and not _is_table(group.target) and (group.target.after or 1.0) < 1.0)


def _outputs(side: str, plan: Plan, groups: list[Judged]) -> list[Finding]:  # noqa: ARG001
    found = []
    for group in filter(_is_output, groups):
        fans = group.actual.fans or group.target.fans
        if group.actual.std == 0.0 or fans is None:
            continue
        moment = group.reached * fans.fan_in if _is_table(group.target) else group.reached
        aimed = (group.target.after or 1.0) * (fans.fan_in if _is_table(group.target) else 1.0)
        if moment <= aimed * NOTABLE:
            continue
        level = "error" if moment >= 10 else "warning"
        text = (
            f"{group.label} at std {group.actual.std:.3g} over {fans.fan_in:g} inputs gives outputs of second moment "
            f"{moment:.3g} where {aimed:.3g} is aimed at: a cross-entropy starts about {moment / 2:.3g} above ln V, "
            f"and not {aimed / 2:.2g}"
        )
        found.append(Finding(level, side, "logits too large at step 0", text, (group.label,)))
    return found


def _tables(side: str, plan: Plan, groups: list[Judged]) -> list[Finding]:  # noqa: ARG001
    tables = [group for group in groups if _is_table(group.target) and not _is_output(group) and _off(group)]
    if not tables:
        return []
    parts = [f"{g.label} gives rows of second moment {g.reached:.3g}, not {g.target.after:.3g}" for g in tables]
    small = all(group.factor < 1 for group in tables)
    effect = (
        "what the layers write then drowns the tokens early on"
        if small
        else "what the layers write is then small beside the tokens"
    )
    text = "; ".join(parts) + f"; {effect}"
    return [Finding("warning", side, "scale of the look-up tables", text, tuple(group.label for group in tables))]


def _writers(side: str, plan: Plan, groups: list[Judged]) -> list[Finding]:  # noqa: ARG001
    """Repeated layers that aim at a share of the stream: 1 over the number of writes."""
    writers = [g for g in groups if _is_writer(g)]
    others = [g for g in groups if not (_is_writer(g) or _is_table(g.target) or _is_output(g)) and g.reached > 0]
    usual = _mean_factor(others) if others else 1.0
    grown = [group for group in writers if group.factor > NOTABLE or group.factor / usual > _UNSCALED]
    if not grown:
        return []
    names, writes = tuple(group.label for group in grown), sum(group.count for group in grown)
    total = sum(group.count * group.reached for group in grown)
    aimed = sum(group.count * (group.target.after or 1.0) for group in grown)
    if total > aimed * NOTABLE:
        text = (
            f"{_and(names)}: {writes} writes onto the residual stream add up to a second moment of {total:.3g}, where "
            f"{aimed:.3g} is aimed at; scaled by one over the root of their number it does not grow with depth"
        )
    else:
        text = (
            f"{_and(names)}: beside the other layers, each of {writes} writes onto the residual stream is "
            f"{_mean_factor(grown) / usual:.3g}x larger than aimed at, which is not scaled by their number: the "
            "stream grows with depth, and what stands in it at first drowns"
        )
    return [Finding("warning", side, "residual writes are not scaled with depth", text, names)]


def _is_writer(group: Judged) -> bool:
    return group.count > 1 and not _is_table(group.target) and (group.target.after or 1.0) < 0.7


def _mean_factor(groups: list[Judged]) -> float:
    """Geometric mean over all layers."""
    logs = [(group.count, math.log(group.factor)) for group in groups]
    return math.exp(sum(count * log for count, log in logs) / sum(count for count, _ in logs))


def _layers(side: str, plan: Plan, groups: list[Judged]) -> list[Finding]:
    """Layers whose output misses its target: it multiplies through the depth if nothing sets the scale anew."""
    layers = [
        g for g in groups
        if not (_is_table(g.target) or _is_output(g) or _is_writer(g)) and _off(g) and g.reached > 0
    ]  # fmt: skip
    count = sum(group.count for group in layers)
    if not count:
        return []
    log = sum(group.count * math.log(group.factor) for group in layers)
    factor, names = math.exp(log / count), tuple(group.label for group in layers)
    where = _and(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more rows"
    normalised = any(entry.role.startswith("normalisation") for entry in plan)
    change = f"{1 / factor:.3g}x smaller" if factor < 1 else f"{factor:.3g}x larger"
    size = f"{where}: the second moment behind each of {count} weights is {change} than aimed at"
    if count == 1:
        size = f"{where}: the second moment behind it is {change} than aimed at"
    if normalised:
        verb = "weak" if factor < 1 else "loud"
        text = f"{size}; normalisation hides that from the layers behind, but branches between two of them are {verb}"
        return [Finding("note", side, "scale of the layers", text, names)]
    total = math.exp(max(min(log, 700.0), -700.0))
    change, verb = (f"{1 / factor:.3g}x", "shrinks") if factor < 1 else (f"{factor:.3g}x", "grows")
    level = (
        "error" if max(total, 1 / total) >= _DEEP_ALARM else "warning" if max(total, 1 / total) >= _ALARM else "note"
    )
    text = f"{size}, and nothing sets the scale anew: after all of them {total:.2g} of it is left"
    if factor > 1:
        text = f"{size}, and nothing sets the scale anew: after all of them it is {total:.2g} times as large"
    title = f"the signal {verb} by {change} a layer" if count > 1 else f"the signal {verb} by {change}"
    return [Finding(level, side, title, text, names)]


def _zeroed(side: str, plan: Plan, groups: list[Judged]) -> list[Finding]:  # noqa: ARG001
    zeroed = [group for group in groups if group.reached == 0.0]
    if not zeroed:
        return []
    names = tuple(group.label for group in zeroed)
    text = (
        f"{_and(names)}: what is in front of them gets no gradient at the first step, and their own gradient moves "
        "them off zero; right for the last layer of a residual branch or a head, and nowhere else"
    )
    return [Finding("note", side, "weights that start at zero", text, names)]


def _shapes_of_law(diff: PlanDiff) -> list[Finding]:
    """Weights of the same size from another distribution."""
    names: dict[str, list[str]] = {}
    for label, changes in diff.grouped():
        change = changes[0]
        if change.what == "same std, another distribution" and change.first and change.second:
            pair = f"{type(change.first.law).__name__} and {type(change.second.law).__name__}"
            names.setdefault(pair, []).append(label)
    return [
        Finding("note", "second", f"another distribution of the same size ({pair})", _and(labels), tuple(labels))
        for pair, labels in names.items()
    ]


def _off(group: Judged) -> bool:
    return group.factor == 0 or abs(math.log(group.factor)) > math.log(NOTABLE)


def _and(names: Iterable[str]) -> str:
    listed = list(names)
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
