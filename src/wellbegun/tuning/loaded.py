"""Models whose weights were loaded: a plan that leaves every tensor as it is, and the numbers that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.graph.names import canonical_names
from wellbegun.graph.variable import collect_variables
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.targets.parts import is_dtensor, is_partitioned

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""Types of weights that can be computed with."""


def kept_plan(model: torch.nn.Module, seed: int, recipe: str) -> Plan:
    """Return a plan in which every tensor of the model keeps its own value."""
    entries = tuple(
        Entry(
            name=variable.name,
            kind=variable.kind,
            shape=variable.shape,
            dtype=variable.dtype,
            role="loaded",
            initializer=repr(Keep()),
            law=Keep(),
            reason="it was there before: it keeps its own value",
            ties=variable.ties,
            persistent=variable.persistent,
        )
        for variable in collect_variables(model)
    )
    return Plan(entries, seed, recipe)


def names_of(model: torch.nn.Module) -> dict[int, str]:
    """Return {identity of a parameter: its canonical name}, the first of a tied one."""
    canonical = canonical_names(model)
    named: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        named.setdefault(id(parameter), canonical[name])
    return named


def numbers_of(tensor: torch.Tensor, name: str, purpose: str) -> torch.Tensor:
    """Return a loaded weight on the CPU, in float32, or in float64 if it is.

    Raises:
        ArgumentError: it is on meta, on several processes, or quantised.
    """
    if tensor.is_meta:
        raise ArgumentError(f"{name}: {purpose} needs its numbers, and it is on meta; load the checkpoint first")
    if is_dtensor(tensor) or is_partitioned(tensor):
        raise ArgumentError(
            f"{name}: {purpose} needs the whole tensor, and this process holds a part; make the plan before sharding, "
            "save it, and apply it to the sharded model"
        )
    if tensor.dtype not in FLOATS:
        raise ArgumentError(
            f"{name}: {purpose} needs floating-point numbers, and it holds {str(tensor.dtype).removeprefix('torch.')}; "
            "make the plan before quantising"
        )
    return tensor.detach().to("cpu", torch.float64 if tensor.dtype == torch.float64 else torch.float32)


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor of float32 or float64 as the array that a stored law takes."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy())
