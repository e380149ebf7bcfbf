"""Diagnosing one model on several processes: who takes part, whole tensors for the pass, errors that all hear of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from wellbegun.diagnosis import measure
from wellbegun.diagnosis.bundle import each
from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.stage import drop_sharding_hooks, put_tensors
from wellbegun.targets.fsdp import flat_units, managed_parameters
from wellbegun.targets.parts import is_partitioned
from wellbegun.targets.replicas import exchanged, summed, world_size

_PIECE = 1 << 22
"""Elements of a gradient that are summed over the processes at a time."""


@dataclass(frozen=True)
class Company:
    """The processes that diagnose a model together.

    Attributes:
        groups: of torch.distributed, one for each dimension of the mesh that they lie on: asking along each in turn
            reaches all. None is the group of all processes.
        size: how many they are; 1 for a process alone, which asks nobody.
    """

    groups: tuple[Any, ...] = ()
    size: int = 1

    @contextmanager
    def fails_together(self) -> Iterator[None]:
        """Run what is inside; where it fails on one process, fail on all, for the others would wait forever.

        Raises:
            TraceError: it failed on another process; that process raises its own error.
        """
        try:
            yield
        except Exception as error:
            if self.size > 1:
                self.everyone(f"{type(error).__name__}: {error}")
            raise
        answers = self.everyone("")
        failed = [f"process {rank}: {text}" for rank, text in answers.items() if text]
        if failed:
            raise TraceError(f"the diagnosis needs all processes, and it failed elsewhere: {'; '.join(failed)}")

    def everyone(self, answer: Any) -> dict[int, Any]:
        """Return {rank: answer} of all processes."""
        if self.size == 1:
            return {0: answer}
        first, *others = self.groups
        known = exchanged(answer, first)
        for group in others:
            known = {rank: one for part in exchanged(known, group).values() for rank, one in part.items()}
        return dict(sorted(known.items()))

    def mean_moments(
        self, gradients: Mapping[str, torch.Tensor], parameters: Mapping[str, torch.Tensor]
    ) -> dict[str, float]:
        """Second moments of the gradients' mean over the processes; where one has none of a parameter, that is zero.

        Args:
            gradients: of this process's loss, by the parameter's name.
            parameters: all of them, whole.
        """
        if self.size == 1:
            moments = each(measure.each_moment, list(gradients.values()))
            return {name: found.second for name, found in zip(gradients, moments, strict=True)}
        anywhere = {name for names in self.everyone(list(gradients)).values() for name in names}
        return {
            name: self._mean_moment(gradients.get(name), parameter)
            for name, parameter in parameters.items()
            if name in anywhere
        }

    def _mean_moment(self, gradient: torch.Tensor | None, parameter: torch.Tensor) -> float:
        found = torch.zeros_like(parameter) if gradient is None else gradient
        flat = (found.to_dense() if found.layout != torch.strided else found).detach().reshape(-1)
        total = 0.0
        for piece in torch.split(flat, _PIECE):
            wide = piece.to(torch.complex128 if piece.is_complex() else torch.float64, copy=True)
            for group in self.groups:
                wide = summed(wide, group)
            total += measure.second_moment(wide) * len(piece)
        return total / (len(flat) * self.size**2) if len(flat) else math.nan


def company_of(model: torch.nn.Module) -> Company:
    """Return the processes that hold parts or copies of a model: under DistributedDataParallel, or with DTensors.

    A model of neither kind is diagnosed by each process alone, also where others run.
    """
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return Company()
    wrapper = torch.nn.parallel.DistributedDataParallel
    replicated = next((module for module in model.modules() if isinstance(module, wrapper)), None)
    tensors: list[Any] = [*model.parameters(), *model.buffers()]
    meshes = [tensor.device_mesh for tensor in tensors if _is_distributed(tensor)]
    meshes += _gathered_meshes(model)
    if replicated is not None and not meshes:
        return Company((replicated.process_group,), world_size(replicated.process_group))
    if not meshes:
        return Company()
    widest = max(meshes, key=lambda mesh: int(mesh.size()))
    if all(set(mesh.mesh.flatten().tolist()) <= set(widest.mesh.flatten().tolist()) for mesh in meshes):
        return Company(tuple(widest.get_group(dim) for dim in range(widest.ndim)), int(widest.size()))
    return Company((None,), world_size())


def refuse_pieces(model: torch.nn.Module) -> None:
    """Refuse a model of which each process holds flat pieces that only another library can put together.

    Raises:
        ArgumentError: parameters under ZeRO-3, or FSDP1's flat ones.
    """
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return
    partitioned = [name for name, parameter in model.named_parameters() if is_partitioned(parameter)]
    if partitioned:
        raise ArgumentError(
            f"ZeRO-3 has cut {len(partitioned)} parameters of this model into pieces ({partitioned[0]} first), and no "
            "process holds numbers that a layer could run with; DeepSpeed alone can put them together. Diagnose the "
            "same model built without deepspeed.zero.Init, with the same plan applied (the numbers are the same), a "
            "smaller one of its kind if it does not fit into memory; or diagnose it under fully_shard (FSDP2)"
        )
    flat = flat_units(model)
    if flat:
        raise ArgumentError(
            f"FullyShardedDataParallel (FSDP1) has laid the parameters of {flat[0]} end to end and given each process "
            "a piece, so that there are no layers' weights to be looked at. Diagnose the model before it is wrapped, "
            "with the same plan applied, or shard with torch.distributed.fsdp.fully_shard (FSDP2), which wb.diagnose "
            "puts together by itself"
        )


def whole_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return {name: whole tensor} of the parameters and buffers that are DTensors, each name of a shared one."""
    made: dict[int, torch.Tensor] = {}
    found: dict[str, torch.Tensor] = {}
    tables = [table for module in model.modules() for table in (module._parameters, module._buffers)]
    if not any(_is_distributed(tensor) for table in tables for tensor in table.values()):
        return found
    named: list[tuple[str, Any]] = list(model.named_parameters(remove_duplicate=False))
    named += model.named_buffers(remove_duplicate=False)
    for name, tensor in named:
        if not _is_distributed(tensor):
            continue
        if id(tensor) not in made:
            whole = _gathered(tensor)
            trained = tensor.requires_grad
            made[id(tensor)] = (
                torch.nn.Parameter(whole, requires_grad=trained) if isinstance(tensor, torch.nn.Parameter) else whole
            )
        found[name] = made[id(tensor)]
    return found


