"""One entry of a plan: a parameter or buffer, what it will hold, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wellbegun.laws import Fans, Law

UNCHANGED = (1.0, 1.0, 1.0)
"""Factors of a parameter whose training a recipe says nothing about."""


@dataclass(frozen=True)
class Entry:
    """What one parameter or buffer of a network will hold, and the reason.

    Attributes:
        name: the tensor's name in the model's state, the first of them if it is tied.
        kind: "parameter" or "buffer".
        shape: logical shape.
        dtype: storage type, by its NumPy name ("float32", "bfloat16").
        role: what the operation that uses it makes of it ("linear weight", "bias", "normalisation scale").
        initializer: the rule, as code.
        law: the rule's numbers.
        reason: one sentence for a person.
        source: the paper or document behind the reason.
        fans: fans of the operation, where it has any.
        before, after: second moment that flows into the operation, and the one aimed at behind it.
        stream: name that keys the random numbers; the tensor's own unless an alias keeps an older one.
        ties: further names of the same tensor.
        zero_row: row of a look-up table that stands for padding and holds zeros.
        uses: how often one forward pass multiplies with the same part of it; a recurrent loop does so at every step.
        measured: second moment behind the operation that calibration reached on its batch, without a bias that has a
            mean of its own.
        persistent: whether the model's state dict, and so a checkpoint, holds it; some buffers are not kept there.
        lr_factor, decay_factor, eps_factor: what the recipe multiplies the learning rate, the weight decay and Adam's
            epsilon of this parameter with; `Plan.param_groups` does so.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    initializer: str
    law: Law
    reason: str
    source: str = ""
    fans: Fans | None = None
    before: float | None = None
    after: float | None = None
    stream: str = ""
    ties: tuple[str, ...] = ()
    zero_row: int | None = None
    uses: int = 1
    measured: float | None = None
    persistent: bool = True
    lr_factor: float = 1.0
    decay_factor: float = 1.0
    eps_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.stream:
            object.__setattr__(self, "stream", self.name)

    @property
    def training(self) -> tuple[float, float, float]:
        """Factors on learning rate, weight decay and Adam's epsilon; (1, 1, 1) where the recipe has none."""
        return self.lr_factor, self.decay_factor, self.eps_factor

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def std(self) -> float:
        """Planned standard deviation of one element (nan where the tensor keeps its own value)."""
        return self.law.moments(self.shape)[1]
