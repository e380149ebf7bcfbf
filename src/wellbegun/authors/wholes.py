"""Functions of torch.nn.init that are seen as a whole: their steps tell less than their name."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from wellbegun.authors.expression import Expression
from wellbegun.authors.operations import drawn
from wellbegun.laws import Dirac, Orthogonal, Sparse

Whole = tuple[torch.Tensor, Expression, Callable[..., Any], dict[str, Any]]
"""The tensor that is filled, what it holds, the function and its arguments."""


def find_whole(frame: FrameType | None) -> tuple[FrameType, Whole] | None:
    """Return the nearest call of such a function on the stack, and what it means."""
    file = torch.nn.init.__file__
    for _ in range(24):
        if frame is None:
            return None
        if frame.f_code.co_filename == file and frame.f_code.co_name in _MEANINGS:
            whole = _MEANINGS[frame.f_code.co_name](frame.f_locals)
            return None if whole is None else (frame, whole)
        frame = frame.f_back
    return None


def _truncated(given: dict[str, Any]) -> Whole:
    mean, std, a, b = (float(given[name]) for name in ("mean", "std", "a", "b"))
    if std == 0:
        expression = drawn("normal", mean, 0.0)
    else:
        expression = Expression("truncated", (mean, std, (a - mean) / std, (b - mean) / std), given["tensor"].numel())
    return given["tensor"], expression, torch.nn.init.trunc_normal_, {"mean": mean, "std": std, "a": a, "b": b}


def _orthogonal(given: dict[str, Any]) -> Whole | None:
    gain = float(given["gain"])
    if gain <= 0:
        return None
    return (
        given["tensor"],
        Expression("law", (Orthogonal(gain),), given["tensor"].numel()),
        torch.nn.init.orthogonal_,
        {"gain": gain},
    )


def _sparse(given: dict[str, Any]) -> Whole:
    share, std = float(given["sparsity"]), float(given["std"])
    expression = Expression("law", (Sparse(share, std),), given["tensor"].numel())
    return given["tensor"], expression, torch.nn.init.sparse_, {"sparsity": share, "std": std}


def _dirac(given: dict[str, Any]) -> Whole:
    groups = int(given["groups"])
    return (
        given["tensor"],
        Expression("law", (Dirac(groups),), given["tensor"].numel()),
        torch.nn.init.dirac_,
        {"groups": groups},
    )


_MEANINGS: dict[str, Callable[[dict[str, Any]], Whole | None]] = {
    "trunc_normal_": _truncated,
    "orthogonal_": _orthogonal,
    "sparse_": _sparse,
    "dirac_": _dirac,
}
