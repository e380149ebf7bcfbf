"""Networks of the evidence for `auto` that the lab does not have: some with the init that their authors published."""

from __future__ import annotations

import math

import torch

from wellbegun.lab.network import PlainMLP
from wellbegun.lab.networks.siren import Siren
from wellbegun.lab.networks.transformer import CharacterGPT, VisionTransformer
from wellbegun.lab.task import Task


def logish(x: torch.Tensor) -> torch.Tensor:
    """x · ln(1 + sigmoid(x)), Zhu, Wang and Yuan (2021): a function that wellbegun does not know by name."""
    return x * torch.log1p(torch.sigmoid(x))


class _GPT(CharacterGPT):
    """With GPT-2's own init: std 0.02, less for what writes into the residual stream, biases 0."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, depth=4, width=32, activation="gelu", heads=2)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                writes = name.endswith(("attention.output.weight", "narrow.weight"))
                torch.nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(8) if writes else 0.02)
            elif name.endswith("bias"):
                torch.nn.init.zeros_(parameter)


class _ViT(VisionTransformer):
    """With the init of timm's ViT: truncated normal of std 0.02, biases 0, places normal of std 0.02."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, depth=3, width=32, activation="gelu", heads=2)
        for layer in self.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.trunc_normal_(layer.weight, std=0.02)
                torch.nn.init.zeros_(layer.bias)
        torch.nn.init.normal_(self.place.weight, std=0.02)


class _Siren(Siren):
    """With the init of Sitzmann et al. (2020), section 3.2: ±1/n in the first layer, then ±sqrt(6/n)/omega."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, depth=4, width=64, activation="sine", omega=30.0)
        for layer in [*self.hidden, self.output]:
            n = layer.in_features
            reach = 1 / n if layer is self.hidden[0] else math.sqrt(6 / n) / self.omega
            torch.nn.init.uniform_(layer.weight, -reach, reach)


def gpt(task: Task) -> torch.nn.Module:
    """Four blocks of width 32 with two heads."""
    return _GPT(task)


def vit(task: Task) -> torch.nn.Module:
    """Three blocks of width 32 with two heads."""
    return _ViT(task)


def siren(task: Task) -> torch.nn.Module:
    """Four layers of 64 sines, omega 30."""
    return _Siren(task)


def unseen(task: Task) -> torch.nn.Module:
    """Ten layers of 64 units with an activation that has no name here."""
    model = PlainMLP(task.inputs, task.outputs, depth=10, width=64, activation="tanh")
    model.activation = logish
    return model
