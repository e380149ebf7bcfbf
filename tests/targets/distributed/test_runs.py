"""Which indices a process holds, against torch's own splitting."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError
from wellbegun.targets.parts import told_runs
from wellbegun.targets.runs import Runs


def indices(runs: Runs, axis: int) -> list[int]:
    return [index for start, stop in runs.axes[axis] for index in range(start, stop)]


def torch_part(rows: torch.Tensor, parts: int, number: int) -> torch.Tensor:
    chunks = torch.chunk(rows, parts)
    return chunks[number] if number < len(chunks) else rows[:0]


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 4)), max_size=3))
def test_any_chain_of_splits_gives_what_torch_chunks_give(size: int, splits: list[tuple[int, int, int]]) -> None:
    runs, rows = Runs.whole((size, 3)), torch.arange(size)
    for parts, factor, number in splits:
        number %= parts
        runs = runs.split(0, parts=parts, number=number, factor=factor)
        outer = [torch_part(rows, factor, first) for first in range(factor)]
        rows = torch.cat([torch_part(piece, parts, number) for piece in outer])
    assert indices(runs, 0) == rows.tolist()
    assert runs.shape == (len(rows), 3)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3), st.data())
def test_blocks_tile_the_part_and_say_where_they_lie(
    rows: int, columns: int, down: int, across: int, data: st.DataObject
) -> None:
    whole = np.arange(rows * columns).reshape(rows, columns)
    runs = Runs.whole(whole.shape)
    runs = runs.split(0, parts=down, number=data.draw(st.integers(0, down - 1)), factor=2)
    runs = runs.split(1, parts=across, number=data.draw(st.integers(0, across - 1)), factor=3)
    part = np.full(runs.shape, -1)
    for index, corner in runs.blocks():
        shape = part[index].shape
        assert (part[index] == -1).all()
        part[index] = whole[tuple(slice(first, first + size) for first, size in zip(corner, shape, strict=True))]
    assert (part == whole[np.ix_(indices(runs, 0), indices(runs, 1))]).all()


def test_a_number_is_one_block() -> None:
    assert list(Runs.whole(()).blocks()) == [((), ())]
    assert list(Runs.whole((0, 4)).blocks()) == []


def test_parts_that_the_user_names() -> None:
    assert told_runs((slice(2, None), slice(None)), (4, 3), (2, 3)) == Runs((((2, 4),), ((0, 3),)))
    assert math.prod(told_runs((slice(4, 4), slice(None)), (4, 3), (0, 3)).shape) == 0
    with pytest.raises(ArgumentError, match=r"2 slices of step 1"):
        told_runs((slice(0, 2),), (4, 3), (2, 3))
    with pytest.raises(ArgumentError, match=r"has shape \[2, 3\], and the model holds \[1, 3\]"):
        told_runs((slice(0, 2), slice(None)), (4, 3), (1, 3))
