"""What PyTorch says about an operation: which arguments it writes, and what its results look like."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

SMALL = 1 << 16
"""Elements up to which a constant tensor is simply made."""


def hollow(leaf: torch.Tensor) -> torch.Tensor:
    """Memory of this shape that nothing is written to: the system gives it no pages."""
    try:
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="cpu")
    except RuntimeError:  # more than the machine could ever hold
        return leaf


def shapes_of(func: Any, args: Any, kwargs: Any) -> tuple[Any, bool]:
    """The results of an operation on meta tensors; True with it if they depend on numbers."""
    unmasked = func.overloadpacket.__name__ == "index" and not any(
        leaf.dtype in (torch.bool, torch.uint8) for leaf in tree_leaves(args[1]) if isinstance(leaf, torch.Tensor)
    )
    if torch.Tag.data_dependent_output in func.tags:
        return None, True
    if torch.Tag.dynamic_output_shape in func.tags and not unmasked:
        return None, True

    def meta(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or leaf.is_meta:
            return leaf
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")

    arguments, keywords = tree_map(meta, (args, kwargs))
    if any(argument.name == "device" for argument in func._schema.arguments):
        keywords = keywords | {"device": torch.device("meta")}
    keywords = {name: value for name, value in keywords.items() if name != "generator"}
    try:
        return func(*arguments, **keywords), False
    except NotImplementedError:
        return None, True


def device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Where the result of an operation lies."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    return tensors[0].device.type if tensors else "cpu"


def one_number(tensor: torch.Tensor) -> float | None:
    """The number that all elements of an ordinary small tensor are."""
    if not 0 < tensor.numel() <= SMALL or tensor.is_meta or tensor.is_complex() or tensor.layout != torch.strided:
        return None
    first = tensor.reshape(-1)[0]
    return float(first) if bool((tensor == first).all()) else None


@functools.cache
def is_view(func: Any) -> bool:
    """Whether the results share an argument's memory, or only the way a tensor lies in memory changes."""
    if torch.Tag.inplace_view in func.tags:
        return True
    infos = [argument.alias_info for argument in func._schema.arguments]
    return any(info is not None and not info.is_write for info in infos) or func.overloadpacket.__name__ == "set_"


@functools.cache
def write_places(func: Any) -> tuple[tuple[int, str], ...]:
    """Positions and names of the arguments that an operation writes."""
    return tuple(
        (position, argument.name)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def written_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that a call writes."""
    return [args[i] if i < len(args) else kwargs.get(name) for i, name in write_places(func)]
