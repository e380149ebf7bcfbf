"""Results on meta of operations that ran before on tensors of the same shapes: layers are alike, and have no values."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_leaves

_Layout = tuple[torch.Size, tuple[int, ...], torch.dtype]

_Layouts = tuple[type, tuple[_Layout, ...]]
"""Of what an operation returns: one tensor, or several in a tuple or a list."""


class Results:
    """Runs operations on meta tensors, each once for each set of shapes; afterwards it makes the result by itself.

    Many of PyTorch's operations are written in Python on meta, and take a tenth of a millisecond to say what the shape
    of a sum is.

    >>> results, row = Results(), torch.empty(2, 3, device="meta")
    >>> [results.of(torch.ops.aten.add.Tensor, (row, row), {}).shape for _ in range(2)]
    [torch.Size([2, 3]), torch.Size([2, 3])]
    """

    def __init__(self) -> None:
        self._known: dict[Any, _Layouts | None] = {}

    def of(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what an operation makes of tensors that are all on meta.

        Args:
            function: an overload of PyTorch's own; what writes or makes views runs each time, as does everything else
                whose results are not all new tensors.
            args, kwargs: its arguments.
        """
        key = _signature((function, args, kwargs)) if function.namespace == "aten" else None
        known = None if key is None else self._known.get(key)
        if known is not None:
            kind, layouts = known
            made = [torch.empty_strided(size, stride, dtype=dtype, device="meta") for size, stride, dtype in layouts]
            return made[0] if kind is torch.Tensor else kind(made)
        result = function(*args, **kwargs)
        if key is not None and key not in self._known:
            self._known[key] = _layouts(function, args, kwargs, result)
        return result


def _signature(value: Any) -> Any:
    """All that a result on meta depends on, as something that can be looked up; None where that is not known."""
    if isinstance(value, torch.Tensor):
        plain = type(value) in (torch.Tensor, torch.nn.Parameter) and value.layout == torch.strided
        if not plain or value.is_conj() or value.is_neg():
            return None
        return value.shape, value.stride(), value.dtype
    if isinstance(value, dict):
        value = tuple(value.items())
    if isinstance(value, (list, tuple)):
        found = tuple([_signature(one) for one in value])
        return None if any(one is None for one in found) else found
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool, torch.Generator)):
        return None
    return type(value), value  # 1, 1.0 and True are told apart


def _layouts(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> _Layouts | None:
    """The layouts of the tensors that an operation made; None if they are not all new and plain."""
    schema = function._schema
    if any(argument.alias_info is not None for argument in (*schema.arguments, *schema.returns)):
        return None
    results = (result,) if isinstance(result, torch.Tensor) else result
    if not isinstance(results, (tuple, list)) or not all(map(_is_plain, results)):
        return None
    given = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
    made = {_storage(tensor) for tensor in results}
    if len(made) < len(results) or made & given:
        return None
    kind = torch.Tensor if isinstance(result, torch.Tensor) else list if isinstance(result, list) else tuple
    return kind, tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in results)


def _is_plain(value: Any) -> bool:
    """Whether a result is a tensor like others, on meta, that fills its storage."""
    if type(value) is not torch.Tensor or not value.is_meta or _signature(value) is None:
        return False
    return value.untyped_storage().nbytes() == value.nbytes


def _storage(tensor: torch.Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address
