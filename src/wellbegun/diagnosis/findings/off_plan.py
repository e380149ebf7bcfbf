"""Tensors that do not hold what the plan says."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding, TensorFacts
from wellbegun.diagnosis.findings.words import count, names

TOLERANCE, ERRORS = 0.1, 6.0
"""Relative distance of standard deviations that is allowed beside this many standard errors."""

FAR = 2.0
"""Factor from which on it is an error."""


def find(facts: Facts) -> list[Finding]:
    """Return tensors whose standard deviation is not the planned one."""
    guilty = [tensor for tensor in facts.tensors if _distance(tensor) > 1]
    if not guilty:
        return []
    first = min(guilty, key=lambda tensor: not _is_far(tensor))
    level = "error" if _is_far(first) else "warning"
    message = (
        f"{first.name} was planned with a standard deviation of {first.planned:.4g} and holds one of {first.std:.4g} "
        f"({count(len(guilty), 'tensor')}: {names([tensor.name for tensor in guilty])})"
    )
    remedy = "apply the plan, and look for code that writes after it (post_init, load_state_dict)"
    return [Finding("off plan", level, first.name, message, remedy, tuple(t.name for t in guilty))]


def _distance(tensor: TensorFacts) -> float:
    """How far the measured standard deviation lies from the planned one, in allowed distances."""
    if not math.isfinite(tensor.planned):
        return 0.0
    # the standard error of a normal sample's standard deviation is sigma / sqrt(2 n)
    allowed = tensor.planned * (TOLERANCE + ERRORS / math.sqrt(2 * tensor.size))
    return abs(tensor.std - tensor.planned) / max(allowed, 1e-12)


def _is_far(tensor: TensorFacts) -> bool:
    low, high = sorted((tensor.std, tensor.planned))
    return high > FAR * low
