"""Numbers about one tensor, summed in float64 whatever its type."""

from __future__ import annotations

import math

import numpy as np
import torch

_FLAT_BELOW = 0.1
"""A bounded activation counts as flat where its slope is below this share of its largest slope."""

_UNIT_VALUES, _UNITS = 256, 8192
"""Twin units are sought among this many values a unit and this many units: equal bits need no more."""


def second_moment(value: torch.Tensor) -> float:
    """Mean of the squares."""
    if value.numel() == 0:
        return math.nan
    return float(torch.linalg.vector_norm(value.detach(), dtype=torch.float64)) ** 2 / value.numel()


def mean(value: torch.Tensor) -> float:
    """Mean of the values."""
    return float(value.detach().mean(dtype=torch.float64)) if value.numel() else math.nan


def is_finite(value: torch.Tensor) -> bool:
    """Whether every value is finite."""
    return bool(torch.isfinite(value.detach()).all())


def mean_cosine(value: torch.Tensor) -> float:
    """Mean cosine between the rows of different inputs; nan if fewer than two of them are not zero."""
    rows = value.detach().flatten(1).double() if value.ndim > 1 else value.detach().reshape(-1, 1).double()
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows = (rows / norms)[(norms[:, 0] > 0) & torch.isfinite(norms[:, 0])]
    count = len(rows)
    if count < 2:
        return math.nan
    total = float(torch.linalg.vector_norm(rows.sum(0))) ** 2
    return (total - count) / (count * (count - 1))


def dead_share(value: torch.Tensor, unit_axis: int) -> float:
    """Share of units that are zero for every input."""
    units = _by_unit(value, unit_axis)
    return float((units == 0).all(dim=1).double().mean())


def twin_share(value: torch.Tensor, unit_axis: int, *, moving: bool = False) -> float:
    """Share of units that equal another unit, bit for bit, on every input; of those that are not zero, if `moving`."""
    units = _by_unit(value, unit_axis)[:_UNITS, :_UNIT_VALUES].float().cpu().numpy()
    if moving:
        units = units[units.any(axis=1)]
    if len(units) < 2:
        return 0.0
    _, counts = np.unique(units, axis=0, return_counts=True)
    return float(counts[counts > 1].sum() / len(units))


def flat_share(activation: str, value: torch.Tensor) -> float:
    """Share of values behind a bounded activation where it is flat; 0 for any other activation."""
    y = value.detach().double()
    slopes = {
        "tanh": lambda: 1 - y * y,
        "sigmoid": lambda: 4 * y * (1 - y),
        "hardtanh": lambda: (y.abs() < 1).double(),
        "softsign": lambda: (1 - y.abs()) ** 2,
        "erf": lambda: torch.exp(-(torch.erfinv(y.clamp(-1, 1)) ** 2)),
        "atan": lambda: torch.cos(y) ** 2,
    }
    if activation not in slopes or y.numel() == 0:
        return 0.0
    return float((slopes[activation]() < _FLAT_BELOW).double().mean())


def _by_unit(value: torch.Tensor, unit_axis: int) -> torch.Tensor:
    """Reorder to (unit, everything else)."""
    detached = value.detach()
    return detached.movedim(unit_axis, 0).flatten(1) if detached.ndim > 1 else detached.reshape(-1, 1)
