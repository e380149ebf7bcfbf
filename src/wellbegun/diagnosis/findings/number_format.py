"""Numbers that the storage type cannot hold: too large for it, or so small that they are rounded away."""

from __future__ import annotations

from wellbegun.diagnosis.facts import Facts, Finding, TensorFacts
from wellbegun.diagnosis.findings.words import count, names

SMALLEST = {"float16": 2.0**-24, "float8_e4m3fn": 2.0**-9, "float8_e5m2": 2.0**-16}
"""Smallest number above zero, which is also the distance of neighbours below the smallest normal number.

bfloat16 has the range of float32, and is not listed."""

FEW_STEPS = 4.0
"""Standard deviation, in such distances, below which a weight has a handful of different values."""


def find(facts: Facts) -> list[Finding]:
    """Return weights at the edges of their type's range, and gradients below it."""
    return [*_overflow(facts), *_underflow(facts), *_gradients(facts)]


def _overflow(facts: Facts) -> list[Finding]:
    guilty = [tensor for tensor in facts.tensors if tensor.largest > 0]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"{first.largest:.2%} of the numbers of {first.name} are the largest that {first.dtype} holds"
        f" ({count(len(guilty), 'tensor')}): their own values were larger"
    )
    remedy = "lower the scale of the weight, or store it in a wider type"
    return [Finding("overflow", "error", first.name, message, remedy, tuple(t.name for t in guilty))]


def _underflow(facts: Facts) -> list[Finding]:
    guilty = [tensor for tensor in facts.tensors if tensor.matrix and 0 < _steps(tensor) < FEW_STEPS]
    if not guilty:
        return []
    first = min(guilty, key=lambda tensor: _steps(tensor) >= 1)
    level = "error" if _steps(first) < 1 else "warning"
    message = (
        f"{first.name} has a standard deviation of {first.std:.2g}, and the smallest number of {first.dtype} is "
        f"{SMALLEST[first.dtype]:.2g}: {first.zero:.0%} of it is zero ({count(len(guilty), 'tensor')}: "
        f"{names([tensor.name for tensor in guilty])})"
    )
    remedy = "raise the scale of the weight and lower that of its result by a factor, or store it in a wider type"
    return [Finding("underflow", level, first.name, message, remedy, tuple(t.name for t in guilty))]


def _gradients(facts: Facts) -> list[Finding]:
    guilty = [t for t in facts.tensors if t.matrix and t.dtype in SMALLEST and t.gradient**0.5 < SMALLEST[t.dtype]]
    guilty = [tensor for tensor in guilty if tensor.gradient > 0]
    if not guilty:
        return []
    first = guilty[0]
    message = (
        f"the gradient of {first.name} has a root mean square of {first.gradient**0.5:.2g}, below the smallest number "
        f"of {first.dtype} ({count(len(guilty), 'tensor')}): most of it is rounded to zero"
    )
    remedy = "scale the loss (torch.amp.GradScaler), or compute in bfloat16"
    return [Finding("underflow", "warning", first.name, message, remedy)]


def _steps(tensor: TensorFacts) -> float:
    """Standard deviation in smallest numbers of the type; 0 for types that are wide enough."""
    return tensor.std / SMALLEST[tensor.dtype] if tensor.dtype in SMALLEST else 0.0
