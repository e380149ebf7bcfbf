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

SURE, VERY_SURE = 2.0, 10.0
"""A loss this far above ln K, and this many times ln K, for K classes."""

NAMED = 3
"""Weights that a finding names one by one."""

_ORDER = {"error": 0, "warning": 1, "note": 2}


def find_faults(
    layers: Sequence[LayerFacts],
    loss: float,
    *,
    classes: int | None = None,
    unseen: Sequence[str] = (),
    aside: Sequence[Finding] = (),
) -> tuple[Finding, ...]:
    """Return what is wrong with a network, worst first.

    Args:
        layers: facts in the order of execution; the last one is the output layer.
        loss: at step 0.
        classes: their number, if the loss is the cross-entropy of the output.
        unseen: weights that nothing is known about.
        aside: what was found without looking at the layers.
    """
    hidden = [layer for layer in layers if layer.activation]
    found = [
        *_non_finite(layers, loss),
        *_symmetric(layers[:-1]),
        *_saturated(hidden),
        *_sizes(hidden),
        *_dead(hidden),
        *_collapsed(hidden),
        *_no_gradient(layers),
        *_overconfident(layers, loss, classes),
        *aside,
        *_not_judged(layers, unseen),
    ]
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.level]))


def _non_finite(layers: Sequence[LayerFacts], loss: float) -> list[Finding]:
    """Values go bad on the way forward, gradients on the way back: the guilty layer is the first on that way."""
    values = next((layer for layer in layers if not layer.finite), None)
    gradients = next((layer for layer in reversed(layers) if math.isinf(layer.gradient)), None)
    guilty = values or gradients
    if guilty is None and math.isfinite(loss):
        return []
    where = guilty.name if guilty else "the loss"
    what = f"the output of {where}" if values else f"the gradient at the output of {where}" if gradients else where
    message = f"{what} is infinite or not a number (loss {loss:g})"
    return [Finding("non-finite", "error", where, message, "lower the scale of the weights up to there")]


def _symmetric(layers: Sequence[LayerFacts]) -> list[Finding]:
    guilty = [layer for layer in layers if layer.twins > MOSTLY and not layer.starts_at_zero]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"{first.twins:.0%} of the units of {first.name} compute the same number as another unit on every input"
        f" ({len(guilty)} of {_hidden(layers)}): equal units get equal gradients and stay copies"
    )
    return [Finding("symmetric", "error", first.name, message, "draw the weights at random")]


def _saturated(hidden: Sequence[LayerFacts]) -> list[Finding]:
    guilty = [layer for layer in hidden if layer.saturated > OFTEN]
    if not guilty:
        return []
    first = max(guilty, key=lambda layer: layer.saturated > MOSTLY)
    level = "error" if first.saturated > MOSTLY else "warning"
    cause = "the normalisation in front of it scales" if first.normalised else "its input has"
    message = (
        f"{first.saturated:.0%} of the values behind {first.name} lie where {first.activation} is flat "
        f"({len(guilty)} of {_hidden(hidden)}): {cause} "
        + ("too high" if first.normalised else f"second moment {first.signal:.3g}")
        + ", and hardly any gradient passes a flat unit"
    )
    remedy = f"lower the scale of the {'normalisation' if first.normalised else 'weights, as Xavier or auto do'}"
    return [Finding("saturated", level, first.name, message, remedy)]


