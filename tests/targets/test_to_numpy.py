"""Planned tensors without a model."""

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError

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
    for region in ((slice(None),), (slice(0, 4, 2),) * 4):
        with pytest.raises(ArgumentError, match="slices of step 1"):
            wb.to_numpy(plan, "0.weight", region)
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
