"""Layers, gates, attentions and residual streams while they are being watched."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from wellbegun.diagnosis.bundle import Answer
    from wellbegun.diagnosis.measure import Activated, Moment, Output


@dataclass
class Watched:
    """One layer while it is being watched; gradient facts arrive during the backward pass.

    Numbers about small values are there once the bundle that measures them is settled. Attributes that `LayerFacts` has
    too mean the same here; the others:

    Attributes:
        index: place in the order of execution.
        names: every parameter that the weight is made of.
        upstream: bits of the layers that its input comes from.
        zero: whether the weight is zero throughout.
        enlarged: whether the weight is larger than what it is made of: padded or repeated by the model's code.
        joined: whether its output is added to something else that was computed, as in a residual branch.
        branch: whether it stands in a branch that begins and ends in a residual stream.
        output: what is measured at its output.
        inflowing: second moment of what flows into it; None where nothing that is measured does.
        behind: what its activation makes of it; None without one.
        received: second moment of the gradient that arrived; None if none did.
        twin_gradients: share of units whose gradient equals another unit's; only where the weight is zero.
        count: numbers in its output.
        keys: a number for each unit, equal for twins; only where other processes have theirs.
        shared_gradient: the gradient itself, where the output may be one for all inputs (places that are looked up).
    """

    index: int
    name: str
    names: tuple[str, ...]
    upstream: int
    zero: bool
    unit_axis: int
    kind: str
    width: int
    count: int
    output: Answer[Output]
    inflowing: Answer[Any] | None
    keys: torch.Tensor | None
    activation: str = ""
    normalised: bool = False
    enlarged: bool = False
    joined: bool = False
    norm: str = ""
    branch: bool = False
    behind: Answer[Activated] | None = None
    received: Answer[Moment] | None = None
    twin_gradients: float = 0.0
    shared_gradient: torch.Tensor | None = None

    @property
    def signal(self) -> float:
        """Second moment of the output."""
        return self.output.value.second

    @property
    def gradient(self) -> float:
        """Second moment of the gradient that arrived, infinite if any of it is not finite; nan if none did."""
        if self.received is None:
            return math.nan
        found = self.received.value.second
        return found if math.isfinite(found) else math.inf

    @property
    def dead_units(self) -> torch.Tensor | None:
        """Which units are zero for every input; None without an activation."""
        return None if self.behind is None else self.behind.value.dead_units


@dataclass(frozen=True)
class Gate:
    """A use of a parameter that is zero throughout and multiplies: no gradient passes it before it has moved.

    Attributes:
        names: the parameter, or every parameter that it is made of.
        upstream: bits of the layers that its input comes from.
    """

    names: tuple[str, ...]
    upstream: int


@dataclass(frozen=True)
class Softmax:
    """A softmax whose result may turn out to be the weights of an attention.

    Attributes:
        measured: spread of scores, relative entropy, number of places.
        sources: indices of the layers that its queries and keys come from.
    """

    measured: tuple[float, float, float]
    sources: tuple[int, ...]


@dataclass
class Stream:
    """A residual stream: see `StreamFacts`."""

    sums: list[Answer[Any]]
    tokens: list[Answer[float]]
    branches: list[Answer[Any]] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
