"""Laws that are small programs: values, moments, records, and what is refused."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanFileError
from wellbegun.laws import Computed, law_from_record, law_to_record
from wellbegun.plans import Entry, Plan, load_plan
from wellbegun.sampler import Stream

TIME_STEPS = Computed((
    ("uniform", math.log(0.001), math.log(0.1)), ("exp", "%0"), ("maximum", "%1", 1e-4),
    ("neg", "%2"), ("expm1", "%3"), ("neg", "%4"), ("log", "%5"), ("add", "%2", "%5".replace("5", "6")),
))  # fmt: skip


def drawn(law: Computed, shape: tuple[int, ...], seed: int = 1, dtype: type = np.float32) -> np.ndarray:
    out = np.full(shape, 7, dtype)
    wb.fill(out, law, seed=seed, name="w")
    return out


def test_the_time_steps_of_mamba() -> None:
    """softplus of the bias is log-uniform between 0.001 and 0.1 (Gu and Dao 2023, section 3.6)."""
    bias = drawn(TIME_STEPS, (20_000,)).astype(np.float64)
    step = np.log1p(np.exp(bias))
    assert step.min() > 0.00099
    assert step.max() < 0.101
    span = (np.log(step) - math.log(0.001)) / math.log(100)
    assert stats.kstest(span, "uniform").pvalue > 1e-4
    mean, std = TIME_STEPS.moments((20_000,))
    assert abs(bias.mean() - mean) < 6 * std / math.sqrt(20_000)
    assert abs(bias.std() / std - 1) < 0.03


def test_the_first_draw_has_the_numbers_of_the_law_itself() -> None:
    plain = np.empty((40, 30), np.float32)
    wb.fill(plain, wb.Normal(std=0.5), seed=3, name="w")
    np.testing.assert_array_equal(drawn(Computed((("normal", 0.0, 0.5),)), (40, 30), 3), plain)
    clamped = drawn(Computed((("normal", 0.0, 0.5), ("maximum", "%0", -0.2))), (40, 30), 3)
    np.testing.assert_array_equal(clamped, np.maximum(plain, np.float32(-0.2)))


def test_two_draws_are_independent() -> None:
    both = Computed((("normal", 0.0, 1.0), ("normal", 0.0, 1.0), ("mul", "%0", "%1")))
    values = drawn(both, (300, 300)).astype(np.float64)
    assert abs(values.mean()) < 6 / 300
    assert abs(values.var() - 1) < 6 * math.sqrt(8) / 300


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((("exponential"[:3], "%0"),), np.exp), ((("expm1", "%0"),), np.expm1), ((("sin", "%0"),), np.sin),
        ((("cos", "%0"),), np.cos), ((("tanh", "%0"),), np.tanh), ((("square", "%0"),), np.square),
        ((("abs", "%0"), ("sqrt", "%1")), lambda x: np.sqrt(np.abs(x))),
        ((("abs", "%0"), ("rsqrt", "%1")), lambda x: 1 / np.sqrt(np.abs(x))),
        ((("abs", "%0"), ("log", "%1")), lambda x: np.log(np.abs(x))),
        ((("abs", "%0"), ("log1p", "%1")), lambda x: np.log1p(np.abs(x))),
        ((("sigmoid", "%0"),), lambda x: 1 / (1 + np.exp(-x))), ((("reciprocal", "%0"),), lambda x: 1 / x),
        ((("round", "%0"),), np.round), ((("floor", "%0"),), np.floor), ((("ceil", "%0"),), np.ceil),
        ((("sign", "%0"),), np.sign),
        ((("sub", 1.0, "%0"),), lambda x: 1 - x), ((("div", "%0", 4.0),), lambda x: x / 4),
        ((("minimum", "%0", 0.5),), lambda x: np.minimum(x, 0.5)), ((("pow", "%0", 2.0),), lambda x: x**2),
    ],
    ids=lambda value: "expected" if callable(value) else str(value)[:30],
)  # fmt: skip
def test_each_function(steps, expected) -> None:
    base = drawn(Computed((("normal", 0.0, 1.0),)), (50, 50)).astype(np.float64)
    found = drawn(Computed((("normal", 0.0, 1.0), *steps)), (50, 50))
    np.testing.assert_array_equal(found, expected(base).astype(np.float32))


def test_erfinv_of_uniform_numbers_is_normal() -> None:
    law = Computed((("uniform", -1.0, 1.0), ("mul", "%0", 0.999), ("erfinv", "%1"), ("mul", "%2", math.sqrt(2))))
    assert stats.kstest(drawn(law, (20_000,)), "norm").pvalue > 1e-4


def test_values_do_not_depend_on_storage_or_part() -> None:
    whole = drawn(TIME_STEPS, (70_000,))
    part = np.empty(1000, np.float32)
    wb.fill(part, TIME_STEPS, seed=1, name="w", shape=(70_000,), offset=(66_000,))
    np.testing.assert_array_equal(part, whole[66_000:67_000])
    narrow = torch.empty(70_000, dtype=torch.bfloat16)
    wb.fill(narrow, TIME_STEPS, seed=1, name="w")
    assert torch.equal(narrow, torch.from_numpy(whole).bfloat16())
    np.testing.assert_allclose(drawn(TIME_STEPS, (70_000,), dtype=np.float64), whole, rtol=1e-6)


def test_records_and_code_give_the_law_back(tmp_path) -> None:
    window = Computed((("truncated", 0.0, 1.0, -1.0, float("inf")), ("neg", "%0")))
    for law in (TIME_STEPS, window):
        assert law_from_record(json.loads(json.dumps(law_to_record(law)))) == law
        assert hash(law_from_record(law_to_record(law))) == hash(law)
        assert eval(repr(law), {"Computed": Computed, "inf": math.inf}) == law
    entry = Entry("dt_bias", "parameter", (64,), "float32", "bias", "Computed", TIME_STEPS, "time steps")
    Plan((entry,), 1, "author@0").save(tmp_path / "plan.json")
    loaded = load_plan(tmp_path / "plan.json")
    np.testing.assert_array_equal(wb.to_numpy(loaded, "dt_bias"), wb.to_numpy(Plan((entry,), 1, "author@0"), "dt_bias"))
    assert drawn(window, (1000,)).max() <= 1.0


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ((), "sequence of steps"),
        ("normal", "sequence of steps"),
        ((("cauchy", 0.0, 1.0),), "'cauchy'; known: normal"),
        ((("normal", 0.0),), "normal takes 2 arguments"), ((("normal", "%0", 1.0),), "'%0' is no result"),
        ((("normal", 0.0, 1.0), ("exp", "%1")), "'%1' is no result"), ((("exp", "0"),), "'0' is no result"),
        ((("normal", 0.0, -1.0),), "must not be negative"), ((("uniform", 1.0, 1.0),), "low below high"),
        ((("exp", True),), "arguments are numbers"), ((("exp", math.nan),), "finite"), ((3,), "step 0 must be"),
        ((("exp", None),), "arguments are numbers"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_refused(steps, shown) -> None:
    with pytest.raises(ArgumentError, match=re.escape(shown)):
        Computed(steps)
    if isinstance(steps, tuple) and steps and isinstance(steps[0], tuple):
        with pytest.raises(PlanFileError, match="law Computed"):
            law_from_record({"kind": "Computed", "steps": [list(step) for step in steps]})


def test_damaged_records_are_refused() -> None:
    for record in ({}, {"steps": 3}, {"steps": [3]}, {"steps": [["exp", "%0"]], "more": 1}):
        with pytest.raises(PlanFileError, match="law Computed"):
            law_from_record({"kind": "Computed"} | record)


def test_it_says_how_far_it_reaches() -> None:
    wide = Computed((("uniform", 0.0, 20.0), ("exp", "%0")))
    assert 4e8 < wide.reach() <= math.exp(20) * 1.001
    with pytest.raises(ArgumentError, match="float16 holds numbers up to"):
        drawn(wide, (3,), dtype=np.float16)
    assert Computed((("normal", 0.0, 1.0),)).block(Stream.of(1, "w"), (0, 3)).shape == (0, 3)
