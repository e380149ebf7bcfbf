"""One training as pure data, with a key that tells it from every other."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wellbegun.errors import ArgumentError

OPTIMIZERS = ("sgd", "adam")
"""SGD has momentum 0.9, Adam its published defaults (0.9, 0.999, 1e-8); neither has weight decay or a schedule."""

_FORMAT = 1


@dataclass(frozen=True)
class Trial:
    """One training: everything that decides its numbers, apart from the machine.

    >>> Trial("digits", "mlp", "he", seed=0, learning_rate=0.02).key
    '248fd6ed370d48e3'

    Attributes:
        task: name of the data ("digits"), or what the user calls his own.
        network: name of the network ("mlp"), or "module:factory".
        method: the starting weights: a method, a preset, "auto", "author" or "torch".
        seed: of the starting weights and of the order of the data.
        learning_rate: constant.
        optimizer: one of OPTIMIZERS.
        depth, width, activation: of the network; None where the network is the user's own.
        options: further arguments of the network, by name.
        steps, batch: number of steps, and examples in each.
        every: steps between evaluations.
        twin: of the network with all weights equal, the twin with one unit a layer that takes the same steps.
    """

    task: str
    network: str
    method: str
    seed: int
    learning_rate: float
    optimizer: str = "sgd"
    depth: int | None = None
    width: int | None = None
    activation: str | None = None
    options: tuple[tuple[str, Any], ...] = ()
    steps: int = 250
    batch: int = 64
    every: int = 10
    twin: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ArgumentError(f"the optimizer must be one of {', '.join(OPTIMIZERS)}; got {self.optimizer!r}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ArgumentError(f"a learning rate must be a number above 0, got {self.learning_rate!r}")
        for name in ("steps", "batch", "every"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that depend on every field, and on nothing else."""
        text = json.dumps([_FORMAT, self.record()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def record(self) -> dict[str, Any]:
        """Return the trial as plain data."""
        return asdict(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Trial:
        """Make the trial that plain data describes."""
        options = tuple((name, value) for name, value in record["options"])
        return Trial(**{**record, "options": options})
