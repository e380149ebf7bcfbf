"""The part of a parameter that ZeRO-3 (DeepSpeed) leaves on a process: a flat range of the logical tensor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    import torch

    from wellbegun.targets.parts import Part


def partition_of(parameter: torch.Tensor) -> Part:
    """Return the memory of this process and the flat range of the parameter that lies there.

    Read as DeepSpeed lays it out: the tensor is flattened, padded to a multiple of the processes and cut into equal
    pieces; `ds_tensor` is the piece of this process. Padding stays as it is.

    Raises:
        ArgumentError: the partition is not in memory, is quantised, has a second copy, or belongs to an optimizer that
            keeps copies of its own, which would overwrite what is written.
    """
    from wellbegun.targets.parts import Part

    held: Any = getattr(parameter, "ds_tensor", None)
    if held is None:
        raise ArgumentError("is partitioned by ZeRO-3, and its partition (ds_tensor) is not there yet")
    if getattr(getattr(held, "status", None), "name", "AVAILABLE") != "AVAILABLE":
        raise ArgumentError("its ZeRO-3 partition is on disk (NVMe); apply the plan before it is swapped out")
    if hasattr(held, "ds_quant_scale") or getattr(parameter, "ds_secondary_tensor", None) is not None:
        raise ArgumentError(
            "its ZeRO-3 partition is quantised or has a second copy (ZeRO++), which this version cannot write; apply "
            "the plan inside deepspeed.zero.GatheredParameters"
        )
    if hasattr(parameter, "_z3_optimizer"):
        raise ArgumentError(
            "belongs to a DeepSpeed engine whose optimizer has copied its values already; apply the plan between "
            "deepspeed.zero.Init and deepspeed.initialize"
        )
    size = math.prod(parameter.ds_shape)  # type: ignore[attr-defined]
    start = min(held.numel() * _rank(parameter), size)
    count = min(held.numel(), size - start)
    return Part(held, (((slice(0, count),), start),) if count else ())


def _rank(parameter: Any) -> int:
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        raise ArgumentError("is partitioned by ZeRO-3, and torch.distributed is not initialised: its rank is unknown")
    group = getattr(parameter, "ds_process_group", None)
    return int(processes.get_rank(group))
