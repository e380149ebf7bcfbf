"""mup@1 and completep@1: factors as defined, and the coordinate checks that they are for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError

from .parametrised import HEADS, WORDS, Gpt, tokens


def mlp(width: int) -> nn.Sequential:
    sizes = nn.Linear(16, width), nn.Linear(width, 2 * width), nn.Linear(2 * width, 4)
    return nn.Sequential(sizes[0], nn.ReLU(), sizes[1], nn.ReLU(), sizes[2])


def test_factors_of_adam_against_table_3() -> None:
    made = wb.plan(mlp(256), "vector:16", seed=0, recipe="mup(base_width=64, base='lecun', width=256)")
    assert made["0.weight"].std == pytest.approx(1 / 4, rel=1e-6)
    assert made["2.weight"].std == pytest.approx(1 / 16, rel=1e-6)
    assert made["4.weight"].std == pytest.approx(1 / math.sqrt(512) / math.sqrt(4), rel=1e-6)
    rates = {name: made[name].lr_factor for name in ("0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias")}
    assert rates == {"0.weight": 1, "0.bias": 1, "2.weight": 0.25, "2.bias": 1, "4.weight": 0.25, "4.bias": 1}
    assert made.multipliers == ()


def test_factors_of_sgd_against_table_3() -> None:
    made = wb.plan(mlp(256), "vector:16", seed=0, recipe="mup(base_width=64, base='he', width=256, optimizer='sgd')")
    rates = {name: made[name].lr_factor for name in ("0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias")}
    assert rates == {"0.weight": 4, "0.bias": 4, "2.weight": 1, "2.bias": 4, "4.weight": 0.25, "4.bias": 1}


def test_at_the_base_width_nothing_changes() -> None:
    made = wb.plan(mlp(128), "vector:16", seed=0, recipe="mup(base_width=256, base='he')")  # the readout reads 256
    base = wb.plan(mlp(128), "vector:16", seed=0, recipe="he")
    assert all(made[entry.name].law == entry.law for entry in base)
    assert all(entry.training == (1, 1, 1) for entry in made)


@pytest.mark.parametrize("base", ["gpt2", "normal(std=0.02)", "llama"])
def test_one_standard_deviation_is_that_of_the_base_width(base: str) -> None:
    model, data = Gpt(256), tokens()[0]
    made = wb.plan(model, data, seed=0, recipe=f"mup(base_width=64, base={base!r})")
    plain = wb.plan(model, data, seed=0, recipe=base)
    assert made["blocks.0.up.weight"].std == pytest.approx(plain["blocks.0.up.weight"].std / 2, rel=1e-6)
    assert made["head.weight"].std == pytest.approx(plain["head.weight"].std / 4, rel=1e-6)
    assert made["words.weight"].law == plain["words.weight"].law


def test_a_tied_table_needs_a_multiplier_and_keeps_its_rate() -> None:
    data = tokens()[0]
    made = wb.plan(Gpt(256, tied=True), data, seed=0, recipe="mup(base_width=64, base='gpt2')")
    assert [(m.place, m.weight, m.value, m.found) for m in made.multipliers] == [("output", "words.weight", 0.25, 1.0)]
    assert made.unmet == made.multipliers
    assert made["words.weight"].lr_factor == 1
    assert made["words.weight"].std == pytest.approx(0.02, rel=1e-6)
    there = wb.plan(Gpt(256, tied=True, logits=0.25), data, seed=0, recipe="mup(base_width=64, base='gpt2')")
    assert there.unmet == ()
    assert there.multipliers[0].met


def test_an_output_that_is_multiplied_already_has_the_form_of_table_8() -> None:
    made = wb.plan(Gpt(256, logits=0.25), tokens()[0], seed=0, recipe="mup(base_width=64, base='gpt2')")
    assert made["head.weight"].lr_factor == 1
    assert made["head.weight"].std == pytest.approx(0.02, rel=1e-6)
    scaled = wb.plan(Gpt(256, logits=0.25), tokens()[0], seed=0, recipe="mup(base_width=64, base='lecun')")
    assert scaled["head.weight"].std == pytest.approx(2 / 16, rel=1e-6)


def test_attention_where_heads_grow() -> None:
    recipe = "mup(base_width=64, base='gpt2', base_head=16)"
    made = wb.plan(Gpt(256), tokens()[0], seed=0, recipe=recipe)
    assert [m.weight for m in made.unmet] == ["blocks.0.qkv.weight", "blocks.1.qkv.weight"]
    assert [m.value for m in made.unmet] == [math.sqrt(16) / 64] * 2
    assert made.unmet[0].found == pytest.approx(1 / 8)
    assert "the attention scores of the queries of blocks.{0,1}.qkv.weight: times 0.0625, and the" in str(made)
    assert wb.plan(Gpt(256, scale=1 / 16), tokens()[0], seed=0, recipe=recipe).unmet == ()


def test_a_router_is_an_output() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.gate, self.head = nn.Linear(8, 32), nn.Linear(32, 4), nn.Linear(32, 5)
            self.experts = nn.Parameter(torch.zeros(4, 32, 32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.relu(self.inside(x))
            share = torch.softmax(self.gate(h), -1)
            return self.head((torch.einsum("bi,eij->bej", h, self.experts) * share[..., None]).sum(1))

    made = wb.plan(Routed(), "vector:8", seed=0, recipe="mup(base_width=8, base='lecun')")
    assert made["gate.weight"].lr_factor == 0.25
    assert made["gate.weight"].std == pytest.approx(1 / math.sqrt(32) / 2, rel=1e-6)
    assert made["experts"].lr_factor == 0.25
    assert made["experts"].std == pytest.approx(1 / math.sqrt(32), rel=1e-6)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("mup(base_width=0)", "base_width must be a whole number above 0"),
        ("mup(base_width=64, optimizer='lion')", "optimizer must be 'adam' or 'sgd'"),
        ("mup()", "missing a required argument"),
        ("completep(base_width=64, base_branches=0)", "base_branches must be a whole number"),
        ("completep(base_width=64, base_branches=4, alpha=2)", "alpha must be a number from 0.5 to 1"),
    ],
)
def test_arguments(recipe: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        wb.plan(mlp(64), "vector:16", seed=0, recipe=recipe)


def test_networks_whose_width_is_not_clear() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.b(torch.relu(self.a(x))), self.c(x)

    with pytest.raises(PlanError, match=r"output layers differ \(b\.weight reads 16, c\.weight reads 8\).*width="):
        wb.plan(Two(), "vector:8", seed=0, recipe="mup(base_width=8)")
    with pytest.raises(PlanError, match="author's own numbers may know the width"):
        wb.plan(mlp(64), "vector:16", seed=0, recipe="mup(base_width=8, base='author')")


def test_a_rule_keeps_the_learning_rate() -> None:
    made = wb.plan(mlp(64), "vector:16", seed=0, recipe="mup(base_width=32)", rules={"4.weight": wb.Zeros()})
    assert made["4.weight"].law == wb.Constant(0.0)
    assert made["4.weight"].lr_factor == 0.25


def worst_slopes(found) -> dict[int, float]:
    """Largest exponent of any layer before the readout, by step."""
    worst: dict[int, float] = {}
    for scaling in found.scalings:
        if not scaling.readout:
            worst[scaling.step] = max(worst.get(scaling.step, 0.0), abs(scaling.size.value))
    return worst


def test_the_coordinate_check_of_a_network_with_the_learning_rates_of_the_plan() -> None:
    """The one thing it is for: no layer's size goes with the width after steps of Adam; under He's rule they do."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(64, 16, generator=generator), torch.randint(4, (64,), generator=generator)
    recipe = "mup(base_width=128, base='he', zero_readout=True)"

    def adam(model):
        return torch.optim.Adam(wb.plan(model, batch[0], seed=0, recipe=recipe).param_groups(0.01, model=model))

    found = wb.sweep(mlp, batch, widths=[64, 128, 256, 512], seeds=3, recipe=recipe, optimizer=adam)
    assert found.failing == ()
    assert all(slope < 0.1 for slope in worst_slopes(found).values())
    standard = wb.sweep(
        mlp, batch, widths=[64, 128, 256, 512], seeds=3, recipe="he",
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
    )  # fmt: skip
    assert "2.weight" in standard.failing
    assert worst_slopes(standard)[4] > 0.3


