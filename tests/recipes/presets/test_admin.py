"""admin@1 and wb.profile_admin: the factors on shortcuts, planned and measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, CalibrationError, PlanError, UnmetMultiplierWarning

from .parametrised import Gpt, PostGpt, tokens


class Block(nn.Module):
    def __init__(self, width: int, learnt: bool) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.omega = nn.Parameter(torch.full((width,), 0.3)) if learnt else 1.0

    def branch(self, x):
        return self.down(torch.relu(self.up(x)))

    def forward(self, x):
        return self.norm(x * self.omega + self.branch(x))


def chain(blocks: int, learnt: bool = True, width: int = 16) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, width), *(Block(width, learnt) for _ in range(blocks)))


def omega(count: int) -> float:
    return math.sqrt((count + 1) / math.log(count + 1) - 1)


def test_the_closed_form() -> None:
    made = wb.plan(chain(12), "vector:8", seed=0, recipe="admin")
    for i in range(1, 13):
        assert made[f"{i}.omega"].law.value == pytest.approx(omega(12), rel=1e-6)
    assert made["1.up.weight"].law == wb.XavierUniform().law(wb.Fans(16, 16))
    assert made.multipliers == ()
    strong = wb.plan(chain(9), "vector:8", seed=0, recipe="admin(change='one', base='he')")
    assert strong["9.omega"].law.value == pytest.approx(3.0)
    with pytest.raises(ArgumentError, match="change must be 'log' or 'one'"):
        wb.plan(chain(2), "vector:8", seed=0, recipe="admin(change='two')")


def test_a_plain_number_is_a_multiplier() -> None:
    model, data = PostGpt(32, 4), tokens()[0]
    made = wb.plan(model, data, seed=0, recipe="admin")
    assert len(made.unmet) == 8
    assert made.unmet[0].value == pytest.approx(omega(8))
    with pytest.warns(UnmetMultiplierWarning, match="the forward pass has 1"):
        wb.apply(made, model)
    for block in model.blocks:
        block.alpha = omega(8)
    assert wb.plan(model, data, seed=0, recipe="admin").unmet == ()


def test_pre_norm_is_refused() -> None:
    with pytest.raises(PlanError, match="admin@1: this model is not post-norm: 3 of 4 residual sums"):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="admin")
    with pytest.raises(PlanError, match="no residual branch"):
        wb.plan(nn.Linear(4, 4), seed=0, recipe="admin")


def test_the_profile_is_that_of_one_pass_in_order() -> None:
    """Against the definition in float64: each factor is set before the next branch is measured."""
    model, data = chain(6), torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = wb.profile_admin(wb.plan(model, data, seed=3, recipe="he"), model, data)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert plan.recipe == "he@0, shortcuts profiled"
    twin = chain(6).double()
    wb.initialize(twin, "vector:8", seed=3, recipe="he")
    with torch.no_grad():
        x = twin[0](data.double())
        total = float(x.square().mean())
        for position, block in enumerate(twin[1:], 1):
            expected = math.sqrt(total) if position > 1 else 1.0
            assert plan[f"{position}.omega"].law.value == pytest.approx(expected, rel=2e-3)
            added = block.branch(x)
            total += float(added.square().mean())
            x = block.norm(expected * x + added)
    assert "measured on a batch of 64" in plan["2.omega"].reason


def test_what_cannot_be_profiled() -> None:
    model, data = PostGpt(32, 2), tokens()[0]
    with pytest.raises(CalibrationError, match=r"beside blocks\.0\.o\.weight has no learnt factor"):
        wb.profile_admin(wb.plan(model, data, seed=0), model, data)


def test_a_small_change_of_all_weights_moves_a_deep_network_little() -> None:
    """The one thing it is for: O(ln n) or O(1) instead of O(n) at 40 branches."""
    data = torch.randn(128, 8, generator=torch.Generator().manual_seed(0))

    def moved(recipe: str, profiled: bool = False) -> float:
        model = chain(40)
        plan = wb.plan(model, data, seed=3, recipe=recipe, rules=None if "admin" in recipe else {"*.omega": wb.Ones()})
        plan = wb.profile_admin(plan, model, data) if profiled else plan
        wb.apply(plan, model)
        generator = np.random.default_rng(0)
        with torch.no_grad():
            before = model(data)
            for name, parameter in model.named_parameters():
                if name.endswith(("up.weight", "down.weight")):
                    noise = torch.from_numpy(generator.standard_normal(parameter.shape)).float()
                    parameter += 1e-3 * parameter.std() * noise
            return float((model(data) - before).square().mean()) * 1e6

    plain, log, one, measured = (
        moved("xavier"), moved("admin"), moved("admin(change='one')"), moved("xavier", profiled=True),
    )  # fmt: skip
    assert plain > 5 * log > 10 * one
    assert measured < plain / 3
