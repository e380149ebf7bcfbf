"""Views as rectangles: against the elements that they really cover."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.authors.region import Layout, box_of, intersect, seen_from, subtract, whole

SHAPES = st.lists(st.integers(1, 5), min_size=0, max_size=4).map(tuple)


def elements(box, shape) -> set[int]:
    index = np.arange(int(np.prod(shape))).reshape(shape)
    return set(index[tuple(slice(*edge) for edge in box)].ravel().tolist())


@st.composite
def views(draw) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor whose elements are their own places, and some view of it."""
    shape = draw(SHAPES)
    base = torch.arange(int(np.prod(shape))).reshape(shape)
    view = base
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["slice", "step", "select", "transpose", "flatten", "unsqueeze", "chunk"]))
        if not view.ndim:
            break
        axis = draw(st.integers(0, view.ndim - 1))
        size = view.shape[axis]
        if kind == "slice":
            first = draw(st.integers(0, size - 1))
            view = view.narrow(axis, first, draw(st.integers(1, size - first)))
        elif kind == "step":
            view = view[(slice(None),) * axis + (slice(None, None, 2),)]
        elif kind == "select":
            view = view.select(axis, draw(st.integers(0, size - 1)))
        elif kind == "transpose":
            view = view.transpose(axis, draw(st.integers(0, view.ndim - 1)))
        elif kind == "flatten" and view.is_contiguous():
            view = view.view(-1)
        elif kind == "unsqueeze":
            view = view.unsqueeze(axis)
        elif kind == "chunk" and size % 2 == 0 and view.is_contiguous():
            view = view.view(*view.shape[:axis], 2, size // 2, *view.shape[axis + 1 :])
    return base, view


@given(views())
def test_a_box_holds_the_elements_of_the_view(pair) -> None:
    base, view = pair
    box = box_of(Layout.of(base), Layout.of(view))
    if box is not None:
        assert elements(box, tuple(base.shape)) == set(view.flatten().tolist())
    else:  # no rectangle: the smallest one around it holds more than the view
        places = np.array(np.unravel_index(view.flatten().numpy(), tuple(base.shape)))
        around = int(np.prod(places.max(axis=1) - places.min(axis=1) + 1))
        assert around > view.numel()


@given(views(), st.data())
def test_a_part_of_a_view_is_found_again(pair, data) -> None:
    base, view = pair
    box = box_of(Layout.of(base), Layout.of(view))
    if box is None:
        return
    inner = tuple(sorted(data.draw(st.lists(st.integers(a, b), min_size=2, max_size=2, unique=True))) for a, b in box)
    inner = tuple((a, b) for a, b in inner)
    seen = seen_from(Layout.of(base), Layout.of(view), box, inner)
    if seen is not None:
        part = view[tuple(slice(*edge) for edge in seen)]
        assert set(part.flatten().tolist()) == elements(inner, tuple(base.shape))
        assert box_of(Layout.of(base), Layout.of(view).narrowed(seen)) == inner


@given(st.data(), st.integers(1, 3))
def test_what_is_cut_out_and_what_is_left_make_the_whole(data, rank) -> None:
    def box():
        edges = st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True).map(sorted).map(tuple)
        return tuple(data.draw(edges) for _ in range(rank))

    shape, one, hole = (6,) * rank, box(), box()
    left = [elements(part, shape) for part in subtract(one, hole)]
    common = intersect(one, hole)
    inside = elements(common, shape) if common is not None else set()
    assert inside == elements(one, shape) & elements(hole, shape)
    assert set().union(inside, *left) == elements(one, shape)
    assert all(not a & b for a, b in itertools.combinations([*left, inside], 2))


def test_repeated_elements_are_no_rectangle() -> None:
    assert box_of(Layout.of(torch.zeros(4)), Layout.of(torch.zeros(4)[:1].expand(3))) is None
    assert whole((2, 3)) == ((0, 2), (0, 3))
    last = torch.empty(4, 3, 2, 2).to(memory_format=torch.channels_last)
    assert box_of(Layout.of(last), Layout.of(last[1:3])) == ((1, 3), (0, 3), (0, 2), (0, 2))
