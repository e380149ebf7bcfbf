"""Numbers about one tensor, summed in float64 whatever its type, in pieces that fit into the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

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

PIECE = 1 << 16
"""Elements that are turned into float64 at a time: half a MiB stays in the cache and is five times as fast."""

_UNIT_VALUES, _UNITS = 64, 8192
"""Twin units are sought among this many values a unit and this many units: equal bits need no more."""

_SAMPLE, _PLACES = 4, 64
"""Inputs, and places of each, among which the likeness of places is measured."""


class Moment(NamedTuple):
    """Second moment of one tensor."""

    second: float


class Sizes(NamedTuple):
    """Second moment, mean and mean cosine between rows of one tensor; `finite` says whether all of it is."""

    second: float
    mean: float
    cosine: float
    finite: bool


class Output(NamedTuple):
    """What a layer put out: its sizes, the share of units that equal another one, and the mean cosine of places."""

    second: float
    sizes: Sizes
    twins: float
    places: float


class Activated(NamedTuple):
    """Second moment behind an activation, which units are zero for every input, and the share of flat values."""

    second: float
    dead_units: torch.Tensor
    dead: float
    saturated: float


def each_output(stack: torch.Tensor, unit_axis: int) -> list[Output]:
    """Measure the outputs of several layers, of one shape.

    Args:
        stack: [values, *shape], the first axis of the shape counts inputs.
        unit_axis: of a value, not negative.
    """
    found = zip(each_sizes(stack), each_twin_share(stack, unit_axis), each_place_cosine(stack), strict=True)
    return [Output(one.second, one, twins, places) for one, twins, places in found]


def sizes(value: torch.Tensor) -> Sizes:
    """Measure a tensor whose first dimension counts inputs, in one pass over memory."""
    return each_sizes(value.detach().unsqueeze(0))[0]


def each_sizes(stack: torch.Tensor) -> list[Sizes]:
    """Measure each of several values of one shape: [values, inputs, ...]."""
    if stack.numel() == 0:
        return [Sizes(math.nan, math.nan, math.nan, True)] * len(stack)
    values = stack.flatten(2) if stack.ndim > 2 else stack.reshape(len(stack), -1, 1)
    number, inputs, width = values.shape
    sums = torch.zeros(3, number, dtype=torch.float64, device=values.device)
    direction = sums.new_zeros(number, 1, width)
    for piece in torch.split(values, max(1, PIECE // (number * width)), 1):
        wide = piece.double()
        lengths = wide.square().sum(2)
        sums[0] += wide.sum((1, 2))
        sums[1] += lengths.sum(1)
        slopes = lengths.rsqrt()
        if float((lengths + slopes).sum()) < math.inf:
            sums[2] += piece.shape[1]
        else:  # a row of zeros, or one that is not finite, has no direction
            known = (lengths > 0) & torch.isfinite(lengths)
            slopes, wide = torch.where(known, slopes, 0.0), torch.where(known.unsqueeze(2), wide, 0.0)
            sums[2] += known.sum(1)
        direction += slopes.unsqueeze(1) @ wide
    sums = torch.cat((sums, direction.square().sum((1, 2)).unsqueeze(0)))
    size = inputs * width
    return [
        Sizes(
            second / size,
            total / size,
            (length - count) / (count * (count - 1)) if count > 1 else math.nan,
            math.isfinite(second) or is_finite(value),
        )
        for value, (total, second, count, length) in zip(stack, sums.t().tolist(), strict=True)
    ]


def second_moment(value: torch.Tensor) -> float:
    """Mean of the squares; of complex numbers, of their absolute values."""
    return each_moment(value.detach().unsqueeze(0))[0].second


def each_moment(stack: torch.Tensor) -> list[Moment]:
    """Second moment of each of several values of one shape: [values, ...]."""
    return [Moment(second) for second in _seconds(stack).tolist()]


def _seconds(stack: torch.Tensor) -> torch.Tensor:
    number, size = len(stack), stack[0].numel()
    if not size:
        return torch.full((number,), math.nan)
    total = torch.zeros(number, dtype=torch.float64, device=stack.device)
    for piece in torch.split(_in_memory_order(stack).reshape(number, -1), max(1, PIECE // number), 1):
        total += squares(_wide(piece))
    return total / size


def squares(rows: torch.Tensor) -> torch.Tensor:
    """Sum of the squares of each row, exact where the squares are whole numbers."""
    return torch.dot(rows[0], rows[0]).unsqueeze(0) if len(rows) == 1 else rows.square().sum(1)


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
    return each_place_cosine(value.detach().unsqueeze(0))[0]


def each_place_cosine(stack: torch.Tensor) -> list[float]:
    """Mean cosine between places for each of several values of one shape: [values, input, place, feature]."""
    if stack.ndim != 4 or stack.shape[2] < 2 or stack.shape[1] < 1:
        return [math.nan] * len(stack)
    step = max(1, stack.shape[2] // _PLACES)
    rows = stack[:, :_SAMPLE, ::step][:, :, :_PLACES].double()
    if rows.shape[2] < 2:
        return [math.nan] * len(stack)
    lengths = torch.linalg.vector_norm(rows, dim=3, keepdim=True)
    together = (rows / lengths).sum(2)  # a length of zero, or one that is not finite, makes it nan
    count = rows.shape[2]
    found: list[float] = ((together.square().sum(2).mean(1) - count) / (count * (count - 1))).tolist()
    return found


def dead_units(value: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Which units are zero for every input."""
    return _each_dead_units(value.detach().unsqueeze(0), unit_axis % value.ndim)[0]


