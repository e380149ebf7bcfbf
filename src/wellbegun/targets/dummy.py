"""wb.dummy: finite numbers for a model whose weights do not matter, without a plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from wellbegun.laws import Constant, Keep, Law, Orthogonal, Uniform, Zeros
from wellbegun.plans import Entry, Plan
from wellbegun.targets.apply import Applied, apply
from wellbegun.targets.parts import logical_shape
from wellbegun.targets.state import State

if TYPE_CHECKING:
    import torch

ZERO_NAMES = ("bias", "shift", "beta", "mean", "zero", "zeros", "zero_point", "zero_points", "qzeros")
"""Last words of a name that stand for something which is added."""


def dummy(model: torch.nn.Module, *, seed: int = 0, device: str | None = None) -> Applied:
    """Fill a model with finite numbers of ordinary size, to measure its speed or its memory, never to train it.

    >>> import torch
    >>> with torch.device("meta"):
    ...     model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.LayerNorm(512))
    >>> done = dummy(model)
    >>> bool(model(torch.randn(2, 512)).isfinite().all())
    True

    Nothing is traced, so any model will do: sharded ones, and quantised ones whose forward runs on special hardware
    only. Matrices and kernels get U(-1/sqrt(n), 1/sqrt(n)) for n numbers in a row, which keeps signals small through
    any depth; scales and other vectors 1, biases, means and zero points 0. Packed whole numbers are never random: they
    stay as they are, or are 0 where they had no memory.

    Args:
        model: its floating tensors are overwritten, those on meta get memory.
        seed: of the numbers.
        device: of tensors on meta, as for `apply`.

    Raises:
        ApplyError: a tensor cannot be written; nothing has been written then.
    """
    state = State(model, "dummy weights")
    groups: dict[int, list[str]] = {}
    for name, slot in state.slots.items():
        groups.setdefault(id(slot.tensor), []).append(name)
    entries = [_entry(state, names) for names in groups.values()]
    return apply(Plan(tuple(entries), seed, "dummy@1"), model, device=device, overwrite=True)


def _entry(state: State, names: list[str]) -> Entry:
    import torch

    name, *ties = names
    tensor, shape = state.tensor(name), logical_shape(state.tensor(name))
    law = _law(state, shape, name)
    kind = "parameter" if isinstance(tensor, torch.nn.Parameter) else "buffer"
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Entry(name, kind, shape, dtype, "dummy", repr(law), law, "finite, nothing else", ties=tuple(ties))


def _law(state: State, shape: tuple[int, ...], name: str) -> Law:
    tensor = state.tensor(name)
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return Zeros().law() if tensor.is_meta else Keep()
    weight = state.slots[name].weight
    if weight is not None and weight.kind == "orthogonal":  # which holds nothing else
        return Orthogonal()
    last = name.rpartition(".")[2].lower()
    if last.endswith(ZERO_NAMES):
        return Constant(0.0)
    if len(shape) < 2 or "scale" in last:
        return Constant(1.0)
    bound = 1 / math.sqrt(max(math.prod(shape[1:]) if len(shape) > 3 else shape[-1], 1))
    return Uniform(-bound, bound)
