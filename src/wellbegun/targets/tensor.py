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
def _is_plain(kind: type) -> bool:
    """Whether tensors of this class are ordinary memory: subclasses that only carry attributes are."""
    import torch

    if kind in (torch.Tensor, torch.nn.Parameter):
        return True
    if not issubclass(kind, torch.Tensor):
        return False
    own = getattr(kind.__torch_function__, "__func__", kind.__torch_function__)
    usual = (getattr(torch.Tensor.__torch_function__, "__func__", None), torch._C._disabled_torch_function_impl)
    return own in usual and kind.__torch_dispatch__ is torch._C._disabled_torch_dispatch_impl


def check_tensor(tensor: torch.Tensor) -> None:
    """Raise ArgumentError unless the tensor has memory of its own, on the CPU or a CUDA device."""
    import torch

    if (
        tensor.is_cpu
        and _is_plain(type(tensor))
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
    check_class(tensor)
    name = type_name(tensor.dtype)
    if name not in LARGEST and name not in WHOLE:
        raise ArgumentError(f"the sampler writes {', '.join(LARGEST)}, and whole constants as integers; not {name}")
    if tensor.is_conj() or tensor.is_neg():
        raise ArgumentError("the tensor is a lazy conjugate or negative; fill the tensor that it came from")
    size = tensor.element_size()
    check_strides(tuple(tensor.shape), tuple(stride * size for stride in tensor.stride()), size)


def check_class(tensor: torch.Tensor) -> None:
    """Raise ArgumentError unless a tensor, on meta or not, is one piece of memory and not made of several."""
    import torch

    if type(tensor).__name__ == "DTensor":
        raise ArgumentError(
            "the tensor is a DTensor, whose parts lie on several processes; wb.apply(plan, model) writes a model's"
        )
    if tensor.layout != torch.strided or not _is_plain(type(tensor)):
        raise ArgumentError(f"cannot fill a {type(tensor).__name__} of layout {tensor.layout}; pass a plain tensor")


def tensor_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a NumPy array over a CPU tensor's own memory, whatever its strides."""
    import torch

    plain = tensor.detach() if tensor.requires_grad else tensor
    name = type_name(plain.dtype)
    if name in _FOREIGN:
        array: NDArray[Any] = plain.view(getattr(torch, _FOREIGN[name])).numpy().view(storage_type(name))
        return array
    return plain.numpy()


def span(tensor: torch.Tensor) -> tuple[int, int]:
    """First address of a tensor's memory, and the one behind its last byte."""
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    start: int = tensor.data_ptr()
    return start, start + (reach * tensor.element_size() if tensor.numel() else 0)


def share_memory(tensors: Mapping[str, torch.Tensor]) -> list[tuple[str, str]]:
    """Return the pairs of tensors with memory, on the CPU or one CUDA device, that have an element in common."""
    import numpy as np

    plain = {name: tensor for name, tensor in tensors.items() if has_memory(tensor) and tensor.numel()}
    spans = sorted((str(tensor.device), *span(tensor), name) for name, tensor in plain.items())
    found = []
    for position, (device, _, end, name) in enumerate(spans):
        for place, start, _, other in spans[position + 1 :]:
            if place != device or start >= end:
                break
            try:
                shared = np.shares_memory(_addresses(plain[name]), _addresses(plain[other]), max_work=10_000)  # type: ignore[arg-type]  # the stub knows -1 and 0 only
            except np.exceptions.TooHardError:
                shared = True
            if shared:
                found.append((name, other))
    return found


def has_memory(tensor: torch.Tensor) -> bool:
    """Whether the tensor is one piece of memory of this process or of a CUDA device, whose address can be asked for."""
    import torch

    return (tensor.is_cpu or tensor.is_cuda) and tensor.layout == torch.strided and _is_plain(type(tensor))


class _Addresses:
    """The addresses of a tensor's elements as NumPy understands them; nothing is ever read there."""

    def __init__(self, tensor: torch.Tensor) -> None:
        size = tensor.element_size()
        self.__array_interface__ = {
            "version": 3,
            "data": (tensor.data_ptr(), False),
            "shape": tuple(tensor.shape),
            "strides": tuple(stride * size for stride in tensor.stride()),
            "typestr": f"|V{size}",
        }


def _addresses(tensor: torch.Tensor) -> NDArray[Any]:
    import numpy as np

    return np.asarray(_Addresses(tensor))


def mark_changed(tensor: torch.Tensor) -> None:
    """Tell autograd that the tensor was written behind its back, so that a stale backward raises instead of lying."""
    if not tensor.is_inference():  # those have no backward
        _increment_version()(tensor)


@functools.cache
def _increment_version() -> Callable[[torch.Tensor], None]:
    import torch

    return torch.autograd.graph.increment_version
