"""The batch that a diagnosis runs on: given, or made from a spec or from the model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from wellbegun.errors import ArgumentError, TraceError

INPUTS = 32
"""Number of inputs that are made where none are given."""


@dataclass(frozen=True)
class Batch:
    """Arguments of one forward pass.

    Attributes:
        arguments, keywords: for the model.
        targets: for the loss, or None.
        source: where they come from, in words.
    """

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    targets: Any
    source: str

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The inputs that are tensors."""
        return [leaf for leaf in tree_leaves((self.arguments, self.keywords)) if isinstance(leaf, torch.Tensor)]

    @property
    def count(self) -> int | None:
        """The number of inputs: the first size of the first tensor."""
        return next((len(leaf) for leaf in self.tensors if leaf.ndim), None)

    def copied(self) -> Batch:
        """The same in copies that a forward pass may write into; one tensor in two places stays one."""
        copies = {id(leaf): leaf.detach().clone() for leaf in self.tensors}
        inputs = tree_map_only(torch.Tensor, lambda leaf: copies[id(leaf)], (self.arguments, self.keywords))
        return replace(self, arguments=inputs[0], keywords=inputs[1])

    @property
    def example(self) -> Any:
        """The inputs as `wb.plan` takes them."""
        return dict(self.keywords) if self.keywords else self.arguments


def read_batch(batch: Any) -> Batch:
    """Return the inputs and the targets.

    Raises:
        ArgumentError: neither inputs nor a pair (inputs, targets).
    """
    targets = None
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor):
        batch, targets = batch
    elif isinstance(batch, (tuple, list)) and len(batch) == 2 and batch[1] is None and not _is_tensor(batch[0]):
        batch = batch[0]  # ((a, b), None): inputs without targets
    if isinstance(batch, torch.Tensor):
        batch = (batch,)
    if not isinstance(batch, (Mapping, tuple, list)):
        raise ArgumentError(
            f"batch must be inputs or a pair (inputs, targets), or a spec such as 'vector:64', got "
            f"{type(batch).__name__}"
        )
    if not all(leaf.numel() for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor)):
        raise ArgumentError("the batch holds a tensor without elements; there is nothing to measure on it")
    found = Batch((), dict(batch), targets, "") if isinstance(batch, Mapping) else Batch(tuple(batch), {}, targets, "")
    return replace(found, source="the batch" if found.count is None else f"a batch of {found.count}")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def made_batch(model: torch.nn.Module, spec: Any) -> Batch:
    """Make a batch from a spec, or from the model if there is none: standard normal numbers, and rows of tables.

    Args:
        model: for the size of its tables and its device.
        spec: see `wb.plan`; None to read it from a configuration of transformers or the first layer.

    Raises:
        ArgumentError: no spec. TraceError: the forward pass fails on what was made.
    """
    from wellbegun.graph.inputs import example_inputs
    from wellbegun.graph.trace import record

    graph = record(model, spec)
    shapes = [operation for operation in graph.operations if operation.kind == "input"]
    arguments, keywords = next(iter(example_inputs(model, spec)))
    rows = iter([_rows(graph, operation.index) for operation in shapes])
    generator = torch.Generator().manual_seed(0)
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    whole = _is_simple(arguments, keywords)

    def made(leaf: torch.Tensor) -> torch.Tensor:
        most = next(rows, None)
        size = (INPUTS, *leaf.shape[1:]) if whole and leaf.ndim else tuple(leaf.shape)
        if leaf.is_floating_point() and leaf.is_meta:
            return torch.randn(size, generator=generator).to(leaf.dtype).to(device)
        if leaf.is_meta or (most is not None and not leaf.is_floating_point() and leaf.dtype != torch.bool):
            most = most or 2
            return torch.randint(min(2, most - 1), most, size, generator=generator).to(leaf.dtype).to(device)
        grown = leaf.expand(leaf.shape) if size == tuple(leaf.shape) else leaf[:1].expand(size)
        return grown.clone().to(device)

    arguments, keywords = tree_map_only(torch.Tensor, made, (arguments, keywords))
    found = Batch(tuple(arguments), dict(keywords), None, "")
    what = f"spec {spec!r}" if spec is not None else "what the model takes"
    source = f"{found.count} random inputs made from {what}"
    return Batch(found.arguments, found.keywords, None, source)


def _is_simple(arguments: Any, keywords: Any) -> bool:
    """Whether every argument is a tensor with a row for each input, so that their number can be raised."""
    leaves = [leaf for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
    kinds = {"input_ids", "attention_mask", "pixel_values", "decoder_input_ids", "input_features", "token_type_ids"}
    return len({leaf.shape[:1] for leaf in leaves}) == 1 and set(keywords) <= kinds


def _rows(graph: Any, index: int) -> int | None:
    """Rows of the smallest table that an input looks up in; None if it looks up in none."""
    shapes = graph.shapes
    met = [
        shapes[use.variable][0]
        for uses in graph.uses.values()
        for use in uses
        if use.role == "embedding weight"
        and any(graph.source(before).index == index for before in graph.operations[use.operation].inputs)
    ]
    return min(met, default=None)


def run(model: torch.nn.Module, batch: Batch) -> Any:
    """Return what the model makes of a batch.

    Raises:
        TraceError: its forward pass fails; its own error is given.
    """
    try:
        return model(*batch.arguments, **batch.keywords)
    except Exception as error:
        shapes = [str(tuple(leaf.shape)) for leaf in batch.tensors]
        given = f"inputs of shape {', '.join(shapes)}" if shapes else "these inputs"
        hint = ""
        if batch.targets is not None and not _takes(model, batch):
            hint = (
                "; a pair is read as (inputs, targets): two inputs go as ((a, b), targets), or by name in a "
                "dictionary, alone or as ({...}, targets)"
            )
        kind = type(model).__name__
        raise TraceError(f"{kind} fails on {given}: {type(error).__name__}: {error}{hint}") from error


def _takes(model: torch.nn.Module, batch: Batch) -> bool:
    """Whether the forward method takes that many arguments."""
    try:
        inspect.signature(model.forward).bind(*batch.arguments, **batch.keywords)
    except TypeError:
        return False
    return True
