"""Torch tensors as NumPy arrays over the same memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.sampler import LARGEST, WHOLE, storage_type
from wellbegun.targets.memory import check_strides

if TYPE_CHECKING:
    import torch

_FOREIGN = {"bfloat16": "uint16", "float8_e5m2": "uint8", "float8_e4m3fn": "uint8"}
"""Types that torch does not hand to NumPy, and the integers that it does."""

_USUAL = ("float32", "float64", "bfloat16", "float16")
"""Types that a contiguous tensor may have without any further question."""


@functools.cache
def type_name(dtype: torch.dtype) -> str:
    """Return the name of a torch dtype as NumPy and ml_dtypes spell it."""
    return str(dtype).removeprefix("torch.")


@functools.cache
def _plain_types() -> tuple[type, ...]:
    import torch

    return torch.Tensor, torch.nn.Parameter


def check_tensor(tensor: torch.Tensor) -> None:
    """Raise ArgumentError unless the tensor has memory of its own, on the CPU or a CUDA device."""
    import torch

    if (
        tensor.is_cpu
        and type(tensor) in _plain_types()
        and tensor.layout == torch.strided
        and tensor.is_contiguous()
        and type_name(tensor.dtype) in _USUAL
    ):
        return
    if tensor.is_meta:
        raise ArgumentError("a meta tensor has no memory to fill; wb.apply(plan, model) gives a model its memory")
    if not tensor.is_cpu and not tensor.is_cuda:
        raise ArgumentError(
            f"the sampler writes on the CPU and on CUDA devices, not on {tensor.device}; fill on the CPU, then move"
        )
    if tensor.layout != torch.strided or type(tensor) not in _plain_types():
        raise ArgumentError(f"cannot fill a {type(tensor).__name__} of layout {tensor.layout}; pass a plain tensor")
    name = type_name(tensor.dtype)
    if name not in LARGEST and name not in WHOLE:
        raise ArgumentError(f"the sampler writes {', '.join(LARGEST)}, and whole constants as integers; not {name}")
    if tensor.is_conj() or tensor.is_neg():
        raise ArgumentError("the tensor is a lazy conjugate or negative; fill the tensor that it came from")
    size = tensor.element_size()
    check_strides(tuple(tensor.shape), tuple(stride * size for stride in tensor.stride()), size)


def tensor_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a NumPy array over a CPU tensor's own memory, whatever its strides."""
    import torch

    plain = tensor.detach() if tensor.requires_grad else tensor
    name = type_name(plain.dtype)
    if name in _FOREIGN:
        array: NDArray[Any] = plain.view(getattr(torch, _FOREIGN[name])).numpy().view(storage_type(name))
        return array
    return plain.numpy()


def share_memory(tensors: Mapping[str, torch.Tensor]) -> list[tuple[str, str]]:
    """Return the pairs of CPU tensors that have an element in common."""
    import numpy as np
    import torch

    plain = {n: t.detach() for n, t in tensors.items() if t.device.type == "cpu" and t.layout == torch.strided}
    # only the addresses matter, so every dtype may be seen as bytes that far apart
    spans = []
    for name, tensor in plain.items():
        if tensor.numel():
            size = tensor.element_size()
            reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
            spans.append((tensor.data_ptr(), tensor.data_ptr() + reach * size, name))
    spans.sort()
    found = []
    for position, (_, end, name) in enumerate(spans):
        for start, _, other in spans[position + 1 :]:
            if start >= end:
                break
            try:
                shared = np.shares_memory(_addresses(plain[name]), _addresses(plain[other]), max_work=10_000)  # type: ignore[arg-type]  # the stub knows -1 and 0 only
            except np.exceptions.TooHardError:
                shared = True
            if shared:
                found.append((name, other))
    return found


def _addresses(tensor: torch.Tensor) -> NDArray[Any]:
    import torch

    same_size = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}
    array: NDArray[Any] = tensor.view(same_size[tensor.element_size()]).numpy()
    return array


def mark_changed(tensor: torch.Tensor) -> None:
    """Tell autograd that the tensor was written behind its back, so that a stale backward raises instead of lying."""
    _increment_version()(tensor)


@functools.cache
def _increment_version() -> Callable[[torch.Tensor], None]:
    import torch

    return torch.autograd.graph.increment_version
