"""Complex numbers put together from two real draws: a + 1j·b, and torch.complex(a, b)."""

from __future__ import annotations

import math
from typing import Any

import torch

from wellbegun.authors.expression import Expression
from wellbegun.authors.memory import Piece, Value
from wellbegun.authors.operations import Read
from wellbegun.authors.region import whole
from wellbegun.authors.resolve import element_law
from wellbegun.laws import Normal

JOINS = frozenset({"mul", "add", "complex"})
"""Operations that may make a complex number of real ones."""


def joined(name: str, arguments: tuple[Any, ...], read: Read, size: Any) -> Value | None:
    """Return the value of a complex tensor that is made of real draws, or None where it is anything else.

    A sum of a normal draw and 1j times another of the same width is a complex normal draw, whose parts share its
    variance.

    Args:
        name: of the operation.
        arguments: as given.
        read: the value of a tensor.
        size: of the result.
    """
    if len(arguments) != 2:
        return None
    first, second = arguments
    if name == "mul":
        number, tensor = (first, second) if _is_imaginary(first) else (second, first)
        part = _expression(tensor, read) if _is_imaginary(number) else None
        if part is None or tensor.is_complex():
            return None
        factor = Expression("constant", (abs(complex(number).imag),))
        return _piece(Expression("imaginary", (Expression("mul", (part, factor)),)), size)
    parts = [_expression(tensor, read) for tensor in (first, second)]
    if name == "add":
        parts = [part.arguments[0] if part is not None and part.kind == "imaginary" else part for part in parts]
        if sum(isinstance(tensor, torch.Tensor) and tensor.is_complex() for tensor in (first, second)) != 1:
            return None
    laws = [element_law(part) if part is not None else None for part in parts]
    if not all(isinstance(law, Normal) and law.mean == 0 for law in laws) or laws[0] != laws[1]:
        return None
    draws = [{id(node) for node in part.nodes() if not node.is_constant} for part in parts if part is not None]
    if draws[0] & draws[1]:  # both parts of one draw: z·(1 + 1j)
        return None
    assert isinstance(laws[0], Normal)
    return _piece(Expression("normal", (0.0, math.sqrt(2) * laws[0].std)), size)


def _is_imaginary(value: Any) -> bool:
    number = value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_meta else value
    return isinstance(number, complex) and number.real == 0 != number.imag


def _expression(tensor: Any, read: Read) -> Expression | None:
    if not isinstance(tensor, torch.Tensor):
        return None
    value = read(tensor)
    return value[0].expression if len(value) == 1 and value[0].box == whole(tuple(tensor.shape)) else None


def _piece(expression: Expression, size: Any) -> Value:
    return (Piece(whole(tuple(size)), expression),)