def _sizes(hidden: Sequence[LayerFacts]) -> list[Finding]:
    """Signal forward and gradient backward: how they change over the hidden layers."""
    # the scale before a normalisation means nothing, and a zero that training leaves is no sign of decay
    forward = [layer for layer in hidden if not layer.normalised and not layer.starts_at_zero]
    backward = [
        layer for layer in hidden if not math.isnan(layer.gradient) and not (layer.gradient == 0 and layer.waits_for)
    ]
    found = []
    for what, on_the_way in (("signal", forward), ("gradient", backward)):
        if len(on_the_way) < 2:
            continue
        first, last, steps = on_the_way[0], on_the_way[-1], len(on_the_way) - 1
        start, end = (first.signal, last.signal) if what == "signal" else (last.gradient, first.gradient)
        if not (start > 0 and math.isfinite(start) and math.isfinite(end)):
            continue
        ratio = end / start
        if WARNING_RATIO <= ratio <= 1 / WARNING_RATIO:
            continue
        level = "error" if not ERROR_RATIO <= ratio <= 1 / ERROR_RATIO else "warning"
        kind = "vanishing" if ratio < 1 else "exploding"
        way = "from the first to the last" if what == "signal" else "from the last to the first"
        message = (
            f"the {what}'s second moment is multiplied by {ratio ** (1 / steps):.3g} a layer, "
            f"{ratio:.2g} in all {way} of {_hidden(on_the_way)}"
            if ratio
            else f"the {what} is gone {way} of {_hidden(on_the_way)}"
        )
        remedy = f"{'raise' if ratio < 1 else 'lower'} the scale of the weights, as auto does"
        guilty = _first_small(on_the_way) if what == "signal" else first.name
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
        f"({len(guilty)} of {_hidden(hidden)} with more than {OFTEN:.0%}); a dead unit learns nothing"
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
    found = []
    lost = [layer for layer in without if not layer.waits_for]
    if lost:
        message = f"{_of(len(lost), layers)} a gradient of exactly zero, {lost[0].name} first"
        remedy = "no step will ever change them all: draw the weights at random"
        found.append(Finding("no gradient", "error", lost[0].name, message, remedy))
    waiting = [layer for layer in without if layer.waits_for]
    if waiting:
        first = waiting[0]
        message = (
            f"{_of(len(waiting), layers)} no gradient yet, {first.name} first, because {first.waits_for} is zero; "
            "they begin to learn after the first step, which moves it"
        )
        remedy = "none is needed if that zero is meant"
        found.append(Finding("no gradient", "note", first.name, message, remedy))
    return found


def _overconfident(layers: Sequence[LayerFacts], loss: float, classes: int | None) -> list[Finding]:
    """A network that knows nothing yet should give every class about the same chance: loss ln K."""
    if classes is None or classes < 2 or not math.isfinite(loss) or loss <= math.log(classes) + SURE:
        return []
    chance = math.log(classes)
    level = "error" if loss > VERY_SURE * chance else "warning"
    where = layers[-1].name if layers else "the output"
    message = (
        f"the loss starts at {loss:.3g}, where equal chances for all {classes} classes give ln {classes} = "
        f"{chance:.3g}: the first steps go into unlearning wrong answers"
    )
    return [Finding("overconfident", level, where, message, "scale the output layer down")]


def _not_judged(layers: Sequence[LayerFacts], unseen: Sequence[str]) -> list[Finding]:
    if layers and not unseen:
        return []
    level = "note" if layers else "warning"
    remedy = "none; judge them by other means"
    if not unseen:
        return [Finding("not judged", level, "", "the model has no weights of two or more dimensions", remedy)]
    more = ", ..." if len(unseen) > NAMED else ""
    message = (
        f"{_count(len(unseen), 'weight')} {'goes' if len(unseen) == 1 else 'go'} through functions that are not "
        f"watched, or through none: {', '.join(unseen[:NAMED])}{more}"
    )
    return [Finding("not judged", level, unseen[0], message, remedy)]


def _hidden(layers: Sequence[LayerFacts]) -> str:
    return _count(len(layers), "hidden layer")


def _of(count: int, layers: Sequence[LayerFacts]) -> str:
    return f"{count} of {_count(len(layers), 'weight')} {'gets' if count == 1 else 'get'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cosine(value: float) -> str:
    return f"{value:.2f}" if value < 0.995 else f"1 - {max(1 - value, 0):.1g}" if value < 1 else "1"
