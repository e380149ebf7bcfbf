"""Filling tensors and arrays: parts, strides, transposes, precisions and refusals."""

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import Fans, Initializer

SHAPE = (6, 10, 4)
LAWS = [
    wb.Normal(std=0.5, mean=1.0),
    wb.Uniform(-1.0, 2.0),
    wb.TruncatedNormal(std=0.1),
    wb.Constant(0.5),
    wb.Orthogonal(gain=2.0),
]


def whole(law: Initializer, dtype: object = np.float32) -> np.ndarray:
    out = np.full(SHAPE, np.nan, dtype)
    wb.fill(out, law, seed=5, name="w")
    return out


LAYOUTS = {
    "transposed": lambda t: torch.empty(t.shape[::-1], dtype=t.dtype).permute(2, 1, 0),
    "strided": lambda t: torch.empty(t.shape[0] * 2, t.shape[1] * 3, t.shape[2] * 2, dtype=t.dtype)[::2, ::3, 1::2],
    "offset": lambda t: torch.empty(t.numel() + 3, dtype=t.dtype)[3:].view(t.shape),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_layouts_do_not_change_the_numbers(law: Initializer, layout: str, dtype: torch.dtype) -> None:
    plain = torch.full(SHAPE, float("nan"), dtype=dtype)
    wb.fill(plain, law, seed=5, name="w")
    other = LAYOUTS[layout](plain)
    wb.fill(other, law, seed=5, name="w")
    assert other.shape == plain.shape
    assert torch.equal(other, plain)
    single = torch.from_numpy(whole(law))
    if isinstance(law, wb.Orthogonal) and dtype == torch.float64:  # the same draws, multiplied in float64
        torch.testing.assert_close(plain, single.double(), rtol=0, atol=1e-6)
    else:
        assert torch.equal(plain.float(), single.to(dtype).float())


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_parts_are_parts_of_the_whole(law: Initializer) -> None:
    expected = whole(law)
    for corner, size in (
        ((0, 0, 0), (6, 10, 4)),
        ((2, 3, 1), (3, 5, 2)),
        ((5, 9, 3), (1, 1, 1)),
        ((0, 4, 0), (6, 6, 4)),
    ):
        part = np.full(size, np.nan, np.float32)
        wb.fill(part, law, seed=5, name="w", shape=SHAPE, offset=corner)
        region = tuple(slice(first, first + length) for first, length in zip(corner, size, strict=True))
        assert np.array_equal(part, expected[region])
    for start, length in ((0, 240), (7, 100), (239, 1), (3, 0)):
        flat = np.full(length, np.nan, np.float32)
        wb.fill(flat, law, seed=5, name="w", shape=SHAPE, offset=start)
        assert np.array_equal(flat, expected.ravel()[start : start + length])


@pytest.mark.parametrize("offset", [(0, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 0, 0), 1, -1])
def test_parts_outside_are_refused(offset: object) -> None:
    with pytest.raises(ArgumentError, match="does not lie inside"):
        wb.fill(np.zeros(SHAPE, np.float32), wb.Normal(1.0), seed=0, name="w", shape=SHAPE, offset=offset)


def test_what_cannot_be_filled() -> None:
    for out, message in (
        (torch.empty(3, device="meta"), "no memory"),
        (torch.zeros(1).expand(4), "share memory"),
        (torch.zeros(4).to_sparse(), "layout"),
        (torch.zeros(4, dtype=torch.complex64), "complex64"),
        (torch.zeros(4, dtype=torch.int32), "whole constants only"),
        ([0.0, 0.0], "NumPy array or a torch tensor"),
    ):
        with pytest.raises(ArgumentError, match=message):
            wb.fill(out, wb.Normal(1.0), seed=0, name="w")
    for law in ("he", 0.5, None):
        with pytest.raises(ArgumentError, match="initializer or a law"):
            wb.fill(np.zeros(3, np.float32), law, seed=0, name="w")


def test_rules_take_their_fans() -> None:
    out = np.empty((100, 200), np.float32)
    with pytest.raises(ArgumentError, match="needs fans"):
        wb.fill(out, wb.HeNormal(), seed=0, name="w")
    wb.fill(out, wb.HeNormal(), seed=0, name="w", fans=Fans(200, 100))
    assert out.std() == pytest.approx(0.1, rel=0.02)


def test_seed_and_name_are_keywords_without_default() -> None:
    for arguments in ({}, {"seed": 0}, {"name": "w"}):
        with pytest.raises(TypeError):
            wb.fill(np.empty(3, np.float32), wb.Normal(1.0), **arguments)


def test_a_filled_tensor_makes_a_stale_backward_raise() -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * weight).sum()
    wb.fill(weight, wb.Normal(1.0), seed=0, name="w")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (1, 1, 1)])
def test_odd_shapes(shape: tuple[int, ...]) -> None:
    out = np.full(shape, np.nan, np.float32)
    wb.fill(out, wb.Normal(1.0), seed=0, name="w")
    assert np.isfinite(out).all()
    first = np.empty(1, np.float32)
    wb.fill(first, wb.Normal(1.0), seed=0, name="w")
    assert (out == first[0]).all()


@pytest.mark.parametrize(
    ("law", "dtype"),
    [
        (wb.Constant(1e5), np.float16),
        (wb.Normal(1e4), np.float16),
        (wb.Uniform(-1e5, 1e5), np.float16),
        (wb.TruncatedNormal(1e5), np.float16),
        (wb.TruncatedNormal(1e4, low=0, high=float("inf"), match_std=False), np.float16),
        (wb.Orthogonal(1e5), np.float16),
        (wb.Normal(1e38), np.float32),
    ],
    ids=repr,
)
def test_a_law_that_reaches_beyond_its_dtype_is_refused(law, dtype) -> None:
    out = np.zeros((4, 4), dtype)
    with pytest.raises(ArgumentError, match="holds numbers up to"):
        wb.fill(out, law, seed=0, name="w")
    assert not out.any()
