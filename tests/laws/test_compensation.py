"""Biases that cancel an activation's mean: their numbers, their place in plans, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanFileError
from wellbegun.lab.network import PlainMLP
from wellbegun.laws import law_from_record, law_to_record
from wellbegun.plans import Plan
from wellbegun.sampler import Stream


def sigmoid_plan(depth: int = 8, **more: object) -> tuple[nn.Module, Plan, torch.Tensor]:
    model = PlainMLP(16, 4, depth=depth, width=32, activation="sigmoid")
    x = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    return model, wb.plan(model, x, seed=3, **more), x


def test_biases_are_minus_the_mean_times_the_row_sums_plus_noise() -> None:
    model, plan, _ = sigmoid_plan()
    wb.apply(plan, model)
    law = plan["hidden.3.bias"].law
    assert isinstance(law, wb.MeanCompensation)
    assert law.mean == pytest.approx(0.5)
    weight = model.hidden[3].weight.detach().double()
    bias = model.hidden[3].bias.detach().double()
    noise = np.empty(32, np.float32)
    wb.fill(noise, wb.Normal(std=law.std), seed=3, name="hidden.3.bias")
    assert bias.numpy() == pytest.approx(-0.5 * weight.sum(1).numpy() + noise, abs=1e-5)
    # the output layer has no noise
    out = model.output
    assert out.bias.detach().numpy() == pytest.approx(-0.5 * out.weight.detach().double().sum(1).numpy(), abs=1e-6)


def test_inputs_first_sums_the_other_axis() -> None:
    law = wb.MeanCompensation("w", mean=2.0, inputs_first=True)
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert law.block(Stream.of(0, "b"), (3,), companion=weight).tolist() == [-6.0, -10.0, -14.0]
    assert wb.MeanCompensation("w", mean=2.0).block(Stream.of(0, "b"), (2,), companion=weight).tolist() == [-6.0, -24.0]


def test_a_constant_signal_of_the_mean_is_cancelled() -> None:
    """W·E f + b is the noise alone."""
    model, plan, _ = sigmoid_plan()
    wb.apply(plan, model)
    passed = model.hidden[4](torch.full((1, 32), 0.5)).detach()
    assert float(passed.std()) == pytest.approx(plan["hidden.4.bias"].law.std, rel=0.4)
    assert float(model.output(torch.full((1, 32), 0.5)).detach().abs().max()) < 1e-5


def test_plans_with_it_are_saved_loaded_and_read_without_a_model(tmp_path) -> None:
    model, plan, _ = sigmoid_plan()
    plan.save(tmp_path / "plan.json")
    loaded = wb.load_plan(tmp_path / "plan.json")
    assert loaded == plan
    wb.apply(loaded, model)
    whole = wb.to_numpy(loaded, "hidden.3.bias")
    assert np.array_equal(whole, model.hidden[3].bias.detach().numpy())
    assert np.array_equal(wb.to_numpy(loaded, "hidden.3.bias", (slice(5, 9),)), whole[5:9])


def test_a_rule_for_the_weight_is_what_is_compensated() -> None:
    model, plan, _ = sigmoid_plan(rules={"hidden.3.weight": wb.Constant(0.25)})
    wb.apply(plan, model)
    noise = np.empty(32, np.float32)
    wb.fill(noise, wb.Normal(std=plan["hidden.3.bias"].law.std), seed=3, name="hidden.3.bias")
    assert model.hidden[3].bias.detach().numpy() == pytest.approx(noise - 0.5 * 32 * 0.25, abs=1e-5)


def test_bfloat16_models() -> None:
    model, plan, x = sigmoid_plan()
    half = PlainMLP(16, 4, depth=8, width=32, activation="sigmoid").bfloat16()
    wb.apply(plan, model)
    wb.apply(wb.plan(half, x, seed=3), half)
    assert torch.equal(half.hidden[3].bias.detach(), model.hidden[3].bias.detach().bfloat16())


def test_it_cannot_stand_alone() -> None:
    with pytest.raises(ArgumentError, match="in a plan only"):
        wb.fill(np.empty(3, np.float32), wb.MeanCompensation("w", mean=0.5), seed=0, name="b")


@pytest.mark.parametrize("rule", [wb.Keep(), wb.MeanCompensation("hidden.2.weight", mean=0.1)])
def test_a_plan_without_the_weights_values_is_refused(rule) -> None:
    with pytest.raises(ArgumentError, match=r"needs a planned weight|makes no biases"):
        sigmoid_plan(rules={"hidden.3.weight": rule})


def test_a_weight_of_another_shape_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no biases of shape"):
        sigmoid_plan(rules={"hidden.3.bias": wb.MeanCompensation("output.weight", mean=0.5)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": "", "mean": 0.5}, "weight must be"),
        ({"weight": 3, "mean": 0.5}, "weight must be"),
        ({"weight": "w", "mean": float("nan")}, "mean"),
        ({"weight": "w", "mean": 0.5, "std": -1.0}, "std must not be negative"),
    ],
)
def test_bad_arguments(arguments, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        wb.MeanCompensation(**arguments)


def test_bad_records() -> None:
    good = law_to_record(wb.MeanCompensation("w", mean=0.5))
    assert law_from_record(good) == wb.MeanCompensation("w", mean=0.5)
    for change in ({"weight": 3}, {"weight": None}, {"inputs_first": 1}, {"mean": "x"}):
        with pytest.raises(PlanFileError):
            law_from_record(good | change)


@pytest.mark.parametrize(
    ("activation", "depth", "width"),
    [("sigmoid", d, w) for d, w in ((2, 64), (5, 63), (12, 64), (30, 63))]
    # at even widths softplus is mirrored; at 30 layers of an odd width of 63 its signal grows fourfold
    + [("softplus", d, w) for d, w in ((2, 63), (5, 63), (12, 127))],
)
def test_networks_of_mostly_mean_functions_keep_signal_and_gradient(activation, depth, width) -> None:
    """Geometric means over 8 seeds stay within what finite width allows: log q of one network spreads by about
    sqrt(depth·kappa/width), here at most sqrt(30·4/63) = 1.4, so 0.5 for the mean of 8.
    """
    x = torch.randn(256, 16, generator=torch.Generator().manual_seed(1))
    logs, gradients, losses = [], [], []
    for seed in range(8):
        model = PlainMLP(16, 4, depth=depth, width=width, activation=activation)
        plan = wb.initialize(model, x, seed=seed)
        found = wb.diagnose(model, (x, torch.arange(256) % 4))
        target = plan["hidden.1.weight"].after
        hidden = found.layers[:-1]
        logs.append([np.log(layer.signal / target) for layer in hidden])
        gradients.append(np.log(hidden[0].gradient / hidden[-1].gradient))
        losses.append(found.loss)
    assert np.abs(np.mean(logs, axis=0)).max() < 0.5
    assert abs(np.mean(gradients)) < 1.0
    assert np.mean(losses) == pytest.approx(np.log(4), abs=0.35)
