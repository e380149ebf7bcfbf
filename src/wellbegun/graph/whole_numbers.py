"""Whole numbers that stay real in a run on meta tensors: tokens, positions and masks decide where a forward goes."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from wellbegun.graph.results import Results

_LIKE = {"zeros_like": 0, "ones_like": 1, "new_zeros": 0, "new_ones": 1}


class WholeNumbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operations on real tensors for real, and those that meet a meta tensor on meta.

    Parameters and data are on meta and cost nothing; whole numbers and masks are real, on the CPU, so that a forward
    can ask them for values. What is made of both is on meta.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._results = Results()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        to_meta = kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "meta"
        if not any(tensor.is_meta for tensor in tensors):
            if to_meta and (tensors or _is_whole(func(*args, **kwargs))):
                kwargs["device"] = torch.device("cpu")
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name == "_to_copy" and not to_meta:  # what is on meta stays there, wherever a forward moves it
            kwargs["device"] = torch.device("meta")
        if all(tensor.is_meta for tensor in tensors):
            result = self._results.of(func, args, kwargs)
            if name in _LIKE and _is_whole(result):  # nothing of the meta tensor but its shape is in it
                return torch.full(result.shape, _LIKE[name], dtype=result.dtype)
            return result
        if any(not tensor.is_meta for tensor in _written(func, args, kwargs)):
            raise NotImplementedError(f"{func} writes a result that has no values into a tensor that has some")
        if name in ("index", "index_put", "index_put_", "_unsafe_index"):
            args = (args[0], _positions(args[1]), *args[2:])
        args, kwargs = tree_map_only(torch.Tensor, _on_meta, (args, kwargs))
        return func(*args, **kwargs)


class ListsOfRows(TorchFunctionMode):
    """Makes real tensors of the lists of whole numbers that a signal is indexed with, which PyTorch puts on meta."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.__getitem__ and isinstance(args[1], (list, tuple)):
            whole = args[1]
            index = tuple(map(_rows, whole)) if isinstance(whole, tuple) else _rows(whole)
            args = (args[0], index, *args[2:])
        return func(*args, **(kwargs or {}))


def _rows(index: Any) -> Any:
    return torch.tensor(index) if isinstance(index, list) and index and all(type(i) is int for i in index) else index


def on_meta_unless_whole(value: Any) -> Any:
    """Put the real floating-point tensors in nested tuples, lists and dictionaries on meta, and the others on the CPU.

    >>> [tensor.device.type for tensor in on_meta_unless_whole([torch.ones(2), torch.arange(2)])]
    ['meta', 'cpu']
    """
    return tree_map_only(
        torch.Tensor,
        lambda t: t if t.is_meta else t.detach().to("cpu", copy=True) if _is_whole(t) else _on_meta(t),
        value,
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_floating_point() and not value.is_complex()


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")


def _positions(indices: Any) -> list[torch.Tensor | None]:
    """Indices with every real mask written as the positions where it holds, which have a known number."""
    found: list[torch.Tensor | None] = []
    for index in indices:
        if isinstance(index, torch.Tensor) and not index.is_meta and index.dtype in (torch.bool, torch.uint8):
            found += index.nonzero(as_tuple=True)
        else:
            found.append(index)
    return found


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors that an operation writes into."""
    written = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            written += [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    return written
