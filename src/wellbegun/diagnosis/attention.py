"""How sharply attentions look, measured on a sample of their rows."""

from __future__ import annotations

import math
from typing import Any

import torch

INPUTS, HEADS, ROWS = 2, 8, 64
"""A sample of that many inputs, heads and rows of each: entropies of alike rows differ little."""

_MASKED = -9e3
"""A score this far below the largest of its row is a mask: models take -10,000, -1e9, the smallest number, -inf."""


def of_products(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, float, float]:
    """Return spread of scores, relative entropy and number of places of a scaled dot-product attention.

    Args: those of `torch.nn.functional.scaled_dot_product_attention`.
    """
    named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | kwargs
    query, key, mask = named["query"].detach(), named["key"].detach(), named.get("attn_mask")
    scale = named.get("scale") or 1 / math.sqrt(query.shape[-1])
    while query.ndim < 4:
        query, key = query.unsqueeze(0), key.unsqueeze(0)
    rows = torch.arange(0, query.shape[-2], max(1, query.shape[-2] // ROWS), device=query.device)[:ROWS]
    groups = max(1, query.shape[-3] // key.shape[-3])
    heads = torch.arange(0, query.shape[-3], device=query.device)[:HEADS]
    few = query[:INPUTS][..., heads, :, :][..., rows, :].double()
    all_keys = key[:INPUTS][..., heads // groups, :, :].double()
    scores = few @ all_keys.mT * scale
    if named.get("is_causal"):
        places = torch.arange(scores.shape[-1], device=scores.device)
        scores = scores.masked_fill(places > rows[:, None], -math.inf)
    elif mask is not None:
        wide = mask.detach().expand(*query.shape[:-1], key.shape[-2])[:INPUTS][..., heads, :, :][..., rows, :]
        scores = scores.masked_fill(~wide, -math.inf) if wide.dtype == torch.bool else scores + wide
    return _of_scores(scores)


def of_scores(scores: torch.Tensor, axis: int) -> tuple[float, float, float]:
    """Return the same for scores that a softmax takes along an axis."""
    rows = scores.detach().movedim(axis, -1)[:INPUTS].flatten(0, -2)
    return _of_scores(rows[:: max(1, len(rows) // (INPUTS * HEADS * ROWS))].double())


def _of_scores(scores: torch.Tensor) -> tuple[float, float, float]:
    rows = scores.flatten(0, -2)
    allowed = rows > rows.amax(1, keepdim=True) + _MASKED
    places = allowed.sum(1)
    chosen = places > 1
    if not bool(chosen.any()) or bool(torch.isnan(rows).any()):
        return math.nan, math.nan, math.nan
    rows, allowed, places = rows[chosen], allowed[chosen], places[chosen].double()
    inside = torch.where(allowed, rows, 0.0)
    middle = inside.sum(1, keepdim=True) / places[:, None]
    spread = torch.where(allowed, (inside - middle).square(), 0.0).sum(1) / places
    logs = torch.log_softmax(rows.masked_fill(~allowed, -math.inf), 1)
    entropy = -torch.where(allowed, logs.exp() * logs, 0.0).nan_to_num().sum(1) / places.log()
    return float(spread.sqrt().mean()), float(entropy.mean()), float(places.mean())
