"""Planned tensors without a model."""

import math

import hypothesis
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.plans import Entry, Plan

MODEL = nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4))


def test_regions_are_slices_of_the_whole() -> None:
    plan = wb.plan(MODEL, "image:2x4x4", seed=3)
    whole = wb.to_numpy(plan, "0.weight")
    region = (slice(2, 7), slice(None), slice(1, None), slice(0, -1))
    assert np.array_equal(wb.to_numpy(plan, "0.weight", region), whole[region])
    assert wb.to_numpy(plan, "0.weight", (slice(5, 2),) * 4).size == 0
    assert wb.to_numpy(plan, "1.num_batches_tracked").dtype == np.int64
    assert wb.to_numpy(plan, "1.num_batches_tracked", ()) == 0


def test_bad_regions_and_names() -> None:
    plan = wb.plan(MODEL, "image:2x4x4", seed=3, rules={"1.running_mean": wb.Keep()})
    for region in (
        (slice(0, 4, 2),) * 4,
        slice(None, None, -1),
        slice(None, None, 0),
        slice("a"),
        (slice(None),) * 5,
        (..., 0, ...),
        (None, 0),
        True,
        np.array([0, 1]),
        [slice(0, 1)],
        1.0,
    ):
        with pytest.raises(ArgumentError, match=r"slices of step 1, whole numbers or one '...', at most 4"):
            wb.to_numpy(plan, "0.weight", region)
    for region in (8, (0, -3), (..., 3)):
        with pytest.raises(ArgumentError, match=r"does not lie in a tensor of shape \(8, 2, 3, 3\): no index"):
            wb.to_numpy(plan, "0.weight", region)
    with pytest.raises(ArgumentError, match="the first argument must be a plan, got Sequential"):
        wb.to_numpy(MODEL, "0.weight")
    with pytest.raises(ArgumentError, match="keeps the value"):
        wb.to_numpy(plan, "1.running_mean")
    with pytest.raises(KeyError, match="did you mean"):
        wb.to_numpy(plan, "0.weigth")


def test_a_loaded_plan_gives_the_same_numbers(tmp_path: object) -> None:
    plan = wb.plan(MODEL.to(torch.float32), "image:2x4x4", seed=3)
    plan.save(tmp_path / "plan.json")
    loaded = wb.load_plan(tmp_path / "plan.json")
    for entry in plan:
        assert np.array_equal(wb.to_numpy(plan, entry.name), wb.to_numpy(loaded, entry.name))


def a_plan(**entries: tuple[object, tuple[int, ...], str]) -> Plan:
    made = [
        Entry(name, "parameter", shape, dtype, "weight", "", law, "") for name, (law, shape, dtype) in entries.items()
    ]
    return Plan(tuple(made), 5, "test@1")


LAWS = a_plan(
    normal=(wb.Normal(std=1.0), (5, 1, 6), "float32"),
    orthogonal=(wb.Orthogonal(), (6, 4), "float32"),
    identity=(wb.Identity(), (4, 6), "bfloat16"),
    sparse=(wb.Sparse(sparsity=0.5), (8, 4), "float16"),
    stored=(wb.Stored(np.arange(12).reshape(3, 4)), (3, 4), "int64"),
    patched=(wb.Patched(wb.Orthogonal(), [(((1, 3), (0, 2)), wb.Constant(3.0))]), (4, 4), "float32"),
    biases=(wb.MeanCompensation("orthogonal", mean=0.4), (6,), "float32"),
    complex=(wb.Normal(std=1.0), (4, 3), "complex64"),
    scalar=(wb.Normal(std=1.0), (), "float64"),
)


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[object, ...]:
    """Anything that NumPy takes as a basic index with step 1."""
    parts = []
    for size in shape:
        edge = st.none() | st.integers(-size - 2, size + 2)
        parts.append(draw(st.builds(slice, edge, edge, st.sampled_from([None, 1])) | st.integers(-size, size - 1)))
    first = draw(st.integers(0, len(parts)))
    last = draw(st.integers(first, len(parts)))
    return draw(st.sampled_from([tuple(parts[:last]), (*parts[:first], ..., *parts[last:])]))


@hypothesis.given(st.data())
def test_a_region_is_what_numpy_makes_of_the_index(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(LAWS.entries), label="entry")
    region = data.draw(indices(entry.shape), label="region")
    whole = wb.to_numpy(LAWS, entry.name)
    expected = np.asarray(whole[region])
    found = wb.to_numpy(LAWS, entry.name, region)
    assert (found.dtype, found.shape, found.tobytes()) == (whole.dtype, expected.shape, expected.tobytes())
    if len(region) == 1:
        assert wb.to_numpy(LAWS, entry.name, region[0]).tobytes() == expected.tobytes()


