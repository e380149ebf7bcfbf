"""wb.equal_rates: the rates of its formula, measured again, and what it is for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, CalibrationError

from .digits import LABELS, ROWS, plain, trained

UNEVEN = {"2.weight": wb.Normal(4.0), "4.weight": wb.Normal(0.005)}


def rates(plan: wb.Plan, model: nn.Module, x: torch.Tensor) -> tuple[list[float], float]:
    """|gradient|/|weight| along random directions of the output, in float64, and the output's standard deviation."""
    wb.apply(plan, model.double(), overwrite=True)
    output = model(x.double())
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    weights = [p for p in model.parameters() if p.ndim > 1]
    gradients = torch.autograd.grad((output * noise).sum(), weights)
    found = [float(g.norm() / w.detach().norm()) for g, w in zip(gradients, weights, strict=True)]
    return found, float(output.detach().std(0).mean())


def planned(model: nn.Module, seed: int = 3) -> wb.Plan:
    return wb.plan(model, ROWS, seed=seed, recipe="he", rules=UNEVEN)


def test_all_rates_are_equal_and_the_output_has_size_1() -> None:
    x, model = ROWS[:200], plain(4)
    base = planned(model)
    even = wb.equal_rates(base, model, x)
    before, _ = rates(wb.plan(plain(4).double(), ROWS, seed=3, recipe="he", rules=UNEVEN), plain(4), x)
    after, size = rates(_as_double(even), plain(4), x)
    assert max(before) / min(before) > 1e5
    assert max(after) / min(after) < 1.3  # another direction of the output than the one that was looked at
    assert size == pytest.approx(1.0, rel=0.15)
    assert even["0.weight"].reason.endswith("-> 1")
    assert even.recipe == "he@0, at equal rates"
    assert even["0.bias"] == base["0.bias"]


def _as_double(plan: wb.Plan) -> wb.Plan:
    """The same laws for a model in float64."""
    from dataclasses import replace

    return replace(plan, entries=tuple(replace(entry, dtype="float64") for entry in plan))


def test_a_scale_that_was_moved_between_layers_is_moved_back() -> None:
    """ReLU networks are the same function with a layer ten times larger and the next ten times smaller."""
    model = plain(2)
    base = wb.plan(model, ROWS, seed=3, recipe="he")
    rules = {"2.weight": base["2.weight"].law.scaled(10), "4.weight": base["4.weight"].law.scaled(0.1)}
    moved = wb.plan(model, ROWS, seed=3, recipe="he", rules=rules)
    one, other = (wb.equal_rates(plan, model, ROWS[:100], steps=30) for plan in (base, moved))
    for name in ("0.weight", "2.weight", "4.weight"):
        assert one[name].std == pytest.approx(other[name].std, rel=0.02)


def test_an_uneven_start_learns_once_its_rates_are_equal() -> None:
    """The one thing it is for: plain SGD, whose one rate is too large for one layer and too small for another."""
    scores = []
    for even in (False, True):
        model = plain(4)
        plan = planned(model)
        wb.apply(wb.equal_rates(plan, model, ROWS[:200]) if even else plan, model)
        scores.append(trained(model, 30))
    assert scores[0] < 0.2 < 0.8 < scores[1]


def test_what_is_refused() -> None:
    model = plain(2)
    zero = wb.plan(model, ROWS, seed=0, rules={"4.weight": wb.Zeros()})
    with pytest.raises(CalibrationError, match=r"0\.weight: its gradient is zero"):
        wb.equal_rates(zero, model, ROWS[:50])
    kept = wb.plan(model, ROWS, seed=0, rules={"*.weight": wb.Keep()})
    with pytest.raises(ArgumentError, match="no tensor of this plan"):
        wb.equal_rates(kept, model, (ROWS[:50], LABELS[:50]))
    with pytest.raises(ArgumentError, match=r"compare the outputs of a batch, got an output of shape \[1, 10\]"):
        wb.equal_rates(wb.plan(model, ROWS, seed=0), model, ROWS[:1])
    with pytest.raises(ArgumentError, match="steps must be a whole number"):
        wb.equal_rates(zero, model, ROWS[:50], steps=0)
