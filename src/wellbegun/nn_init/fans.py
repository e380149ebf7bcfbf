"""Fans as torch reads them from a shape: right for Linear and Conv weights, and only for them."""

from __future__ import annotations

import math

from torch import Tensor

from wellbegun.errors import ArgumentError


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight laid out as (outputs, inputs, kernel...).

    >>> import torch
    >>> calculate_fan_in_and_fan_out(torch.empty(16, 8, 3, 3))
    (72, 144)

    A shape does not tell a transposed convolution (its first two dimensions trade places), groups or fused matrices:
    `wellbegun.plan` reads fans from the operation. This one counts as torch does.

    Raises:
        ArgumentError: fewer than two dimensions.
    """
    if tensor.dim() < 2:
        raise ArgumentError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got shape {tuple(tensor.shape)}"
        )
    outputs, inputs, *kernel = tensor.shape
    field = math.prod(kernel)
    return inputs * field, outputs * field


def calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """Return one of the two fans.

    >>> import torch
    >>> calculate_correct_fan(torch.empty(16, 8, 3, 3), "fan_out")
    144

    Args:
        tensor: two dimensions or more.
        mode: "fan_in" or "fan_out"; capitals do not matter.

    Raises:
        ArgumentError: another mode, or fewer than two dimensions.
    """
    mode = mode.lower()
    modes = ["fan_in", "fan_out"]
    if mode not in modes:
        raise ArgumentError(f"Mode {mode} not supported, please use one of {modes}")
    return calculate_fan_in_and_fan_out(tensor)[modes.index(mode)]
