"""What FSDP2 (fully_shard) does with the parameters of a model behind its back, and what FSDP1 leaves of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ApplyError

if TYPE_CHECKING:
    import torch

GATHERED = (
    "is gathered by FSDP2 now, as after a forward pass: these numbers are a copy, and its shards come back; "
    "call .reshard() on each module under fully_shard first"
)
"""Why a tensor that stands in for its shards is not written."""


@dataclass(frozen=True)
class Managed:
    """FSDP2's own records of a parameter.

    Attributes:
        group: that it is gathered with.
        parameter: itself.
    """

    group: Any
    parameter: Any

    @property
    def is_gathered(self) -> bool:
        """Whether the module does not hold the shards now, but something made of them."""
        return not self.group.is_sharded

    def read_again(self) -> None:
        """Take the tensor that the module has now; by itself FSDP2 looks again before its first forward pass only."""
        import torch

        with torch.no_grad():
            self.parameter.reset_sharded_param()


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
    flat = flat_units(model)
    if flat:
        more = f" and {len(flat) - 3} more" if len(flat) > 3 else ""
        raise ApplyError(
            f"{purpose}: FullyShardedDataParallel (FSDP1) has laid the tensors of {', '.join(flat[:3])}{more} end to "
            "end and given each process a piece, so that names and shapes are not those of the plan; nothing was "
            "written. Apply the plan before wrapping the model (to the same plan and seed on every process), or shard "
            "with torch.distributed.fsdp.fully_shard (FSDP2), to which a plan is applied afterwards"
        )


def flat_units(model: torch.nn.Module) -> list[str]:
    """Return the names of the units of FSDP1 whose parameters are flat."""
    module = sys.modules.get("torch.distributed.fsdp")
    if module is None:
        return []
    found = [name for name, unit in model.named_modules() if _is_flat(unit, module)]
    return [name.replace("_fsdp_wrapped_module.", "") or "the model" for name in found]


def _is_flat(unit: torch.nn.Module, module: Any) -> bool:
    if not isinstance(unit, module.FullyShardedDataParallel):
        return False
    handle: Any = getattr(unit, "_handle", None)
    if handle is None:  # nothing in it to be sharded
        return False
    return bool(handle.uses_sharded_strategy) or any(tensor is handle.flat_param for tensor in unit.parameters())


def managed_parameters(model: torch.nn.Module) -> dict[tuple[int, str], Managed]:
    """Return {(identity of the module, attribute): FSDP2's records} of the parameters that are under fully_shard."""
    kind: Any = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", ())
    found: dict[tuple[int, str], Managed] = {}
    for module in model.modules() if kind else ():
        for group in _groups(module) if isinstance(module, kind) else ():
            for parameter in group.fsdp_params:
                place, managed = parameter._module_info, Managed(group, parameter)
                found[id(place.module), place.param_name] = managed
                for other, name in zip(place.shared_modules, place.shared_param_names, strict=True):
                    found[id(other), name] = managed
    return found


def _groups(module: Any) -> Iterator[Any]:
    """The groups of a module: older versions of PyTorch have at most one."""
    state = module._get_fsdp_state()
    several = getattr(state, "_fsdp_param_groups", None)
    yield from (group for group in ([state._fsdp_param_group] if several is None else several) if group is not None)
