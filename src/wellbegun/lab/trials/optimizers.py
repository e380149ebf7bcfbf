"""SGD with momentum and Adam for many copies at once, each with a learning rate of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8

Tensors = dict[str, torch.Tensor]
Factors = Mapping[str, float]


class SideBySide:
    """One optimizer over stacked copies: the first dimension of every tensor counts the copies.

    The steps are those of torch.optim.SGD(momentum=0.9) and torch.optim.Adam, which the tests hold it to.

    Args:
        optimizer: "sgd" or "adam".
        weights: stacked parameters; they are changed in place.
        rates: learning rate of each copy.
        factors: for each copy, the factor on the learning rate by the parameter's name; 1 where it is not named.
    """

    def __init__(self, optimizer: str, weights: Tensors, rates: Sequence[float], factors: Sequence[Factors]) -> None:
        self.weights = weights
        self.rates = {
            name: torch.tensor(
                [rate * own.get(name, 1.0) for rate, own in zip(rates, factors, strict=True)], dtype=torch.float32
            )
            for name in weights
        }
        self.first = {name: torch.zeros_like(value) for name, value in weights.items()}
        self.second = {name: torch.zeros_like(value) for name, value in weights.items()} if optimizer == "adam" else {}
        self.steps = 0

    def keep(self, chosen: torch.Tensor) -> None:
        """Go on with some of the copies.

        Args:
            chosen: for each copy, whether it stays.
        """
        for tensors in (self.weights, self.rates, self.first, self.second):
            for name, value in tensors.items():
                tensors[name] = value[chosen]

    def step(self, gradients: Tensors) -> None:
        """Take one step."""
        self.steps += 1
        for name, value in self.weights.items():
            rate = self.rates[name].view(-1, *[1] * (value.ndim - 1))
            if not self.second:
                first = self.first[name]
                torch.add(gradients[name], first, alpha=MOMENTUM, out=first)  # two passes over memory and not four
                value.addcmul_(first, rate, value=-1)
                continue
            first = self.first[name].lerp_(gradients[name], 1 - BETAS[0])
            second = self.second[name].mul_(BETAS[1]).addcmul_(gradients[name], gradients[name], value=1 - BETAS[1])
            scale = second.sqrt().div_((1 - BETAS[1] ** self.steps) ** 0.5).add_(EPSILON)
            value.sub_((first / scale).mul_(rate / (1 - BETAS[0] ** self.steps)))


def torch_optimizer(optimizer: str, model: torch.nn.Module, rate: float, factors: Factors) -> torch.optim.Optimizer:
    """Return PyTorch's own optimizer for one network, a group for each factor on the learning rate."""
    by_factor: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_factor.setdefault(factors.get(name, 1.0), []).append(parameter)
    groups = [{"params": members, "lr": rate * factor} for factor, members in by_factor.items()]
    if optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=BETAS, eps=EPSILON)
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM)