def _gathered(tensor: Any) -> torch.Tensor:
    """The whole tensor, where the mesh computes: FSDP2's CPUOffloadPolicy keeps shards in the processor's memory."""
    from torch.distributed.tensor import DTensor

    mesh, held = tensor.device_mesh, tensor.detach()
    if held.device.type != mesh.device_type:
        local = held.to_local().to(mesh.device_type)
        held = DTensor.from_local(local, mesh, held.placements, shape=held.shape, stride=held.stride())
    found: torch.Tensor = held.full_tensor()
    return found


def put_whole(model: torch.nn.Module, whole: Mapping[str, torch.Tensor]) -> None:
    """Put whole tensors into the modules' tables, and take the hooks of sharding away.

    Inside `left_as_it_was`, which puts tables and hooks back. FSDP2's own records are not touched.
    """
    if whole or managed_parameters(model):
        put_tensors(model, whole)
        drop_sharding_hooks(model)


def _is_distributed(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor") and hasattr(tensor, "device_mesh")


def _gathered_meshes(model: torch.nn.Module) -> list[Any]:
    """Meshes of parameters that FSDP2 has left whole after a forward pass: they are no DTensors for the time being."""
    return [
        managed.parameter.sharded_param.device_mesh
        for managed in managed_parameters(model).values()
        if managed.is_gathered and _is_distributed(managed.parameter.sharded_param)
    ]
