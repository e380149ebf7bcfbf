"""How a part is divided: every element once, and few programs that compute what nobody keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellbegun.errors import ArgumentError
from wellbegun.sampler.gpu import launch
from wellbegun.sampler.gpu.launch import LONE_LANES, Part, launch_of, parts
from wellbegun.sampler.layout import TILE


@given(
    rows=st.integers(1, 9), run=st.integers(1, 90), gap=st.integers(0, 5), step=st.integers(0, 200),
    most=st.integers(1, 300), start=st.integers(0, 2**62),
)  # fmt: skip
def test_parts_hold_every_element_once(rows, run, gap, step, most, start):
    pitch = run + gap
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_MOST_LISTED", most)
        pieces = list(parts(Part(0, start, rows, run, pitch, step), 1.0))
    seen = {}
    for piece in pieces:
        assert piece.rows * piece.run <= max(most, 1)
        for row, column in np.ndindex(piece.rows, piece.run):
            place = piece.offset + row * piece.pitch + column
            assert place not in seen
            seen[place] = piece.start + row * piece.step + column
    assert seen == {r * pitch + c: start + r * step + c for r in range(rows) for c in range(run)}


@given(
    rows=st.integers(1, 5), run=st.integers(1, 9000), start=st.integers(0, 5000), step=st.integers(0, 9000),
    misses=st.sampled_from([None, 0.05]),
)  # fmt: skip
def test_programs_cover_every_row_and_waste_little(rows, run, start, step, misses):
    chosen = launch_of(Part(0, start, rows, run, run, step), misses)
    if chosen.tiles == 0:
        assert chosen.programs * LONE_LANES >= rows * run > (chosen.programs - 1) * LONE_LANES
        return
    size = chosen.tiles * TILE
    touched = [(start + r * step + run - 1) // size - (start + r * step) // size + 1 for r in range(rows)]
    assert max(touched) <= chosen.groups
    assert chosen.programs == rows * chosen.groups
    assert chosen.programs * size <= 2 * rows * run


def test_a_list_has_room_for_what_is_expected():
    chosen = launch_of(Part(0, 0, 1, 10**7, 10**7, 0), 0.0455)
    assert 455_000 < chosen.capacity < 465_000
    assert launch_of(Part(0, 0, 1, 10**7, 10**7, 0), None).capacity == 0
    assert launch_of(Part(0, 0, 1, 1000, 1000, 0), 0.0455).capacity == 0


def test_a_part_beyond_the_grid_is_refused():
    with pytest.raises(ArgumentError, match="programs"):
        launch_of(Part(0, 0, 2**40, 3, 3, 3), None)
