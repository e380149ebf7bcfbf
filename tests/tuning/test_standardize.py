"""Standardisation: the formula, weight normalisation and ActNorm, what is refused, and digits that train better."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import wellbegun as wb
from wellbegun.errors import ArgumentError, CalibrationError


def random_data(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def numbers(plan):
    return {entry.name: wb.to_numpy(plan, entry.name) for entry in plan}


class ActNorm(nn.Module):
    def __init__(self, channels: int, *places: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, channels, *places))
        self.shift = nn.Parameter(torch.zeros(1, channels, *places))

    def forward(self, x):
        return x * self.scale + self.shift


def small():
    return nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 5))


def test_the_formula_in_float64():
    model, x = small(), random_data(200, 16)
    plan = wb.plan(model, x, seed=1)
    better = wb.standardize(plan, model, x)
    drawn, made = numbers(plan), numbers(better)
    signal = x.numpy().astype(np.float64)
    for layer in ("0", "2"):
        t = signal @ drawn[f"{layer}.weight"].astype(np.float64).T
        mean, std = t.mean(0), t.std(0)
        assert np.allclose(made[f"{layer}.weight"], drawn[f"{layer}.weight"] / std[:, None], rtol=1e-5)
        assert np.allclose(made[f"{layer}.bias"], -mean / std, rtol=1e-4, atol=1e-5)
        signal = np.tanh((t - mean) / std)
    assert isinstance(better["0.weight"].law, wb.PerChannel)
    assert better["0.weight"].law.base == plan["0.weight"].law
    assert "standardised on a batch of 200: standard deviations" in better["0.weight"].reason
    assert better.recipe == "auto@0, standardized"


@pytest.mark.parametrize("layer", [nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d], ids=lambda kind: kind.__name__)
def test_channels_of_convolutions(layer):
    model = nn.Sequential(layer(3, 6, 3), nn.ReLU(), layer(6, 4, 3))
    x = random_data(16, 3, *(9,) * (1 if layer is nn.Conv1d else 2))
    wb.apply(wb.standardize(wb.plan(model, x, seed=1), model, x), model)
    for part in (model[:1], model):
        result = part(x).movedim(1, -1).flatten(0, -2)
        assert torch.allclose(result.mean(0), torch.zeros(result.shape[1]), atol=1e-5)
        assert torch.allclose(result.std(0, correction=0), torch.ones(result.shape[1]), atol=1e-4)


def test_weight_normalisation_gets_the_papers_gains():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 12)), nn.ReLU(), nn.Linear(12, 5))
    x = random_data(200, 16)
    plan = wb.plan(model, x, seed=1)
    wb.apply(wb.standardize(plan, model, x), model)
    v = wb.to_numpy(plan, "0.weight").astype(np.float64)
    t = x.numpy().astype(np.float64) @ (v / np.linalg.norm(v, axis=1, keepdims=True)).T
    g = model[0].parametrizations.weight.original0.detach().flatten().numpy()
    assert np.allclose(g, 1 / t.std(0), rtol=1e-5)
    assert np.allclose(model[0].bias.detach().numpy(), -t.mean(0) / t.std(0), rtol=1e-4, atol=1e-5)


def test_actnorm_layers_alone():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), ActNorm(6, 1, 1), nn.ReLU(), nn.Conv2d(6, 4, 3), ActNorm(4, 1, 1))
    x = random_data(16, 3, 9, 9)
    rules = {"*.scale": wb.Ones(), "*.shift": wb.Zeros()}
    plan = wb.plan(model, x, seed=1, rules=rules)
    better = wb.standardize(plan, model, x, layers=["1", "4"])
    assert better["0.weight"].law == plan["0.weight"].law
    wb.apply(better, model)
    result = model(x).movedim(1, -1).flatten(0, -2)
    assert torch.allclose(result.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(result.std(0, correction=0), torch.ones(4), atol=1e-4)


def test_a_layer_that_only_looks_affine_is_left_alone():
    model, x = nn.Sequential(nn.Linear(16, 12), nn.LayerNorm(12), nn.Linear(12, 5)), random_data(64, 16)
    plan = wb.plan(model, x, seed=1)
    better = wb.standardize(plan, model, x)
    assert better["1.weight"].law == wb.Constant(1.0)
    assert "does not compute s·x + b" in better["1.weight"].reason


def test_the_model_is_as_before_and_the_plan_the_same_each_time():
    model, x = nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5)), random_data(64, 16)
    before, kept = copy.deepcopy(model.state_dict()), x.clone()
    plan = wb.plan(model, x, seed=1)
    first, second = (wb.standardize(plan, model, x) for _ in range(2))
    assert first == second
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(x, kept)
    assert model.training
    assert model[1].training
    assert not model[0]._forward_hooks


def test_zero_weights_ties_and_kept_values_are_left_with_a_reason():
    model, x = small(), random_data(64, 16)
    rules = {"2.weight": wb.Zeros(), "0.weight": wb.Keep()}
    better = wb.standardize(wb.plan(model, x, seed=1, rules=rules), model, x)
    assert "its weights are all zero" in better["2.weight"].reason
    assert "keeps its own value" in better["0.weight"].reason
    tied = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))
    tied[2].weight = tied[0].weight
    better = wb.standardize(wb.plan(tied, x, seed=1), tied, x)
    assert "2.weight would change along with it" in better["0.weight"].reason


def test_dead_channels_and_single_values_are_refused():
    model, x = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 5)), random_data(64, 16)
    plan = wb.plan(model, x, seed=1, rules={"0.bias": wb.Constant(-50.0)})
    with pytest.raises(CalibrationError, match=r"2.weight: 5 of its 5 channels .* are the same for the whole batch"):
        wb.standardize(plan, model, x, layers="2")
    with pytest.raises(ArgumentError, match="take a larger batch"):
        wb.standardize(plan, model, x[:1])
    with pytest.raises(ArgumentError, match="is called nowhere"):
        wb.standardize(plan, model, x, layers="nowhere")


def test_a_part_of_the_standardised_plan_is_the_part_of_the_whole():
    model, x = small(), random_data(200, 16)
    better = wb.standardize(wb.plan(model, x, seed=1), model, x)
    part = wb.to_numpy(better, "0.weight", (slice(3, 7), slice(2, 9)))
    assert (part == wb.to_numpy(better, "0.weight")[3:7, 2:9]).all()


def test_a_start_that_is_much_too_small_trains_on_real_digits_afterwards(digits):
    model = digits.plain(depth=8)
    plan = wb.plan(model, digits.ROWS[:500], seed=1, recipe="normal(std=0.02)")
    wb.apply(plan, model)
    assert digits.trained(model) < 0.2
    wb.apply(wb.standardize(plan, model, digits.ROWS[:500]), model, overwrite=True)
    assert digits.trained(model) > 0.75
