"""How the values of a layer are spread: histograms of a fixed size, counted on samples when they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
import torch

from wellbegun.diagnosis.facts import SpreadFacts
from wellbegun.diagnosis.histogram import PARTS, Histogram

Counts = npt.NDArray[np.int16]

WAITING = 32
"""Samples that are counted together: a quarter of a MiB."""

_KEPT_BITS = 21
"""Bits of a float32 that the number of its bin does without: sign, exponent and two bits of the fraction are left."""

_SIGN, _INFINITE, _ROW = 1 << 10, (1 << 10) - PARTS, 1 << 11


class Spreads(Sequence[SpreadFacts]):
    """The histograms of all layers, in order; nothing is counted before the first is asked for."""

    def __init__(self, samples: Sequence[tuple[torch.Tensor, torch.Tensor | None]], fewest: int) -> None:
        """Keep samples.

        Args:
            samples: of each layer's output, a row of each input, and of what its activation makes of it, if it has one.
            fewest: inputs with which it says something how far values are from their means over the inputs.
        """
        self._samples = samples
        self._fewest = fewest

    @overload
    def __getitem__(self, place: int) -> SpreadFacts: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[SpreadFacts, ...]: ...

    def __getitem__(self, place: int | slice) -> SpreadFacts | tuple[SpreadFacts, ...]:
        return self._facts[place]

    def __len__(self) -> int:
        return len(self._facts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._facts == tuple(other)

    def __repr__(self) -> str:
        return repr(self._facts)

    @cached_property
    def _facts(self) -> tuple[SpreadFacts, ...]:
        asked = [
            (layer, what, sample)
            for layer, (before, behind) in enumerate(self._samples)
            for what, sample in (
                ("before", before),
                ("between", before - before.mean(0) if len(before) >= self._fewest else None),
                ("behind", behind),
            )
            if sample is not None
        ]
        found: list[dict[str, Histogram]] = [{} for _ in self._samples]
        for (layer, what, _), histogram in zip(asked, _each_histogram([x for *_, x in asked]), strict=True):
            found[layer][what] = histogram
        self._samples = ()
        return tuple(SpreadFacts(**each) for each in found)


def _each_histogram(samples: Sequence[torch.Tensor]) -> Iterator[Histogram]:
    for start in range(0, len(samples), WAITING):
        yield from histograms(counted(samples[start : start + WAITING]))


def counted(samples: Sequence[torch.Tensor]) -> Counts:
    """Return, for each sample, how many values lie in each bin, by the bits of float32 that name it.

    Args:
        samples: float32, at most 32,767 values each.
    """
    flat = torch.cat([sample.flatten().cpu() for sample in samples])
    places = (flat.view(torch.int32) >> _KEPT_BITS) & (_ROW - 1)
    rows = torch.arange(0, len(samples) * _ROW, _ROW)
    sizes = torch.tensor([sample.numel() for sample in samples])
    places = places + torch.repeat_interleave(rows, sizes, output_size=len(flat))
    found = torch.bincount(places, minlength=len(samples) * _ROW).to(torch.int16)
    return found.numpy().reshape(len(samples), _ROW)


def histograms(counts: Counts) -> list[Histogram]:
    """Return rows of counts as histograms."""
    wide = counts.astype(np.int64)
    positive, negative = wide[:, :_SIGN], wide[:, _SIGN:]
    both = positive + negative
    bad = both[:, _INFINITE:].sum(1)
    zeros = both[:, :PARTS].sum(1, keepdims=True)
    ordered = np.concatenate([negative[:, PARTS:_INFINITE][:, ::-1], zeros, positive[:, PARTS:_INFINITE]], axis=1)
    rows, places = np.nonzero(ordered)
    bins, held = (places - (_INFINITE - PARTS)).tolist(), ordered[rows, places].tolist()
    ends = np.searchsorted(rows, np.arange(len(counts) + 1)).tolist()
    return [
        Histogram(tuple(bins[start:end]), tuple(held[start:end]), number)
        for start, end, number in zip(ends, ends[1:], bad.tolist(), strict=False)
    ]
