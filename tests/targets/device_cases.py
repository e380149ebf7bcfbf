"""Cases for test_device.py, run where TRITON_INTERPRET=1: `fill_on_device` on CPU tensors against wb.fill."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.sampler import Stream
from wellbegun.targets.device import fill_on_device

STREAM = Stream.of(7, "w")
LAWS = [
    wb.Normal(0.02, mean=0.3),
    wb.Uniform(-0.3, 0.1),
    wb.TruncatedNormal(0.02),
    wb.TruncatedNormal(1.0, low=1.0, high=3.0, match_std=False),
    wb.Constant(0.1),
    wb.Orthogonal(),
    wb.Identity(0.1),
    wb.Sparse(0.5),
    wb.Patched(wb.Normal(0.02), [(((1, 3),), wb.Constant(0.1)), (((2, 4), (1, 9)), wb.Uniform(0.1, 0.2))]),
]
DTYPES = ["float32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn", "float64", "complex64"]
LAYOUTS = {
    "contiguous": lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    "transposed": lambda shape, dtype: torch.zeros(shape[::-1], dtype=dtype).t(),
    "rows apart": lambda shape, dtype: torch.zeros(shape[0], shape[1] + 5, dtype=dtype)[:, 2:-3],
    "every second": lambda shape, dtype: torch.zeros(shape[0], 2 * shape[1], dtype=dtype)[:, ::2],
}


def on_cpu(law, dtype, size, **where):
    out = torch.zeros(size, dtype=dtype)
    master = wb.fill(out, law, seed=7, name="w", **where)
    return out, master


def same(one, other):
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


def assert_nearly(one, other):
    """Orthogonal matrices agree to 1e-5; narrower types may then round one step apart."""
    step = {4: 1e-5, 2: 1e-2, 1: 0.3}[one.element_size()]
    torch.testing.assert_close(one.float(), other.float(), rtol=step, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(law, dtype, layout):
    kind, shape = getattr(torch, dtype), (7, 40)
    out = LAYOUTS[layout](shape, kind)
    if dtype == "complex64" and isinstance(law, wb.TruncatedNormal | wb.Orthogonal | wb.Sparse | wb.Patched):
        with pytest.raises(ArgumentError, match="complex"):
            fill_on_device(out, law, STREAM, shape, 0)
        return
    assert fill_on_device(out, law, STREAM, shape, 0) == 280
    if isinstance(law, wb.Orthogonal) and dtype not in ("float64", "complex64"):
        assert_nearly(out, on_cpu(law, kind, shape)[0])
    else:
        assert same(out, on_cpu(law, kind, shape)[0])
    around = out._base
    if around is not None and around.numel() > out.numel():
        assert int((around != 0).sum()) == int((out != 0).sum())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("law", [LAWS[0], LAWS[2], LAWS[5], LAWS[6], LAWS[8]], ids=repr)
@pytest.mark.parametrize(
    ("part", "shape", "offset"),
    [
        ((3, 10), (9, 40), (2, 5)),
        ((3, 40), (9, 40), (2, 0)),
        ((2, 3, 10), (4, 9, 40), (1, 2, 5)),
        ((25,), (9, 40), 77),
        ((5, 5), (9, 40), 77),
    ],
)
def test_parts(law, dtype, part, shape, offset):
    kind = getattr(torch, dtype)
    out = torch.zeros(part, dtype=kind)
    if isinstance(law, wb.Identity) and len(shape) != 2:
        with pytest.raises(ArgumentError):
            fill_on_device(out, law, STREAM, shape, offset)
        return
    fill_on_device(out, law, STREAM, shape, offset)
    assert same(out, on_cpu(law, kind, part, shape=shape, offset=offset)[0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_master_values(law, dtype):
    kind, shape = getattr(torch, dtype), (7, 40)
    out, master = torch.zeros(40, 7, dtype=kind).t(), torch.zeros(shape)
    fill_on_device(out, law, STREAM, shape, 0, None, master)
    expected, values = on_cpu(law, kind, shape, with_master=True)
    if isinstance(law, wb.Orthogonal):
        torch.testing.assert_close(master, values, rtol=0, atol=1e-5)
        assert same(out, master.to(kind))
    else:
        assert same(out, expected)
        assert same(master, values)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_without_dimensions_and_without_elements(dtype):
    kind = getattr(torch, dtype)
    scalar = torch.zeros((), dtype=kind)
    fill_on_device(scalar, wb.Normal(1.0), STREAM, (), ())
    assert same(scalar.reshape(1), on_cpu(wb.Normal(1.0), kind, ())[0].reshape(1))
    assert fill_on_device(torch.zeros(0, 3, dtype=kind), wb.Normal(1.0), STREAM, (0, 3), 0) == 0


def test_whole_constants_in_integers():
    out = torch.zeros(3, dtype=torch.int64)
    fill_on_device(out, wb.Constant(3.0), STREAM, (3,), 0)
    assert out.tolist() == [3, 3, 3]
    with pytest.raises(ArgumentError, match="takes whole constants only, or stored"):
        fill_on_device(out, wb.Normal(1.0), STREAM, (3,), 0)


def test_bounds_of_the_storage_type():
    out = torch.zeros(20_000, dtype=torch.bfloat16)
    fill_on_device(out, wb.TruncatedNormal(0.02, match_std=False), STREAM, (20_000,), 0)
    assert float(out.float().abs().max()) == np.float32(0.039794921875)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 700), (700, 3), (300, 300), (600, 280), (280, 600), (7, 4, 3)])
def test_orthogonal_is_made_on_the_device(shape):
    """Panels of 256, tall and wide, against the CPU's construction, and orthogonal by itself."""
    law, out = wb.Orthogonal(gain=2.0), torch.zeros(shape)
    fill_on_device(out, law, STREAM, shape, 0)
    torch.testing.assert_close(out, on_cpu(law, torch.float32, shape)[0], rtol=0, atol=1e-5)
    q = out.reshape(shape[0], -1).double() / 2
    product = q @ q.t() if q.shape[0] <= q.shape[1] else q.t() @ q
    torch.testing.assert_close(product, torch.eye(len(product), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("law", "shape"), [(wb.Orthogonal(blocks=4), (40, 9)), (wb.Orthogonal(batch=1), (5, 8, 6))])
def test_orthogonal_blocks_and_batches_on_the_device(law, shape):
    out = torch.zeros(shape, dtype=torch.bfloat16)
    fill_on_device(out, law, STREAM, shape, 0)
    assert_nearly(out, on_cpu(law, torch.bfloat16, shape)[0])
