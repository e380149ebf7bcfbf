"""Torch tensors as NumPy arrays over the same memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.targets.storage import bfloat16

if TYPE_CHECKING:
    import torch


def check_tensor(tensor: torch.Tensor) -> None:
    """Raise ArgumentError unless the tensor has memory on the CPU that can be written element by element."""
    import torch

    if tensor.is_meta:
        raise ArgumentError("a meta tensor has no memory to fill; wb.apply(plan, model) gives a model its memory")
    if tensor.device.type != "cpu":
        raise ArgumentError(f"sampler version 0 writes CPU tensors, not {tensor.device}; fill on the CPU, then move")
    if tensor.layout != torch.strided or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise ArgumentError(f"cannot fill a {type(tensor).__name__} of layout {tensor.layout}; pass a plain tensor")
    if any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        raise ArgumentError("the tensor's elements share memory (it was expanded); fill the tensor that it came from")


def tensor_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a NumPy array over the tensor's own memory, whatever its strides."""
    import torch

    check_tensor(tensor)
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        array: NDArray[Any] = plain.view(torch.uint16).numpy().view(bfloat16())
        return array
    return plain.numpy()


def mark_changed(tensor: torch.Tensor) -> None:
    """Tell autograd that the tensor was written behind its back, so that a stale backward raises instead of lying."""
    import torch

    torch.autograd.graph.increment_version(tensor)
