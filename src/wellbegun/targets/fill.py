"""wb.fill: one tensor, or a part of it, without a plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.authors.active import check_not_recording
from wellbegun.errors import ArgumentError
from wellbegun.laws import Fans, Initializer, Law
from wellbegun.sampler import Stream
from wellbegun.targets.array import check_memory, fill_array
from wellbegun.targets.rows import Offset
from wellbegun.targets.tensor import check_tensor, mark_changed, tensor_array, type_name

if TYPE_CHECKING:
    import torch

NARROW = ("bfloat16", "float16", "float8_e5m2", "float8_e4m3fn")
"""Storage types that float32 draws are rounded to."""


def fill(
    out: NDArray[Any] | torch.Tensor,
    initializer: Initializer,
    *,
    seed: int,
    name: str,
    shape: tuple[int, ...] | None = None,
    offset: Offset | None = None,
    fans: Fans | None = None,
    with_master: bool = False,
) -> NDArray[np.float32] | torch.Tensor | None:
    """Fill a tensor, or the part of one, with the numbers of (seed, name).

    >>> whole, part = np.empty((4, 6), np.float32), np.empty((2, 3), np.float32)
    >>> from wellbegun.laws import Normal
    >>> fill(whole, Normal(std=0.02), seed=7, name="w")
    >>> fill(part, Normal(std=0.02), seed=7, name="w", shape=(4, 6), offset=(2, 3))
    >>> bool((part == whole[2:, 3:]).all())
    True

    Args:
        out: NumPy array, or tensor on the CPU or a CUDA device, any strides, written in place. float32, bfloat16,
            float16, float8_e5m2 and float8_e4m3fn hold the float32 draw rounded once to nearest even; float64 draws
            64 bits of its own, whose values the float32 ones approximate; complex64 and complex128 (normal, uniform
            and constant laws) hold two independent parts that share the variance; integers and booleans take whole
            constants. On a CUDA device, float32 and narrower types are drawn there (extra `gpu`); float64, complex
            numbers and laws that shape a whole matrix, orthogonal ones excepted, are drawn on the CPU and copied.
        initializer: a law such as Normal(std=0.02), or a rule such as HeNormal(), which needs fans.
        seed: an integer from 0 to 2**64 - 1. There is no default: nothing is random by accident.
        name: the tensor's name. There is no default: no two tensors share numbers by accident.
        shape: of the logical tensor that `out` is a part of, up to 2**63 elements; that of `out` if left out.
        offset: where `out` lies in it: a tuple (rectangle) or an integer (flat start).
        fans: of the operation that uses the tensor, for rules that need them.
        with_master: also return the float32 values whose rounding `out` got, for optimizers that keep them; for
            storage narrower than float32.

    Returns:
        None, or with `with_master` a float32 array or tensor of the shape of `out`.

    Raises:
        ArgumentError: the part does not lie in the tensor, the dtype or device is not supported, fans are missing,
            elements share memory. Nothing has been written then.
    """
    if not isinstance(initializer, Initializer):
        raise ArgumentError(f"the second argument must be an initializer or a law, got {initializer!r}")
    is_array, framework = isinstance(out, np.ndarray), sys.modules.get("torch")
    if not is_array and (framework is None or not isinstance(out, framework.Tensor)):
        raise ArgumentError(f"out must be a NumPy array or a torch tensor, got {type(out).__name__}")
    if not is_array:
        check_not_recording("wb.fill")
    stream, law = Stream.of(seed, name), initializer.law(fans)
    logical = tuple(out.shape) if shape is None else tuple(shape)
    if offset is None:
        offset = 0 if shape is None else (0,) * len(logical)
    if is_array:
        return _fill_array(out, law, stream, logical, offset, with_master)  # type: ignore[arg-type]
    return _fill_tensor(out, law, stream, logical, offset, with_master)  # type: ignore[arg-type]


def fill_tensor(tensor: torch.Tensor, law: Law, stream: Stream) -> None:
    """Fill a whole tensor with a law: `fill` for callers that have both at hand."""
    _fill_tensor(tensor, law, stream, tuple(tensor.shape), 0, False)


def _fill_array(
    out: NDArray[Any], law: Law, stream: Stream, shape: tuple[int, ...], offset: Offset, with_master: bool
) -> NDArray[np.float32] | None:
    check_memory(out)
    master = None
    if with_master:
        _check_narrow(out.dtype.name)
        master = np.empty(out.shape, np.float32)
    fill_array(out, law, stream, shape, offset, None, master)
    return master


def _fill_tensor(
    out: torch.Tensor, law: Law, stream: Stream, shape: tuple[int, ...], offset: Offset, with_master: bool
) -> torch.Tensor | None:
    check_tensor(out)
    master = None
    if with_master:
        import torch

        _check_narrow(type_name(out.dtype))
        master = torch.empty(out.shape, dtype=torch.float32, device=out.device)
    if out.is_cuda:
        from wellbegun.targets.device import fill_on_device

        fill_on_device(out, law, stream, shape, offset, None, master)
    else:
        fill_array(tensor_array(out), law, stream, shape, offset, None, None if master is None else master.numpy())
    mark_changed(out)
    return master


def _check_narrow(dtype: str) -> None:
    if dtype not in NARROW:
        raise ArgumentError(f"with_master is for {', '.join(NARROW)}; {dtype} is not a rounding of float32")
