"""What a rule is asked about: one tensor of a model, described without a framework."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.laws import Fans

PARAMETERS, NORMALISATION, BUFFERS = "parameters", "normalisation", "buffers"
GROUPS = (PARAMETERS, NORMALISATION, BUFFERS)
"""In this order: a pattern is about the first group that it matches anything of."""


@dataclass(frozen=True)
class Candidate:
    """One parameter or buffer, as a predicate sees it.

    >>> Candidate("h.0.weight", shape=(4, 6), role="linear weight").names
    ('h.0.weight',)

    Attributes:
        name: canonical name.
        kind: "parameter" or "buffer".
        shape: its shape.
        role: what the operations that use it make of it ("linear weight", "bias", "normalisation scale").
        owner: class name of the module that holds it.
        attribute: its name inside that module.
        fans: fans of the operation that uses it, or None.
        ties: its other names.
        dtype: storage type, by its NumPy name ("float32", "int32").
        types: for each of its names, the full names of the holding module's class and of that class's bases.
    """

    name: str
    kind: str = "parameter"
    shape: tuple[int, ...] = ()
    role: str = ""
    owner: str = ""
    attribute: str = ""
    fans: Fans | None = None
    ties: tuple[str, ...] = ()
    types: tuple[tuple[str, ...], ...] = ()
    dtype: str = "float32"

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the canonical one first."""
        return (self.name, *self.ties)

    @property
    def is_packed(self) -> bool:
        """Whether it holds whole numbers: codes, indices or counts, which no random law is about."""
        return not self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def group(self) -> str:
        """Which of GROUPS it belongs to."""
        if self.kind == "buffer" or self.is_packed:
            return BUFFERS
        return NORMALISATION if self.role.startswith("normalisation") else PARAMETERS
