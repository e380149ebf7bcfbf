"""The number that a diagnosis derives gradients of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    import torch

    from wellbegun.diagnosis.batches import Batch

IGNORED = -100
"""A class target that torch's cross-entropy leaves out."""


@dataclass(frozen=True)
class Value:
    """The loss, and what is known of it.

    Attributes:
        loss: one number.
        classes: how many, if it is the mean cross-entropy of the output.
        prior: entropy of the targets' frequencies, where there are ten and more of them for each class; nan otherwise.
        logits: second moment of the output about the mean of each row, where it is known to be logits; nan otherwise.
        frequencies: how often each class occurs among the targets; None without classes.
    """

    loss: torch.Tensor
    classes: int | None = None
    prior: float = math.nan
    logits: float = math.nan
    frequencies: torch.Tensor | None = None


def loss_of(output: Any, batch: Batch, loss: Callable[[Any, Any], torch.Tensor] | None) -> Value:
    """Return the loss and, for class targets with the default loss, the number of classes.

    Args:
        output: what the model returned.
        batch: its targets are whole numbers, other numbers, or None.
        loss: takes (output, targets); None for the default one.

    Raises:
        ArgumentError: output and targets do not fit each other, or the loss is no single number.
    """
    import torch

    targets, classes, frequencies = batch.targets, None, None
    named = getattr(output, "logits", None)
    own = getattr(output, "loss", None)
    logits = _about_rows(named) if isinstance(named, torch.Tensor) and named.ndim > 1 else math.nan
    if loss is not None:
        value = loss(output, targets)
    elif targets is None and isinstance(own, torch.Tensor) and own.numel() == 1:
        value = own
    else:
        if targets is None:
            value = _along_a_direction(output)
        else:
            made = _main(output)
            if targets.is_floating_point():
                value = _mean_square(made, targets)
            else:
                value, classes = _cross_entropy(made, targets)
                frequencies = torch.bincount(targets[targets != IGNORED].flatten().long(), minlength=classes)
                logits = _about_rows(made.movedim(1, -1) if made.shape[-1] != classes else made)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ArgumentError("the loss must be a tensor of one element")
    return Value(value, classes, math.nan if frequencies is None else prior_of(frequencies), logits, frequencies)


def prior_of(frequencies: torch.Tensor) -> float:
    """Entropy of classes that occur so often, in nats; nan with fewer than ten targets for each class."""
    import torch

    count = int(frequencies.sum())
    if count < 10 * len(frequencies):
        return math.nan
    shares = frequencies.double() / count
    return float(-torch.xlogy(shares, shares).sum())


def _main(output: Any) -> torch.Tensor:
    """The first tensor of what a model returns, or its logits."""
    import torch

    output = output[0] if isinstance(output, (tuple, list)) else getattr(output, "logits", output)
    if not isinstance(output, torch.Tensor):
        raise ArgumentError(f"the model returns a {type(output).__name__}; pass loss=... to reduce it to a number")
    return output


def _along_a_direction(output: Any) -> torch.Tensor:
    """The mean of all that a model returns, along a fixed direction, so that a zero output still has a gradient.

    The direction is on the scale of the output: a mean over many elements has small gradients, and no more than that.
    """
    import torch
    from torch.utils._pytree import tree_leaves

    held = getattr(output, "logits", None)
    leaves = tree_leaves(dict(output) if isinstance(output, dict) else output) if held is None else [held]
    found = [x for x in leaves if isinstance(x, torch.Tensor) and x.is_floating_point() and x.requires_grad]
    found = found or [x for x in leaves if isinstance(x, torch.Tensor) and x.is_floating_point() and x.numel()]
    if not found:
        raise ArgumentError(f"the model returns a {type(output).__name__}; pass loss=... to reduce it to a number")
    made = torch.Generator().manual_seed(0)
    signs = [torch.randint(2, leaf.shape, generator=made) * 2 - 1 for leaf in found]
    return torch.stack([(leaf * sign.to(leaf)).mean().float() for leaf, sign in zip(found, signs, strict=True)]).sum()


def _about_rows(logits: torch.Tensor) -> float:
    from wellbegun.diagnosis import measure

    found = logits.detach()
    return measure.second_moment(found - found.mean(-1, keepdim=True)) if found.shape[-1] > 1 else math.nan


def _mean_square(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    import torch

    if output.shape != targets.shape:
        raise ArgumentError(
            f"the output has shape {_shape(output)} and the targets {_shape(targets)}; the mean square needs equal "
            "shapes: reshape the targets, or pass loss=..."
        )
    return torch.nn.functional.mse_loss(output, targets)


def _cross_entropy(output: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, int]:
    import torch

    if targets.dtype == torch.bool or targets.is_complex():
        raise ArgumentError(f"targets of type {targets.dtype} have no default loss; pass loss=..., or class numbers")
    if output.ndim > 2 and targets.shape == output.shape[:1] + output.shape[2:] != output.shape[:-1]:
        output = output.movedim(1, -1)  # images: the classes lie on axis 1
    classes = output.shape[-1] if output.ndim > 1 else 0
    if classes < 1 or targets.numel() * classes != output.numel():
        raise ArgumentError(
            f"the output has shape {_shape(output)} and the class targets {_shape(targets)}; "
            "the output needs one number for each class and target: mend one of them, or pass loss=..."
        )
    wrong = targets[((targets < 0) | (targets >= classes)) & (targets != IGNORED)]
    if wrong.numel():
        raise ArgumentError(
            f"the model's output has {classes} classes (0 to {classes - 1}), and the targets hold {int(wrong[0])}; "
            "mend the targets or the output layer"
        )
    value = torch.nn.functional.cross_entropy(output.flatten(0, -2), targets.flatten().long(), ignore_index=IGNORED)
    return value, classes


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))
