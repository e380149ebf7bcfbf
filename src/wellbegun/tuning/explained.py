"""The directions in which the inputs of adapted layers vary most, from one forward pass: EVA's step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Stored
from wellbegun.plans import Plan
from wellbegun.tuning.batch import read_batch
from wellbegun.tuning.lora import Adapter
from wellbegun.tuning.running import forward, on_values
from wellbegun.tuning.values import by_every_name, planned_values

_CLOSE = 1e-10
"""Share of the largest explained variance below which a direction was not in the batch."""


def explained_directions(
    model: torch.nn.Module, plan: Plan, adapters: Sequence[Adapter], batch: Any
) -> dict[str, tuple[Stored, float]]:
    """Return A for each adapter by its layer and name, and the share of the inputs' second moment that it holds.

    Args:
        model: gives the forward pass; it is as before afterwards.
        plan: in which the adapters add nothing.
        adapters: of linear layers.
        batch: real inputs.

    Raises:
        ArgumentError: an adapter is no matrix, its layer was not reached, or the batch has fewer directions than its
            rank.
    """
    read = read_batch(batch)
    seen: dict[str, torch.Tensor] = {}

    def watch(layer: str) -> Any:
        def see(_: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).double()
            seen[layer] = seen.get(layer, torch.zeros((), dtype=torch.float64)) + (rows.T @ rows).cpu()

        return see

    for one in adapters:
        if one.down.ndim != 2:
            raise ArgumentError(f"{one.layer}: eva is for linear layers, this adapter has shape {list(one.down.shape)}")
    values = planned_values(plan, model)
    modules = dict(model.named_modules())
    with on_values(model, by_every_name(plan, values, model), plan.seed), torch.no_grad():
        handles = [
            modules[layer].register_forward_pre_hook(watch(layer))
            for layer in dict.fromkeys(one.layer for one in adapters)
        ]
        try:
            forward(model, read)
        finally:
            for handle in handles:
                handle.remove()
    return {_key(one): _directions(one, seen.get(one.layer)) for one in adapters}


def _key(one: Adapter) -> str:
    return f"{one.layer}/{one.key}"


def _directions(one: Adapter, gram: torch.Tensor | None) -> tuple[Stored, float]:
    if gram is None:
        raise ArgumentError(f"{one.layer}: the batch did not reach it, so its inputs are not known")
    values, vectors = np.linalg.eigh(gram.numpy())
    order = np.argsort(values)[::-1][: one.rank]
    if len(order) < one.rank or values[order[-1]] <= _CLOSE * values[order[0]]:
        met = int((values > _CLOSE * values.max()).sum())
        raise ArgumentError(
            f"{one.layer}: the inputs of the batch have {met} directions, and the adapter's rank is {one.rank}; take a "
            "larger batch"
        )
    rows: NDArray[np.float64] = vectors[:, order].T
    rows = rows * np.sign(rows[np.arange(one.rank), np.abs(rows).argmax(1)])[:, None]  # a vector's sign is free
    dtype = "float64" if one.down.dtype == torch.float64 else "float32"
    return Stored(np.ascontiguousarray(rows), dtype), float(values[order].sum() / values.sum())
