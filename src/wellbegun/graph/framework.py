"""The door to PyTorch: one place that says what to install when it is missing."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, MissingExtraError
from wellbegun.graph.names import unwrap

if TYPE_CHECKING:
    import torch


def require_torch(purpose: str) -> None:
    """Raise MissingExtraError unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("PyTorch", "torch", purpose)


def check_module(model: object, purpose: str) -> torch.nn.Module:
    """Return the model without the wrappers around it (torch.compile, data parallelism, ...), which change names.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ArgumentError: not a torch.nn.Module, or one whose layers do not know their shapes yet.
    """
    require_torch(purpose)
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(f"{purpose} needs a torch.nn.Module, got {type(model).__name__}")
    model = unwrap(model)
    tables: list[dict[str, Any]] = [t for module in model.modules() for t in (module._parameters, module._buffers)]
    if any(torch.nn.parameter.is_lazy(tensor) for table in tables for tensor in table.values()):
        tensors = [*model.named_parameters(), *model.named_buffers()]
        lazy = [name for name, tensor in tensors if torch.nn.parameter.is_lazy(tensor)]
        raise ArgumentError(
            f"{purpose} needs shapes, and {', '.join(lazy)} has none yet; run the model on a batch once"
        )
    return model


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Give the global random states of Python, NumPy and torch (CPU) back as they were."""
    import numpy as np
    import torch

    python, legacy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