def _each_dead_units(stack: torch.Tensor, unit_axis: int) -> torch.Tensor:
    others = [axis for axis in range(1, stack.ndim) if axis != unit_axis + 1]
    largest = stack.abs().amax(others) if others and stack.numel() else stack.abs()
    return largest == 0


def dead_share(value: torch.Tensor, unit_axis: int) -> float:
    """Share of units that are zero for every input."""
    return float(dead_units(value, unit_axis).double().mean())


def each_activated(stack: torch.Tensor, activation: str, unit_axis: int) -> list[Activated]:
    """What is behind an activation, for each of several values of one shape.

    Args:
        stack: [values, *shape].
        activation: its name.
        unit_axis: of a value, not negative.
    """
    dead = _each_dead_units(stack, unit_axis)
    shares = dead.double().flatten(1).mean(1).tolist()
    return [
        Activated(*found)
        for found in zip(_seconds(stack).tolist(), dead, shares, _each_flat_share(activation, stack), strict=True)
    ]


def twin_share(value: torch.Tensor, unit_axis: int, *, moving: bool = False) -> float:
    """Share of units that equal another unit, bit for bit, on every input; of those that are not zero, if `moving`."""
    return repeated_share(unit_keys(value, unit_axis, moving=moving))


def each_twin_share(stack: torch.Tensor, unit_axis: int) -> list[float]:
    """Share of twin units for each of several values of one shape; the axis of the units is not negative.

    One value of each unit is looked at first: if no two units have the same, that settles it.
    """
    if stack.numel() == 0:
        return [0.0] * len(stack)
    units = stack.movedim(unit_axis + 1, 1)[:, :_UNITS] if stack.ndim > 2 else stack
    while units.ndim > 2:
        units = units.select(2, units.shape[2] // 2)
    one = (units.float() + 0.0).view(torch.int32).sort(1).values  # -0 is 0
    suspects = (one[:, 1:] == one[:, :-1]).any(1).tolist()
    return [twin_share(value, unit_axis) if suspect else 0.0 for value, suspect in zip(stack, suspects, strict=True)]


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
    return _each_flat_share(activation, value.detach().unsqueeze(0))[0]


def _each_flat_share(activation: str, stack: torch.Tensor) -> list[float]:
    if activation not in _FLAT_FROM or stack.numel() == 0:
        return [0.0] * len(stack)
    distance = (stack - 0.5 if activation == "sigmoid" else stack).abs()
    edge = _FLAT_FROM[activation]
    flat = distance >= edge if activation == "hardtanh" else distance > edge
    return [count / stack[0].numel() for count in flat.reshape(len(stack), -1).sum(1).tolist()]


_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers of as many bytes."""


def _pieces(value: torch.Tensor) -> Iterator[torch.Tensor]:
    """The elements in float64, a piece at a time; a complex number is taken by its absolute value."""
    for piece in torch.split(_in_memory_order(value.detach().unsqueeze(0)).reshape(-1), PIECE):
        yield _wide(piece)


def _wide(piece: torch.Tensor) -> torch.Tensor:
    return (piece.abs() if piece.is_complex() else piece).double()


def _in_memory_order(found: torch.Tensor) -> torch.Tensor:
    """The same elements in the order in which they lie in memory, so that none is copied; the first axis stays."""
    if found.ndim > 1 and not found.is_contiguous() and not found.is_complex():
        strides = found.stride()
        return found.permute(0, *sorted(range(1, found.ndim), key=lambda axis: -strides[axis]))
    return found


def _by_unit(value: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Reorder to (unit, everything else)."""
    detached = value.detach()
    return detached.movedim(unit_axis, 0).flatten(1) if detached.ndim > 1 else detached.reshape(-1, 1)
