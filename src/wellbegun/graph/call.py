"""One call of a PyTorch operation, as the recorder sees it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

_MOST_SCALARS = 8


class Call:
    """An operation of PyTorch that has run: its name without marks, arguments and result.

    Attributes:
        function: the overload that ran.
        name: "add" for `add`, `add_` and `add.out`.
        in_place: whether it wrote into its first argument.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        name = function.overloadpacket.__name__
        self.function, self.args, self.kwargs, self.result = function, args, kwargs, result
        self.in_place = name.endswith("_") and not name.startswith("__")
        self.name = name if name.startswith("__") else name.rstrip("_")

    @cached_property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors among the arguments, in order."""
        values = (self.args, {key: value for key, value in self.kwargs.items() if key != "out"})
        return tuple(leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))

    @cached_property
    def results(self) -> tuple[torch.Tensor, ...]:
        """All tensors that came out."""
        if isinstance(self.result, torch.Tensor):
            return (self.result,)
        return tuple(leaf for leaf in tree_leaves(self.result) if isinstance(leaf, torch.Tensor))

    def argument(self, position: int, keyword: str = "", default: Any = None) -> Any:
        """An argument by position or keyword."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(keyword, default)

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether each number of the result depends on the numbers at its place alone."""
        return torch.Tag.pointwise in self.function.tags

    @cached_property
    def scalars(self) -> tuple[tuple[int | str, float | str], ...]:
        """The numbers and texts among the arguments, by position or keyword."""
        found: list[tuple[int | str, float | str]] = []
        named: list[tuple[int | str, Any]] = [*enumerate(self.args), *self.kwargs.items()]
        for key, value in named:
            if isinstance(value, (int, float, str)):
                found.append((key, value))
            elif isinstance(value, torch.Tensor) and _is_known_number(value):
                found.append((key, float(value)))
        return tuple(found[:_MOST_SCALARS])


def _is_known_number(value: torch.Tensor) -> bool:
    """A constant of the forward pass, as opposed to a signal or parameter, which are on meta or have dimensions."""
    return value.ndim == 0 and value.device.type == "cpu" and not value.is_complex()
