"""From what was written down to laws: sums and multiples of draws have a name, other functions become steps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from wellbegun.authors.expression import DRAWS, Expression
from wellbegun.authors.memory import Value
from wellbegun.authors.region import Box, whole
from wellbegun.errors import ArgumentError
from wellbegun.laws import (
    Computed,
    Constant,
    Dirac,
    Identity,
    Law,
    Normal,
    Orthogonal,
    Patched,
    Sparse,
    TruncatedNormal,
    Uniform,
)

NEVER = 8.0
"""Sigmas beyond which a bound cuts nothing that a draw can reach."""

MOST_STEPS = 64

Key = tuple[object, ...]
Term = tuple[str, float, float, float]
"""Kind of a standard draw (normal, uniform on [-1, 1], truncated), its factor, and the window in sigmas."""


def law_of(value: Value, shape: tuple[int, ...]) -> Law | None:
    """Return the law of a tensor that holds a value, None where only a replay can tell."""
    if len(value) == 1:
        return element_law(value[0].expression)
    if _repeats(value):
        return None
    laws = [element_law(piece.expression) for piece in value]
    if any(law is None for law in laws):
        return None
    known = [law for law in laws if law is not None]
    together = _orthogonal(known, [piece.box for piece in value], shape)
    if together is not None:
        return together
    if all(law == known[0] for law in known) and not known[0].structured:
        return known[0]
    if any(law.structured or isinstance(law, Identity | Dirac) for law in known):
        return None
    by_law: dict[Law, int] = {}
    for law, piece in zip(known, value, strict=True):
        by_law[law] = by_law.get(law, 0) + math.prod(stop - start for start, stop in piece.box)
    base = max(by_law, key=lambda law: by_law[law])
    patches = sorted((trimmed(p.box, shape), law) for p, law in zip(value, known, strict=True) if law != base)
    return Patched(base, tuple(patches))


def _repeats(value: Value) -> bool:
    """Whether numbers of one draw stand in several places (cat([m, -m])): a law would draw each place anew."""
    used: dict[int, int] = {}
    for piece in value:
        elements = math.prod(stop - start for start, stop in piece.box)
        for node in piece.expression.nodes():
            if node.elements:
                used[id(node)] = used.get(id(node), 0) + elements
                if used[id(node)] > node.elements:
                    return True
    return False


def element_law(expression: Expression) -> Law | None:
    """Return the law of one expression."""
    if _meets_itself(expression):
        return None
    scaled = _scaled_law(expression)
    if scaled is not None:
        return scaled
    found = _affine(expression, ())
    try:
        named = None if found is None else _named(*found)
        return named if named is not None else _computed(expression)
    except ArgumentError:  # a number beyond float32
        return None


def _meets_itself(expression: Expression) -> bool:
    """Whether elements of one draw are combined with others of the same one (x + x.T): they are not independent."""
    paths: dict[int, Key] = {}
    waiting: list[tuple[Expression, Key]] = [(expression, ())]
    met: set[Key] = set()
    while waiting:
        node, path = waiting.pop()
        if (*path, id(node)) in met:
            continue
        met.add((*path, id(node)))
        if node.kind in DRAWS and paths.setdefault(id(node), path) != path:
            return True
        inner = (*path, id(node)) if node.kind == "seen" else path
        waiting += [(part, inner) for part in node.arguments if isinstance(part, Expression)]
    return False


def _named(terms: dict[Key, Term], shift: float) -> Law | None:
    terms = {key: term for key, term in terms.items() if term[1] != 0}
    kinds = {term[0] for term in terms.values()}
    if not terms:
        return Constant(shift)
    if kinds == {"normal"}:
        return Normal(math.hypot(*(term[1] for term in terms.values())), shift)
    if len(terms) > 1:
        return None
    (kind, factor, low, high), size = next(iter(terms.values())), abs(next(iter(terms.values()))[1])
    if kind == "uniform":
        return Uniform(shift - size, shift + size)
    if low <= -NEVER and high >= NEVER:
        return Normal(size, shift)
    low, high = (low, high) if factor > 0 else (-high, -low)
    return TruncatedNormal(size, low, high, shift, match_std=False)


def _affine(node: Expression, path: Key) -> tuple[dict[Key, Term], float] | None:
    """Sum of multiples of standard draws, and a number."""
    kind, parts = node.kind, node.arguments
    key = (*path, id(node))
    if kind == "constant":
        return {}, parts[0]
    if kind == "normal":
        return {key: ("normal", parts[1], -math.inf, math.inf)}, parts[0]
    if kind == "uniform":
        return {key: ("uniform", (parts[1] - parts[0]) / 2, -1.0, 1.0)}, (parts[0] + parts[1]) / 2
    if kind == "truncated":
        return {key: ("truncated", parts[1], parts[2], parts[3])}, parts[0]
    if kind == "seen":
        return _affine(parts[0], key)
    if kind == "neg":
        return _times(_affine(parts[0], path), -1.0)
    if kind == "erfinv":
        return _quantile(parts[0], path)
    if kind in ("maximum", "minimum"):
        return _bounded(node, path)
    if kind not in ("add", "sub", "mul", "div"):
        return None
    left, right = _affine(parts[0], path), _affine(parts[1], path)
    if left is None or right is None:
        return None
    if kind in ("add", "sub"):
        return _plus(left, _times(right, 1.0 if kind == "add" else -1.0))
    if not right[0]:
        return _times(left, right[1] if kind == "mul" else 1 / right[1]) if kind == "mul" or right[1] else None
    return _times(right, left[1]) if kind == "mul" and not left[0] else None


def _times(found: tuple[dict[Key, Term], float] | None, factor: float) -> tuple[dict[Key, Term], float] | None:
    if found is None:
        return None
    return {key: (k, size * factor, low, high) for key, (k, size, low, high) in found[0].items()}, found[1] * factor


def _plus(left: tuple[dict[Key, Term], float], right: Any) -> tuple[dict[Key, Term], float]:
    terms = dict(left[0])
    for key, (kind, size, low, high) in right[0].items():
        terms[key] = (kind, size + (terms[key][1] if key in terms else 0.0), low, high)
    return terms, left[1] + right[1]


def _quantile(inner: Expression, path: Key) -> tuple[dict[Key, Term], float] | None:
    """erfinv of a uniform number is z/sqrt(2) with z normal in a window: how truncated normals are composed."""
    from scipy.special import erfinv

    found = _affine(inner, path)
    if found is None or len(found[0]) != 1:
        return None
    (key, (kind, size, _, _)), shift = next(iter(found[0].items())), found[1]
    if kind != "uniform" or not -1 <= shift - abs(size) < shift + abs(size) <= 1:
        return None
    low, high = (math.sqrt(2) * float(erfinv(shift + side * abs(size))) for side in (-1, 1))
    return {(*key, "quantile"): ("truncated", math.copysign(1 / math.sqrt(2), size), low, high)}, 0.0


def _bounded(node: Expression, path: Key) -> tuple[dict[Key, Term], float] | None:
    """A clamp that does not reach into the draw's own bounds changes nothing."""
    found, limit = _affine(node.arguments[0], path), node.arguments[1]
    if found is None or len(found[0]) != 1 or not limit.is_constant:
        return None
    (_, size, low, high), shift = next(iter(found[0].values())), found[1]
    ends = sorted((shift + size * low, shift + size * high))
    bound, slack = limit.arguments[0], 1e-5 * max(abs(size), abs(shift))
    inside = bound <= ends[0] + slack if node.kind == "maximum" else bound >= ends[1] - slack
    return found if inside else None


