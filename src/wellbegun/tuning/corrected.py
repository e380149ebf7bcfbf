"""What calibration found at one weight."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Corrected:
    """One weight of a plan while its network runs once.

    Attributes:
        name: of the weight.
        target: second moment that its entry aims at behind the operation, or None.
        ratio: of the target at this weight's first use to the one of its entry.
        found: the second moment, or variance, there at the weight's first use, as planned.
        factor: what the weight was multiplied by; 1 as long as nothing is known.
        reached: the same with that factor.
        later: the same at further uses.
        second_moment: at the first use with that factor.
        starved: whether a use got nothing but zeros.
        behind: the weight that was used last before that.
    """

    name: str
    target: float | None
    ratio: float = 1.0
    found: float | None = None
    factor: float = 1.0
    reached: float | None = None
    second_moment: float | None = None
    later: list[float] = field(default_factory=list)
    starved: bool = False
    behind: str = ""
