"""Following residual streams through the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from wellbegun.diagnosis import measure
from wellbegun.diagnosis.bundle import Answer, Bundle
from wellbegun.diagnosis.by_tensor import ByTensor
from wellbegun.diagnosis.facts import StreamFacts
from wellbegun.diagnosis.watched import Stream, Watched


class Streams:
    """The streams that sums have shown so far."""

    def __init__(self, moment: Callable[[torch.Tensor], Answer[Any]], bundle: Bundle) -> None:
        """Begin without any.

        Args:
            moment: second moment of a tensor, measured once.
            bundle: measures the rest.
        """
        self._moment = moment
        self._bundle = bundle
        self._found: list[Stream] = []
        self._held: ByTensor[Stream] = ByTensor()

    def add(
        self, data: Sequence[torch.Tensor], upstream: Sequence[int], result: torch.Tensor, layers: Sequence[Watched]
    ) -> None:
        """Look at a sum: one of a stream and a branch that began in it has all layers of the one behind the other.

        Args:
            data: the two summands.
            upstream: for each, the bits of the layers that it comes from.
            result: the sum.
            layers: all that were watched so far.
        """
        if data[0].shape != data[1].shape or data[0].ndim < 2:
            return
        place = 0 if upstream[0] & ~upstream[1] == 0 and upstream[0] != upstream[1] else 1
        trunk, branch = data[place], data[1 - place]
        new = upstream[1 - place] & ~upstream[place]
        if upstream[place] & ~upstream[1 - place] or not new or trunk is result or branch is result:
            return  # two branches, or a sum in place, whose summands are gone
        for layer in layers:
            layer.branch |= bool(new >> layer.index & 1)
        stream = self._held.get(trunk)
        if stream is None:
            stream = Stream([self._moment(trunk)], [self._bundle.ask(measure.each_place_cosine, trunk)])
            self._found.append(stream)
        stream.branches.append(self._moment(branch))
        stream.writers.append(layers[new.bit_length() - 1].name)
        stream.sums.append(self._moment(result))
        stream.tokens.append(self._bundle.ask(measure.each_place_cosine, result))
        self._held[result] = stream

    def carry(self, data: Sequence[torch.Tensor], results: Iterable[torch.Tensor]) -> None:
        """What moves a stream's numbers, or scales them, leaves it a stream."""
        stream = self._held.first(data)
        if stream is not None:
            for result in results:
                self._held[result] = stream

    def facts(self) -> tuple[StreamFacts, ...]:
        """Return the residual streams with two additions or more."""
        return tuple(
            StreamFacts(
                tuple(s.writers),
                tuple(branch.value.second for branch in s.branches),
                tuple(held.value.second for held in s.sums),
                tuple(cosine.value for cosine in s.tokens),
            )
            for s in self._found
            if len(s.writers) > 1
        )
