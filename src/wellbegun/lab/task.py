"""What is learnt: inputs and targets, split once and for all, where they come from and how a score is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError

Kind = Literal["classes", "tokens", "mask", "field"]
"""What a network is asked for: one class an input, the next token at each place, a mask of the input, or the values of
a field at a point."""

KINDS: tuple[Kind, ...] = get_args(Kind)

SPLIT_SEED = 20260101
"""Fixes which inputs train, validate and test, for every comparison ever made with this release."""

PEAK = 2.0
"""Range of the values of a field, which run from -1 to 1; PSNR is told against it."""

_MEASURES: dict[Kind, str] = {"classes": "accuracy", "tokens": "nats a character", "mask": "dice", "field": "PSNR dB"}
_RANKS = {"tokens": (1,), "mask": (3,), "field": (1,), "classes": (1, 3)}


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and what is asked of each.

    Attributes:
        inputs: float32 or, for tokens, int64; one input a row: (n, features), (n, channels, height, width) or
            (n, length).
        targets: "classes": int64 (n,). "tokens": int64 (n, length), the token after each. "mask": float32
            (n, 1, height, width) of zeros and ones. "field": float32 (n, channels) from -1 to 1.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ArgumentError(f"a split has {len(self.inputs)} inputs but {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Task:
    """Data, split once and for all: learning rates are chosen on validation, scores are taken on test.

    >>> generator = np.random.default_rng(0)
    >>> parts = [Split(generator.normal(size=(8, 3)).astype(np.float32), np.arange(8) % 2) for _ in range(3)]
    >>> task = Task("toy", "drawn numbers", "drawn here", "none", "classes", 2, *parts)
    >>> task.spec, task.shape, task.measure, task.chance
    ('vector:3', (3,), 'accuracy', 0.5)

    Attributes:
        name: on the command line.
        description: the data in one or two sentences.
        source: who made them, and where they are from.
        licence: under which they may be used.
        kind: what is asked for; see `Split`.
        outputs: classes, symbols of the alphabet, or channels of a mask or field: numbers that a network returns.
        train, validation, test: the three parts.
        names: of the classes or symbols, if they have any.

    Raises:
        ArgumentError: the kind is unknown, or a part does not fit it; says which part, and what would fit.
    """

    name: str
    description: str
    source: str
    licence: str
    kind: Kind
    outputs: int
    train: Split
    validation: Split
    test: Split
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(f"the kind of a task is one of {', '.join(KINDS)}; got {self.kind!r}")
        for part in ("train", "validation", "test"):
            self._check(part, getattr(self, part))

    def _check(self, part: str, split: Split) -> None:
        where, inputs, targets = f"{part} of the task {self.name!r}", split.inputs, split.targets
        if not len(split):
            raise ArgumentError(f"{where} is empty")
        if inputs.shape[1:] != self.shape:
            raise ArgumentError(f"{where} has inputs of shape {inputs.shape[1:]}, and train has {self.shape}")
        if inputs.ndim - 1 not in _RANKS[self.kind]:
            allowed = " or ".join(str(rank) for rank in _RANKS[self.kind])
            raise ArgumentError(
                f"{where}: inputs of a task of kind {self.kind!r} have {allowed} dimensions besides the first, got the "
                f"shape {inputs.shape}"
            )
        whole_inputs, whole_targets = self.kind == "tokens", self.kind in ("classes", "tokens")
        for what, array, whole in (("inputs", inputs, whole_inputs), ("targets", targets, whole_targets)):
            wanted = np.int64 if whole else np.float32
            if array.dtype != wanted:
                raise ArgumentError(f"{where}: {what} must be {np.dtype(wanted)}, got {array.dtype}")
        expected = {
            "classes": (),
            "tokens": self.shape,
            "mask": (self.outputs, *self.shape[1:]),
            "field": (self.outputs,),
        }[self.kind]
        if targets.shape[1:] != expected:
            raise ArgumentError(f"{where}: targets must have the shape (n, *{expected}), got {targets.shape}")
        if whole_targets and (targets.min() < 0 or targets.max() >= self.outputs):
            raise ArgumentError(
                f"{where}: targets must be from 0 to {self.outputs - 1}, got {targets.min()} to {targets.max()}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return math.prod(self.shape)

    @property
    def spec(self) -> str:
        """One input as `wb.plan` takes it: "vector:64", "image:1x28x28" or "tokens:64"."""
        kind = "tokens" if self.kind == "tokens" else {1: "vector", 3: "image"}[len(self.shape)]
        return f"{kind}:{'x'.join(str(size) for size in self.shape)}"

    @property
    def measure(self) -> str:
        """What the score is: "accuracy", "nats a character", "dice" or "PSNR dB"."""
        return _MEASURES[self.kind]

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score is a better one."""
        return self.kind != "tokens"

    @property
    def chance(self) -> float:
        """Score of guessing on the test part.

        An even guess among the classes or symbols; for a mask the dice of marking everything, and for a field the
        PSNR of its mean, both of which take no look at the input.
        """
        if self.kind == "classes":
            return 1.0 / self.outputs
        if self.kind == "tokens":
            return math.log(self.outputs)
        targets = self.test.targets.astype(np.float64)
        if self.kind == "mask":
            share = targets.reshape(len(targets), -1).mean(1)
            return float((2 * share / (1 + share)).mean())
        error = float(np.square(targets - self.train.targets.mean(0, dtype=np.float64)).mean())
        return 10 * math.log10(PEAK**2 / error)
