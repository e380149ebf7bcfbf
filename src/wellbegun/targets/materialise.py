"""Giving meta tensors memory, and tying again what was torn apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.targets.parts import has_no_values, is_dtensor, local_tensors
from wellbegun.targets.state import Slot, State

if TYPE_CHECKING:
    import torch

MARK = "_wellbegun_plan"
"""Attribute of a tensor that a plan was applied to: the plan's hash."""


def materialise(state: State, name: str, others: tuple[str, ...], device: str | None) -> None:
    """Give the tensor of a name memory if it has none, and let the other names stand for the same tensor."""
    for slot in state.slots[name].slots():
        if has_no_values(slot.tensor):
            state.put(slot, with_memory(slot.tensor, device))
    tensor = state.tensor(name)
    for other in others:
        if not same_memory(state.tensor(other), tensor):
            state.put(state.slots[other], tensor)


def with_memory(tensor: torch.Tensor, device: str | None) -> torch.Tensor:
    """Return a tensor like a meta tensor, with memory: of its class, strides, attributes and `requires_grad`.

    Args:
        tensor: on meta.
        device: of the memory; None: the CPU, or for a DTensor the device of its mesh.
    """
    import torch

    if is_dtensor(tensor):
        place = device or tensor.device_mesh.device_type  # type: ignore[attr-defined]
        memory = torch.empty_like(tensor.detach(), device=place)
        if isinstance(tensor, torch.nn.Parameter):
            memory = torch.nn.Parameter(memory, requires_grad=tensor.requires_grad)
        kept = {key: value for key, value in vars(tensor).items() if key not in (MARK, "_local_tensor", "_spec")}
        vars(memory).update(kept)
        return memory
    memory = torch.empty_like(tensor, device=device or "cpu")
    if type(tensor) is not torch.Tensor:
        # not the class's constructor, whose arguments are its own affair
        memory = torch.Tensor._make_subclass(type(tensor), memory.detach(), tensor.requires_grad)
    memory.requires_grad_(tensor.requires_grad)
    vars(memory).update({key: value for key, value in vars(tensor).items() if key != MARK})
    return memory


def same_memory(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors are one, or two views of one memory that agree in everything."""
    if first is second:
        return True
    if is_dtensor(first) and is_dtensor(second):
        here = [local_tensors(tensor) for tensor in (first, second)]
        return len(here[0]) == len(here[1]) > 0 and all(map(same_memory, *here))
    if is_dtensor(first) or is_dtensor(second) or first.is_meta or second.is_meta:
        return False
    if first.device != second.device or not first.numel():
        return False
    places = [(tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) for tensor in (first, second)]
    return places[0] == places[1]


def flatten_recurrent(slots: list[Slot]) -> None:
    """Let recurrent layers on a GPU gather their weights into one memory, as cuDNN wants them; no value changes."""
    import torch

    seen = {id(slot.module): slot.module for slot in slots if isinstance(slot.module, torch.nn.RNNBase)}
    for module in seen.values():
        module.flatten_parameters()
