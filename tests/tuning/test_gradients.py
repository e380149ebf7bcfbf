"""MetaInit and GradInit: their formulas in float64, purity, what is refused, and bad starts that train again."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, CalibrationError
from wellbegun.tuning.batch import read_batch
from wellbegun.tuning.gradinit import looked_at
from wellbegun.tuning.metainit import quotient_of
from wellbegun.tuning.scales import Scales


def noise(rows=24, inputs=6, outputs=3, dtype=torch.float64, seed=0):
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(rows, inputs, generator=numbers, dtype=dtype), torch.randint(outputs, (rows,), generator=numbers)


def small(dtype=torch.float64):
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def scales_of(model, x, **rules):
    plan = wb.plan(model, x, seed=1, recipe="xavier", rules=rules)
    return Scales(plan, model, None, lambda entry: len(entry.shape) > 1)


def test_the_gradient_quotient_of_a_quadratic_loss() -> None:
    model = nn.Linear(5, 3, bias=False).double()
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(20, 5)), numbers.normal(size=(20, 3))
    plan = wb.plan(model, torch.from_numpy(x), seed=1, recipe="xavier")
    w = wb.to_numpy(plan, "weight").astype(np.float64)
    g = 2 / 60 * (x @ w.T - y).T @ x
    hg = 2 / 60 * g @ x.T @ x
    expected = np.abs((g - hg) / (g + 1e-5 * np.where(g >= 0, 1, -1)) - 1).mean()
    scales = Scales(plan, model, None, lambda _: True)
    found = quotient_of(scales, scales.ones(), read_batch((torch.from_numpy(x), torch.from_numpy(y))))
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("what", ["quotient", "norm", "loss behind a step of sgd", "loss behind a step of adam"])
def test_derivatives_by_the_scales_are_those_of_differences(what) -> None:
    x, y = noise()
    scales, batch = scales_of(small(), x), read_batch((x, y))

    def value(factors):
        if what == "quotient":
            return quotient_of(scales, factors, batch)
        size, behind = looked_at(scales, factors, batch, "adam" if "adam" in what else "sgd", 0.3)
        return size if what == "norm" else behind

    factors = torch.tensor([0.7, 1.3], dtype=torch.float64, requires_grad=True)
    found = scales.derived(value(factors), factors, 0, what)
    for place in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[place] = 1e-6
        ends = [value((factors.detach() + sign * step).requires_grad_()).item() for sign in (1, -1)]
        assert found[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=2e-4)


def test_the_loss_behind_a_step_is_the_one_that_the_optimizer_reaches() -> None:
    x, y = noise()
    model = small()
    scales = scales_of(model, x)
    wb.apply(scales.plan, model)
    loss = nn.functional.cross_entropy
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    loss(model(x[:16]), y[:16]).backward()
    size = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()]))
    optimizer.step()
    found = looked_at(scales, scales.ones(), read_batch((x, y)), "sgd", 0.3)
    assert found[0].item() == pytest.approx(size.item(), rel=1e-9)
    assert found[1].item() == pytest.approx(loss(model(x[8:]), y[8:]).item(), rel=1e-9)


def test_a_bias_that_follows_its_weight_goes_along_with_it() -> None:
    x, _ = noise()
    plan = wb.plan(small(), x, seed=1, recipe="xavier", rules={"2.bias": wb.MeanCompensation("2.weight", mean=0.4)})
    scales = Scales(plan, small(), None, lambda entry: len(entry.shape) > 1)
    state = scales.state(torch.tensor([1.0, 3.0], dtype=torch.float64))
    expected = -0.4 * state["2.weight"].sum(1)
    assert torch.allclose(state["2.bias"], expected, rtol=1e-6)
    made = scales.planned(torch.tensor([1.0, 3.0]), "× {factor}", ", scaled", "here")
    assert np.allclose(wb.to_numpy(made, "2.bias"), expected.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("method", [wb.metainit, wb.gradinit])
def test_nothing_of_the_model_changes_and_the_plan_is_the_same_each_time(method) -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))
    x, y = noise(dtype=torch.float32)
    plan, before = wb.plan(model, x, seed=1), copy.deepcopy(model.state_dict())
    torch.manual_seed(5)
    random = torch.get_rng_state()
    first, second = (method(plan, model, (x, y), steps=3) for _ in range(2))
    assert first == second
    assert first["0.weight"].law != plan["0.weight"].law
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert "3 steps of" in first["0.weight"].reason


@pytest.mark.parametrize("method", [wb.metainit, wb.gradinit])
def test_attention_can_be_derived_twice(method) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(32, 3))
    x, y = torch.randn(9, 4, 8, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    better = method(wb.plan(model, x, seed=1), model, (x, y), steps=2)
    assert "steps of" in better["0.self_attn.in_proj_weight"].reason


@pytest.mark.parametrize("method", [wb.metainit, wb.gradinit])
def test_what_is_refused(method) -> None:
    x, y = noise(dtype=torch.float32)
    model = small(torch.float32)
    plan = wb.plan(model, x, seed=1)
    with pytest.raises(ArgumentError, match=r"pass batch=\(inputs, targets\)"):
        method(plan, model, x)
    with pytest.raises(ArgumentError, match="steps must be a whole number at least 1, got 0"):
        method(plan, model, (x, y), steps=0)
    with pytest.raises(ArgumentError, match="rate must be a number above 0"):
        method(plan, model, (x, y), rate=0)
    with pytest.raises(ArgumentError, match="no logits for class targets"):
        method(plan, model, (x, y[:5]), steps=1)
    kept = wb.plan(model, x, seed=1, rules={"*": wb.Keep()})
    with pytest.raises(ArgumentError, match="has random numbers that a factor can scale"):
        method(kept, model, (x, y))
    huge = wb.plan(model, x, seed=1, recipe="normal(std=1e30)")
    with pytest.raises(CalibrationError, match="is not finite"):
        method(huge, model, (1e10 * x, y), loss=lambda output, _: (output**2).mean())


def test_gradinit_needs_a_known_optimizer_and_three_rows() -> None:
    x, y = noise(dtype=torch.float32)
    model = small(torch.float32)
    plan = wb.plan(model, x, seed=1)
    with pytest.raises(ArgumentError, match="optimizer must be 'sgd' or 'adam', got 'lion'"):
        wb.gradinit(plan, model, (x, y), optimizer="lion")
    with pytest.raises(ArgumentError, match="needs 3 rows or more, got 2"):
        wb.gradinit(plan, model, (x[:2], y[:2]))


def spoilt(digits, factor):
    """A plain network of 4 hidden layers, and its He plan with all weights so many times too large."""
    model = digits.plain(depth=4)
    good = wb.plan(model, digits.ROWS[:64], seed=1, recipe="he")
    entries = [replace(e, law=e.law.scaled(factor)) if len(e.shape) > 1 else e for e in good]
    return model, replace(good, entries=tuple(entries))


@pytest.mark.parametrize(("factor", "steps"), [(10.0, 300), (0.1, 150)])
def test_metainit_repairs_a_bad_start_from_noise_alone(digits, factor, steps) -> None:
    model, bad = spoilt(digits, factor)
    wb.apply(bad, model)
    assert digits.trained(model, 140) < 0.2
    numbers = torch.Generator().manual_seed(0)

    def random_batch(_):
        return torch.randn(64, 64, generator=numbers), torch.randint(10, (64,), generator=numbers)

    wb.apply(wb.metainit(bad, model, random_batch, steps=steps), model, overwrite=True)
    assert digits.trained(model, 140) > 0.85


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_gradinit_repairs_a_bad_start(digits, factor) -> None:
    model, bad = spoilt(digits, factor)
    wb.apply(bad, model)
    assert digits.trained(model) < 0.2
    better = wb.gradinit(bad, model, (digits.ROWS[:150], digits.LABELS[:150]), steps=100)
    wb.apply(better, model, overwrite=True)
    assert digits.trained(model) > 0.75
