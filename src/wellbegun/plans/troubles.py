"""The known troubles that explain differences of plans: each a function from judged layers to findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from wellbegun.laws import Constant, Patched, Uniform
from wellbegun.plans.entry import Entry
from wellbegun.plans.explanation import Finding, Judged, Judgement

if TYPE_CHECKING:
    from wellbegun.plans.diff import PlanDiff

NOTABLE = 1.25
"""Factor on a second moment from which it is worth a sentence."""

_ALARM, _DEEP_ALARM = 4.0, 100.0
_UNSCALED = 2.0
"""Factor of residual writes over that of the other layers from which they count as not scaled."""
_LOSS = 0.1
"""Nats above the planned loss at step 0 that are worth a sentence."""


def outputs(judged: Judgement) -> list[Finding]:
    """Find logits that are larger than planned: cross-entropy starts half their second moment above ln V."""
    found = []
    for group in judged.outputs:
        fans = group.actual.fans or group.target.fans
        if group.actual.std == 0.0 or fans is None:
            continue
        width = fans.fan_in if group.is_table else 1.0
        moment, aimed = group.reached * width, group.aimed * width
        if moment - aimed <= 2 * _LOSS:
            continue
        text = (
            f"{group.label} at std {group.actual.std:.3g} over {fans.fan_in:g} inputs gives outputs of second moment "
            f"{moment:.3g} where {aimed:.3g} is aimed at: a cross-entropy starts about {moment / 2:.2g} above ln V, "
            f"and not {aimed / 2:.2g}"
        )
        level = "error" if moment >= 10 else "warning"
        found.append(Finding(level, judged.side, "logits too large at step 0", text, (group.label,)))
    return found


def stream(judged: Judgement) -> list[Finding]:
    """Compare what the layers write onto the residual stream with what stands in it at first, and with their share."""
    writers = [g for g in judged.writers if g.reached > 0]
    tables = judged.tables
    if not any(g.changed for g in (*writers, *tables)):
        return []
    if not writers:
        return _tables(judged)
    inside = _mean_factor([g for g in judged.layers if g.reached > 0])
    writes = sum(g.count for g in writers)
    total, aimed = sum(g.count * g.reached for g in writers), sum(g.count * g.aimed for g in writers)
    start, planned = sum(g.count * g.reached for g in tables), sum(g.count * g.aimed for g in tables)
    unscaled = ""
    if total > aimed * NOTABLE:
        unscaled = (
            f"{writes} writes onto the residual stream add up to a second moment of {total:.3g}, where {aimed:.3g} is "
            "aimed at; scaled by one over the root of their number they would not grow with depth"
        )
    elif _mean_factor(writers) / inside > max(_UNSCALED, writes / 2):
        unscaled = (
            f"relative to the other layers each of {writes} writes is {_mean_factor(writers) / inside:.3g}x its "
            "share: nothing scales it down by their number, so the stream grows with every layer"
        )
    if not start:
        title, names = "residual writes are not scaled with depth", _names(g for g in writers if g.changed)
        return [Finding("warning", judged.side, title, unscaled, names)] if unscaled and names else []
    names = _names(g for g in (*tables, *writers) if g.changed)
    beside, wanted = total * inside / start, aimed / planned
    text = (
        f"the look-up tables start the residual stream at a second moment of {start:.3g}, and {writes} writes add up "
        f"to about {total * inside:.2g}: {_times(beside)} what was there, planned is {_times(wanted)}"
    )
    if beside > _UNSCALED * wanted:
        text += f"; {unscaled}" if unscaled else ""
        return [Finding("warning", judged.side, "what the layers write drowns the tokens", text, names)]
    if beside * _UNSCALED < wanted:
        return [Finding("note", judged.side, "the layers write less beside the tokens", text, names)]
    return _tables(judged)


def _tables(judged: Judgement) -> list[Finding]:
    off = [g for g in judged.tables if g.changed and _off(g) and g.reached > 0]
    if not off:
        return []
    said = dict.fromkeys(f"rows of second moment {g.reached:.3g}, where {g.aimed:.3g} is aimed at" for g in off)
    factors = [g.factor for g in off]
    text = "; ".join(said)
    if len(off) > 1 and max(factors) < min(factors) * NOTABLE:
        text += "; all tables by the same factor, so each has the planned share of their sum"
    return [Finding("note", judged.side, "scale of the look-up tables", text, _names(off))]


def layers(judged: Judgement) -> list[Finding]:
    """Find layers that miss their target: it multiplies through the depth if nothing sets the scale anew."""
    off = [g for g in judged.layers if g.changed and _off(g) and g.reached > 0]
    count = sum(g.count for g in off)
    if not count:
        return []
    factor, names = _mean_factor(off), _names(off)
    change = f"{1 / factor:.3g}x smaller" if factor < 1 else f"{factor:.3g}x larger"
    behind = f"each of {count} weights" if count > 1 else off[0].label
    size = f"the second moment behind {behind} is {change} than aimed at"
    if max(g.factor for g in off) > min(g.factor for g in off) * 1.01:
        size += f" ({_span([g.factor for g in off])} of it)"
    size += _cause(off)
    if judged.normalised:
        verb = "weaker" if factor < 1 else "louder"
        text = (
            f"{size}; normalisation keeps it from multiplying through the depth: where one follows at once only the "
            f"size of the first steps differs, elsewhere the branches start {verb}"
        )
        return [Finding("note", judged.side, f"layers {verb} than planned", text, names)]
    total = math.exp(min(abs(count * math.log(factor)), 700.0))
    verb = "shrinks" if factor < 1 else "grows"
    title = f"the signal {verb} from layer to layer" if count > 1 else f"the signal {verb}"
    text = f"{size}; nothing sets the scale anew" + (f", so {count} such factors multiply" if count > 1 else "")
    level = "error" if total >= _DEEP_ALARM else "warning" if total >= _ALARM else "note"
    return [Finding(level, judged.side, title, text, names)]


def _cause(groups: list[Judged]) -> str:
    """Say what in the law makes layers miss their target, where it is one thing for all of them."""
    inputs = [g.target.fans.fan_in for g in groups if g.target.fans is not None]
    products = [(g.actual.std**2) * fan for g, fan in zip(groups, inputs, strict=True)]
    if all(isinstance(g.actual.law, Uniform) for g in groups) and all(abs(3 * p - 1) < 1e-3 for p in products):
        return ": a uniform law within ±1/sqrt(fan_in) has a third of the variance 1/fan_in"
    stds = {f"{g.actual.std:.3g}" for g in groups}
    if len(stds) > 1:
        return ""
    suits = math.exp(sum(math.log(fan / g.factor) for g, fan in zip(groups, inputs, strict=True)) / len(groups))
    here = f"{min(inputs):,.0f}" if min(inputs) == max(inputs) else f"{min(inputs):,.0f} to {max(inputs):,.0f}"
    return f": std {stds.pop()} suits layers of about {float(f'{suits:.2g}'):,.0f} inputs, here are {here}"


def zeroed(judged: Judgement) -> list[Finding]:
    """Find weights that start at zero."""
    groups = (*judged.outputs, *judged.tables, *judged.writers, *judged.layers)
    names = _names(g for g in groups if g.changed and g.reached == 0.0)
    if not names:
        return []
    text = (
        f"{_and(names)}: what is in front of them gets no gradient at the first step, and their own gradient moves "
        "them off zero; right for the last layer of a residual branch or a head, and nowhere else"
    )
    return [Finding("note", judged.side, "weights that start at zero", text, names)]


CHECKS: tuple[Callable[[Judgement], list[Finding]], ...] = (outputs, stream, layers, zeroed)


def gates(diff: PlanDiff) -> list[Finding]:
    """Find recurrent layers whose gates open, remember or listen otherwise than planned."""
    made: list[Finding] = []
    for side, other in (("first", "second"), ("second", "first")):
        if not (diff.second if side == "first" else diff.first).recipe.startswith("auto") or made:
            continue
        kept, planned_kept = _forget_biases(diff, side), _forget_biases(diff, other)
        names: list[str] = []
        sizes: dict[str, list[tuple[float, float]]] = {}
        memory: list[str] = []
        for label, changes in diff.grouped():
            mine, planned = (changes[0].first, changes[0].second)[:: 1 if side == "first" else -1]
            if mine is None or planned is None:
                continue
            if mine.role in ("input weight of gates", "recurrent weight"):
                fans = planned.fans or mine.fans
                if fans is not None and mine.std > 0 and planned.std > 0:
                    root = math.sqrt(fans.fan_in)
                    sizes.setdefault(mine.role, []).append((mine.std * root, planned.std * root))
                    names.append(label)
            elif mine.role == "gate bias":
                has, aimed = (biases.get(_layer_of(mine)) for biases in (kept, planned_kept))
                if has is not None and aimed is not None and abs(has - aimed) > 0.05:
                    names.append(label)
                    memory.append(
                        f"forget gates start with biases of {has:.2g} on average and keep {_open(has):.0%} of the "
                        f"memory a step, where {aimed:.2g} and {_open(aimed):.0%} are planned"
                    )
        said = list(dict.fromkeys(memory))
        for role, what in (("input weight of gates", "their input"), ("recurrent weight", "the last state")):
            if any(abs(math.log(mine / planned)) > math.log(NOTABLE) / 2 for mine, planned in sizes.get(role, [])):
                has_sizes, aims = (
                    sorted({f"{value:.3g}" for value in values}) for values in zip(*sizes[role], strict=True)
                )
                said.append(f"gates take in {what} at {_ends(has_sizes)} times its size, planned is {_ends(aims)}")
        if said:
            title = "recurrent gates remember and listen otherwise"
            made.append(Finding("note", side, title, "; ".join(said), tuple(names)))
    return made


def _forget_biases(diff: PlanDiff, side: str) -> dict[str, float]:
    """Return the mean of a forget gate's biases in one plan, by layer, where one of the plans sets it apart."""
    rows: dict[str, tuple[tuple[int, int], ...]] = {}
    for plan in (diff.first, diff.second):
        for entry in plan:
            if entry.role == "gate bias" and isinstance(entry.law, Patched) and len(entry.law.patches) == 1:
                rows.setdefault(_layer_of(entry), entry.law.patches[0][0])
    totals: dict[str, float] = {}
    for entry in diff.first if side == "first" else diff.second:
        key = _layer_of(entry)
        if entry.role == "gate bias" and key in rows:
            totals[key] = totals.get(key, 0.0) + _mean_at(entry, rows[key])
    return totals


