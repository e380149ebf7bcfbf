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
from wellbegun.errors import TraceError
from wellbegun.graph.stage import drop_sharding_hooks, put_tensors
from wellbegun.targets.fsdp import managed_parameters
from wellbegun.targets.replicas import exchanged, summed, world_size

_PIECE = 1 << 22
"""Elements of a gradient that are summed over the processes at a time."""


@dataclass(frozen=True)
class Company:
    """The processes that diagnose a model together.

    Attributes:
        group: of torch.distributed; None for all processes.
        size: how many they are; 1 for a process alone, which asks nobody.
    """

    group: Any = None
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
                exchanged(f"{type(error).__name__}: {error}", self.group)
            raise
        answers = exchanged("", self.group) if self.size > 1 else {}
        failed = [f"process {rank}: {text}" for rank, text in answers.items() if text]
        if failed:
            raise TraceError(f"the diagnosis needs all processes, and it failed elsewhere: {'; '.join(failed)}")

    def everyone(self, answer: Any) -> dict[int, Any]:
        """Return {rank: answer} of all processes."""
        return exchanged(answer, self.group) if self.size > 1 else {0: answer}

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
            total += measure.second_moment(summed(wide, self.group)) * len(piece)
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
        group: Any = replicated.process_group
    elif meshes:
        alone = meshes[0].ndim == 1 and all(mesh == meshes[0] for mesh in meshes)
        group = meshes[0].get_group() if alone else None
    else:
        return Company()
    return Company(group, world_size(group))


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
            whole = tensor.detach().full_tensor()
            trained = tensor.requires_grad
            made[id(tensor)] = (
                torch.nn.Parameter(whole, requires_grad=trained) if isinstance(tensor, torch.nn.Parameter) else whole
            )
        found[name] = made[id(tensor)]
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
