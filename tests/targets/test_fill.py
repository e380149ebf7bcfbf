"""Filling tensors and arrays: parts, strides, transposes, precisions and refusals."""

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import Fans, Initializer
from wellbegun.sampler import LARGEST, storage_type

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
    if dtype != torch.float64:
        assert torch.equal(plain.float(), torch.from_numpy(whole(law)).to(dtype).float())


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
        (torch.zeros(4, dtype=torch.float8_e4m3fnuz), "float8_e4m3fnuz"),
        (torch.zeros(4, dtype=torch.complex64).conj(), "lazy conjugate"),
        (torch.zeros(4, dtype=torch.int32), "takes whole constants only, or stored"),
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


@pytest.mark.parametrize("dtype", LARGEST)
def test_memory_of_every_kind(dtype: str) -> None:
    """Misaligned, of the other byte order, without dimensions, inside a structure, backwards: the same numbers."""
    kind = storage_type(dtype)
    law = wb.Normal(1.0)
    plain = np.zeros((6, 10), kind)
    wb.fill(plain, law, seed=5, name="w")
    misaligned = np.zeros(6 * 10 * kind.itemsize + 1, np.uint8)[1:].view(kind).reshape(6, 10)
    backwards = np.zeros((6, 10), kind)[::-1, ::-1]
    odd_steps = np.zeros((12, 30), kind)[::2, ::3]
    targets = [misaligned, backwards, odd_steps]
    if not dtype.startswith(("bfloat", "float8")):
        structure = np.zeros((6, 10), [("pad", np.uint8), ("value", kind)])
        targets += [structure["value"], np.zeros((6, 10), kind.newbyteorder())]
    for target in targets:
        wb.fill(target, law, seed=5, name="w")
        assert np.array_equal(target.astype(kind), plain)
    part = np.zeros((3, 4), kind.newbyteorder() if kind.isbuiltin == 1 else kind)
    wb.fill(part[:, ::2], law, seed=5, name="w", shape=(6, 10), offset=(2, 3))
    assert np.array_equal(part[:, ::2].astype(kind), plain[2:5, 3:5])
    scalar = np.zeros((), kind)
    wb.fill(scalar, law, seed=5, name="w")
    assert scalar[()] == plain[0, 0]
    wb.fill(np.zeros((0, 3), kind), law, seed=5, name="w")


def test_memory_that_cannot_take_the_numbers() -> None:
    read_only = np.zeros(4, np.float32)
    read_only.flags.writeable = False
    strided = np.lib.stride_tricks.as_strided
    for out, message in (
        (read_only, "read-only"),
        (np.broadcast_to(np.zeros(3, np.float32), (2, 3)), "read-only"),
        (strided(np.zeros(4, np.float32), (2, 3), (4, 4)), "share memory"),
        (strided(np.zeros(4, np.float32), (3,), (0,)), "share memory"),
        (strided(np.zeros(4, np.float32), (2,), (2,)), "share memory"),
    ):
        before = out.copy()
        with pytest.raises(ArgumentError, match=message):
            wb.fill(out, wb.Normal(1.0), seed=0, name="w")
        assert np.array_equal(before, out)
    # strides that interleave without ever meeting
    comb = strided(np.zeros(20, np.float32), (3, 2), (8, 20))
    wb.fill(comb, wb.Normal(1.0), seed=0, name="w")
    assert np.unique(comb).size == 6


def test_values_of_the_float32_draw_are_handed_back() -> None:
    for out in (torch.zeros(30, 40, dtype=torch.bfloat16), torch.zeros(40, 30, dtype=torch.float8_e5m2).t()):
        master = wb.fill(out, wb.TruncatedNormal(0.02), seed=5, name="w", with_master=True)
        assert isinstance(master, torch.Tensor)
        assert master.dtype == torch.float32
        assert torch.equal(master.to(out.dtype).float(), out.float())
        assert not torch.equal(master, out.float())
    part = np.zeros((3, 4), np.float16)
    master = wb.fill(part, wb.Normal(1.0), seed=5, name="w", shape=SHAPE[:2], offset=(1, 2), with_master=True)
    single = np.zeros(SHAPE[:2], np.float32)
    wb.fill(single, wb.Normal(1.0), seed=5, name="w")
    assert np.array_equal(master, single[1:4, 2:6])
    for dtype in (np.float32, np.float64, np.complex64):
        with pytest.raises(ArgumentError, match="with_master is for bfloat16"):
            wb.fill(np.zeros(3, dtype), wb.Normal(1.0), seed=0, name="w", with_master=True)


def test_complex_numbers_share_the_variance() -> None:
    """E|z - mean|² is std² (uniform: the law's variance), half of it in each part, and the parts are independent."""
    size = 1_000_000
    for law, mean, variance in ((wb.Normal(0.5, mean=0.25), 0.25, 0.25), (wb.Uniform(-1.0, 3.0), 1.0, 16 / 12)):
        for dtype in (np.complex64, np.complex128):
            z = np.zeros(size, dtype)
            wb.fill(z, law, seed=5, name="z")
            assert abs(z.mean() - mean) < 4 * (variance / size) ** 0.5
            for part in (z.real, z.imag):
                assert part.var() == pytest.approx(variance / 2, rel=4 * (3 / size) ** 0.5)
            assert abs(np.corrcoef(z.real, z.imag)[0, 1]) < 4 / size**0.5
            assert np.abs(z - mean).max() <= (2.0000001 if isinstance(law, wb.Uniform) else 10)
    tensor = torch.zeros(7, 5, dtype=torch.complex64).t()
    wb.fill(tensor, wb.Normal(0.5, mean=0.25), seed=5, name="z")
    plain = np.zeros((5, 7), np.complex64)
    wb.fill(plain, wb.Normal(0.5, mean=0.25), seed=5, name="z")
    assert np.array_equal(tensor.numpy(), plain)
    for law in (wb.TruncatedNormal(0.02), wb.Orthogonal()):
        with pytest.raises(ArgumentError, match="complex"):
            wb.fill(np.zeros((3, 3), np.complex64), law, seed=0, name="w")
    constant = np.zeros(3, np.complex64)
    wb.fill(constant, wb.Constant(0.5), seed=0, name="w")
    assert constant.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("dtype", ["float8_e5m2", "float8_e4m3fn"])
def test_float8_is_finite_or_refused(dtype: str) -> None:
    out = np.zeros(2_000_000, storage_type(dtype))
    wb.fill(out, wb.Normal(50.0), seed=5, name="w")
    values = out.astype(np.float32)
    assert np.isfinite(values).all()
    assert values.std() == pytest.approx(50.0, rel=0.01)
    with pytest.raises(ArgumentError, match=f"{dtype} holds numbers up to"):
        wb.fill(out, wb.Normal(100.0 if dtype.endswith("fn") else 10_000.0), seed=5, name="w")


def test_inference_tensors_are_filled() -> None:
    with torch.inference_mode():
        tensor = torch.zeros(4)
        wb.fill(tensor, wb.Normal(1.0), seed=5, name="w")
    assert tensor.abs().min() > 0
