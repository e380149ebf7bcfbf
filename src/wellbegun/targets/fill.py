"""wb.fill: one tensor, or a part of it, without a plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws import Fans, Initializer
from wellbegun.sampler import Stream
from wellbegun.targets.array import Offset, fill_array

if TYPE_CHECKING:
    import torch


def fill(
    out: NDArray[Any] | torch.Tensor,
    initializer: Initializer,
    *,
    seed: int,
    name: str,
    shape: tuple[int, ...] | None = None,
    offset: Offset | None = None,
    fans: Fans | None = None,
) -> None:
    """Fill a tensor, or the part of one, with the numbers of (seed, name).

    >>> whole, part = np.empty((4, 6), np.float32), np.empty((2, 3), np.float32)
    >>> from wellbegun.laws import Normal
    >>> fill(whole, Normal(std=0.02), seed=7, name="w")
    >>> fill(part, Normal(std=0.02), seed=7, name="w", shape=(4, 6), offset=(2, 3))
    >>> bool((part == whole[2:, 3:]).all())
    True

    Args:
        out: NumPy array or CPU tensor of float32, float64, float16 or bfloat16 (whole numbers for constants), any
            strides, written in place. With sampler version 0, float64 holds the float32 draws.
        initializer: a law such as Normal(std=0.02), or a rule such as HeNormal(), which needs fans.
        seed: an integer from 0 to 2**64 - 1. There is no default: nothing is random by accident.
        name: the tensor's name. There is no default: no two tensors share numbers by accident.
        shape: of the logical tensor that `out` is a part of; that of `out` if left out.
        offset: where `out` lies in it: a tuple (rectangle) or an integer (flat start).
        fans: of the operation that uses the tensor, for rules that need them.

    Raises:
        ArgumentError: the part does not lie in the tensor, the dtype or device is not supported, fans are missing.
    """
    if not isinstance(initializer, Initializer):
        raise ArgumentError(f"the second argument must be an initializer or a law, got {initializer!r}")
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(out, torch.Tensor)
    if not is_tensor and not isinstance(out, np.ndarray):
        raise ArgumentError(f"out must be a NumPy array or a torch tensor, got {type(out).__name__}")
    stream, law = Stream.of(seed, name), initializer.law(fans)
    logical = tuple(out.shape) if shape is None else tuple(shape)
    if offset is None:
        offset = (0,) * len(logical)
    if is_tensor:
        from wellbegun.targets.tensor import mark_changed, tensor_array

        fill_array(tensor_array(out), law, stream, logical, offset)  # type: ignore[arg-type]
        mark_changed(out)  # type: ignore[arg-type]
    else:
        fill_array(out, law, stream, logical, offset)  # type: ignore[arg-type]
