"""How the values of a layer are spread: histograms of a fixed size, counted on a sample as the values appear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from wellbegun.diagnosis.facts import SpreadFacts
from wellbegun.diagnosis.histogram import PARTS, Histogram

Counts = npt.NDArray[np.int16]

MOST = 2048
"""Values of one tensor that are counted."""

ROWS = 32
"""Inputs that they come from, where there are as many; more, where each has few numbers."""

WAITING = 32
"""Samples that are counted together: a quarter of a MiB."""

_KEPT_BITS = 21
"""Bits of a float32 that the number of its bin does without: sign, exponent and two bits of the fraction are left."""

_SIGN, _INFINITE, _ROW = 1 << 10, (1 << 10) - PARTS, 1 << 11


class Spreads:
    """Counts around each layer while a network runs; of values, a few small samples wait to be counted together."""

    def __init__(self, fewest: int) -> None:
        """fewest: inputs with which it says something how far values are from their means over the inputs."""
        self._fewest = fewest
        self._waiting: list[tuple[tuple[str, int], torch.Tensor]] = []
        self._counts: dict[tuple[str, int], Counts] = {}

    def put_out(self, layer: int, value: torch.Tensor) -> None:
        """Count the output of a layer, whose first dimension counts inputs."""
        sample = sampled(value)
        self._add("before", layer, sample)
        if len(sample) >= self._fewest:
            self._add("between", layer, sample - sample.mean(0))

    def activated(self, layer: int, value: torch.Tensor) -> None:
        """Count what an activation made of a layer's output."""
        self._add("behind", layer, sampled(value))

    def facts(self) -> tuple[SpreadFacts, ...]:
        """Return the histograms of all layers, in order."""
        self._settle()
        rows = np.stack([*self._counts.values()]) if self._counts else np.empty((0, _ROW), np.int16)
        found = dict(zip(self._counts, histograms(rows), strict=True))
        layers = [layer for what, layer in found if what == "before"]
        return tuple(
            SpreadFacts(*(found.get((what, layer)) for what in ("before", "between", "behind"))) for layer in layers
        )

    def _add(self, what: str, layer: int, sample: torch.Tensor) -> None:
        if self._waiting and self._waiting[-1][1].device != sample.device:
            self._settle()
        self._waiting.append(((what, layer), sample))
        if len(self._waiting) == WAITING:
            self._settle()

    def _settle(self) -> None:
        """Count what waits: a call of torch takes microseconds whatever it has to do."""
        if self._waiting:
            found = counted([sample for _, sample in self._waiting])
            self._counts |= {key: row for (key, _), row in zip(self._waiting, found, strict=True)}
            self._waiting = []


def sampled(value: torch.Tensor) -> torch.Tensor:
    """Return at most `MOST` values, as rows of one input each: every n-th along each dimension, always the same.

    Of features, n is odd, so that no power of two (the width of a head, say) hides all but one of its places.

    Args:
        value: its first dimension counts inputs; of complex numbers, the absolute values are taken.
    """
    found = value.detach()
    found = found.reshape(1, -1) if found.ndim < 2 else found
    left, steps = MOST // max(1, min(ROWS, len(found))), [1] * found.ndim
    others = sorted(range(1, found.ndim), key=lambda axis: found.shape[axis])
    for rank, axis in enumerate(others):
        steps[axis] = _step(found.shape[axis], max(1, int(left ** (1 / (len(others) - rank)))))
        left //= max(1, -(-found.shape[axis] // steps[axis]))
    steps[0] = max(1, -(-len(found) // max(1, left * min(ROWS, len(found)))))
    kept = found[tuple(slice(None, None, step) for step in steps)]
    kept = kept.abs() if kept.is_complex() else kept
    if kept.element_size() > 4:  # what float32 cannot hold is finite nevertheless
        top = torch.finfo(torch.float32).max
        kept = torch.where(torch.isfinite(kept), kept.clamp(-top, top), kept)
    # a copy: what follows may write into the tensor
    return (kept.clone() if kept.dtype == torch.float32 else kept.float()).flatten(1)


def counted(samples: Sequence[torch.Tensor]) -> Counts:
    """Return, for each sample, how many values lie in each bin, by the bits of float32 that name it.

    Args:
        samples: float32, on one device, at most 32,767 values each.
    """
    flat = torch.cat([sample.flatten() for sample in samples])
    places = (flat.view(torch.int32) >> _KEPT_BITS) & (_ROW - 1)
    rows = torch.arange(0, len(samples) * _ROW, _ROW, device=flat.device)
    sizes = torch.tensor([sample.numel() for sample in samples], device=flat.device)
    places = places + torch.repeat_interleave(rows, sizes, output_size=len(flat))
    found = torch.bincount(places, minlength=len(samples) * _ROW).to(torch.int16)
    return found.cpu().numpy().reshape(len(samples), _ROW)


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


def _step(size: int, wanted: int) -> int:
    step = -(-size // wanted)
    return step + 1 - step % 2 if step > 1 else 1