def test_a_tied_tensor_has_its_values_under_each_name() -> None:
    law = wb.Normal(std=1.0)
    tied = Plan((Entry("a", "parameter", (4, 3), "float32", "", "", law, "", ties=("b.c",)),), 5, "test@1")
    assert np.array_equal(wb.to_numpy(tied, "b.c", (slice(1, 3),)), wb.to_numpy(tied, "a")[1:3])


@pytest.mark.parametrize("narrow", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_master_values_round_to_the_planned_ones(narrow: str) -> None:
    """Float32 values of a narrow tensor are not those of a float32 one where rounding would leave the law's bounds."""
    entries = {
        "truncated": (wb.TruncatedNormal(std=0.3), (64, 64), narrow),
        "uniform": (wb.Uniform(-0.3, 0.3), (64, 64), narrow),
        "normal": (wb.Normal(std=0.3), (64, 64), narrow),
        "orthogonal": (wb.Orthogonal(), (64, 64), narrow),
        "identity": (wb.Identity(0.3), (64, 64), narrow),
        "patched": (wb.Patched(wb.Normal(std=0.1), [(((3, 9),), wb.Uniform(-1, 1))]), (64, 64), narrow),
    }
    plan = a_plan(**entries)
    for name in entries:
        master = wb.to_numpy(plan, name, dtype="float32")
        stored = wb.to_numpy(plan, name)
        assert master.dtype == np.float32
        assert np.array_equal(master.astype(stored.dtype), stored), name
        assert np.array_equal(wb.to_numpy(plan, name, (slice(5, 9), 3), dtype=np.float32), master[5:9, 3])
    assert (wb.to_numpy(plan, "normal", dtype="float32") != wb.to_numpy(plan, "normal").astype(np.float32)).any()


def test_a_padding_row_is_zero_in_every_dtype() -> None:
    law = wb.Normal(std=1.0)
    entry = Entry("t", "parameter", (6, 4), "bfloat16", "", "", law, "", zero_row=4)
    plan = Plan((entry,), 5, "test@1")
    for dtype in (None, "float32", "float64", "float16"):
        table = wb.to_numpy(plan, "t", dtype=dtype)
        assert list(np.flatnonzero((table == 0).all(axis=1))) == [4]
        assert (wb.to_numpy(plan, "t", 4, dtype=dtype) == 0).all()


def test_another_dtype_holds_what_a_plan_with_it_would() -> None:
    """Rounded from the float32 draw, inside the bounds; float64 approximates it."""
    law = wb.TruncatedNormal(std=0.02, low=-2, high=2)
    plan = a_plan(w=(law, (256, 64), "float32"))
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        same = a_plan(w=(law, (256, 64), dtype))
        assert wb.to_numpy(plan, "w", dtype=dtype).tobytes() == wb.to_numpy(same, "w").tobytes()
    assert wb.to_numpy(plan, "w", dtype=ml_dtypes.bfloat16).dtype == ml_dtypes.bfloat16
    difference = np.abs(wb.to_numpy(plan, "w", dtype="float64") - wb.to_numpy(plan, "w"))
    assert 0 < difference.max() < 1e-8


def test_dtypes_that_do_not_fit() -> None:
    plan = a_plan(
        w=(wb.Normal(std=1.0), (4,), "float32"),
        z=(wb.Normal(std=1.0), (4,), "complex64"),
        count=(wb.Constant(3.0), (4,), "int64"),
        big=(wb.Constant(1e6), (4,), "float32"),
    )
    for name, dtype, message in (
        ("w", "int32", "w: a tensor of int32 takes whole constants only"),
        ("w", "complex64", "w: is planned as float32; complex64 would be other numbers"),
        ("z", "float32", "z: is planned as complex64; float32 would be other numbers"),
        ("big", "float16", "big: .* reaches 1e\\+06, and float16 holds numbers up to"),
        ("w", "float31", "no storage type is called 'float31'"),
        ("w", torch.float32, "dtype must be a name such as 'bfloat16' or a NumPy dtype, got torch.float32"),
    ):
        with pytest.raises(ArgumentError, match=message):
            wb.to_numpy(plan, name, dtype=dtype)
    assert wb.to_numpy(plan, "count", dtype="int8").tolist() == [3] * 4
    assert math.isclose(wb.to_numpy(plan, "big", 0, dtype="float64"), 1e6)
