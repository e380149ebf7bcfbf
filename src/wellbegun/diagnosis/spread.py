"""How the values of a layer are spread: histograms of a fixed size, counted on a sample as the values appear."""

from __future__ import annotations

import torch

from wellbegun.diagnosis.facts import SpreadFacts
from wellbegun.diagnosis.histogram import PARTS, Histogram

MOST = 2048
"""Values of one tensor that are counted."""

ROWS = 32
"""Inputs that they come from, where there are as many; more, where each has few numbers."""

_KEPT_BITS = 21
"""Bits of a float32 that the number of its bin does without: sign, exponent and two bits of the fraction are left."""

_SIGN, _INFINITE = 1 << 10, (1 << 10) - PARTS


class Spreads:
    """Counts around each layer while a network runs; only they are kept, not the values."""

    def __init__(self, fewest: int) -> None:
        """fewest: inputs with which it says something how far values are from their means over the inputs."""
        self._fewest = fewest
        self._before: dict[int, torch.Tensor] = {}
        self._between: dict[int, torch.Tensor] = {}
        self._behind: dict[int, torch.Tensor] = {}

    def put_out(self, layer: int, value: torch.Tensor) -> None:
        """Count the output of a layer, whose first dimension counts inputs."""
        sample = sampled(value)
        self._before[layer] = counted(sample)
        if len(sample) >= self._fewest:
            self._between[layer] = counted(sample - sample.mean(0))

    def activated(self, layer: int, value: torch.Tensor) -> None:
        """Count what an activation made of a layer's output."""
        self._behind[layer] = counted(sampled(value))

    def facts(self) -> tuple[SpreadFacts, ...]:
        """Return the histograms of all layers, in order."""
        return tuple(
            SpreadFacts(*(histogram(counts.get(layer)) for counts in (self._before, self._between, self._behind)))
            for layer in self._before
        )


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
    return kept.float().flatten(1)


def counted(sample: torch.Tensor) -> torch.Tensor:
    """Return how many values lie in each bin, by the bits of float32 that name it.

    Args:
        sample: float32, at most 32,767 values.
    """
    places = sample.contiguous().view(torch.int32).flatten() >> _KEPT_BITS
    return torch.bincount(places & (2 * _SIGN - 1), minlength=2 * _SIGN).to(torch.int16)


def histogram(counts: torch.Tensor | None) -> Histogram | None:
    """Return counts as a histogram."""
    if counts is None:
        return None
    held = counts.nonzero().flatten()
    sides: dict[int, int] = {}
    bad = 0
    for bits, count in zip(held.tolist(), counts[held].tolist(), strict=True):
        size, sign = bits & (_SIGN - 1), -1 if bits & _SIGN else 1
        if size >= _INFINITE:
            bad += count
        else:
            place = sign * max(0, size - PARTS + 1)
            sides[place] = sides.get(place, 0) + count
    return Histogram(tuple(sorted(sides)), tuple(sides[place] for place in sorted(sides)), bad)


def _step(size: int, wanted: int) -> int:
    step = -(-size // wanted)
    return step + 1 - step % 2 if step > 1 else 1
