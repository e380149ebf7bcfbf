"""What can be done to a tensor of a sound network. Each function returns one that plants the fault in a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Plant = Callable[[nn.Module], None]


def changed(change: Callable[[torch.Tensor], Any], *names: str) -> Plant:
    """Change tensors in place; a name that ends in a star stands for all that begin so and have two dimensions."""

    def plant(model: nn.Module) -> None:
        tensors = dict(model.named_parameters())
        with torch.no_grad():
            for name in names:
                chosen = (
                    [t for key, t in tensors.items() if key.startswith(name[:-1]) and t.ndim > 1]
                    if name.endswith("*")
                    else [tensors[name]]
                )
                assert chosen, name
                for tensor in chosen:
                    change(tensor)

    return plant


def scaled(factor: float, *names: str) -> Plant:
    return changed(lambda tensor: tensor.mul_(factor), *names)


def constant(value: float, *names: str) -> Plant:
    return changed(lambda tensor: tensor.fill_(value), *names)


def normal(std: float, *names: str) -> Plant:
    made = torch.Generator().manual_seed(3)
    return changed(lambda tensor: tensor.copy_(torch.randn(tensor.shape, generator=made) * std), *names)


def element(value: float, name: str) -> Plant:
    return changed(lambda tensor: tensor.view(-1)[5:6].fill_(value), name)


def copied(source: str, *names: str) -> Plant:
    """Let tensors hold what another one holds."""

    def plant(model: nn.Module) -> None:
        tensors = dict(model.named_parameters())
        with torch.no_grad():
            for name in names:
                tensors[name].copy_(tensors[source])

    return plant


def part(source: tuple[str, slice], target: tuple[str, slice]) -> Plant:
    """Let rows of one tensor hold those of another, or of its own."""

    def plant(model: nn.Module) -> None:
        tensors = dict(model.named_parameters())
        with torch.no_grad():
            tensors[target[0]][target[1]] = tensors[source[0]][source[1]].clone()

    return plant


def both(*plants: Plant) -> Plant:
    def plant(model: nn.Module) -> None:
        for one in plants:
            one(model)

    return plant


def attribute(name: str, value: Any) -> Plant:
    return lambda model: setattr(model, name, value)


def stored(dtype: torch.dtype, *prefixes: str) -> Plant:
    """Store parameters in another type."""

    def plant(model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if name.startswith(prefixes):
                parameter.data = parameter.data.to(dtype)

    return plant
