"""FSDP1's flat parameters: one tensor in place of several, and a piece of it on each process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError

if TYPE_CHECKING:
    import torch


def check_not_flat(model: torch.nn.Module, purpose: str) -> None:
    """Refuse a model that FullyShardedDataParallel holds in pieces, on every process alike.

    Inside `summon_full_params` too: it frees the memory of the whole tensors behind NumPy's back, which must not have
    seen it.

    Args:
        model: of any kind.
        purpose: for the error message.

    Raises:
        ApplyError: a unit of FSDP1 in it is flat.
    """
    module = sys.modules.get("torch.distributed.fsdp")
    if module is None:
        return
    found = [name for name, unit in model.named_modules() if _is_flat(unit, module)]
    flat = [name.replace("_fsdp_wrapped_module.", "") or "the model" for name in found]
    if flat:
        more = f" and {len(flat) - 3} more" if len(flat) > 3 else ""
        raise ApplyError(
            f"{purpose}: FullyShardedDataParallel (FSDP1) has laid the tensors of {', '.join(flat[:3])}{more} end to "
            "end and given each process a piece, so that names and shapes are not those of the plan; nothing was "
            "written. Apply the plan before wrapping the model (to the same plan and seed on every process), or shard "
            "with torch.distributed.fsdp.fully_shard (FSDP2), to which a plan is applied afterwards"
        )


def _is_flat(unit: torch.nn.Module, module: Any) -> bool:
    if not isinstance(unit, module.FullyShardedDataParallel):
        return False
    handle: Any = getattr(unit, "_handle", None)
    if handle is None:  # nothing in it to be sharded
        return False
    return bool(handle.uses_sharded_strategy) or any(tensor is handle.flat_param for tensor in unit.parameters())
