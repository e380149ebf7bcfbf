"""Parameters that ZeRO-3 has partitioned: by DeepSpeed itself where it is installed, else by its attributes."""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError
from wellbegun.targets.parts import logical_shape

from .models import GPT
from .work import gathered
from .world import World

Worlds = Callable[[int], World]

REAL = pytest.param(
    True,
    marks=pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed"),
    id="DeepSpeed",
)


def planned(folder: Path, experts: int = 0) -> tuple[str, dict[str, str]]:
    model = GPT(experts=experts, tied=False)
    rules = {"scale": wb.Constant(2.0), "layers.0.out.weight": wb.Orthogonal()}
    plan = wb.plan(model, "tokens:16", seed=7, rules=rules)
    plan.save(folder / "zero.json")
    wb.apply(plan, model)
    return str(folder / "zero.json"), gathered(model)


@pytest.mark.parametrize("real", [pytest.param(False, id="attributes"), REAL])
@pytest.mark.parametrize(("size", "gathered"), [(2, False), (4, False), (2, True)])
def test_every_process_fills_its_own_partition(
    worlds: Worlds, tmp_path: Path, real: bool, size: int, gathered: bool
) -> None:
    path, expected = planned(tmp_path, experts=4)
    for answer in worlds(size).run("partitioned", plan=path, real=real, experts=4, gathered=gathered):
        assert answer["digests"] == {name: value for name, value in expected.items() if name != "scale"}
        assert answer["collectives"] == 0
        assert answer["elements"] == answer["mine"]
        assert answer["verified"]


def partitioned(**attributes: object) -> nn.Module:
    model = nn.Linear(4, 4, bias=False)
    weight = model.weight
    weight.ds_shape, weight.ds_numel, weight.ds_tensor = weight.shape, 16, torch.zeros(16)
    weight.data = torch.empty(0)
    for name, value in attributes.items():
        setattr(weight.ds_tensor if name in ("status", "ds_quant_scale") else weight, name, value)
    return model


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ds_tensor": None}, "its partition .* is not there yet"),
        ({"status": types.SimpleNamespace(name="NOT_AVAILABLE")}, "on disk"),
        ({"ds_quant_scale": 1.0}, "quantised or has a second copy"),
        ({"ds_secondary_tensor": torch.zeros(16)}, "quantised or has a second copy"),
        ({"_z3_optimizer": object()}, r"between deepspeed\.zero\.Init and deepspeed\.initialize"),
        ({}, "torch.distributed is not initialised"),
    ],
)
def test_what_cannot_be_filled_is_refused(attributes: dict[str, object], message: str) -> None:
    plan = wb.plan(nn.Linear(4, 4, bias=False), "vector:4", seed=1)
    model = partitioned(**attributes)
    with pytest.raises(ApplyError, match=f"(?s)nothing was written:.*weight: .*{message}"):
        wb.apply(plan, model)
    if model.weight.ds_tensor is not None:
        assert not model.weight.ds_tensor.any()


def test_a_partitioned_scalar_is_a_scalar() -> None:
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(1.0))
    model.scale.ds_shape, model.scale.data = torch.Size([]), torch.empty(0)
    assert logical_shape(model.scale) == ()