def _mean_at(entry: Entry, rows: tuple[tuple[int, int], ...]) -> float:
    law = entry.law
    if isinstance(law, Patched):
        inner = [patch for place, patch in law.patches if tuple(place) == tuple(rows)]
        law = inner[0] if inner else law.base
    return law.value if isinstance(law, Constant) else law.moments(entry.shape)[0]


def _layer_of(entry: Entry) -> str:
    """Both biases of a recurrent layer have one key: the input's and the state's are added."""
    return entry.name.replace("bias_hh", "bias_ih")


def _open(bias: float) -> float:
    return 1 / (1 + math.exp(-bias))


def other_laws(diff: PlanDiff) -> list[Finding]:
    """Find weights of the same size from another distribution."""
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


def _names(groups: Iterable[Judged]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.label for group in groups))


def _mean_factor(groups: list[Judged]) -> float:
    """Geometric mean over all layers; 1 where there are none."""
    count = sum(group.count for group in groups)
    return math.exp(sum(group.count * math.log(group.factor) for group in groups) / count) if count else 1.0


def _off(group: Judged) -> bool:
    return group.factor == 0 or abs(math.log(group.factor)) > math.log(NOTABLE)


def _span(shares: list[float]) -> str:
    low, high = (_share(share) for share in (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"


def _ends(numbers: list[str]) -> str:
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _share(share: float) -> str:
    return f"{share:.2g} times" if share >= 2 else f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def _times(factor: float) -> str:
    return f"{factor:.2g}x" if factor < 99.5 else f"{factor:,.0f}x"


def _and(names: Iterable[str]) -> str:
    listed = list(names)
    if len(listed) > 3:
        return f"{listed[0]}, {listed[1]} and {len(listed) - 2} more rows"
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
