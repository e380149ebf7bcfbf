"""Layers, gates, attentions and residual streams while they are being watched."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass
class Watched:
    """One layer while it is being watched; gradient facts arrive during the backward pass.

    Attributes that `LayerFacts` has too mean the same here; the others:

    Attributes:
        index: place in the order of execution.
        names: every parameter that the weight is made of.
        upstream: bits of the layers that its input comes from.
        zero: whether the weight is zero throughout.
        joined: whether its output is added to something else that was computed, as in a residual branch.
        branch: whether it stands in a branch that begins and ends in a residual stream.
        twin_gradients: share of units whose gradient equals another unit's; only where the weight is zero.
        received: whether a gradient arrived.
        count: numbers in its output.
        keys: a number for each unit, equal for twins.
        dead_units: which units are zero for every input; None without an activation.
        shared_gradient: the gradient itself, where the output may be one for all inputs (places that are looked up).
    """

    index: int
    name: str
    names: tuple[str, ...]
    upstream: int
    zero: bool
    unit_axis: int
    signal: float
    mean: float
    cosine: float
    twins: float
    finite: bool
    kind: str = "linear"
    inflow: float = math.nan
    width: int = 0
    tokens: float = math.nan
    activation: str = ""
    normalised: bool = False
    activated: float = math.nan
    dead: float = 0.0
    saturated: float = 0.0
    joined: bool = False
    norm: str = ""
    branch: bool = False
    gradient: float = math.nan
    twin_gradients: float = 0.0
    received: bool = False
    count: int = 0
    keys: torch.Tensor | None = None
    dead_units: torch.Tensor | None = None
    shared_gradient: torch.Tensor | None = None


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

    sums: list[float]
    tokens: list[float]
    branches: list[float] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
