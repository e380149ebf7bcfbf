"""The part of a DTensor that each process holds, read from its placements."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.distributed.tensor import Partial, Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard

from wellbegun.errors import ArgumentError
from wellbegun.targets.runs import Runs


def held_of(tensor: Any, together: Runs) -> list[tuple[torch.Tensor, Runs]]:
    """Return the memory of this process and the indices that lie there; nothing if it is not in the mesh.

    torch's own list of chunks is not used: it has one chunk where a general _StridedShard has several runs of rows.

    Args:
        tensor: a DTensor.
        together: the indices of the logical tensor that all processes hold together.

    Raises:
        ArgumentError: a placement that does not say where elements lie.
    """
    mesh, placements, local = tensor.device_mesh, tensor.placements, tensor._local_tensor
    for placement in placements:
        if isinstance(placement, Partial):
            raise ArgumentError(
                "it is a pending sum over processes (Partial), of which no process holds a part; redistribute it first"
            )
        if type(placement) not in (Shard, _StridedShard, Replicate):
            raise ArgumentError(f"its placement {placement!r} is not one of torch's, so where its parts lie is unknown")
    simulated = _simulated(local)
    if simulated is not None:
        found = [(part, _coordinate(mesh, rank)) for rank, part in sorted(simulated.items())]
    else:
        here = mesh.get_coordinate()
        found = [(local, None if here is None else list(here))]
    order = _order(tensor)
    return [
        (part, runs_of(together, tuple(mesh.shape), coordinate, placements, order))
        for part, coordinate in found
        if coordinate is not None
    ]


def runs_of(
    runs: Runs,
    mesh: tuple[int, ...],
    coordinate: list[int],
    placements: tuple[Any, ...],
    order: list[int] | None = None,
) -> Runs:
    """Return the indices that the process at a place of the mesh holds.

    Args:
        runs: the indices that all processes hold together.
        mesh: number of processes in each dimension of the mesh.
        coordinate: of the process.
        placements: one for each dimension of the mesh: Shard, _StridedShard or Replicate.
        order: of the mesh's dimensions, in which they split; their own if left out.
    """
    for axis in order if order is not None else range(len(mesh)):
        placement = placements[axis]
        if not isinstance(placement, Replicate):
            factor = int(placement.split_factor) if isinstance(placement, _StridedShard) else 1
            dim = placement.dim % len(runs.axes)
            runs = runs.split(dim, parts=mesh[axis], number=int(coordinate[axis]), factor=factor)
    return runs


def _order(tensor: Any) -> list[int] | None:
    """The order in which the mesh's dimensions split the tensor, where it is not their own."""
    found = getattr(tensor._spec, "shard_order", None)
    return [axis for entry in found for axis in entry.mesh_dims] if found else None


def _simulated(local: torch.Tensor) -> dict[int, torch.Tensor] | None:
    module = sys.modules.get("torch.distributed._local_tensor")
    if module is None or not isinstance(local, module.LocalTensor):
        return None
    parts: dict[int, torch.Tensor] = local._local_tensors
    return parts


def _coordinate(mesh: Any, rank: int) -> list[int] | None:
    import numpy as np

    places = np.argwhere(np.array(mesh.mesh.tolist()) == rank)
    return [int(place) for place in places[0]] if len(places) else None
