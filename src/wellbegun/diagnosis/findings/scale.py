"""Signals and gradients that vanish or explode on their way through the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from wellbegun.diagnosis.facts import Facts, Finding, LayerFacts
from wellbegun.diagnosis.findings.words import hidden, weights_of

WARNING, ERROR = math.log(1e3), math.log(1e6)
"""Logarithms of the factor on a second moment that training can live with, and that it cannot."""

STEEP = math.log(30.0)
"""Logarithm of a factor a layer that is an error as soon as all of it is past the first bound."""

SPREAD = 5.0
"""Variance of a second moment's logarithm that one layer adds, times its width: E f⁴/(E f²)² - 1 is 5 for ReLU.

So a sound network of L layers of width n may end a factor exp(3 sqrt(5 L/n)) away from where theory has it, by the
chance of its draws alone (Hanin and Rolnick 2018, arXiv 1803.01719)."""

DOMINANT = 0.5
"""Share of the whole change that lies at one layer: then that layer is the guilty one, and not depth."""


def find(facts: Facts) -> list[Finding]:
    """Return what happens to the signal on its way forward, and to the gradient on its way back."""
    signal = _signal(facts)
    apart = [[layer for layer in facts.hidden if layer.branch is inside] for inside in (False, True)]
    return [*(signal or _one_layer(facts)), *(finding for layers in apart for finding in _gradient(facts, layers))]


def _signal(facts: Facts) -> list[Finding]:
    # the scale before a normalisation means nothing, and a zero that training leaves is no sign of decay
    way = [x for x in facts.hidden if not x.normalised and not x.starts_at_zero and not x.branch]
    if len(way) < 2 or not all(math.isfinite(layer.signal) for layer in way):
        return []
    if way[-1].signal == 0:
        before, first = next((a, b) for a, b in pairwise([way[0], *way]) if b.signal == 0)
        return _gone(facts, "signal", way, before if before.dead == 1 else first)
    # a first layer may keep the size of its data or bring them to 1: whichever it did, that is the start
    starts = [size for size in (way[0].inflow, 1.0) if size > 0 and math.isfinite(size)]
    start = min(starts, key=lambda size: abs(math.log(way[-1].signal / size)))
    sizes = [start, *(layer.signal for layer in way)]
    if any(size <= 0 for size in sizes):
        return []
    steps = [math.log(after / before) for before, after in pairwise(sizes)]
    at = max(range(len(way)), key=lambda i: steps[i] * math.copysign(1, sum(steps)))
    total = sum(steps)
    level = _level(total, steps, way)
    if not level:
        return []
    alone = abs(steps[at]) > DOMINANT * abs(total) and len(way) > 2
    if alone:
        guilty = [_between(facts, way, at, total)]
    else:
        small = [layer for layer in way if abs(math.log(layer.signal / start)) > WARNING]
        guilty = [small[0] if small else way[-1]]
    mended = guilty if alone else way
    return [_finding("signal", level, total, len(steps), way, guilty[0], weights_of(facts, mended), alone)]


def _gradient(facts: Facts, layers: Sequence[LayerFacts]) -> list[Finding]:
    """Of layers in residual branches, or of those outside: what a small branch gets says nothing about the others."""
    known = [x for x in layers if not math.isnan(x.gradient) and not (x.gradient == 0 and x.waits_for)]
    way = known[::-1]  # as the gradient meets them
    if len(way) < 2 or not way[0].gradient > 0 or not all(math.isfinite(layer.gradient) for layer in way):
        return []
    if way[-1].gradient == 0:
        return _gone(facts, "gradient", way, next(layer for layer in way if layer.gradient == 0))
    if any(layer.gradient == 0 for layer in way):
        return []
    steps = [math.log(after.gradient / before.gradient) for before, after in pairwise(way)]
    total = sum(steps)
    level = _level(total, [total / len(steps)] * len(steps), way)  # other parts of a model may lie between two layers
    if not level:
        return []
    at = max(range(len(steps)), key=lambda i: steps[i] * math.copysign(1, total))
    alone = abs(steps[at]) > DOMINANT * abs(total) and len(way) > 2
    guilty = way[-1]
    if alone:
        behind, before = way[at], way[at + 1]  # the gradient passes the weight of the layer behind first
        flat = before.saturated > 0.3 or before.dead > 0.3
        guilty = before if flat else _steepest(facts, before, behind, total)
    mended = [guilty] if alone else way
    return [_finding("gradient", level, total, len(steps), way, guilty, weights_of(facts, mended), alone)]


def _one_layer(facts: Facts) -> list[Finding]:
    """A layer whose output is out of all proportion to its input, and to what the other layers hold."""
    layers = [layer for layer in facts.layers if layer.inflow > 0 and not layer.normalised]
    sizes = sorted(layer.signal for layer in layers)
    if len(sizes) < 3:
        return []
    usual = max(1.0, sizes[len(sizes) // 2])
    for layer in layers:
        rise = layer.signal / layer.inflow
        if math.isfinite(rise) and min(rise, layer.signal / usual) > math.exp(WARNING):
            message = (
                f"{layer.name} turns a second moment of {layer.inflow:.3g} into {layer.signal:.3g}, where the middle "
                f"one of {len(sizes)} layers has {sizes[len(sizes) // 2]:.3g}"
            )
            remedy = "lower the scale of that weight, as auto does"
            return [Finding("exploding", "error", layer.name, message, remedy, weights_of(facts, [layer]))]
    return []


def _level(total: float, steps: Sequence[float], way: Sequence[LayerFacts]) -> str:
    chance = math.sqrt(sum(SPREAD / max(layer.width, 1) for layer in way)) if all(x.width for x in way) else 0.0
    beyond = abs(total) - 3 * chance
    if beyond <= WARNING:
        return ""
    one = max(step * math.copysign(1, total) for step in steps)  # a layer that does as much alone is a mistake
    steep = abs(total) / len(steps) > STEEP or one - 3 * chance > WARNING
    return "error" if beyond > ERROR or steep else "warning"


def _between(facts: Facts, way: Sequence[LayerFacts], at: int, total: float) -> LayerFacts:
    """The layer that changes the signal most on the way from one hidden layer to the next."""
    return _steepest(facts, way[at - 1] if at else None, way[at], total)


def _steepest(facts: Facts, before: LayerFacts | None, last: LayerFacts, total: float) -> LayerFacts:
    end = facts.layers.index(last)
    start = facts.layers.index(before) + 1 if before is not None else 0
    between = [x for x in facts.layers[start : end + 1] if x.inflow > 0 and 0 < x.signal < math.inf]
    if not between:
        return last
    return max(between, key=lambda x: math.copysign(1, total) * math.log(x.signal / x.inflow))


def _finding(
    what: str,
    level: str,
    total: float,
    steps: int,
    way: Sequence[LayerFacts],
    guilty: LayerFacts,
    weights: tuple[str, ...],
    alone: bool,
) -> Finding:
    kind = "vanishing" if total < 0 else "exploding"
    route = "from the first to the last" if what == "signal" else "from the last to the first"
    message = (
        f"the {what}'s second moment is multiplied by {_power(total / steps)} a layer, "
        f"{_power(total)} in all {route} of {hidden(way)}"
    )
    if alone:
        message += f"; most of it at {guilty.name}"
    remedy = f"{'raise' if total < 0 else 'lower'} the scale of the weights, as auto does"
    return Finding(kind, level, guilty.name, message, remedy, weights)


def _gone(facts: Facts, what: str, way: Sequence[LayerFacts], guilty: LayerFacts) -> list[Finding]:
    route = "from the first to the last" if what == "signal" else "from the last to the first"
    message = f"the {what} is gone {route} of {hidden(way)}"
    remedy = "raise the scale of the weights, as auto does"
    return [Finding("vanishing", "error", guilty.name, message, remedy, weights_of(facts, way))]


def _power(logarithm: float) -> str:
    return f"{math.exp(logarithm):.3g}" if abs(logarithm) < 700 else f"10^{logarithm / math.log(10):.0f}"
