"""Identity matrices and Dirac kernels: torch's, in any part, layout and type, without the whole in memory."""

from __future__ import annotations

import math
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import wellbegun as wb
from wellbegun.errors import ArgumentError

MATRICES = [(1, 1), (4, 4), (3, 7), (7, 3), (1, 5), (5, 1), (0, 4), (4, 0)]
KERNELS = [
    (4, 4, 3), (4, 4, 4), (6, 2, 1), (2, 6, 2), (8, 4, 3, 3), (8, 4, 4, 2), (4, 8, 1, 5), (6, 6, 2, 3, 4),
    (6, 3, 3, 3, 3), (12, 1, 2, 2), (5, 5, 6),
]  # fmt: skip


def filled(law, size, dtype=np.float32, **where):
    out = np.full(size, 7, dtype)
    wb.fill(out, law, seed=3, name="w", **where)
    return out


@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_identity_is_that_of_torch(shape):
    np.testing.assert_array_equal(filled(wb.Identity(), shape), torch.nn.init.eye_(torch.empty(shape)).numpy())
    np.testing.assert_array_equal(filled(wb.Identity(0.5), shape), 0.5 * np.eye(*shape))


@pytest.mark.parametrize("shape", KERNELS, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_dirac_is_that_of_torch(shape, groups):
    law = wb.Dirac(groups)
    if shape[0] % groups:
        with pytest.raises(ArgumentError, match=f"{shape[0]} outputs .* into {groups} equal groups"):
            filled(law, shape)
        return
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    np.testing.assert_array_equal(filled(law, shape), expected)
    np.testing.assert_array_equal(filled(wb.Dirac(groups, gain=1.5), shape, np.float64), 1.5 * expected)
    mean, std = law.moments(shape)
    assert (mean, std) == (pytest.approx(expected.mean(), rel=1e-6), pytest.approx(expected.std(), rel=1e-6))


def test_a_dirac_layer_passes_channels_through():
    for groups in (1, 2):
        layer = torch.nn.Conv2d(4, 4, 3, padding=1, groups=groups, bias=False)
        wb.fill(layer.weight, wb.Dirac(groups), seed=1, name="w")
        image = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(layer(image), image, rtol=0, atol=0)


sizes = st.integers(0, 5)


@given(st.data())
def test_any_part_in_any_layout(data):
    law, dimensions = data.draw(st.sampled_from([(wb.Identity(0.1), 2), (wb.Dirac(gain=0.1), 3), (wb.Dirac(), 4)]))
    shape = tuple(data.draw(sizes) for _ in range(dimensions))
    whole = filled(law, shape)
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.float16, ml_dtypes.bfloat16]))
    first = [data.draw(st.integers(0, size)) for size in shape]
    last = [data.draw(st.integers(a, size)) for a, size in zip(first, shape, strict=True)]
    part = whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))].astype(dtype)
    store = np.full([2 * size + 1 for size in reversed(part.shape)], 7, dtype).T
    out = store[tuple(slice(1, 1 + 2 * size, 2) for size in part.shape)]
    wb.fill(out, law, seed=3, name="w", shape=shape, offset=tuple(first))
    np.testing.assert_array_equal(out, part)
    assert np.count_nonzero(store == 7) == store.size - part.size
    start = data.draw(st.integers(0, math.prod(shape)))
    stop = data.draw(st.integers(start, math.prod(shape)))
    flat = filled(law, stop - start, dtype, shape=shape, offset=start)
    np.testing.assert_array_equal(flat, whole.reshape(-1)[start:stop].astype(dtype))


def test_a_part_of_a_tensor_that_nobody_could_hold():
    tracemalloc.start()
    try:
        part = filled(wb.Identity(), (3, 4), shape=(2**20, 2**40), offset=(2**19, 2**19 - 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(part, np.eye(3, 4, 1))
    assert peak < 2**20 * 8 * 8


@pytest.mark.parametrize(
    ("law", "shape", "shown"),
    [
        (wb.Identity(), (4,), r"two dimensions, got shape \(4,\)"),
        (wb.Identity(), (4, 4, 3), "see Dirac"),
        (wb.Dirac(), (4, 4), "see Identity"),
        (wb.Dirac(), (1,) * 6, "3 to 5 dimensions"),
        (wb.Dirac(3), (4, 4, 3), "choose a number of groups that divides 4"),
    ],
    ids=repr,
)
def test_shapes_that_do_not_fit_are_refused(law, shape, shown):
    with pytest.raises(ArgumentError, match=shown):
        filled(law, shape)


def test_a_value_that_the_type_cannot_hold_is_refused():
    with pytest.raises(ArgumentError, match="float16"):
        filled(wb.Identity(1e5), (4, 4), np.float16)
