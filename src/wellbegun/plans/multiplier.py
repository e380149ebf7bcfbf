"""Numbers that a forward pass must multiply its signals with: no tensor of the model holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wellbegun.errors import ArgumentError
from wellbegun.plans.groups import group_names, join_names_of

PLACES = ("residual branch", "shortcut", "attention scores", "output")
"""What a multiplier is on: the result of the weight named, the other side of the sum that this result is added to, the
scores of the attention whose queries it makes, or the model's output that it makes."""

_CLOSE = 1e-4


@dataclass(frozen=True)
class Multiplier:
    """A number that the forward pass must multiply a signal with.

    >>> print(Multiplier("output", "head.weight", 0.25, 1.0, "muP: 1/4 at four times the base width"))
    the output that head.weight makes: times 0.25, and the forward pass has 1

    Attributes:
        place: "residual branch", "shortcut", "attention scores" or "output".
        weight: the weight that says where, see `PLACES`.
        value: what the recipe asks for.
        found: what the forward pass multiplied with when the plan was made; None where the place was not found.
        reason: one sentence.
        source: the paper or document behind it.
    """

    place: str
    weight: str
    value: float
    found: float | None
    reason: str
    source: str = ""

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ArgumentError(f"a multiplier's place is one of {', '.join(PLACES)}; got {self.place!r}")
        for name in ("weight", "reason", "source"):
            if not isinstance(getattr(self, name), str):
                raise ArgumentError(f"a multiplier's {name} must be text, got {getattr(self, name)!r}")
        for name in ("value", "found"):
            given = getattr(self, name)
            number = isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given)
            if not number and not (name == "found" and given is None):
                raise ArgumentError(f"a multiplier's {name} must be a finite number, got {given!r}")

    @property
    def met(self) -> bool:
        """Whether the forward pass has it."""
        return self.agrees(self.found)

    def agrees(self, found: float | None) -> bool:
        """Whether a forward pass that multiplies with this number does what is asked."""
        return found is not None and math.isclose(found, self.value, rel_tol=_CLOSE)

    @property
    def where(self) -> str:
        """The place in words."""
        return _where(self.place, self.weight)

    def __str__(self) -> str:
        return f"{self.where}: {_asked(self)}"


def multiplier_lines(multipliers: Iterable[Multiplier]) -> list[str]:
    """Return one line for each place, those of repeated layers together."""
    listed = list(multipliers)
    keys = [(m.place, m.value, m.found) for m in listed]
    places = group_names([m.weight for m in listed], keys)
    return [
        f"{_where(listed[at[0]].place, join_names_of([listed[i].weight for i in at]))}: {_asked(listed[at[0]])}"
        for at in places
    ]


def multiplier_records(multipliers: Iterable[Multiplier]) -> list[dict[str, Any]]:
    """Return multipliers as plain data."""
    return [asdict(multiplier) for multiplier in multipliers]


def multipliers_from_records(records: Any) -> tuple[Multiplier, ...]:
    """Make the multipliers that plain data describe.

    Raises:
        ArgumentError: a number or a text is of the wrong kind.
        TypeError: no list of records, or a field is missing or not known.
    """
    if not isinstance(records, (list, tuple)) or not all(isinstance(record, Mapping) for record in records):
        raise TypeError(f"multipliers must be a list of records, got {records!r}")
    return tuple(Multiplier(**record) for record in records)


def multiplier_identity(multipliers: Iterable[Multiplier]) -> list[list[object]]:
    """Return what a plan's hash covers of them: where, and how much; not what one model was found to do."""
    return [[multiplier.place, multiplier.weight, multiplier.value] for multiplier in multipliers]


def _where(place: str, weights: str) -> str:
    return {
        "residual branch": f"what {weights} writes into its residual stream",
        "shortcut": f"the stream that {weights} is added to",
        "attention scores": f"the attention scores of the queries of {weights}",
        "output": f"the output that {weights} makes",
    }[place]


def _asked(multiplier: Multiplier) -> str:
    if multiplier.met:
        return f"times {multiplier.value:.6g}, which the forward pass does"
    if multiplier.found is None:
        return f"times {multiplier.value:.6g}; the forward pass has no such place"
    return f"times {multiplier.value:.6g}, and the forward pass has {multiplier.found:.6g}"
