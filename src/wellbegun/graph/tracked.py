"""What is known of a tensor while the forward pass runs: the parameters or the operation that it came from."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from wellbegun.graph.shadow import Ranges, Reading, Shadow


@dataclass(frozen=True)
class Source:
    """A parameter or buffer that a tensor is a view of, or was computed from.

    Attributes:
        variable: its name.
        shadow: which part it is and which axis is which; None if that was lost on the way.
        derived: the steps that computed the tensor from it, beyond views, casts, scales and concatenation.
        factor: what it was multiplied with.
        offset: number that was added to it, where that is the one step in `derived`: (1 + w) has the offset 1.
        gathered: dimensions of the parameter along which rows were taken by index.
        joined: whether other tensors were concatenated to it, so that only its axes can still be followed.
    """

    variable: str
    shadow: Shadow | None
    derived: tuple[str, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    gathered: tuple[int, ...] = ()
    joined: bool = False

    def whole_rows(self, reading: Reading) -> Reading:
        """The reading of its shadow, with all rows where any of them may be taken."""
        if not self.gathered or self.shadow is None:
            return reading
        letters = ["" if dim in self.gathered else letter for dim, letter in enumerate(reading.letters)]
        region = reading.region
        if region is not None:
            sizes = self.shadow.origins[0]
            region = tuple((0, sizes[dim]) if dim in self.gathered else run for dim, run in enumerate(region))
        return replace(reading, letters=tuple(letters), region=region)


@dataclass(frozen=True)
class Part:
    """Which outputs of a weight operation a tensor holds.

    Attributes:
        shadow: of the tensor, its origin being the operation's result; None if only the outputs are known.
        axis: the outputs' dimension of the operation's result.
        outputs: (start, stop) runs of outputs, where there is no shadow; None: not known.
        pieces: if different outputs were added up: the runs of each summand.
    """

    shadow: Shadow | None
    axis: int
    outputs: Ranges | None = None
    pieces: frozenset[Ranges] = frozenset()

    def spread(self, shape: tuple[int, ...]) -> Part:
        """The part that a result of this shape holds, to which the tensor was spread."""
        if self.shadow is None or self.shadow.shape == shape:
            return self
        old = (1,) * (len(shape) - len(self.shadow.shape)) + self.shadow.shape
        if len(old) == len(shape) and all(size in (1, new) for size, new in zip(old, shape, strict=True)):
            return replace(self, shadow=self.shadow.view(torch.Tensor.expand, shape))
        return Part(None, self.axis, self.runs())

    def runs(self) -> Ranges | None:
        """The outputs it holds as (start, stop) runs; None if not known."""
        return self.outputs if self.shadow is None else self.shadow.along(self.axis)


@dataclass(frozen=True)
class Made:
    """Where a tensor came from: from parameters alone if there are sources, else from a signal.

    Attributes:
        index: the operation that made it; None for a parameter itself and its views.
        sources: parameters that it was computed from.
        parts: by the index of a weight operation: which of its outputs the tensor holds.
    """

    index: int | None
    sources: tuple[Source, ...] = ()
    parts: dict[int, Part] = field(default_factory=dict)


class Table:
    """What is known of each living tensor; dead ones are forgotten, and their ids may be used again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], Made]] = {}

    def put(self, tensor: torch.Tensor, made: Made) -> None:
        """Remember where a tensor came from."""
        key = id(tensor)

        def forget(reference: weakref.ref[torch.Tensor]) -> None:
            if key in self._known and self._known[key][0] is reference:
                del self._known[key]

        self._known[key] = weakref.ref(tensor, forget), made

    def get(self, value: Any) -> Made | None:
        """Return what is known of a value; None for constants and anything that is no tensor."""
        found = self._known.get(id(value))
        return found[1] if found is not None and found[0]() is value else None
