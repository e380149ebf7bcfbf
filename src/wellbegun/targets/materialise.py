"""Giving meta tensors memory, and tying again what was torn apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.targets.state import Slot, State

if TYPE_CHECKING:
    import torch

MARK = "_wellbegun_plan"
"""Attribute of a tensor that a plan was applied to: the plan's hash."""


def materialise(state: State, name: str, others: tuple[str, ...], device: str) -> None:
    """Give the tensor of a name memory if it has none, and let the other names stand for the same tensor."""
    for slot in state.slots[name].slots():
        if slot.tensor.is_meta:
            slot.put(with_memory(slot.tensor, device))
    tensor = state.tensor(name)
    for other in others:
        if not same_memory(state.tensor(other), tensor):
            state.slots[other].put(tensor)


def with_memory(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """Return a tensor like a meta tensor, with memory: of its class, strides, attributes and `requires_grad`."""
    import torch

    memory = torch.empty_like(tensor, device=device)
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
    if first.is_meta or second.is_meta or first.device != second.device or not first.numel():
        return False
    places = [(tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) for tensor in (first, second)]
    return places[0] == places[1]


def flatten_recurrent(slots: list[Slot]) -> None:
    """Let recurrent layers on a GPU gather their weights into one memory, as cuDNN wants them; no value changes."""
    import torch

    seen = {id(slot.module): slot.module for slot in slots if isinstance(slot.module, torch.nn.RNNBase)}
    for module in seen.values():
        module.flatten_parameters()
