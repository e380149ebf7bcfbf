"""The door to PyTorch: one place that says what to install when it is missing."""

from __future__ import annotations

import importlib.util

from wellbegun.errors import ArgumentError, MissingExtraError


def require_torch(purpose: str) -> None:
    """Raise MissingExtraError unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("PyTorch", "torch", purpose)


def check_module(model: object, purpose: str) -> None:
    """Raise unless PyTorch is installed and the model is a torch.nn.Module."""
    require_torch(purpose)
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(f"{purpose} needs a torch.nn.Module, got {type(model).__name__}")
