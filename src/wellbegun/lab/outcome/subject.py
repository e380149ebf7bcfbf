"""What was learnt, without the data themselves: enough to judge results, and to notice that the data have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wellbegun.lab.outcome.scale import Scale

if TYPE_CHECKING:
    from wellbegun.lab.task import Kind, Task

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Subject:
    """A task's name, words and measure.

    Attributes:
        name, description, kind: of the task.
        scale: what its scores are.
        sizes: examples in each part.
        digest: SHA-256 of all examples and targets.
    """

    name: str
    description: str
    kind: Kind
    scale: Scale
    sizes: Mapping[str, int]
    digest: str

    @staticmethod
    def of(task: Task) -> Subject:
        """Describe a task."""
        digest = hashlib.sha256()
        for part in PARTS:
            for array in (getattr(task, part).inputs, getattr(task, part).targets):
                digest.update(repr((array.shape, array.dtype.str)).encode())
                digest.update(np.ascontiguousarray(array).data)
        sizes = {part: len(getattr(task, part)) for part in PARTS}
        return Subject(task.name, task.description, task.kind, Scale.of(task), sizes, digest.hexdigest())

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Subject:
        """Make what plain data describe."""
        return Subject(**{**record, "scale": Scale(**record["scale"])})
