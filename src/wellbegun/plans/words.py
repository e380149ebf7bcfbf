"""Laws, shapes and sizes in the few words that a table has room for."""

from __future__ import annotations

import math
import re

from wellbegun.laws import (
    Constant,
    Keep,
    Law,
    MeanCompensation,
    MirroredOrthogonal,
    Normal,
    Orthogonal,
    Patched,
    PerChannel,
    Stored,
    TruncatedNormal,
    Uniform,
)
from wellbegun.plans.entry import Entry


def law_words(law: Law) -> str:
    """Name a law without the numbers that its standard deviation tells.

    >>> law_words(Normal(std=0.02)), law_words(Constant(0.0)), law_words(Uniform(-0.5, 0.5))
    ('normal', 'zeros', 'uniform')
    """
    if isinstance(law, Constant):
        return {0.0: "zeros", 1.0: "ones"}.get(law.value, f"constant {law.value:.4g}")
    if isinstance(law, Patched):
        return f"{law_words(law.base)}, {len(law.patches)} patch{'es' if len(law.patches) > 1 else ''}"
    if isinstance(law, PerChannel):
        return f"{law_words(law.base)} × {law.factors.values.size} factors"
    if isinstance(law, Stored):
        return "given numbers"
    names: dict[type[Law], str] = {
        Keep: "its own value", MeanCompensation: "takes out the mean", MirroredOrthogonal: "mirrored",
        TruncatedNormal: "truncated normal",
    }  # fmt: skip
    name = names.get(type(law)) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(law).__name__).lower()
    if isinstance(law, (Orthogonal, MirroredOrthogonal)):
        return name if law.gain == 1.0 else f"{name} ×{law.gain:.4g}"
    mean = law.mean if isinstance(law, (Normal, TruncatedNormal)) else _middle(law) if isinstance(law, Uniform) else 0.0
    return f"{name} at {mean:.4g}" if mean else name


def std_words(entry: Entry) -> str:
    """Standard deviation of one element; nothing where there is no spread to speak of."""
    std = entry.std
    return "" if math.isnan(std) or (std == 0.0 and isinstance(entry.law, (Constant, Keep))) else f"{std:.4g}"


def shape_words(shape: tuple[int, ...]) -> str:
    """Return a shape as text: 4×6, or scalar."""
    return "×".join(map(str, shape)) or "scalar"


def element_bytes(dtype: str) -> float:
    """Return the bytes of one element of a storage type, by its name.

    >>> element_bytes("bfloat16"), element_bytes("bool"), element_bytes("float8_e4m3fn")
    (2.0, 1.0, 1.0)
    """
    bits = re.search(r"\d+", dtype)
    return int(bits[0]) / 8 if bits else 1.0


def bytes_words(count: float) -> str:
    """Return a number of bytes as text: 497.8 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _middle(law: Uniform) -> float:
    return (law.low + law.high) / 2
