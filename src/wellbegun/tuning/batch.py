"""The batch that a step of tuning looks at: arguments of the forward pass, and targets where there are some."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batch:
    """Inputs, copied: a forward pass may write into its inputs, which are the caller's.

    Attributes:
        arguments, keywords: of the forward pass.
        targets: the second of a pair, or None.
        hint: what may be wrong with the inputs if the forward pass fails.
    """

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    targets: torch.Tensor | None = None
    hint: str = ""

    @property
    def size(self) -> int | None:
        """The number of inputs: the first size of the first tensor."""
        return next((len(leaf) for leaf in self.tensors if leaf.ndim), None)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The tensors among the inputs."""
        import torch
        from torch.utils._pytree import tree_leaves

        return [leaf for leaf in tree_leaves((self.arguments, self.keywords)) if isinstance(leaf, torch.Tensor)]


def read_batch(batch: Any) -> Batch:
    """Read what a user gives: a tensor, a dictionary, several arguments, or a pair of inputs and targets.

    Raises:
        ArgumentError: no tensor with numbers is in it.
    """
    import torch
    from torch.utils._pytree import tree_leaves, tree_map_only

    hint, targets = "", None
    if isinstance(batch, Mapping):  # some mappings, such as those of tokenizers, are opaque to tree functions
        batch = dict(batch)
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor):
        inputs, targets = batch[0], batch[1].detach()
        batch = dict(inputs) if isinstance(inputs, Mapping) else inputs
        hint = "; a pair is read as (inputs, targets): two inputs go by name in a dictionary"
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor)]
    if not tensors or any(leaf.is_meta for leaf in tensors):
        given = "meta tensors" if tensors else repr(batch) if isinstance(batch, str) else type(batch).__name__
        raise ArgumentError(
            f"batch must hold real inputs to measure on, got {given}; pass torch tensors (torch.as_tensor of an array)"
        )
    if any(not leaf.numel() for leaf in (*tensors, *(() if targets is None else (targets,)))):
        raise ArgumentError("the batch holds a tensor without elements; there is nothing to measure on it")
    copies = {id(leaf): leaf.detach().clone() for leaf in tensors}  # one tensor in two places stays one tensor
    batch = tree_map_only(torch.Tensor, lambda leaf: copies[id(leaf)], batch)
    if isinstance(batch, dict):
        return Batch((), batch, targets, hint)
    return Batch(tuple(batch) if isinstance(batch, (tuple, list)) else (batch,), {}, targets, hint)


def batches(batch: Any) -> Callable[[int], Batch]:
    """Read one batch for all steps, or a function that gives the batch of each step."""
    if callable(batch):
        return lambda step: read_batch(batch(step))
    one = read_batch(batch)
    return lambda _: one


def check_number(name: str, value: object, least: float, *, most: float = math.inf, whole: bool = False) -> None:
    """Raise ArgumentError unless a number lies in its range, `least` included if it is whole or has a `most`."""
    kinds = (int,) if whole else (int, float)
    closed = whole or most < math.inf
    if isinstance(value, kinds) and not isinstance(value, bool):
        inside = value >= least if closed else value > least
        if inside and value < most:
            return
    limits = f"{'at least' if closed else 'above'} {least:g}" + (f" and below {most:g}" if most < math.inf else "")
    raise ArgumentError(f"{name} must be a {'whole ' if whole else ''}number {limits}, got {value!r}")
