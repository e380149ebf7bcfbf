"""Fills without chance: constant_, ones_, zeros_, eye_, dirac_."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from wellbegun.errors import ArgumentError


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill the tensor with one number.

    >>> constant_(torch.empty(3), 0.5)
    tensor([0.5000, 0.5000, 0.5000])

    Args:
        tensor: any shape and dtype, written in place and returned.
        val: the number, kept to all its digits in float64.
    """
    if has_torch_function_variadic(tensor):
        result: Tensor = handle_torch_function(constant_, (tensor,), tensor=tensor, val=val)
        return result
    return fill_with(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill the tensor with ones.

    >>> ones_(torch.empty(3))
    tensor([1., 1., 1.])
    """
    return fill_with(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill the tensor with zeros.

    >>> zeros_(torch.empty(3))
    tensor([0., 0., 0.])
    """
    return fill_with_zeros(tensor)


def eye_(tensor: Tensor) -> Tensor:
    """Fill the matrix with ones on the diagonal and zeros elsewhere: a linear layer that hands its inputs on.

    >>> eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])

    Args:
        tensor: two dimensions, any strides, written in place and returned.

    Raises:
        ArgumentError: not two dimensions.
    """
    if tensor.ndimension() != 2:
        raise ArgumentError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    with torch.no_grad():
        tensor.zero_()
        tensor.diagonal().fill_(1.0)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the convolution kernel with a one at its centre from input i to output i, and zeros elsewhere.

    >>> dirac_(torch.empty(2, 1, 3), groups=2)
    tensor([[[0., 1., 0.]],
    <BLANKLINE>
            [[0., 1., 0.]]])

    As many channels as possible are handed on, in each group for itself.

    Args:
        tensor: three, four or five dimensions (outputs, inputs of one group, kernel), written in place and returned.
        groups: of the convolution; divides the outputs.

    The centre of an even kernel is at size // 2, as in torch.
    Raises:
        ArgumentError: another number of dimensions, or groups that do not divide the outputs.
    Source: Zagoruyko and Komodakis (2017), "DiracNets: Training Very Deep Neural Networks Without Skip-Connections".
    """
    if tensor.ndimension() not in (3, 4, 5):
        raise ArgumentError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {tuple(tensor.shape)}")
    if groups < 1 or tensor.size(0) % groups != 0:
        raise ArgumentError(f"dim 0 must be divisible by groups, got {tensor.size(0)} outputs and groups={groups}")
    if tensor.is_meta:
        return tensor
    with torch.no_grad():
        tensor.zero_()
        if tensor.numel():
            centre = tensor
            for size in tensor.shape[2:]:
                centre = centre.select(2, size // 2)
            for group in centre.chunk(groups):
                group.diagonal().fill_(1.0)
    return tensor


def fill_with(tensor: Tensor, val: float) -> Tensor:
    """Write a number without recording it for a gradient."""
    with torch.no_grad():
        return tensor.fill_(val)


def fill_with_zeros(tensor: Tensor) -> Tensor:
    """Write zeros without recording it for a gradient."""
    with torch.no_grad():
        return tensor.zero_()
