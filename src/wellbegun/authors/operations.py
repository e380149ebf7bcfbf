"""What PyTorch's operations make of expressions: fills, draws, copies and element-wise functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from wellbegun.authors.expression import NOTHING, OPAQUE, Expression, constant
from wellbegun.authors.memory import Piece, Value
from wellbegun.authors.region import whole
from wellbegun.laws import Constant, Law, Normal, TruncatedNormal, Uniform

UNARY = frozenset(
    "exp log neg expm1 log1p sqrt rsqrt abs sin cos tanh sigmoid erfinv reciprocal square round floor ceil sign".split()
)
BINARY = frozenset("add sub mul div pow rsub maximum minimum".split())
COPIES = frozenset("clone _to_copy contiguous lift_fresh alias_copy detach_copy".split())
EMPTIES = frozenset("empty empty_strided empty_like new_empty new_empty_strided empty_permuted".split())
CONSTANTS = frozenset("zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full".split())

_DRAWS: dict[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "normal": ("normal", (("mean", 0.0), ("std", 1.0))),
    "uniform": ("uniform", (("from", 0.0), ("to", 1.0))),
    "exponential": ("exponential", (("lambd", 1.0),)),
    "bernoulli": ("bernoulli", (("p", 0.5),)),
}
_STANDARD = {"rand": ("uniform", 0.0, 1.0), "randn": ("normal", 0.0, 1.0)}

Read = Callable[[Any], Value]


def meaning(
    name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], read: Read, size: Any, in_place: bool
) -> Value | None:
    """Return the value that an operation gives a tensor of this size, or None where only the tape can tell.

    Args:
        name: of the operation, without a trailing underscore.
        arguments, keywords: as given.
        read: the value of a tensor or a number.
        size: of the result, or of the tensor that is written.
        in_place: whether it writes its first argument.
    """
    everything, count = whole(tuple(size)), math.prod(size)
    if name in EMPTIES:
        return (Piece(everything, NOTHING),)
    if name in _DRAWS and (in_place or name == "normal"):
        numbers = _numbers(_DRAWS[name][1], arguments[1:] if in_place else arguments[:2], keywords)
        return None if numbers is None else (Piece(everything, drawn(_DRAWS[name][0], *numbers, elements=count)),)
    if name.removesuffix("_like") in _STANDARD:
        kind, *numbers = _STANDARD[name.removesuffix("_like")]
        return (Piece(everything, Expression(kind, tuple(numbers), count)),)
    if name == "zero":
        return (Piece(everything, constant(0.0)),)
    if name in ("fill", "copy"):
        return _spread(read(arguments[1]), everything)
    if name in CONSTANTS:
        return _constants(name, arguments, keywords, read, everything)
    if name in COPIES:
        return read(arguments[0])
    if name in UNARY and len(arguments) == 1:
        return tuple(Piece(p.box, applied(name, p.expression), p.origin) for p in read(arguments[0]))
    if name in BINARY:
        return _binary(name, arguments, keywords, read, everything)
    if name in ("clamp", "clamp_min", "clamp_max"):
        return _clamped(name, arguments, keywords, read)
    if name in ("cat", "stack"):
        return _joined(name, arguments, keywords, read)
    return None


def drawn(kind: str, *numbers: float, elements: int = 0) -> Expression:
    """Make a draw; one without any spread is a number."""
    if (kind == "normal" and numbers[1] == 0) or (kind == "uniform" and numbers[0] == numbers[1]):
        return constant(numbers[0])
    return Expression(kind, tuple(float(number) for number in numbers), elements)


def expression_of(law: Law, elements: int) -> Expression:
    """Make the draw of a whole tensor of so many elements that a law describes."""
    if isinstance(law, Normal):
        return drawn("normal", law.mean, law.std, elements=elements)
    if isinstance(law, Uniform):
        return drawn("uniform", law.low, law.high, elements=elements)
    if isinstance(law, Constant):
        return constant(law.value)
    if isinstance(law, TruncatedNormal):
        plain = law.law()
        assert isinstance(plain, TruncatedNormal)
        return Expression("truncated", (plain.mean, plain.std, plain.low, plain.high), elements)
    return Expression("law", (law,), elements)


def applied(name: str, *parts: Expression) -> Expression:
    """Apply an element-wise function; to numbers alone it is computed."""
    if any(part.kind in ("opaque", "nothing", "given") for part in parts):
        return OPAQUE if all(part.kind != "nothing" for part in parts) else NOTHING
    if all(part.is_constant for part in parts):
        numbers = [torch.tensor(part.arguments[0], dtype=torch.float64) for part in parts]
        if name == "rsub":
            return constant((numbers[1] - numbers[0]).item())
        return constant(getattr(torch, name)(*numbers).item())
    if name == "rsub":
        return Expression("sub", (parts[1], parts[0]))
    return Expression(name, parts)


def _numbers(wanted: tuple[tuple[str, float], ...], arguments: Any, keywords: dict[str, Any]) -> list[float] | None:
    found = []
    for position, (name, default) in enumerate(wanted):
        value = arguments[position] if position < len(arguments) else keywords.get(name, default)
        if isinstance(value, torch.Tensor) or value is None:
            return None
        found.append(float(value))
    return found


def _spread(value: Value, everything: tuple[tuple[int, int], ...]) -> Value | None:
    """A value written to a tensor of another shape: numbers spread, draws would repeat."""
    if len(value) == 1 and (value[0].expression.is_constant or value[0].box == everything):
        return (Piece(everything, value[0].expression, value[0].origin),)
    return value if _covers(value, everything) else None


def _covers(value: Value, everything: tuple[tuple[int, int], ...]) -> bool:
    ends = [tuple(max(piece.box[d][1] for piece in value) for d in range(len(value[0].box)))]
    return ends[0] == tuple(stop for _, stop in everything)


def _constants(name: str, arguments: Any, keywords: dict[str, Any], read: Read, everything: Any) -> Value | None:
    if "full" in name:
        value = arguments[1] if len(arguments) > 1 and "new" not in name else keywords.get("fill_value")
        if "new" in name:
            value = arguments[2]
        return _spread(read(value), everything)
    return (Piece(everything, constant(1.0 if "ones" in name else 0.0)),)


def _binary(name: str, arguments: Any, keywords: dict[str, Any], read: Read, everything: Any) -> Value | None:
    if keywords.get("rounding_mode") is not None or len(arguments) < 2:
        return None
    left, right = read(arguments[0]), read(arguments[1])
    factor = keywords.get("alpha", arguments[2] if len(arguments) > 2 else 1)
    if factor != 1:
        scaled = constant(float(factor))
        if name == "rsub":
            left = tuple(Piece(p.box, applied("mul", p.expression, scaled), p.origin) for p in left)
        else:
            right = tuple(Piece(p.box, applied("mul", p.expression, scaled), p.origin) for p in right)
    if len(right) == 1 and right[0].expression.is_constant and _covers(left, everything):
        return tuple(Piece(p.box, applied(name, p.expression, right[0].expression), p.origin) for p in left)
    if len(left) == 1 and left[0].expression.is_constant and _covers(right, everything):
        return tuple(Piece(p.box, applied(name, left[0].expression, p.expression), p.origin) for p in right)
    if [p.box for p in left] == [p.box for p in right] and _covers(left, everything):
        return tuple(
            Piece(a.box, applied(name, a.expression, b.expression), a.origin) for a, b in zip(left, right, strict=True)
        )
    return None


def _clamped(name: str, arguments: Any, keywords: dict[str, Any], read: Read) -> Value | None:
    low = keywords.get("min", arguments[1] if len(arguments) > 1 and name != "clamp_max" else None)
    high = keywords.get("max", arguments[2] if len(arguments) > 2 else None)
    if name == "clamp_max":
        high = keywords.get("max", arguments[1] if len(arguments) > 1 else None)
    if isinstance(low, torch.Tensor) or isinstance(high, torch.Tensor):
        return None
    value = read(arguments[0])
    for bound, function in ((low, "maximum"), (high, "minimum")):
        if bound is not None:
            limit = constant(float(bound))
            value = tuple(Piece(p.box, applied(function, p.expression, limit), p.origin) for p in value)
    return value


def _joined(name: str, arguments: Any, keywords: dict[str, Any], read: Read) -> Value | None:
    tensors, rank = arguments[0], arguments[0][0].ndim + (name == "stack")
    axis = (arguments[1] if len(arguments) > 1 else keywords.get("dim", 0)) % max(rank, 1)
    pieces, start = [], 0
    for tensor in tensors:
        length = 1 if name == "stack" else tensor.shape[axis]
        for piece in read(tensor):
            box = list(piece.box)
            if name == "stack":
                box.insert(axis, (start, start + 1))
            else:
                box[axis] = (box[axis][0] + start, box[axis][1] + start)
            pieces.append(Piece(tuple(box), piece.expression, piece.origin))
        start += length
    return tuple(pieces)
