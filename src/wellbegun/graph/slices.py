"""Weight operations whose results are cut: which of their outputs go which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from wellbegun.graph.graph import Use
from wellbegun.graph.shadow import Ranges, Shadow, joined
from wellbegun.graph.tracked import Part, Source
from wellbegun.laws import Fans

_MOST_SUMMANDS = 3
"""Weight operations whose sum is followed: W x + U h + b of a recurrent cell, and not a whole residual stream."""


@dataclass(frozen=True)
class Cuttable:
    """A use that becomes one use for each part.

    Attributes:
        source: of the weight or bias.
        position: among the uses of the parameter.
        letters: one for each axis of the weight as used.
        axis: of the weight as used, along its outputs.
    """

    source: Source
    position: int
    letters: str
    axis: int


class Slices:
    """For each weight operation: the size of its outputs, the uses to cut, and the parts that were taken."""

    def __init__(self) -> None:
        self._size: dict[int, int] = {}
        self._shared: dict[int, bool] = {}
        self._uses: dict[int, list[Cuttable]] = {}
        self._taken: dict[int, set[Ranges | None]] = {}
        self._added: dict[int, set[frozenset[Ranges]]] = {}
        self._rejoined: dict[int, set[frozenset[Ranges]]] = {}
        self.fans: dict[int, Fans] = {}

    def begin(self, operation: int, shape: Sequence[int], axis: int, fans: Fans, shares: bool) -> dict[int, Part]:
        """Follow the outputs of a weight operation; shares: whether fewer outputs mean fewer gradients for an input."""
        self._size[operation], self._shared[operation] = shape[axis], shares
        self.fans[operation] = fans
        return {operation: Part(Shadow.of(shape), axis)}

    def add(self, operation: int, use: Cuttable) -> None:
        """Name a use that is to be cut where the outputs are."""
        self._uses.setdefault(operation, []).append(use)

    def whole(self, operation: int) -> Ranges:
        """All outputs of a weight operation, as one run."""
        return ((0, self._size[operation]),)

    def fans_of(self, operation: int, runs: Ranges | None) -> Fans:
        """The fans of a weight operation, for some of its outputs."""
        fans = self.fans[operation]
        if runs is None or not self._shared[operation]:
            return fans
        return Fans(fans.fan_in, fans.fan_out * sum(stop - start for start, stop in runs) / self._size[operation])

    def take(self, parts: dict[int, Part]) -> None:
        """Note that an operation takes these outputs."""
        for operation, part in parts.items():
            runs = part.runs()
            if runs != () and not part.pieces:
                self._taken.setdefault(operation, set()).add(runs)

    def add_up(self, operation: int, parts: list[Part]) -> Part | None:
        """Different outputs are added up: each on its own, unless such sums are put together again.

        That is what a rotation does, (a cos - b sin, a sin + b cos), whose two halves are of one matrix.
        """
        pieces: set[Ranges] = set()
        for part in parts:
            runs = part.runs()
            if runs is None:
                return None
            pieces |= part.pieces or {runs}
        self._added.setdefault(operation, set()).add(frozenset(pieces))
        return Part(None, parts[0].axis, joined(run for runs in pieces for run in runs), frozenset(pieces))

    def rejoin(self, operation: int, parts: list[Part]) -> None:
        """Sums of outputs are put together."""
        self._rejoined.setdefault(operation, set()).update(part.pieces for part in parts if part.pieces)

    def parts(self, operation: int) -> list[Ranges]:
        """The outputs that go different ways, none twice and none left out; a single entry if they are not cut."""
        size, taken = self._size[operation], set(self._taken.get(operation, ()))
        for pieces in self._added.get(operation, set()) - self._rejoined.get(operation, set()):
            taken |= pieces
        whole = self.whole(operation)
        if len(taken) < 2 or None in taken or whole in taken:
            return [whole]
        groups: list[Ranges] = []
        for runs in sorted(run for run in taken if run is not None):
            touching = [group for group in groups if _overlap(group, runs)]
            groups = [group for group in groups if group not in touching]
            groups.append(joined(run for group in (*touching, runs) for run in group))
        covered = joined(run for group in groups for run in group)
        edges = [0, *(edge for run in covered for edge in run), size]
        left = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2) if edges[i] < edges[i + 1]]
        return sorted([*groups, *((run,) for run in left)])

    def cut(self, uses: dict[str, list[Use]]) -> dict[str, list[Use]]:
        """Return the uses with one for each part in place of those of weight operations that are cut."""
        made: dict[str, list[list[Use]]] = {name: [[use] for use in found] for name, found in uses.items()}
        for operation, cuttables in self._uses.items():
            parts = self.parts(operation)
            if len(parts) > 1:
                for cuttable in cuttables:
                    places = made[cuttable.source.variable]
                    whole = places[cuttable.position][0]
                    places[cuttable.position] = [self._part(operation, cuttable, whole, runs) for runs in parts]
        return {name: [use for place in places for use in place] for name, places in made.items()}

    def _part(self, operation: int, cuttable: Cuttable, use: Use, runs: Ranges) -> Use:
        fans = use.fans if use.fans is None else self.fans_of(operation, runs)
        region = None
        source = cuttable.source
        if len(runs) == 1 and source.shadow is not None and not source.joined:
            start, stop = runs[0]
            top = source.shadow.view(torch.Tensor.narrow, cuttable.axis, start, stop - start)
            reading = top.read(cuttable.letters)
            region = None if reading is None else source.whole_rows(reading).region
        return replace(use, fans=fans, region=region, part=True)


def followed(slices: Slices, inputs: list[dict[int, Part]], how: str) -> dict[int, Part]:
    """The outputs of weight operations that a result holds, given those that its signals hold.

    Outputs that are not followed any further are taken. See `Recorder.record` for `how`.
    """
    if how == "same" and len(inputs) == 1:
        return inputs[0]
    if how == "same" and len(inputs) > 1 and _all_same(inputs):
        return inputs[0]
    if how == "sum" and all(inputs):
        made: dict[int, Part] = {}
        for parts in inputs:
            made |= parts
        twice = sum(map(len, inputs)) > len(made)
        if twice and len(made) == 1 and not _all_same(inputs):
            ((operation, _),) = made.items()
            total = slices.add_up(operation, [parts[operation] for parts in inputs])
            if total is not None:
                return {operation: total}
        if len(made) <= _MOST_SUMMANDS and (not twice or _all_same(inputs)):
            return made
    if how == "joined" and inputs and all(len(parts) == 1 for parts in inputs):
        operations = {operation for parts in inputs for operation in parts}
        runs = [part.runs() for parts in inputs for part in parts.values()]
        if len(operations) == 1 and None not in runs:
            operation = operations.pop()
            slices.rejoin(operation, [parts[operation] for parts in inputs])
            every = joined(run for found in runs if found is not None for run in found)
            return {operation: Part(None, 0, every)}
    if how != "apart":
        for parts in inputs:
            slices.take(parts)
    return {}


def _all_same(inputs: list[dict[int, Part]]) -> bool:
    first = inputs[0]
    if not first or any(parts.keys() != first.keys() for parts in inputs):
        return False
    if all(parts == first for parts in inputs):
        return True
    return all(parts[at].runs() == first[at].runs() is not None for parts in inputs for at in first)


def _overlap(one: Ranges, other: Ranges) -> bool:
    if len(one) * len(other) > 1 << 20:
        return True
    return any(a < d and c < b for a, b in one for c, d in other)
