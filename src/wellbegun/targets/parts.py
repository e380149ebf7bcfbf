"""What this process holds of a tensor: plain memory, and where it lies in the logical tensor."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Patched, Stored
from wellbegun.plans import Entry, Plan
from wellbegun.targets.array import fill_entry
from wellbegun.targets.patches import overlap_size
from wellbegun.targets.rows import Offset, cut
from wellbegun.targets.runs import Runs
from wellbegun.targets.tensor import tensor_array

if TYPE_CHECKING:
    import torch

Block = tuple[tuple[slice, ...], Offset]
"""Where a block lies in the memory, and in the logical tensor: a corner, or the start of a flat range."""


@dataclass(frozen=True)
class Part:
    """Memory of this process that holds a part of a logical tensor.

    Attributes:
        tensor: plain memory.
        blocks: the pieces of it that lie in one piece in the logical tensor.
        is_whole: whether it is all of the logical tensor.
    """

    tensor: torch.Tensor
    blocks: tuple[Block, ...]
    is_whole: bool = False

    @property
    def size(self) -> int:
        """Number of elements that a plan gives it."""
        return sum(math.prod(place.stop - place.start for place in index) if index else 1 for index, _ in self.blocks)

    def planned(self, law: Law, shape: tuple[int, ...]) -> int:
        """Number of elements that a law writes into it: all, or those in patches where the others keep their values."""
        if not isinstance(law, Patched) or not law.keeps:
            return self.size
        return sum(
            overlap_size(region, self.tensor[index].shape, offset, shape)
            for index, offset in self.blocks
            for region, _ in law.patches
        )


def parts_of(tensor: torch.Tensor, told: Runs | None = None) -> tuple[Part, ...]:
    """Return what this process holds of a tensor, without any communication.

    An ordinary tensor is one part, all of it. A DTensor has the part that its placements give this process (none if
    the process is not in its mesh), a parameter that ZeRO-3 has partitioned a flat range, and one that it has gathered
    for a while the whole and the range. A simulated DTensor (LocalTensorMode) has the parts of all processes.

    Args:
        tensor: of a model.
        told: the part of the logical tensor that the tensor is, where the user has said so. A DTensor is that part as
            all its processes hold it together: its placements split the part further.

    Raises:
        ArgumentError: the part cannot be known: a pending sum (Partial), a placement that is not torch's own, memory
            that is not here.
    """
    if is_partitioned(tensor):
        from wellbegun.targets.zero import partition_of

        if told is not None:
            raise ArgumentError("is partitioned by ZeRO-3, and `regions` cannot say which part of a tensor it is")
        return (partition_of(tensor),)
    if is_dtensor(tensor):
        from wellbegun.targets.placements import held_of

        whole = Runs.whole(tuple(tensor.shape))
        held = held_of(tensor, whole if told is None else told)
        return tuple(_part(local, runs, told is None and runs == whole) for local, runs in held)
    if told is not None:
        return (Part(tensor, tuple(told.blocks())),)
    shape = tuple(tensor.shape)
    whole_part = Part(tensor, ((tuple(slice(0, size) for size in shape), (0,) * len(shape)),), True)
    if (
        getattr(tensor, "ds_tensor", None) is not None
    ):  # gathered by ZeRO-3, which goes back to its partition afterwards
        from wellbegun.targets.zero import partition_of

        partition = partition_of(tensor)
        if partition.tensor.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr():
            return whole_part, partition
    return (whole_part,)


def is_dtensor(tensor: torch.Tensor) -> bool:
    """Whether a tensor lies on several processes, as torch.distributed.tensor has it."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_partitioned(tensor: torch.Tensor) -> bool:
    """Whether a parameter is partitioned over processes by ZeRO-3 (DeepSpeed), and not gathered now."""
    whole = getattr(tensor, "ds_shape", None)
    return whole is not None and tuple(whole) != tuple(tensor.shape)


def logical_shape(tensor: torch.Tensor) -> tuple[int, ...]:
    """The shape of the tensor that all processes hold together."""
    return tuple(tensor.ds_shape if is_partitioned(tensor) else tensor.shape)  # type: ignore[attr-defined]


def local_tensors(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The plain memory behind a tensor, as far as it is known."""
    try:
        return [part.tensor for part in parts_of(tensor)]
    except ArgumentError:
        return []


def has_no_values(tensor: torch.Tensor) -> bool:
    """Whether a tensor, or what this process holds of it, is on meta."""
    return tensor.is_meta or (is_dtensor(tensor) and any(part.is_meta for part in local_tensors(tensor)))


def needs_whole(law: Law) -> bool:
    """Whether drawing a part of a law takes the memory and the work of the whole tensor."""
    if isinstance(law, Patched):
        drawn = [patch for _, patch in law.patches if not isinstance(patch, Stored)]
        return needs_whole(law.base) or any(needs_whole(patch) for patch in drawn)
    return (law.structured and not law.apart) or law.companion is not None


def fill_part(part: Part, plan: Plan, entry: Entry) -> int:
    """Write a planned tensor's numbers into what this process holds of it; return the elements written."""
    memory = part.tensor.detach()
    if len(part.blocks) > 1 and needs_whole(entry.law):
        import torch

        whole = torch.empty(entry.shape, dtype=memory.dtype)
        fill_entry(tensor_array(whole), plan, entry, (0,) * len(entry.shape))
        for index, offset in part.blocks:
            memory[index].copy_(cut(whole, tuple(memory[index].shape), offset))
        return part.size
    return sum(_fill_block(memory[index], plan, entry, offset) for index, offset in part.blocks)


def _fill_block(memory: torch.Tensor, plan: Plan, entry: Entry, offset: Offset) -> int:
    if memory.is_cuda:
        from wellbegun.targets.device import fill_on_device

        return fill_entry(memory, plan, entry, offset, fill_on_device)
    return fill_entry(tensor_array(memory), plan, entry, offset)


def _part(local: torch.Tensor, runs: Runs, is_whole: bool) -> Part:
    if runs.shape != tuple(local.shape):
        raise ArgumentError(
            f"its placements give this process a part of shape {list(runs.shape)}, and it holds {list(local.shape)}"
        )
    return Part(local, tuple(runs.blocks()), is_whole)


def told_runs(told: Iterable[Any], shape: tuple[int, ...], held: tuple[int, ...]) -> Runs:
    """Return the part of a logical tensor that slices name.

    Raises:
        ArgumentError: not one slice of step 1 for each dimension, or a part of another shape than is held.
    """
    region = tuple(told)
    if len(region) != len(shape) or not all(isinstance(part, slice) and part.step in (None, 1) for part in region):
        raise ArgumentError(f"its part must be given by {len(shape)} slices of step 1, got {region}")
    edges = [part.indices(size)[:2] for part, size in zip(region, shape, strict=True)]
    runs = Runs(tuple(((start, stop),) if start < stop else () for start, stop in edges))
    if runs.shape != held:
        raise ArgumentError(f"the part that was named has shape {list(runs.shape)}, and the model holds {list(held)}")
    return runs
