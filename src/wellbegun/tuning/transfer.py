"""Numbers of another, trained model as laws of a plan: what weight selection and upcycling share."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Stored
from wellbegun.plans import Entry, Plan
from wellbegun.tuning.notes import measured_law

if TYPE_CHECKING:
    import torch


def state_of(model: Any, purpose: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a trained model, or of its state, by name.

    Raises:
        ArgumentError: neither a model nor a dictionary of tensors.
    """
    import torch

    if isinstance(model, torch.nn.Module):
        from wellbegun.tuning.loaded import tensors_of

        return tensors_of(model)
    if isinstance(model, Mapping) and model and all(isinstance(t, torch.Tensor) for t in model.values()):
        return {str(name): tensor for name, tensor in model.items()}
    raise ArgumentError(f"{purpose} takes a trained model or its state dict, got {type(model).__name__}")


def in_state(state: Mapping[str, torch.Tensor], entry: Entry) -> str:
    """The name under which a state has an entry's tensor, "" if it has it under none of the entry's names."""
    return next((name for name in (entry.name, *entry.ties) if name in state), "")


def array_from(tensor: torch.Tensor, name: str, purpose: str) -> NDArray[Any]:
    """Return a trained tensor's numbers, in float32, or in float64 if it is.

    Raises:
        ArgumentError: it is on meta, on several processes, or quantised.
    """
    from wellbegun.tuning.loaded import array_of, numbers_of

    return array_of(numbers_of(tensor, name, purpose))


def is_float(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds numbers that are learnt or measured, and no indices, flags or counts."""
    return bool(tensor.is_floating_point())


def with_numbers(entry: Entry, numbers: NDArray[Any], reason: str, source: str) -> Entry:
    """Return the entry with stored numbers and a reason of its own."""
    law = Stored(np.ascontiguousarray(numbers), "float64" if entry.dtype == "float64" else "float32")
    return measured_law(entry, law, reason, source)


def is_named(entry: Entry, patterns: str | Iterable[str]) -> bool:
    """Whether one of the patterns, those of shells, matches one of an entry's names."""
    listed = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return any(fnmatch.fnmatchcase(name, pattern) for name in (entry.name, *entry.ties) for pattern in listed)


def some_names(plan: Plan) -> str:
    """The first names of a plan, for an error."""
    names = [entry.name for entry in plan]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
