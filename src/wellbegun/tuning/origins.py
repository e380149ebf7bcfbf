"""Which values of a forward pass are a parameter's: views, and copies that are proportional to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from wellbegun.plans import Plan
from wellbegun.tuning import operations
from wellbegun.tuning.storages import Storages


class Origins:
    """Knows parameters, their views and proportional copies, and constant buffers; everything else is data."""

    def __init__(self, plan: Plan, values: Mapping[str, torch.Tensor]) -> None:
        self._plan = plan
        self.parameters, self._constants = (
            Storages({e.name: values[e.name] for e in plan if e.kind == kind and values[e.name].numel()})
            for kind in ("parameter", "buffer")
        )

    def owner(self, tensor: torch.Tensor) -> str | None:
        """Name of the parameter that a tensor holds values of."""
        return self.parameters.owner(tensor)

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a buffer, or holds indices, masks or counts."""
        return is_whole(tensor) or self._constants.owner(tensor) is not None

    def note_copies(self, name: str, leaves: list[torch.Tensor], result: Any) -> None:
        """Remember a result that is proportional to one parameter, and new memory.

        Args:
            name: of the operation.
            leaves: its tensors.
            result: what it returned.
        """
        owners = [(leaf, self.owner(leaf)) for leaf in leaves if not is_whole(leaf)]
        names = {owner for _, owner in owners if owner is not None}
        if len(names) != 1 or not isinstance(result, torch.Tensor) or self.owner(result) is not None:
            return
        owner = names.pop()
        others = [leaf for leaf, other in owners if other is None]
        is_copy = name in operations.COPIES and not others
        if name in operations.LOOKUPS and not others:
            is_copy = "embedding" not in self._plan[owner].role
        if name in operations.FACTORS and len(owners) - len(others) == 1 and (name == "mul" or owners[0][1] == owner):
            is_copy = all(self.is_constant(leaf) or leaf.ndim == 0 for leaf in others)
        if is_copy and not is_whole(result):
            self.parameters.add(result, owner)


def is_whole(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds indices, masks or counts."""
    return not (tensor.is_floating_point() or tensor.is_complex())
