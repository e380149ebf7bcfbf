"""What FSDP2 (fully_shard) does with the parameters of a model behind its back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

GATHERED = (
    "is gathered by FSDP2 now, as after a forward pass: these numbers are a copy, and its shards come back; "
    "call .reshard() on each module under fully_shard first"
)
"""Why a tensor that stands in for its shards is not written."""


FLATTENED = (
    "\nFullyShardedDataParallel (FSDP1) has flattened tensors of it: apply the plan before wrapping, or shard with "
    "fully_shard (FSDP2), which may come before"
)
"""What to do where names or shapes are not those of the model because of FSDP1."""


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


def is_flattened(model: torch.nn.Module) -> bool:
    """Whether a part of a model is wrapped by FSDP1."""
    kind: Any = getattr(sys.modules.get("torch.distributed.fsdp"), "FullyShardedDataParallel", ())
    return any(isinstance(module, kind) for module in model.modules())


def managed_parameters(model: torch.nn.Module) -> dict[tuple[int, str], Managed]:
    """Return {(identity of the module, attribute): FSDP2's records} of the parameters that are under fully_shard."""
    kind: Any = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", ())
    found: dict[tuple[int, str], Managed] = {}
    for module in model.modules():
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
