"""wb.swim: the weights of pairs against their definition, what they do without training, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError

from .digits import LABELS, ROWS, accuracy, plain


def planned(model: nn.Module, rows: torch.Tensor, seed: int = 3) -> wb.Plan:
    return wb.plan(model, rows, seed=seed)


def test_every_unit_lies_between_two_inputs_of_different_class() -> None:
    """tanh: -1/2 at one input and 1/2 at another, of another class; ReLU: 0 and 1."""
    rows, labels = ROWS[:200].double().numpy(), LABELS[:200].numpy()
    for activation, low, high in ((nn.Tanh, -0.5, 0.5), (nn.ReLU, 0.0, 1.0)):
        model = plain(1, 40, activation)
        plan = wb.swim(planned(model, ROWS[:200]), model, (ROWS[:200], LABELS[:200]))
        weight, bias = (wb.to_numpy(plan, f"0.{name}").astype(np.float64) for name in ("weight", "bias"))
        pre = rows @ weight.T + bias
        made = np.tanh(pre) if activation is nn.Tanh else pre
        for unit in range(40):
            start = np.flatnonzero(np.isclose(made[:, unit], low, atol=1e-4))
            end = np.flatnonzero(np.isclose(made[:, unit], high, atol=1e-4))
            direction = weight[unit] / np.linalg.norm(weight[unit])
            pairs = [
                (a, b)
                for a in start
                for b in end
                if np.allclose((rows[b] - rows[a]) / np.linalg.norm(rows[b] - rows[a]), direction, atol=1e-4)
            ]
            assert pairs
            assert any(labels[a] != labels[b] for a, b in pairs)
        assert plan["0.weight"].reason.startswith("SWIM: 40 pairs of 200 inputs")


def test_steep_pairs_come_first() -> None:
    """A step among flat values: all pairs that count cross it, so every bend lies at the step."""
    x = torch.linspace(-1, 1, 400)[:, None]
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1))
    plan = wb.swim(planned(model, x), model, (x, (x > 0.3).float()))
    weight, bias = (wb.to_numpy(plan, f"0.{name}").astype(np.float64).ravel() for name in ("weight", "bias"))
    half = math.log(3) / 2 / np.abs(weight)
    assert (np.abs(-bias / weight - 0.3) <= half + 0.005).all()
    # the density of a pair falls like 1 over its distance, so that half of the units are steeper than the range
    assert np.median(2 * half) < 0.8


def test_digits_are_read_without_a_step_of_training() -> None:
    """The one thing it is for."""
    for depth in (1, 2):
        model = plain(depth, 300, nn.Tanh)
        plan = wb.swim(planned(model, ROWS), model, (ROWS, LABELS), ridge=1e-6)
        wb.apply(plan, model)
        assert accuracy(model) > 0.94
    random = plain(1, 300, nn.Tanh)
    wb.apply(planned(random, ROWS), random)
    assert accuracy(random) < 0.4


def test_the_model_is_as_before_and_the_rest_of_the_plan_too() -> None:
    model = nn.Sequential(
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32, bias=False), nn.ReLU(), nn.Linear(32, 16), nn.GELU(),
        nn.Linear(16, 10),
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    base = planned(model, ROWS)
    plan = wb.swim(base, model, (ROWS[:100], LABELS[:100]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    for name in ("2.weight", "4.weight", "6.weight", "6.bias"):
        assert plan[name].law == base[name].law
    assert plan["2.weight"].reason.endswith("not sampled by SWIM: it has no bias")
    assert "in front of ReLU and tanh, not of gelu" in plan["4.weight"].reason
    again = wb.swim(base, model, (ROWS[:100], LABELS[:100]))
    assert again == plan
    assert wb.swim(base.with_seed(4), model, (ROWS[:100], LABELS[:100]))["0.weight"].law != plan["0.weight"].law


def test_what_is_refused() -> None:
    model = plain(1)
    plan = planned(model, ROWS)
    with pytest.raises(ArgumentError, match="looks at targets"):
        wb.swim(plan, model, ROWS)
    with pytest.raises(ArgumentError, match=r"gets inputs of shape \[100, 64\], and SWIM pairs rows with the 50"):
        wb.swim(plan, model, (ROWS[:100], LABELS[:50]))
    with pytest.raises(ArgumentError, match="no pair of its inputs differs"):
        wb.swim(plan, model, (ROWS[:1].repeat(5, 1), torch.arange(5)))
    gelu = plain(1, activation=nn.GELU)
    with pytest.raises(ArgumentError, match=r"no layer can be sampled: .*not of gelu"):
        wb.swim(planned(gelu, ROWS), gelu, (ROWS, LABELS))


def test_the_output_has_zeros_for_a_class_that_the_batch_does_not_show() -> None:
    model = plain(1, 20, nn.Tanh)
    rows, labels = ROWS[:200], LABELS[:200]
    rows, labels = rows[labels < 9], labels[labels < 9]
    plan = wb.swim(planned(model, rows), model, (rows, labels), ridge=1e-3)
    assert abs(wb.to_numpy(plan, "2.weight")[9]).max() == 0
    assert wb.to_numpy(plan, "2.bias")[9] == 0


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.randn(20, 7), "2.weight has 10 outputs, and the batch has targets of 7 numbers"),
        (torch.arange(20), "2.weight has 10 outputs, and the batch has 20 classes"),
        (torch.arange(20) - 1, "classes, counted from 0; got -1"),
        (LABELS[:0], "without elements"),
    ],
)
def test_targets_that_do_not_fit_the_output_are_refused(targets: torch.Tensor, said: str) -> None:
    model = plain(1, 20, nn.Tanh)
    with pytest.raises(ArgumentError, match=said):
        wb.swim(planned(model, ROWS[:20]), model, (ROWS[:20], targets), ridge=1e-3)


def test_a_batch_of_arrays_is_named_by_its_type_and_an_empty_one_refused() -> None:
    model = plain(1, 20, nn.Tanh)
    plan = planned(model, ROWS[:20])
    with pytest.raises(ArgumentError, match="got tuple; pass torch tensors"):
        wb.swim(plan, model, (ROWS[:20].numpy(), LABELS[:20].numpy()))
    for function in (wb.calibrate, wb.standardize, wb.equal_rates, wb.metainit, wb.gradinit):
        with pytest.raises(ArgumentError, match="without elements"):
            function(plan, model, (ROWS[:0], LABELS[:0]))
        with pytest.raises(ArgumentError, match="the first argument must be a plan"):
            function(model, model, (ROWS[:20], LABELS[:20]))