def attention_scale(width: int) -> float:
    return math.sqrt(16) / (width // HEADS)


def check_tied(learning_rate: float, *, standard: bool = False):
    """The coordinate check of a small GPT whose table is its output layer too."""
    batch, widths = tokens(), [64, 128, 256, 512]

    def build(width):
        if standard:
            return Gpt(width, tied=True)
        return Gpt(width, scale=attention_scale(width), logits=64 / width, tied=True)

    recipe = "gpt2" if standard else "mup(base_width=64, base='gpt2', base_head=16)"

    def adam(model):
        plan = wb.plan(model, batch[0], seed=0, recipe=recipe)
        assert plan.unmet == ()
        return torch.optim.Adam(plan.param_groups(learning_rate, model=model))

    return wb.sweep(build, batch, widths=widths, seeds=2, recipe=recipe, optimizer=adam)


@pytest.mark.slow
def test_the_coordinate_check_of_a_transformer_with_a_tied_table() -> None:
    """Steps of a twentieth of the weights, whose standard deviation is 0.02."""
    found = check_tied(0.001)
    assert (found.failing, found.unclear) == ((), ())
    assert all(slope < 0.05 for slope in worst_slopes(found).values()), worst_slopes(found)


@pytest.mark.slow
def test_what_the_coordinate_check_of_a_tied_table_would_find() -> None:
    standard = check_tied(0.001, standard=True)
    assert {"blocks.0.qkv.weight", "blocks.1.down.weight", "words.weight (use 2)"} <= set(standard.failing)
    assert worst_slopes(standard)[4] > 0.3


@pytest.mark.slow
def test_steps_of_half_the_weights_bend_the_narrow_networks() -> None:
    """What fails at 0.01, half of 0.02, is the width 64: its sizes lie above a level that the wider ones share."""
    found = check_tied(0.01)
    assert worst_slopes(found)[3] > 0.2
    sizes = [scaling.sizes for scaling in found.scalings if scaling.step == 3 and not scaling.readout]
    drops = torch.tensor(sizes).log().diff(dim=1).mean(0)  # of all layers, from width to width
    assert drops[0] < 3 * drops[2] < 0, drops


def test_completep_against_the_published_factors() -> None:
    """m = 4, l = 3: as in the optimizer groups of the code published beside the paper."""
    model = Gpt(256, 6, branch=1 / 3, logits=0.25, tied=True)
    made = wb.plan(model, tokens()[0], seed=0, recipe="completep(base_width=64, base_branches=4)")
    assert made.unmet == ()
    assert {m.value for m in made.multipliers} == {0.25, 1 / 3}
    assert sum(m.place == "residual branch" for m in made.multipliers) == 12
    for name in ("qkv", "out", "up", "down"):
        entry = made[f"blocks.2.{name}.weight"]
        assert entry.std == pytest.approx(0.02 / 2, rel=1e-6)
        assert entry.training == pytest.approx((1 / 4, 4, 1 / 12))
        assert made[f"blocks.2.{name}.bias"].training == pytest.approx((1, 1, 1 / 12))
    assert made["blocks.2.n1.weight"].training == pytest.approx((1, 1, 1 / 12))
    for name in ("words.weight", "norm.weight", "places"):
        assert made[name].training == pytest.approx((1, 1, 1 / 4))
    assert made["words.weight"].std == pytest.approx(0.02, rel=1e-6)
    groups = made.param_groups(0.01, weight_decay=0.1, eps=1e-12, model=model)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    hidden = next(group for group in groups if "blocks.0.up.weight" in group["names"])
    assert (hidden["lr"], hidden["weight_decay"], hidden["eps"]) == pytest.approx((0.0025, 0.4, 1e-12 / 12))
    torch.optim.AdamW(groups)


def test_completep_with_another_alpha_and_an_output_without_a_multiplier() -> None:
    made = wb.plan(
        Gpt(256, 4), tokens()[0], seed=0, recipe="completep(base_width=64, base_branches=2, alpha=0.5, std=0.04)"
    )
    assert {m.value for m in made.unmet} == {0.5}
    assert made["blocks.1.up.weight"].training == pytest.approx((0.25 * 0.5, 4, 1 / 8))
    assert made["blocks.1.n2.bias"].training == pytest.approx((0.5, 1, 1 / 8))
    assert made["head.weight"].std == pytest.approx(0.01, rel=1e-6)
    assert made["head.weight"].training == pytest.approx((0.25, 4, 1))


@pytest.mark.slow
def test_the_coordinate_check_over_depths() -> None:
    """The one thing it is for: what the whole stack adds in four steps does not go with the depth."""
    batch = tokens()
    depths = (2, 4, 8, 16)
    recipe = "completep(base_width=64, base_branches=4)"

    def moved(layers: int, complete: bool) -> float:
        model = Gpt(64, layers, branch=2 / layers if complete else 1.0)
        plan = wb.initialize(model, batch[0], seed=5, recipe=recipe if complete else "llama")
        groups = plan.param_groups(0.01, model=model, eps=1e-12)
        optimizer = torch.optim.AdamW(groups, lr=0.01, eps=1e-12)

        def stream() -> torch.Tensor:
            x = model.words(batch[0]) + model.places[:16]
            for block in model.blocks:
                x = block(x)
            return x

        with torch.no_grad():
            before = stream()
        for _ in range(4):
            loss = nn.functional.cross_entropy(model(batch[0]).view(-1, WORDS), batch[1].view(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return (stream() - before).square().mean().sqrt().item()

    def slope(complete: bool) -> float:
        sizes = [moved(layers, complete) for layers in depths]
        x = torch.tensor(depths, dtype=torch.float64).log()
        y = torch.tensor(sizes, dtype=torch.float64).log()
        return (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()).item()

    assert abs(slope(True)) < 0.1
    assert slope(False) > 0.3


def test_completep_refuses_post_norm_and_chains() -> None:
    from .parametrised import PostGpt

    with pytest.raises(PlanError, match=r"post-norm\): use deepnorm"):
        wb.plan(PostGpt(), tokens()[0], seed=0, recipe="completep(base_width=16, base_branches=4)")
    with pytest.raises(PlanError, match="no residual stream of several branches; use mup"):
        wb.plan(mlp(64), "vector:16", seed=0, recipe="completep(base_width=16, base_branches=4)")
