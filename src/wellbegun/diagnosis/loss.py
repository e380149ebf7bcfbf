"""The number that a diagnosis derives gradients of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""A class target that torch's cross-entropy leaves out."""


def loss_of(
    output: Any, targets: Any, loss: Callable[[Any, Any], torch.Tensor] | None
) -> tuple[torch.Tensor, int | None]:
    """Return the loss and, for class targets with the default loss, the number of classes.

    Args:
        output: what the model returned.
        targets: whole numbers, other numbers, or None.
        loss: takes (output, targets); None for the default one.

    Raises:
        ArgumentError: output and targets do not fit each other, or the loss is no single number.
    """
    import torch

    classes = None
    if loss is not None:
        value = loss(output, targets)
    else:
        output = output[0] if isinstance(output, (tuple, list)) else getattr(output, "logits", output)
        if not isinstance(output, torch.Tensor):
            raise ArgumentError(f"the model returns a {type(output).__name__}; pass loss=... to reduce it to a number")
        if targets is None:
            # a fixed direction, so that a zero output still has a gradient
            signs = torch.randint(2, output.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
            value = (output * signs.to(output)).mean()
        elif targets.is_floating_point():
            value = _mean_square(output, targets)
        else:
            value, classes = _cross_entropy(output, targets)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ArgumentError("the loss must be a tensor of one element")
    return value, classes


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
