"""spectral@1: the norms and rates of its formula, and features that move alike at any width."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError

from .parametrised import Gpt, tokens


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 1024), (512, 512), (1024, 16)])
def test_the_largest_singular_value_is_the_root_of_outputs_over_inputs(inputs: int, outputs: int) -> None:
    made = wb.plan(nn.Linear(inputs, outputs), seed=1, recipe="spectral(gain=2.0)")
    found = np.linalg.svd(wb.to_numpy(made, "weight").astype(np.float64), compute_uv=False)[0]
    assert found == pytest.approx(2 * math.sqrt(outputs / inputs), rel=0.06)
    assert made["weight"].std == pytest.approx(
        2 * math.sqrt(outputs / inputs) / (math.sqrt(inputs) + math.sqrt(outputs)), rel=1e-6
    )


def test_rates_by_the_sides() -> None:
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    adam, sgd = (wb.plan(model, "vector:16", seed=0, recipe=f"spectral(optimizer='{o}')") for o in ("adam", "sgd"))
    assert [adam[f"{i}.weight"].lr_factor for i in (0, 2)] == [1 / 16, 1 / 64]
    assert [adam[f"{i}.bias"].lr_factor for i in (0, 2)] == [1.0, 1.0]
    assert [sgd[f"{i}.weight"].lr_factor for i in (0, 2)] == [4.0, 1 / 16]
    assert [sgd[f"{i}.bias"].lr_factor for i in (0, 2)] == [64.0, 4.0]
    with pytest.raises(ArgumentError, match="optimizer must be 'adam' or 'sgd'"):
        wb.plan(model, seed=0, recipe="spectral(optimizer='lion')")


def test_a_convolution_is_the_matrix_of_its_patch() -> None:
    model = nn.Sequential(nn.Conv2d(8, 32, 3, stride=2, groups=2), nn.ReLU(), nn.Conv2d(32, 32, 1))
    made = wb.plan(model, "image:8x8x8", seed=0, recipe="spectral")
    assert made["0.weight"].std == pytest.approx(math.sqrt(16 / 36) / (6 + 4), rel=1e-6)
    assert made["2.weight"].std == pytest.approx(1 / (2 * math.sqrt(32)), rel=1e-6)


def test_a_whole_transformer() -> None:
    made = wb.plan(Gpt(64, 2), tokens()[0], seed=0, recipe="spectral")
    assert made["words.weight"].law == wb.Normal(1.0)
    assert made["blocks.0.qkv.weight"].law == wb.Normal(1 / 16)  # each of the three is 64 to 64
    assert made["head.weight"].std == pytest.approx(math.sqrt(32 / 64) / (8 + math.sqrt(32)), rel=1e-6)
    assert made["blocks.1.n1.weight"].law == wb.Ones().law()
    tied = wb.plan(Gpt(64, 2, tied=True), tokens()[0], seed=0, recipe="spectral")
    assert (tied["words.weight"].std, tied["words.weight"].lr_factor) == (1 / 64, 1 / 64)


def test_features_move_alike_at_any_width() -> None:
    """The one thing it is for: one step of Adam changes hidden features as much at width 1024 as at 64."""
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    y = torch.randint(4, (64,), generator=torch.Generator().manual_seed(1))

    def moved(width: int, recipe: str, lr: float) -> float:
        model = nn.Sequential(nn.Linear(32, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))
        plan = wb.initialize(model, "vector:32", seed=3, recipe=recipe)
        optimizer = torch.optim.Adam(plan.param_groups(lr, model=model))
        before = model[:3](x).detach()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            return ((model[:3](x) - before).square().mean() / before.square().mean()).sqrt().item()

    narrow, wide = (moved(width, "spectral", 0.1) for width in (64, 1024))
    assert 0.5 < wide / narrow < 2
    assert moved(1024, "he", 0.01) / moved(64, "he", 0.01) > 4
