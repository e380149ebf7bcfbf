"""Numbers about one tensor, summed in float64 whatever its type, in pieces that fit into the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

_FLAT_BELOW = 0.1
"""A bounded activation counts as flat where its slope is below this share of its largest slope."""

_FLAT_FROM = {
    "tanh": math.sqrt(1 - _FLAT_BELOW),
    "hardtanh": 1.0,
    "softsign": 1 - math.sqrt(_FLAT_BELOW),
    "erf": math.erf(math.sqrt(-math.log(_FLAT_BELOW))),
    "atan": math.acos(math.sqrt(_FLAT_BELOW)),
    "sigmoid": math.sqrt((1 - _FLAT_BELOW) / 4),
}
"""How far from its middle the value of a bounded activation is where it becomes flat, solved for the value."""

_PIECE = 1 << 16
"""Elements that are turned into float64 at a time: half a MiB stays in the cache and is five times as fast."""

_UNIT_VALUES, _UNITS = 64, 8192
"""Twin units are sought among this many values a unit and this many units: equal bits need no more."""

_SAMPLE, _PLACES = 4, 64
"""Inputs, and places of each, among which the likeness of places is measured."""


@dataclass(frozen=True)
class Sizes:
    """Second moment, mean and mean cosine between rows of one tensor; `finite` says whether all of it is."""

    second: float
    mean: float
    cosine: float
    finite: bool


def sizes(value: torch.Tensor) -> Sizes:
    """Measure a tensor whose first dimension counts inputs, in one pass over memory."""
    if value.numel() == 0:
        return Sizes(math.nan, math.nan, math.nan, True)
    rows = value.detach().flatten(1) if value.ndim > 1 else value.detach().reshape(-1, 1)
    total, squares, count = 0.0, 0.0, 0
    direction = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for piece in torch.split(rows, max(1, _PIECE // rows.shape[1])):
        wide = piece.double()
        lengths = torch.linalg.vecdot(wide, wide)
        total, squares = total + float(wide.sum()), squares + float(lengths.sum())
        known = (lengths > 0) & torch.isfinite(lengths)
        if not bool(known.all()):
            wide, lengths = wide[known], lengths[known]
        direction += lengths.rsqrt() @ wide
        count += len(lengths)
    cosine = math.nan
    if count > 1:
        cosine = (float(torch.dot(direction, direction)) - count) / (count * (count - 1))
    finite = math.isfinite(squares) or is_finite(value)
    return Sizes(squares / value.numel(), total / value.numel(), cosine, finite)


def second_moment(value: torch.Tensor) -> float:
    """Mean of the squares; of complex numbers, of their absolute values."""
    if value.numel() == 0:
        return math.nan
    return sum(float(torch.dot(piece, piece)) for piece in _pieces(value)) / value.numel()


def mean(value: torch.Tensor) -> float:
    """Mean of the values."""
    return sum(float(piece.sum()) for piece in _pieces(value)) / value.numel() if value.numel() else math.nan


def is_finite(value: torch.Tensor) -> bool:
    """Whether every value is finite."""
    return bool(torch.isfinite(value.detach()).all())


def mean_cosine(value: torch.Tensor) -> float:
    """Mean cosine between the rows of different inputs; nan if fewer than two of them are not zero."""
    return sizes(value).cosine


def place_cosine(value: torch.Tensor) -> float:
    """Mean cosine between the rows at different places of one input, [input, place, feature], on a sample."""
    if value.ndim != 3 or value.shape[1] < 2 or value.shape[0] < 1:
        return math.nan
    step = max(1, value.shape[1] // _PLACES)
    rows = value.detach()[:_SAMPLE, ::step][:, :_PLACES].double()
    lengths = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    if rows.shape[1] < 2 or not bool((lengths > 0).all()) or not bool(torch.isfinite(lengths).all()):
        return math.nan
    together = (rows / lengths).sum(1)
    count = rows.shape[1]
    return float((together.square().sum(1).mean() - count) / (count * (count - 1)))


def dead_units(value: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Which units are zero for every input."""
    found = value.detach()
    others = [axis for axis in range(found.ndim) if axis != unit_axis % found.ndim]
    largest = found.abs().amax(others) if others and found.numel() else found.abs()
    return largest == 0


def dead_share(value: torch.Tensor, unit_axis: int) -> float:
    """Share of units that are zero for every input."""
    return float(dead_units(value, unit_axis).double().mean())


def twin_share(value: torch.Tensor, unit_axis: int, *, moving: bool = False) -> float:
    """Share of units that equal another unit, bit for bit, on every input; of those that are not zero, if `moving`."""
    return repeated_share(unit_keys(value, unit_axis, moving=moving))


def unit_keys(value: torch.Tensor, unit_axis: int, *, moving: bool = False) -> torch.Tensor:
    """A number for each unit, equal for units that are equal on every input; of those not zero, if `moving`."""
    if value.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    units = _by_unit(value, unit_axis)
    units = units[:_UNITS, :: max(1, units.shape[1] // _UNIT_VALUES)][:, :_UNIT_VALUES].float() + 0.0  # -0 is 0
    return hashed(units[units.any(dim=1)] if moving else units)


def repeated_share(keys: torch.Tensor) -> float:
    """Share of the rows, or numbers, that occur more than once."""
    if len(keys) < 2:
        return 0.0
    dim = 0 if keys.ndim > 1 else None  # without rows to compare, four times as fast
    _, counts = torch.unique(keys, dim=dim, return_counts=True)
    return float(counts[counts > 1].sum()) / len(keys)


def hashed(rows: torch.Tensor) -> torch.Tensor:
    """One 64-bit number for the bits of each row: equal for equal rows, and by chance alone for others."""
    bits = rows.contiguous().view(_WHOLE[rows.element_size()]).to(torch.int64)
    made = torch.Generator().manual_seed(20260101)
    factors = torch.randint(-(2**62), 2**62, (bits.shape[1],), generator=made) * 2 + 1
    mixed = (bits + 1) * factors.to(bits.device)
    return ((mixed ^ (mixed >> 29)) * -4658895280553007687).sum(1)


def flat_share(activation: str, value: torch.Tensor) -> float:
    """Share of values behind a bounded activation where it is flat; 0 for any other activation."""
    if activation not in _FLAT_FROM or value.numel() == 0:
        return 0.0
    found = value.detach()
    distance = (found - 0.5 if activation == "sigmoid" else found).abs()
    edge = _FLAT_FROM[activation]
    flat = distance >= edge if activation == "hardtanh" else distance > edge
    return int(torch.count_nonzero(flat)) / value.numel()


_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers of as many bytes."""


def _pieces(value: torch.Tensor) -> Iterator[torch.Tensor]:
    """The elements in float64, a piece at a time; a complex number is taken by its absolute value."""
    found = value.detach()
    if found.ndim > 1 and not found.is_contiguous() and not found.is_complex():
        strides = found.stride()
        found = found.permute(sorted(range(found.ndim), key=lambda axis: -strides[axis]))
    for piece in torch.split(found.reshape(-1), _PIECE):
        yield (piece.abs() if piece.is_complex() else piece).double()


def _by_unit(value: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Reorder to (unit, everything else)."""
    detached = value.detach()
    return detached.movedim(unit_axis, 0).flatten(1) if detached.ndim > 1 else detached.reshape(-1, 1)
