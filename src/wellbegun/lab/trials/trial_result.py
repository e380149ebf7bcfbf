"""What one training showed, as pure data."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.lab.trials.trial import Trial

BLOCKS = 1000
"""Scores of more test examples than this that are no yes or no are kept as means of this many runs of neighbours."""

WHOLE, DIVERGED, VANISHED = "whole", "diverged", "vanished"


@dataclass(frozen=True, eq=False)
class TrialResult:
    """One training, as it went.

    Attributes:
        trial: what was asked.
        steps: at which it was evaluated; 0 is before the first step.
        train_loss: of the batch at each of these, and of all training examples at the end (of at most 4,096).
        validation: score on the validation examples there.
        test_score: at the end, on examples that played no part in any choice; nan where the network gives no numbers.
        by_example: each test example's part in that score, float32, or bool where it is a yes or no; empty where the
            score is no mean over examples.
        ended: "whole", "diverged" (a loss or gradient that is infinite or not a number) or "vanished".
        stopped: the same in words, with the step; "" if it ran to the end.
        seconds: wall time; of trials that were trained as one program, an equal share.
        together: how many trials that program trained.
        plan_hash: of the plan that made the starting weights.
        versions: of the libraries that decide the numbers.
    """

    trial: Trial
    steps: tuple[int, ...]
    train_loss: tuple[float, ...]
    validation: tuple[float, ...]
    test_score: float
    by_example: NDArray[np.float32] | NDArray[np.bool_]
    ended: str = WHOLE
    stopped: str = ""
    seconds: float = 0.0
    together: int = 1
    plan_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def validation_score(self) -> float:
        """The last validation score."""
        return self.validation[-1]

    def area(self) -> float:
        """Mean validation score over the whole training (area under its curve over the number of steps).

        A training that was stopped keeps its last score until the end.
        """
        steps = np.array([*self.steps, max(self.trial.steps, self.steps[-1])], float)
        scores = np.array([*self.validation, self.validation[-1]])
        if steps[-1] == 0:
            return float(scores[-1])
        return float(np.trapezoid(scores, steps) / steps[-1])

    def steps_to(self, target: float, *, higher_is_better: bool = True) -> int | None:
        """Return the first evaluated step whose validation score reaches a target; None if none does."""
        sign = 1 if higher_is_better else -1
        pairs = zip(self.steps, self.validation, strict=True)
        return next((step for step, score in pairs if sign * score >= sign * target), None)

    def record(self) -> dict[str, Any]:
        """Return the result as plain data; numbers that JSON does not know are words ("nan", "inf")."""
        return {
            "key": self.trial.key,
            "trial": self.trial.record(),
            "steps": list(self.steps),
            "train_loss": [_written(value) for value in self.train_loss],
            "validation": [_written(value) for value in self.validation],
            "test_score": _written(self.test_score),
            "by_example": _packed(self.by_example),
            "ended": self.ended,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 4),
            "together": self.together,
            "plan_hash": self.plan_hash,
            "versions": dict(self.versions),
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> TrialResult:
        """Make the result that plain data describes.

        Raises:
            ArgumentError: the key does not belong to the trial.
        """
        trial = Trial.from_record(record["trial"])
        if record["key"] != trial.key:
            raise ArgumentError(f"the key {record['key']} does not belong to its trial, whose key is {trial.key}")
        return TrialResult(
            trial,
            tuple(record["steps"]),
            tuple(float(value) for value in record["train_loss"]),
            tuple(float(value) for value in record["validation"]),
            float(record["test_score"]),
            _unpacked(record["by_example"]),
            **{name: record[name] for name in ("ended", "stopped", "seconds", "together", "plan_hash", "versions")},
        )


def in_blocks(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at most BLOCKS means of neighbours, all of the same number of scores but for the last ones left over."""
    if len(scores) <= BLOCKS:
        return scores
    size = -(-len(scores) // BLOCKS)
    whole = len(scores) // size * size
    means: NDArray[np.float32] = scores[:whole].reshape(-1, size).mean(1, dtype=np.float64).astype(np.float32)
    return means


def _written(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _packed(scores: NDArray[np.float32] | NDArray[np.bool_]) -> dict[str, Any]:
    """A bit for each yes or no, four bytes for each number, in base64: 397 answers take 68 characters."""
    data = np.packbits(scores.astype(np.bool_)) if scores.dtype == np.bool_ else scores.astype("<f4").view(np.uint8)
    kind = "bits" if scores.dtype == np.bool_ else "float32"
    return {"kind": kind, "count": len(scores), "base64": base64.b64encode(data.tobytes()).decode()}


def _unpacked(record: Mapping[str, Any]) -> NDArray[np.float32] | NDArray[np.bool_]:
    data = np.frombuffer(base64.b64decode(record["base64"]), np.uint8)
    if record["kind"] == "bits":
        return np.unpackbits(data, count=record["count"]).astype(np.bool_)
    return data.view("<f4").astype(np.float32)


def same_numbers(first: Sequence[TrialResult], second: Sequence[TrialResult]) -> bool:
    """Whether two lists of results hold the same numbers, bit for bit; times and versions do not count.

    Args:
        first, second: in any order.
    """
    timeless = ("seconds", "versions")
    pair = [
        {r.trial.key: {k: v for k, v in r.record().items() if k not in timeless} for r in results}
        for results in (first, second)
    ]
    return pair[0] == pair[1]
