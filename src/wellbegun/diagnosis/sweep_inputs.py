"""What a sweep hands to the user's functions and to each network: the sizes, and the batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from wellbegun.errors import ArgumentError
from wellbegun.graph.inputs import example_inputs

INPUTS = 64
"""Number of inputs that are made from a spec."""


def call_with_sizes(function: Callable[..., Any], sizes: Mapping[str, int], what: str, *, every: bool = False) -> Any:
    """Call a function with the sizes that it takes: by the names "width" and "depth", or a single one by place.

    Args:
        function: of the user.
        sizes: the swept ones.
        what: the function's name in errors.
        every: whether it must take every size.

    Raises:
        ArgumentError: it takes none of them by name, and there are two; or it must take both and does not.
    """
    try:
        parameters = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in functions have no signature
        parameters = {}
    open_end = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {name: size for name, size in sizes.items() if open_end or name in parameters}
    if len(named) == len(sizes) or (named and not every):
        return function(**named)
    if len(sizes) == 1:
        return function(*sizes.values())
    raise ArgumentError(f"widths and depths are swept, so {what} must take width and depth by these names")


def inputs_of(batch: Any) -> Any:
    """Return the inputs of a batch, without its targets: a pair whose second part is a tensor has some."""
    paired = isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], torch.Tensor)
    return batch[0] if paired else batch


def make_batch(model: torch.nn.Module, inputs: Any) -> Any:
    """Return a batch to measure on: as given, or standard normal numbers and rows of tables for a spec.

    Args:
        model: asked for its first layer if there is no spec, and for the rows of its tables.
        inputs: a batch, a spec ("vector:64"), or None.

    Raises:
        ArgumentError: whole numbers are needed, and the model has no torch.nn.Embedding that would bound them.
    """
    if inputs is not None and not isinstance(inputs, str):
        return inputs
    arguments, keywords = next(example_inputs(model, inputs))
    generator = torch.Generator().manual_seed(0)
    all_made = all(leaf.is_meta for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor))
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))

    def made(leaf: torch.Tensor) -> torch.Tensor:
        if not leaf.is_meta:
            return leaf.to(device)
        shape = (INPUTS, *leaf.shape[1:]) if all_made else tuple(leaf.shape)
        if leaf.is_floating_point():
            return torch.randn(shape, generator=generator).to(leaf.dtype).to(device)
        return torch.randint(_rows(model), shape, generator=generator).to(leaf.dtype).to(device)

    arguments, keywords = tree_map_only(torch.Tensor, made, (arguments, keywords))
    if len(arguments) == 1 and not keywords:
        return arguments[0]
    # by name: a pair alone would be read as inputs and targets
    return dict(inspect.signature(model.forward).bind(*arguments, **keywords).arguments)


def _rows(model: torch.nn.Module) -> int:
    tables = [part.num_embeddings for part in model.modules() if isinstance(part, torch.nn.Embedding)]
    if not tables:
        raise ArgumentError("the model has no torch.nn.Embedding to read the range of tokens from; pass a batch")
    return min(tables)
