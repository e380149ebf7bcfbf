"""wb.plan_new_tokens: rows for tokens that a vocabulary gets later, from the mean and covariance of the old rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module
from wellbegun.laws import Keep, Patched, Stored
from wellbegun.plans import Entry, Plan
from wellbegun.sampler import Draw, Stream, write
from wellbegun.tuning.batch import check_number

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

SOURCE = "Hewitt (2021), Initializing New Word Embeddings for Pretrained Language Models"
SPREAD = math.sqrt(1e-5)
"""Of new rows about the mean: Hewitt draws with 1e-5 times the covariance."""
_CHUNK = 1 << 14


def plan_new_tokens(
    model: torch.nn.Module, old: int, *, seed: int, tables: Iterable[str] | None = None, spread: float = SPREAD
) -> Plan:
    """Plan the rows of new tokens in the tables of a loaded model; nothing else is written.

    >>> import torch, wellbegun as wb
    >>> class Model(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.embed, self.head = torch.nn.Embedding(103, 8), torch.nn.Linear(8, 103)
    >>> model = Model()  # 100 tokens were trained, 3 rows are new
    >>> plan = wb.plan_new_tokens(model, old=100, seed=7)
    >>> done = wb.apply(plan, model)
    >>> done.elements, torch.allclose(model.embed.weight[100], model.embed.weight[:100].mean(0), atol=0.05)
    (51, True)

    Need: trained weights, adapters and new parts
    Formula: row = mu + spread·X'z / sqrt(n), with the n old rows as X about their mean mu, and z of n normal numbers: a
        draw from N(mu, spread²·Sigma) that needs neither the covariance Sigma nor a decomposition of it, and exists
        where Sigma is singular. A bias gets the mean of the old ones.
    Use it for: tokens that are added to a trained language model. The old logits stay as they are, and each new one is
        near the mean of the old, so that k new tokens together take about k/n of the probability at most.
    Not for: a sharded model (an error that says so): plan before sharding, the plan is then applied to parts as any
        other. Tables without trained rows. A tensor that is both table and head is one tensor and is written once.
    Args:
        model: with its weights loaded and its tables already longer (`resize_token_embeddings` of transformers).
        old: how many rows were there before; all rows behind them are new, rows that only fill up included.
        seed: with the table's name it decides the random numbers.
        tables: names of the tables, heads and biases of heads. Left out: what the model gives as its input and output
            embeddings, or its one nn.Embedding and the linear layers with as many outputs.
        spread: standard deviation about the mean, as a share of that of the old rows in each direction; 0 for the
            mean alone.
    Source: Hewitt (2021), "Initializing New Word Embeddings for Pretrained Language Models": the mean bounds the change
        of the distribution; spread² = 1e-5 is that of his code. transformers' mean_resizing draws with 1e-9.

    Raises:
        ArgumentError: the tables are not clear, have no new rows, are on meta, sharded or quantised, or hold numbers
            that are not finite.
    """
    model = check_module(model, "planning new tokens")
    check_number("old", old, 1, whole=True)
    check_number("spread", spread, 0, most=1e6)
    from wellbegun.tuning.loaded import kept_plan, tensors_of

    held = tensors_of(model)
    if tables is not None and (not isinstance(tables, Iterable) or not tables):
        raise ArgumentError(f"tables must be names of tensors, such as ['embed.weight'], or left out; got {tables!r}")
    names = _tables(model) if tables is None else ([tables] if isinstance(tables, str) else list(tables))
    plan = kept_plan(model, seed, "new tokens")
    for name in names:
        if name not in plan:
            raise ArgumentError(
                f"the model has no tensor {name!r}; tables are named by their tensors, as 'embed.weight'"
            )
    chosen = {plan[name].name for name in names}
    entries = [_entry(plan, entry, held[entry.name], old, spread) if entry.name in chosen else entry for entry in plan]
    return replace(plan, entries=tuple(entries))


def _tables(model: torch.nn.Module) -> list[str]:
    """Tables, heads and their biases, as far as the model makes them clear."""
    import torch

    from wellbegun.tuning.loaded import names_of

    names = names_of(model)
    ends: list[Any] = [getattr(model, f"get_{side}_embeddings", lambda: None)() for side in ("input", "output")]
    if ends[0] is None:
        ends = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
        if len(ends) != 1:
            raise ArgumentError(
                f"the model has {len(ends)} tables of type nn.Embedding, so it is not clear which one holds tokens; "
                "name it and the head: tables=['embed.weight', 'head.weight', 'head.bias']"
            )
        size = ends[0].num_embeddings
        ends += [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == size]
    parts = [getattr(end, key, None) for end in ends for key in ("weight", "bias")]
    return list(
        dict.fromkeys(names[id(part)] for part in parts if isinstance(part, torch.Tensor) and id(part) in names)
    )


def _entry(plan: Plan, entry: Entry, tensor: torch.Tensor, old: int, spread: float) -> Entry:
    from wellbegun.tuning.loaded import check_numbers

    check_numbers(tensor, entry.name, "drawing new rows")
    if not entry.shape or entry.shape[0] <= old:
        raise ArgumentError(
            f"{entry.name} has shape {list(entry.shape)}: there is no row behind the first {old}; make the table "
            "longer first (model.resize_token_embeddings(size, mean_resizing=False) in transformers)"
        )
    new = entry.shape[0] - old
    rows = _rows(
        tensor.detach()[:old].reshape(old, -1), new, plan.seed, entry.stream, spread if tensor.ndim > 1 else 0.0
    )
    if not np.isfinite(rows).all():
        raise ArgumentError(f"{entry.name}: its first {old} rows hold numbers that are not finite")
    dtype = "float64" if entry.dtype == "float64" else "float32"
    law = Patched(Keep(), (((((old, entry.shape[0]),), Stored(rows.reshape(new, *entry.shape[1:]), dtype))),))
    where = "the mean" if tensor.ndim < 2 or not spread else f"N(mean, {spread**2:.3g}·covariance)"
    reason = f"rows {old} to {entry.shape[0] - 1} are new: from {where} of the {old} old ones, which stay as they are"
    return replace(entry, law=law, initializer=repr(law), role="table of tokens", reason=reason, source=SOURCE)


def _rows(table: torch.Tensor, new: int, seed: int, name: str, spread: float) -> NDArray[np.float64]:
    """Draw rows from the mean and the covariance of a table's rows, a part of the table at a time."""
    import torch

    old, width = table.shape
    z = np.zeros((new, old), np.float32)
    if spread:
        write(z.reshape(-1), Draw.normal(0.0, 1.0), Stream.of(seed, f"{name}/new rows"), 0)
    weights = torch.from_numpy(z)
    total = torch.zeros(width, dtype=torch.float64)
    mixed = torch.zeros(new, width, dtype=torch.float64)
    for first in range(0, old, _CHUNK):
        part = table[first : first + _CHUNK].to("cpu", torch.float64 if table.dtype == torch.float64 else torch.float32)
        total += part.sum(0, dtype=torch.float64)
        if spread:
            mixed += weights[:, first : first + _CHUNK].to(part.dtype) @ part
    mean = total / old
    about = mixed - weights.sum(1, dtype=torch.float64)[:, None] * mean
    made: NDArray[np.float64] = (mean + spread / math.sqrt(old) * about).numpy()
    return made
