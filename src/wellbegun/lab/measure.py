"""How each kind of task is trained and scored: a loss to descend, and a number for each item of a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wellbegun.lab.task import PEAK, Kind


@dataclass(frozen=True)
class Measure:
    """What a network's outputs are worth on one kind of task.

    Attributes:
        loss: (outputs, targets) to the mean loss of a batch, which training descends.
        items: (outputs, targets) to one number for each item, which a bootstrap may draw from. Items whose outputs
            are not finite get the worst number there is.
        total: from the numbers of all items to the score.
    """

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    items: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    total: Callable[[NDArray[np.float64]], float]


def measure_of(kind: Kind) -> Measure:
    """Return how a kind of task is trained and scored.

    >>> outputs, targets = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    >>> measure = measure_of("classes")
    >>> measure.items(outputs, targets), measure.total(measure.items(outputs, targets).double().numpy())
    (tensor([1., 0.]), 0.5)
    """
    return {
        "classes": Measure(functional.cross_entropy, _right, _mean),
        "tokens": Measure(_token_loss, _nats, _mean),
        "mask": Measure(functional.binary_cross_entropy_with_logits, _dice, _mean),
        "field": Measure(functional.mse_loss, _squared_error, _psnr),
    }[kind]


def _mean(items: NDArray[np.float64]) -> float:
    return float(items.mean())


def _right(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    right = (outputs.argmax(-1) == targets) & torch.isfinite(outputs).all(-1)
    return right.to(torch.float32)


def _token_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def _nats(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the places of each row."""
    losses = functional.cross_entropy(outputs.transpose(1, 2), targets, reduction="none").mean(1)
    return torch.where(torch.isfinite(losses), losses, torch.inf)


def _dice(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """2 |A and B| / (|A| + |B|) of the pixels with a positive logit; 1 where both are empty."""
    marked = ((outputs > 0) & torch.isfinite(outputs)).to(torch.float32).flatten(1)
    truth = targets.flatten(1)
    sizes = marked.sum(1) + truth.sum(1)
    return torch.where(sizes > 0, 2 * (marked * truth).sum(1) / sizes.clamp(min=1), 1.0)


def _squared_error(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    errors = (outputs - targets).square().mean(-1)
    return torch.where(torch.isfinite(errors), errors, torch.inf)


def _psnr(items: NDArray[np.float64]) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak² / mean squared error), in dB; 100 where the fit is exact."""
    error = max(float(items.mean()), PEAK**2 * 1e-10)
    return float(10 * np.log10(PEAK**2 / error))