def _scaled_law(node: Expression) -> Law | None:
    """A law of whole tensors, times a number."""
    if node.kind == "law":
        law: Law = node.arguments[0]
        return law
    if node.kind not in ("mul", "div") or not node.arguments[1].is_constant:
        return None
    law_, factor = _scaled_law(node.arguments[0]), node.arguments[1].arguments[0]
    if law_ is None or factor <= 0:
        return None
    factor = factor if node.kind == "mul" else 1 / factor
    if isinstance(law_, Orthogonal | Identity | Dirac):
        return replace(law_, gain=law_.gain * factor)
    return replace(law_, std=law_.std * factor) if isinstance(law_, Sparse) else None


def _computed(expression: Expression) -> Law | None:
    """Write an element-wise function of draws as steps."""
    steps: list[tuple[Any, ...]] = []
    places: dict[Key, str] = {}

    def place(node: Expression, path: Key) -> str | float | None:
        if node.is_constant:
            return float(node.arguments[0])
        key = (*path, id(node))
        if node.kind == "seen":
            return place(node.arguments[0], key)
        if key not in places:
            step = made(node, path)
            if step is None or len(steps) >= MOST_STEPS:
                return None
            steps.append(step)
            places[key] = f"%{len(steps) - 1}"
        return places[key]

    def made(node: Expression, path: Key) -> tuple[Any, ...] | None:
        if node.kind == "exponential":
            steps.append(("uniform", 2.0**-32, 1.0))
            steps.append(("log", f"%{len(steps) - 1}"))
            return "div", f"%{len(steps) - 1}", -float(node.arguments[0])
        if node.kind == "bernoulli":
            steps.append(("uniform", 0.0, 1.0))
            steps.append(("sub", float(node.arguments[0]), f"%{len(steps) - 1}"))
            steps.append(("sign", f"%{len(steps) - 1}"))
            return "maximum", f"%{len(steps) - 1}", 0.0
        if node.kind in DRAWS:
            return (node.kind, *node.arguments)
        parts = [place(part, path) for part in node.arguments if isinstance(part, Expression)]
        if not parts or len(parts) != len(node.arguments) or any(part is None for part in parts):
            return None
        return (node.kind, *parts)

    return Computed(tuple(steps)) if isinstance(place(expression, ()), str) else None


def _orthogonal(laws: list[Law], boxes: list[Box], shape: tuple[int, ...]) -> Law | None:
    """Equal orthogonal matrices side by side: gates below one another, or a stack."""
    first, count = laws[0], len(laws)
    if not isinstance(first, Orthogonal) or any(law != first for law in laws) or first.blocks != 1 or first.batch:
        return None
    everything = whole(shape)
    rows = shape[0] // count
    if sorted(boxes) == [((k * rows, (k + 1) * rows), *everything[1:]) for k in range(count)]:
        return replace(first, batch=1) if rows == 1 and len(shape) > 2 else replace(first, blocks=count)
    return None


def trimmed(box: Box, shape: tuple[int, ...]) -> Box:
    """Without trailing dimensions that are taken whole."""
    kept = len(box)
    while kept > 1 and box[kept - 1] == (0, shape[kept - 1]):
        kept -= 1
    return box[:kept]
