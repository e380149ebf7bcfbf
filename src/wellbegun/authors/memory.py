"""What a storage holds: expressions in rectangles of it, the last one written on top."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from wellbegun.authors.expression import NOTHING, OPAQUE, Expression
from wellbegun.authors.origin import Origin
from wellbegun.authors.region import Box, Layout, box_of, intersect, seen_from, subtract, whole


@dataclass(frozen=True)
class Piece:
    """An expression in a rectangle of a tensor, in the tensor's own dimensions."""

    box: Box
    expression: Expression
    origin: Origin | None = None


Value = tuple[Piece, ...]


@dataclass(frozen=True)
class Cell:
    """An expression in a rectangle of a storage; `domain` is the rectangle that it was written to, whole."""

    box: Box
    domain: Box
    expression: Expression
    origin: Origin | None


@dataclass
class Memory:
    """A storage whose numbers are not computed.

    Attributes:
        number: its place on the tape.
        storage: kept, so that no other storage gets its address.
        base: layout of the tensor that it was made for.
        dtype: of that tensor.
    """

    number: int
    storage: torch.UntypedStorage
    base: Layout
    dtype: torch.dtype
    cells: list[Cell] = field(default_factory=list)
    views: dict[tuple[object, ...], Expression] = field(default_factory=dict)

    def write(self, layout: Layout, value: Value, origin: Origin | None) -> bool:
        """Put a value into a view; False, and everything unknown, where the view is no rectangle."""
        boxes = [box_of(self.base, layout.narrowed(piece.box)) for piece in value]
        if any(box is None for box in boxes):
            everything = whole(self.base.size)
            self.cells = [Cell(everything, everything, OPAQUE, origin)]
            return False
        for piece, box in zip(value, boxes, strict=True):
            assert box is not None
            self._put(box, piece.expression, piece.origin or origin)
        return True

    def read(self, layout: Layout) -> Value:
        """Return what a view holds."""
        box = box_of(self.base, layout)
        everything = whole(layout.size)
        if box is None:
            kinds = {cell.expression for cell in self.cells}
            same = kinds.pop() if len(kinds) == 1 and self.is_full else None
            if same is not None and same.is_constant:
                return (Piece(everything, same, self.cells[0].origin),)
            return (Piece(everything, OPAQUE, self.cells[-1].origin if self.cells else None),)
        found, bare = [], [box]
        for cell in self.cells:
            common = intersect(cell.box, box)
            if common is None:
                continue
            bare = [rest for part in bare for rest in subtract(part, common)]
            if common == box:
                return (Piece(everything, self._aligned(cell, common, layout), cell.origin),)
            inside = seen_from(self.base, layout, box, common)
            if inside is None:
                return (Piece(everything, OPAQUE, cell.origin),)
            found.append(Piece(inside, self._aligned(cell, common, layout.narrowed(inside)), cell.origin))
        for part in bare:
            place = seen_from(self.base, layout, box, part)
            found.append(Piece(everything if place is None else place, NOTHING))
        return tuple(found) if len(found) > 1 else (Piece(everything, found[0].expression, found[0].origin),)

    def _put(self, box: Box, expression: Expression, origin: Origin | None) -> None:
        kept = []
        for cell in self.cells:
            for rest in subtract(cell.box, box):
                kept.append(Cell(rest, cell.domain, cell.expression, cell.origin))
        covered = [cell for cell in self.cells if intersect(cell.box, box) is not None]
        if origin is not None and covered and expression.kind != "opaque":
            origin = origin.over(covered[-1].origin)
        self.cells = [*kept, Cell(box, box, expression, origin)]

    def _aligned(self, cell: Cell, box: Box, layout: Layout) -> Expression:
        """The expression if its elements are met in the order of writing, else a node that says they are not."""
        if cell.expression.kind in ("constant", "nothing", "opaque"):
            return cell.expression
        lengths = tuple(stop - start for start, stop in box)
        straight = layout.size == lengths and all(
            n == 1 or a == b for n, a, b in zip(lengths, layout.stride, self.base.stride, strict=True)
        )
        if box == cell.domain and straight:
            return cell.expression
        key = (id(cell.expression), cell.domain, box, layout)
        if key not in self.views:
            self.views[key] = Expression("seen", (cell.expression,))
        return self.views[key]

    @property
    def is_full(self) -> bool:
        """Whether every element has been written."""
        rest = [whole(self.base.size)]
        for cell in self.cells:
            rest = [part for piece in rest for part in subtract(piece, cell.box)]
        return not rest
