"""Numbers that are infinite or none at all."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import count, names, weights_of

_HALF = "; the largest number of float16 is 65,504"


def find(facts: Facts) -> list[Finding]:
    """Values go bad on the way forward, gradients on the way back: the guilty layer is the first on that way.

    Where a parameter itself holds such a number, it is the guilty one.
    """
    bad = [tensor for tensor in facts.tensors if tensor.bad]
    if bad:
        worst = bad[0]
        message = f"{worst.bad:,} of the {worst.size:,} numbers of {worst.name} are infinite or not a number" + (
            f" ({count(len(bad), 'tensor')}: {names([t.name for t in bad])})" if len(bad) > 1 else ""
        )
        remedy = "write them again: wb.apply puts a finite number everywhere"
        return [Finding("non-finite", "error", worst.name, message, remedy, tuple(t.name for t in bad))]
    values = next((layer for layer in facts.layers if not layer.finite), None)
    gradients = next((layer for layer in reversed(facts.layers) if math.isinf(layer.gradient)), None)
    guilty = values or gradients
    if guilty is None and (math.isfinite(facts.loss) or facts.predicted):
        return []
    where = guilty.name if guilty else "the loss"
    what = f"the output of {where}" if values else f"the gradient at the output of {where}" if gradients else where
    half = any(tensor.name == where and tensor.dtype == "float16" for tensor in facts.tensors)
    message = f"{what} is infinite or not a number (loss {facts.loss:g}){_HALF if half else ''}"
    remedy = "lower the scale of the weights up to there"
    before = facts.layers[: facts.layers.index(guilty) + 1] if guilty else ()
    return [Finding("non-finite", "error", where, message, remedy, weights_of(facts, before))]
