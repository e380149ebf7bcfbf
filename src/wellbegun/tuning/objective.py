"""The loss that a step of tuning derives gradients of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from wellbegun.errors import ArgumentError
from wellbegun.tuning.batch import Batch

Loss = Callable[[Any, Any], torch.Tensor]


def loss_of(output: Any, batch: Batch, loss: Loss | None) -> torch.Tensor:
    """Return one number: by the user's function, the model's own `loss`, cross-entropy, or the mean square.

    Args:
        output: what the model returned.
        batch: whose targets are whole numbers (classes) or others (values).
        loss: takes (output, targets); None for what the targets suggest.

    Raises:
        ArgumentError: there are no targets, or output and targets do not fit each other.
    """
    own = getattr(output, "loss", None)
    if loss is not None:
        value = loss(output, batch.targets)
    elif batch.targets is None and isinstance(own, torch.Tensor):
        value = own
    else:
        value = _by_targets(getattr(output, "logits", output), batch.targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.is_floating_point():
        raise ArgumentError(f"the loss must be a tensor of one number, got {value!r:.80}")
    return value.reshape(())


def _by_targets(output: Any, targets: torch.Tensor | None) -> torch.Tensor:
    if targets is None:
        raise ArgumentError(
            "the gradient needs a loss: pass batch=(inputs, targets), with `loss` if it is no standard one"
        )
    if not isinstance(output, torch.Tensor):
        raise ArgumentError(f"the model returns {type(output).__name__}: pass loss, a function of (output, targets)")
    if targets.is_floating_point():
        if output.shape != targets.shape:
            raise ArgumentError(f"the output has shape {list(output.shape)}, the targets {list(targets.shape)}")
        return F.mse_loss(output, targets.to(output.dtype))
    if output.shape[:-1] == targets.shape:
        return F.cross_entropy(output.flatten(0, -2), targets.long().flatten())
    if output.ndim == targets.ndim + 1 and (output.shape[0], *output.shape[2:]) == tuple(targets.shape):
        return F.cross_entropy(output, targets.long())
    raise ArgumentError(
        f"an output of shape {list(output.shape)} holds no logits for class targets of shape {list(targets.shape)}; "
        "pass loss, a function of (output, targets)"
    )
