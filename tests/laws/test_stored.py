"""Stored arrays: every bit kept, equal by content, safe from later changes, whole or refused when loaded."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanFileError
from wellbegun.laws import law_from_record, law_to_record
from wellbegun.plans import Entry, Plan, load_plan

TABLE = np.random.default_rng(5).normal(size=(6, 4, 3))
ARRAYS = [
    TABLE, TABLE.astype(np.float32), np.float32([-0.0, 1e-45, 3.4e38]), np.array(0.1), np.zeros((0, 3), np.float32),
    np.asfortranarray(TABLE[0]), TABLE[::2, ::-1], TABLE.astype(">f4"),
]  # fmt: skip
every_array = pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")


@every_array
def test_fills_every_bit(array):
    law = wb.Stored(array)
    out = np.empty(array.shape, array.dtype.newbyteorder("="))
    wb.fill(out, law, seed=1, name="w")
    assert out.tobytes() == np.ascontiguousarray(array).astype(out.dtype).tobytes()
    assert law.dtype == array.dtype.name
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    assert law.sha256 == hashlib.sha256(little.tobytes()).hexdigest()


def test_any_part_type_and_layout():
    law = wb.Stored(TABLE)
    part = np.empty((2, 3, 2), np.float32)
    wb.fill(part, law, seed=1, name="w", shape=TABLE.shape, offset=(3, 1, 1))
    np.testing.assert_array_equal(part, TABLE[3:5, 1:4, 1:3].astype(np.float32))
    flat = np.empty(20)
    wb.fill(flat, law, seed=1, name="w", shape=TABLE.shape, offset=33)
    np.testing.assert_array_equal(flat, TABLE.reshape(-1)[33:53])
    narrow = torch.zeros(3, 4, 6, dtype=torch.bfloat16)
    wb.fill(narrow.permute(2, 1, 0), law, seed=1, name="w")
    expected = TABLE.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(narrow.permute(2, 1, 0).float().numpy(), expected)


@every_array
def test_moments_and_reach(array):
    law = wb.Stored(array)
    if array.size == 0:
        assert (law.moments(array.shape), law.reach()) == ((0.0, 0.0), 0.0)
        return
    double = array.astype(np.float64)
    assert law.moments(array.shape) == (pytest.approx(double.mean()), pytest.approx(double.std()))
    assert law.reach() == np.abs(double).max()


def test_nothing_can_change_it():
    array = TABLE.copy()
    law = wb.Stored(array)
    array[0] = 7
    np.testing.assert_array_equal(law.values, TABLE)
    with pytest.raises(ValueError, match="read-only"):
        law.values[0] = 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        law.values.flags.writeable = True
    for twin in (copy.deepcopy(law), pickle.loads(pickle.dumps(law))):
        assert twin == law
        assert not twin.values.flags.writeable


def test_equal_by_shape_type_and_bits():
    law = wb.Stored(TABLE)
    assert law == wb.Stored(np.asfortranarray(TABLE)) == wb.Stored(law.values)
    assert hash(law) == hash(wb.Stored(TABLE.copy()))
    others = [TABLE.astype(np.float32), TABLE.reshape(-1), -TABLE, TABLE + 1e-9]
    assert all(law != wb.Stored(other) for other in others)
    assert wb.Stored([0.0]) != wb.Stored([-0.0])
    assert wb.Stored([0.0]) != wb.Constant(0.0)


@pytest.mark.parametrize(
    "law",
    [
        wb.Stored([[0.1, -0.0], [1e-45, 3e38]]), wb.Stored(0.5), wb.Stored([]), wb.Stored(np.array([0.1, 1 / 3])),
        wb.Stored([1, 2], dtype="float64"), wb.Stored(np.arange(4), dtype="float32"), wb.Stored(((1, 2), (3, 4))),
    ],
    ids=repr,
)  # fmt: skip
def test_the_repr_of_a_small_one_is_code(law):
    assert eval(repr(law), {"Stored": wb.Stored}) == law


def test_the_repr_of_a_large_one_names_it():
    law = wb.Stored(TABLE)
    assert repr(law) == f"Stored(shape=(6, 4, 3), dtype='float64', sha256='{law.sha256[:16]}...')"
    assert "shape=(0, 3)" in repr(wb.Stored(np.zeros((0, 3))))


numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


@given(numbers)
def test_there_and_back_through_json(values):
    law = wb.Stored(values)
    back = law_from_record(json.loads(json.dumps(law_to_record(law), allow_nan=False)))
    assert back == law
    assert repr(back) == repr(law)


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ([1.0, float("nan")], r"finite float32 numbers, got nan at \(1,\)"),
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), r"finite float64 numbers, got nan at \(1, 0\)"),
        ([1e39], "finite float32"),
        ([10**400], "object"),
        ([[1.0], [1.0, 2.0]], "equal lengths"),
        (["1"], "numbers"),
        ([True], "bool"),
        (np.array([1j, complex(np.nan, 0)], np.complex64), r"finite complex64 numbers, got \(?nan"),
        (np.zeros(3, np.float16), "float16; convert with dtype='float32'"),
        (torch.zeros(3), "got Tensor"),
        (None, "NoneType"),
        ("1.0", "str"),
    ],
    ids=repr,
)
def test_what_is_no_array_of_numbers_is_refused(bad, shown):
    with pytest.raises(ArgumentError, match=shown):
        wb.Stored(bad)


def test_other_bad_arguments():
    with pytest.raises(ArgumentError, match="'float16'"):
        wb.Stored([1.0], dtype="float16")
    with pytest.raises(ArgumentError, match=r"shape \(2,\), the tensor has \(3,\)"):
        wb.fill(np.empty(3), wb.Stored([1.0, 2.0]), seed=1, name="w")
    with pytest.raises(ArgumentError, match="float16 holds numbers up to"):
        wb.fill(np.empty(1, np.float16), wb.Stored([1e5]), seed=1, name="w")


WHOLE_NUMBERS = [
    np.arange(6).reshape(2, 3), np.array([2**53 + 1, -3]), np.array([0, 255], np.uint8), np.array([True, False]),
    np.array([[-1, 1]], np.int32),
]  # fmt: skip


@pytest.mark.parametrize("array", WHOLE_NUMBERS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_whole_numbers_and_flags_are_kept_exactly(array):
    law = wb.Stored(array)
    assert law_from_record(law_to_record(law)) == law
    assert eval(repr(law), {"Stored": wb.Stored, "numpy": np}) == law
    out = np.zeros(array.shape, array.dtype)
    wb.fill(out, law, seed=1, name="ids")
    np.testing.assert_array_equal(out, array)
    tensor = torch.zeros(array.shape, dtype=getattr(torch, array.dtype.name))
    wb.fill(tensor, law, seed=1, name="ids")
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert law.reach() == np.abs(array.astype(np.float64)).max()


def test_stored_numbers_fit_their_tensor():
    ids = np.zeros(2, np.int64)
    wb.fill(ids, wb.Stored([3.0, 4.0]), seed=1, name="ids")
    assert ids.tolist() == [3, 4]
    for bad in (wb.Stored([0.5, 1.0]), wb.Stored([3e38, 0.0])):
        with pytest.raises(ArgumentError, match="int64 takes whole constants only, or stored numbers that fit it"):
            wb.fill(ids, bad, seed=1, name="ids")
    with pytest.raises(ArgumentError, match="uint8 takes"):
        wb.fill(np.zeros(2, np.uint8), wb.Stored(np.array([256, 1])), seed=1, name="ids")
    assert ids.tolist() == [3, 4]


def test_the_infinities_of_a_mask_are_kept():
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    law = wb.Stored(mask)
    assert law_from_record(law_to_record(law)) == law
    for dtype in (torch.float32, torch.bfloat16):
        tensor = torch.empty(4, 4, dtype=dtype)
        wb.fill(tensor, law, seed=1, name="mask")
        np.testing.assert_array_equal(tensor.float().numpy(), mask)
    assert all(map(np.isnan, law.moments((4, 4))))


RECORD = law_to_record(wb.Stored([[1.0, 2.0]]))


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"base64": base64.b64encode(np.float32([1, 3]).tobytes()).decode()}, "do not match their sha256"),
        ({"sha256": "0" * 64}, "do not match their sha256"),
        ({"base64": RECORD["base64"][:-4]}, "bytes"),
        ({"base64": "*"}, "base64 is damaged"),
        ({"base64": "é"}, "base64 is damaged"),
        ({"base64": 3}, "base64 is damaged"),
        ({"shape": [2, 2]}, "8 bytes"),
        ({"shape": [1, -2]}, "list of sizes"),
        ({"shape": [1, True, 2]}, "list of sizes"),
        ({"shape": 2}, "list of sizes"),
        ({"shape": None}, "list of sizes"),
        ({"dtype": "float64"}, "8 bytes"),
        ({"dtype": "object"}, "'object'"),
        ({"dtype": ["float32"]}, "float32"),
        ({"extra": 1}, "extra"),
    ],
    ids=repr,
)
def test_damaged_records_are_refused(change, shown):
    with pytest.raises(PlanFileError, match=f"law Stored: .*{shown}"):
        law_from_record(RECORD | change)
    with pytest.raises(PlanFileError, match="'base64'"):
        law_from_record({"kind": "Stored"})


def test_numbers_that_are_not_finite_are_refused_even_with_their_hash():
    data = np.float32([np.nan, 1]).tobytes()
    bad = {"base64": base64.b64encode(data).decode(), "sha256": hashlib.sha256(data).hexdigest()}
    with pytest.raises(PlanFileError, match="finite"):
        law_from_record(RECORD | bad)


def test_in_a_plan(tmp_path):
    entry = Entry("table", "buffer", TABLE.shape, "float32", "buffer", "Stored", wb.Stored(TABLE), "computed")
    plan = Plan((entry,), seed=1, recipe="author@0")
    plan.save(tmp_path / "plan.json")
    loaded = load_plan(tmp_path / "plan.json")
    assert loaded == plan
    np.testing.assert_array_equal(wb.to_numpy(loaded, "table"), TABLE.astype(np.float32))
    assert "given numbers" in str(plan)
    assert "Stored(shape=(6, 4, 3)" in plan.explain("table")
    other = Plan((Entry(**(vars(entry) | {"law": wb.Stored(TABLE + 1)})),), seed=1, recipe="author@0")
    assert other.hash != plan.hash


def test_complex_numbers():
    values = (np.arange(6).reshape(2, 3) * (1 + 2j)).astype(np.complex64)
    law = wb.Stored(values)
    assert law_from_record(json.loads(json.dumps(law_to_record(law)))) == law
    assert law.reach() == 10
    assert law.moments((2, 3)) == pytest.approx((2.5, np.sqrt(5 * 35 / 12)))
    assert law.scaled(0.5) == wb.Stored(values / 2)
    for dtype in (np.complex64, np.complex128):
        part = np.empty((1, 2), dtype)
        wb.fill(part, law, seed=1, name="x", shape=(2, 3), offset=(1, 1))
        np.testing.assert_array_equal(part, values[1:, 1:])
    with pytest.raises(ArgumentError, match="a tensor of float32 cannot hold the complex numbers of Stored"):
        wb.fill(np.empty((2, 3), np.float32), law, seed=1, name="x")
