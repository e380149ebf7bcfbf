"""From facts to findings: what is wrong, where it starts, and what mends it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wellbegun.diagnosis.facts import Finding, LayerFacts

ERROR_RATIO, WARNING_RATIO = 1e-6, 1e-3
"""Second moments of the first and the last layer that differ by more than this factor, either way."""

FORGOTTEN, NEARLY_FORGOTTEN = 0.9999, 0.95
"""Mean cosine between different inputs at the last hidden layer."""

MOSTLY, OFTEN = 0.5, 0.3
"""Shares of saturated values, and of dead units."""

_ORDER = {"error": 0, "warning": 1, "note": 2}


def find_faults(layers: Sequence[LayerFacts], loss: float) -> tuple[Finding, ...]:
    """Return what is wrong with a network, worst first.

    Args:
        layers: facts in the order of execution; the last one is the output layer.
        loss: at step 0.
    """
    hidden = [layer for layer in layers if layer.activation]
    found = [
        *_non_finite(layers, loss),
        *_symmetric(hidden),
        *_saturated(hidden),
        *_sizes(hidden),
        *_dead(hidden),
        *_collapsed(hidden),
        *_no_gradient(layers),
    ]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.level]))


def _non_finite(layers: Sequence[LayerFacts], loss: float) -> list[Finding]:
    """Values go bad on the way forward, gradients on the way back: the guilty layer is the first on that way."""
    values = next((layer for layer in layers if not layer.finite), None)
    gradients = next((layer for layer in reversed(layers) if not math.isfinite(layer.gradient)), None)
    guilty = values or gradients
    if guilty is None and math.isfinite(loss):
        return []
    where = guilty.name if guilty else "the loss"
    what = "values" if values else "gradients" if gradients else "a value"
    message = f"{where} holds {what} that are infinite or not a number (loss {loss:g})"
    return [Finding("non-finite", "error", where, message, "lower the scale of the weights up to there")]


def _symmetric(hidden: Sequence[LayerFacts]) -> list[Finding]:
    guilty = [layer for layer in hidden if layer.twins > MOSTLY]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"{first.twins:.0%} of the units of {first.name} compute the same number as another unit on every input"
        f" ({len(guilty)} of {len(hidden)} hidden layers): equal units get equal gradients and stay copies"
    )
    return [Finding("symmetric", "error", first.name, message, "draw the weights at random")]


def _saturated(hidden: Sequence[LayerFacts]) -> list[Finding]:
    guilty = [layer for layer in hidden if layer.saturated > OFTEN]
    if not guilty:
        return []
    first = max(guilty, key=lambda layer: layer.saturated > MOSTLY)
    level = "error" if first.saturated > MOSTLY else "warning"
    message = (
        f"{first.saturated:.0%} of the values behind {first.name} lie where {first.activation} is flat "
        f"({len(guilty)} of {len(hidden)} hidden layers): its input has second moment {first.signal:.3g}, "
        "and hardly any gradient passes a flat unit"
    )
    return [Finding("saturated", level, first.name, message, "lower the scale of the weights, as Xavier or auto do")]


def _sizes(hidden: Sequence[LayerFacts]) -> list[Finding]:
    """Signal forward and gradient backward: how they change over the hidden layers."""
    if len(hidden) < 2:
        return []
    first, last, steps = hidden[0], hidden[-1], len(hidden) - 1
    found = []
    for what, start, end, guilty in (
        ("signal", first.signal, last.signal, _first_small(hidden)),
        ("gradient", last.gradient, first.gradient, first.name),
    ):
        if not (start > 0 and math.isfinite(start) and math.isfinite(end)):
            continue
        ratio = end / start
        if WARNING_RATIO <= ratio <= 1 / WARNING_RATIO:
            continue
        level = "error" if not ERROR_RATIO <= ratio <= 1 / ERROR_RATIO else "warning"
        kind = "vanishing" if ratio < 1 else "exploding"
        way = "from the first to the last" if what == "signal" else "from the last to the first"
        change = "vanishes within" if ratio == 0 else f"is multiplied by {ratio ** (1 / steps):.3g} a layer,"
        message = (
            f"the {what}'s second moment {change} {ratio:.2g} in all {way} of {len(hidden)} hidden layers"
            if ratio
            else f"the {what} is gone {way} of {len(hidden)} hidden layers"
        )
        remedy = f"{'raise' if ratio < 1 else 'lower'} the scale of the weights, as auto does"
        found.append(Finding(kind, level, guilty, message, remedy))
    return found


def _first_small(hidden: Sequence[LayerFacts]) -> str:
    """The layer where the signal has left the range of the first one by the warning ratio."""
    start = hidden[0].signal
    for layer in hidden:
        if start > 0 and not WARNING_RATIO <= layer.signal / start <= 1 / WARNING_RATIO:
            return layer.name
    return hidden[-1].name


def _dead(hidden: Sequence[LayerFacts]) -> list[Finding]:
    guilty = [layer for layer in hidden if layer.dead > OFTEN]
    if not guilty:
        return []
    worst = max(guilty, key=lambda layer: layer.dead)
    level = "error" if worst.dead > 0.9 else "warning" if worst.dead > MOSTLY else "note"
    message = (
        f"{worst.dead:.0%} of the units of {worst.name} are zero for every input of the batch "
        f"({len(guilty)} of {len(hidden)} hidden layers have more than {OFTEN:.0%}); a dead unit learns nothing"
    )
    return [Finding("dead", level, guilty[0].name, message, "mirrored or orthogonal weights keep inputs apart: auto")]


def _collapsed(hidden: Sequence[LayerFacts]) -> list[Finding]:
    known = [layer for layer in hidden if not math.isnan(layer.cosine)]
    if len(known) < 2 or known[-1].cosine <= NEARLY_FORGOTTEN or known[0].cosine > NEARLY_FORGOTTEN:
        return []
    first, last = known[0], known[-1]
    guilty = next(layer for layer in known if layer.cosine > NEARLY_FORGOTTEN)
    level = "error" if last.cosine > FORGOTTEN else "warning"
    extent = "has forgotten its input" if level == "error" else "all but ignores its input"
    message = (
        f"different inputs point the same way: mean cosine {first.cosine:.2f} at {first.name}, "
        f"{_cosine(last.cosine)} at {last.name}; the network {extent}"
    )
    return [Finding("collapsed", level, guilty.name, message, "orthogonal or mirrored weights keep the angles: auto")]


def _no_gradient(layers: Sequence[LayerFacts]) -> list[Finding]:
    without = [layer for layer in layers if layer.weight_gradient == 0]
    if not without:
        return []
    message = f"{len(without)} of {len(layers)} weights get a gradient of exactly zero, {without[0].name} first"
    remedy = "no step will ever change them all: draw the weights at random"
    return [Finding("no gradient", "error", without[0].name, message, remedy)]


def _cosine(value: float) -> str:
    return f"{value:.2f}" if value < 0.995 else f"1 - {max(1 - value, 0):.1g}" if value < 1 else "1"
