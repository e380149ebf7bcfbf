"""deepnorm@1, small_init@1 and mitchell@1: gains by what a weight does, and what DeepNorm is for."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanError, UnmetMultiplierWarning

from .parametrised import Gpt, PostGpt, tokens


def test_deepnorm_gains_and_alpha() -> None:
    layers = 8
    made = wb.plan(PostGpt(32, layers), tokens()[0], seed=0, recipe="deepnorm")
    beta, square, fed = (8 * layers) ** -0.25, math.sqrt(2 / 64), math.sqrt(2 / 96)
    for block in range(layers):
        stds = {name: made[f"blocks.{block}.{name}.weight"].std for name in ("q", "k", "v", "o", "up", "down")}
        wanted = {
            "q": square,
            "k": square,
            "v": beta * square,
            "o": beta * square,
            "up": beta * fed,
            "down": beta * fed,
        }
        assert stds == pytest.approx(wanted, rel=1e-6)
    assert [m.place for m in made.unmet] == ["shortcut"] * 16
    assert made.unmet[0].value == pytest.approx(16**0.25)
    assert wb.plan(PostGpt(32, layers, alpha=2.0), tokens()[0], seed=0, recipe="deepnorm").unmet == ()


def test_deepnorm_of_a_packed_weight() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    made = wb.plan(model, torch.zeros(1, 4, 16), seed=0, recipe="deepnorm")
    values = wb.to_numpy(made, "layers.0.self_attn.in_proj_weight")
    plain, small = math.sqrt(2 / 32), 16**-0.25 * math.sqrt(2 / 32)
    assert [values[i : i + 16].std() for i in (0, 16, 32)] == pytest.approx([plain, plain, small], rel=0.12)


def test_deepnorm_refuses_pre_norm() -> None:
    with pytest.raises(
        PlanError, match=r"not post-norm: 4 of 4 residual sums follow one another on a.*gpt2, small_init or completep"
    ):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="deepnorm")


def test_what_is_not_in_the_forward_pass_is_never_silent(tmp_path) -> None:
    data, model = tokens()[0], PostGpt(32, 8)
    made = wb.plan(model, data, seed=0, recipe="deepnorm")
    made.save(tmp_path / "plan.json")
    loaded = wb.load_plan(tmp_path / "plan.json")
    assert loaded == made
    assert loaded.hash == made.hash
    assert "multiplier" in made.explain("blocks.0.o.weight")
    with pytest.warns(UnmetMultiplierWarning, match=r"blocks\.\{0\.\.7\}.*times 2, and the forward pass has 1"):
        done = wb.apply(made, model)
    assert done.unmet == made.unmet
    assert {fault.kind for fault in wb.verify(made, model).faults} == {"multiplier"}
    for block in model.blocks:
        block.alpha = 2.0
    assert wb.verify(made, model, inputs=data)
    plain = wb.plan(model, data, seed=0, recipe="auto")
    assert "the forward pass must multiply" in str(plain.diff(made))


def moved(layers: int, deep: bool, part: str = "") -> float:
    """How far one step of SGD moves the output: of all parameters, or of those whose names match."""
    inputs, targets = tokens()
    model = PostGpt(32, layers, alpha=(2 * layers) ** 0.25 if deep else 1.0)
    wb.initialize(model, inputs, seed=2, recipe="deepnorm(base='xavier_normal')" if deep else "xavier_normal")
    chosen = [parameter for name, parameter in model.named_parameters() if re.search(part, name)]
    optimizer = torch.optim.SGD(chosen, lr=0.05)
    before = model(inputs)
    nn.functional.cross_entropy(before.view(-1, 32), targets.view(-1)).backward()
    optimizer.step()
    with torch.no_grad():
        return (model(inputs) - before).square().mean().sqrt().item()


def test_deepnorm_bounds_what_one_step_does_to_a_deep_network() -> None:
    """The one thing it is for: one step moves the output a tenth as far as plain post-norm, at 16 layers."""
    assert moved(16, True) < moved(16, False) / 10
    assert moved(16, True) < moved(4, False) / 10


def test_deepnorm_bounds_the_step_of_the_weights_at_any_depth_and_not_that_of_the_normalisations() -> None:
    """The paper's bound is one for the weights of the branches; gains and biases of 2N normalisations add up."""
    weights, norms = r"\.(q|k|v|o|up|down)\.weight", r"\.n[12]\."
    assert moved(32, True, weights) == pytest.approx(moved(4, True, weights), rel=0.15)
    assert moved(32, True, norms) > 5 * moved(4, True, norms)


def test_small_init_and_wang() -> None:
    made = wb.plan(Gpt(64, 3), tokens()[0], seed=0, recipe="small_init")
    assert made["blocks.1.up.weight"].std == pytest.approx(math.sqrt(2 / (5 * 64)), rel=1e-6)
    assert made["words.weight"].std == pytest.approx(math.sqrt(2 / (5 * 64)), rel=1e-6)
    for name in ("out", "down"):
        assert made[f"blocks.1.{name}.weight"].std == pytest.approx(2 / (3 * 8), rel=1e-6)
    same = wb.plan(Gpt(64, 3), tokens()[0], seed=0, recipe="small_init(wang=False)")
    assert same["blocks.1.down.weight"].std == pytest.approx(math.sqrt(2 / (5 * 64)), rel=1e-6)
    with pytest.raises(PlanError, match="no residual stream"):
        wb.plan(nn.Linear(8, 8), "vector:8", seed=0, recipe="small_init")


def test_mitchell_by_layer() -> None:
    made = wb.plan(Gpt(64, 3), tokens()[0], seed=0, recipe="mitchell")
    for layer in range(3):
        assert made[f"blocks.{layer}.qkv.weight"].law.std == pytest.approx(1 / 8, rel=1e-6)
        assert made[f"blocks.{layer}.out.weight"].law.std == pytest.approx((2 * 64 * (layer + 1)) ** -0.5, rel=1e-6)
        assert made[f"blocks.{layer}.down.weight"].law.std == pytest.approx((2 * 128 * (layer + 1)) ** -0.5, rel=1e-6)
    assert made["words.weight"].law.std == pytest.approx(1 / 8, rel=1e-6)
