"""wb.sweep on networks whose slopes and rates are known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, TraceError, UnknownNameError

WIDTHS = [64, 128, 256, 512]


def linear(width: int) -> nn.Sequential:
    """16 → width → width → width → 4, without biases and activations."""
    sizes = [16, width, width, width, 4]
    return nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)))


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, 4),
    )  # fmt: skip


def deep(depth: int, width: int = 512) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(width, width)]
    for _ in range(depth - 1):
        layers += [nn.ReLU(), nn.Linear(width, width)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(width, 10))


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(64, 16, generator=generator), torch.randint(4, (64,), generator=generator)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.01)


def mup_adam(model: nn.Sequential) -> torch.optim.Optimizer:
    """Learning rates of muP for Adam (Yang et al. 2022, table 3): weights behind a width go with 1/fan_in."""
    slow = [model[2].weight, model[4].weight, model[6].weight]
    rest = [p for p in model.parameters() if all(p is not other for other in slow)]
    return torch.optim.Adam([{"params": slow, "lr": 0.01 * 64 / model[2].in_features}, {"params": rest}], lr=0.01)


def slopes(found, step: int = 0) -> list[float]:
    return [scaling.size.value for scaling in found.scalings if scaling.step == step]


def square(width: int) -> nn.Sequential:
    """width → width → width → width → 4, so that the input goes with the width too."""
    sizes = [width, width, width, width, 4]
    return nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)))


def data(width: int) -> torch.Tensor:
    return torch.randn(64, width, generator=torch.Generator().manual_seed(4))


def test_constant_weights_grow_exactly_like_the_width() -> None:
    found = wb.sweep(linear, torch.ones(8, 16), widths=[8, 16, 64], seeds=1, rules={"*": wb.Constant(0.5)})
    assert slopes(found) == pytest.approx([0, 1, 2, 3], abs=1e-6)
    assert found.failing == ("1.weight", "2.weight", "3.weight")
    assert found.scalings[0].sizes == pytest.approx((8, 8, 8), rel=1e-12)
    assert found.scalings[1].sizes == pytest.approx((32, 64, 256), rel=1e-12)


def test_orthogonal_weights_keep_the_length_exactly(batch) -> None:
    # 16 numbers spread over `width` units of the same total: each falls like width^-1/2, and stays so
    found = wb.sweep(linear, batch[0], widths=WIDTHS, seeds=2, recipe="orthogonal(gain=1)")
    assert slopes(found)[:3] == pytest.approx([-0.5] * 3, abs=1e-5)
    assert found.failing == ("0.weight", "1.weight", "2.weight")
    assert found.scalings[0].size.error == pytest.approx(0, abs=1e-5)


def test_xavier_keeps_the_size_at_every_width() -> None:
    found = wb.sweep(square, data, widths=WIDTHS, recipe="xavier")
    assert slopes(found)[:3] == pytest.approx([0] * 3, abs=0.015)
    assert found.failing == found.unclear == ()
    assert "every layer's output has the same size from width 64 to 512 (slopes within ±0.05)" in str(found)


def test_standard_normal_weights_add_a_half_in_each_layer() -> None:
    found = wb.sweep(square, data, widths=WIDTHS, recipe="normal(std=1)")
    assert slopes(found) == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.1)
    assert slopes(found)[:3] == pytest.approx([0.5, 1.0, 1.5], abs=0.015)
    assert found.failing == ("0.weight", "1.weight", "2.weight", "3.weight")
    backward = [scaling.gradient.value for scaling in found.scalings]
    assert backward == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=0.03)


def test_torchs_own_weights_keep_a_third_in_each_layer_at_every_width() -> None:
    found = wb.sweep(square, data, widths=WIDTHS, recipe="torch@1")
    assert slopes(found)[:3] == pytest.approx([0] * 3, abs=0.015)
    for layer, scaling in enumerate(found.scalings[:3], 1):
        assert scaling.sizes == pytest.approx([3 ** (-layer / 2)] * 4, rel=0.06)
    assert [scaling.readout for scaling in found.scalings] == [False, False, False, True]


@pytest.mark.parametrize(("recipe", "rate"), [("he", 1.0), ("xavier", 0.5), ("normal(std=0.0625)", 1.0)])
def test_rates_of_relu_layers(recipe, rate) -> None:
    # 512 · 0.0625² = 2: He's rule once more, from a number
    found = wb.sweep(deep, "vector:512", depths=[4, 8, 16], seeds=4, recipe=recipe)
    assert [(r.depth, r.layers, r.step, r.width) for r in found.rates] == [
        (4, 4, 0, None), (8, 8, 0, None), (16, 16, 0, None),
    ]  # fmt: skip
    for each in found.rates:
        assert each.signal.value == pytest.approx(rate, rel=0.03)
        assert each.gradient.value == pytest.approx(rate, rel=0.03)
        assert 0 < each.signal.error < 0.03
        # literature: the correlation map of ReLU (Cho and Saul 2009), from inputs at right angles
        cosine = 0.0
        for _ in range(each.depth - 1):
            cosine = (math.sqrt(1 - cosine**2) + cosine * (math.pi - math.acos(cosine))) / math.pi
        assert each.cosine == pytest.approx(cosine, abs=0.03)
    assert found.scalings == found.failing == ()


def test_training_steps_are_those_of_a_plain_loop(batch) -> None:
    x, y = batch
    found = wb.sweep(mlp, batch, widths=[8, 16], seeds=[5], recipe="he", optimizer=adam, steps=3)
    model = mlp(16)
    wb.initialize(model, x, seed=5, recipe="he")
    optimizer = adam(model)
    for step in range(4):
        sizes, h = [], x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.Linear):
                sizes.append(float(h.detach().double().square().mean()))
        measured = [p.signal for p in found if p.width == 16 and p.step == step]
        assert measured == pytest.approx(sizes, rel=1e-5)
        optimizer.zero_grad()
        nn.functional.cross_entropy(h, y).backward()
        optimizer.step()


def test_a_standard_network_fails_the_coordinate_check_from_the_first_step_on(batch) -> None:
    found = wb.sweep(mlp, batch, widths=WIDTHS, recipe="he", optimizer=adam, steps=1)
    assert found.failing == ("2.weight", "4.weight", "6.weight")
    start, behind = slopes(found), slopes(found, 1)
    assert start[:3] == pytest.approx([0, 0, 0], abs=0.03)
    assert not any(scaling.fault for scaling in found.scalings if scaling.step == 0)
    assert behind[0] == pytest.approx(0, abs=0.03)
    assert behind[1] > 0.15
    assert behind[2] > 0.5
    assert behind[3] > 1.3
    shown = str(found)
    assert shown.startswith("the size of 3 layers goes with the width, from width 64 to 512")
    assert "  2.weight: grows like width^0." in shown
    assert "first at t = 1" in shown


@pytest.mark.parametrize("readout", [wb.Zeros(), None])
def test_mup_passes_the_coordinate_check(readout, batch) -> None:
    def rules(width):
        return {"6.weight": readout or wb.Normal(std=8 / width)}

    found = wb.sweep(mlp, batch, widths=WIDTHS, recipe="he", rules=rules, optimizer=mup_adam, seeds=4)
    assert found.failing == ()
    assert found.steps == 4
    hidden = [s for s in found.scalings if not s.readout]
    assert len(hidden) == 15
    assert all(abs(scaling.size.value) < 0.05 for scaling in hidden)
    last = [scaling for scaling in found.scalings if scaling.readout]
    assert [scaling.starts_at_zero for scaling in last] == [readout is not None] * 5
    if readout is None:
        assert last[0].size.value == pytest.approx(-0.5, abs=0.1)
        assert "6.weight: the readout does not start at zero; its size may fall" in str(found)
    else:
        assert last[0].sizes == (0.0,) * 4
        assert math.isnan(last[0].size.value)
        assert all(abs(scaling.size.value) < 0.1 for scaling in last[1:])
        assert "zero" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize("standard", [False, True])
def test_coordinate_check_over_widths_128_to_2048(standard) -> None:
    """Case 30: slopes within ±0.05 at t = 0 to 4, and the failing layer named."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(64, 16, generator=generator), torch.randint(4, (64,), generator=generator)
    found = wb.sweep(
        mlp, batch, widths=[128, 256, 512, 1024, 2048], seeds=2, recipe="he",
        rules={"6.weight": wb.Zeros()}, optimizer=adam if standard else mup_adam,
    )  # fmt: skip
    if standard:
        assert found.failing == ("2.weight", "4.weight", "6.weight")
        worst = {s.layer: s.size.value for s in found.scalings if s.step == 4}
        assert worst["2.weight"] > 0.5
    else:
        assert found.failing == found.unclear == ()
        measured = [scaling.size.value for scaling in found.scalings if any(scaling.sizes)]
        assert len(measured) == 19
        assert max(map(abs, measured)) < 0.05


def test_the_guilty_layer_alone_is_named(batch) -> None:
    """One weight of three has the learning rate of a standard network: all behind it grow too, none before it."""

    def forgotten(model):
        optimizer = mup_adam(model)
        slow, rest = optimizer.param_groups
        return torch.optim.Adam([
            {"params": [p for p in slow["params"] if p is not model[4].weight], "lr": slow["lr"]},
            {"params": [*rest["params"], model[4].weight], "lr": 0.01},
        ])  # fmt: skip

    def rules(width):
        return {"6.weight": wb.Normal(std=8 / width)}

    found = wb.sweep(mlp, batch, widths=WIDTHS, recipe="he", rules=rules, optimizer=forgotten, steps=1)
    assert found.failing[0] == "4.weight"
    assert set(found.failing) <= {"4.weight", "6.weight"}


def test_width_and_depth_together() -> None:
    def build(depth, width):
        return deep(depth, width)

    found = wb.sweep(build, lambda width: f"vector:{width}", widths=[32, 64], depths=[2, 3], seeds=2, recipe="he")
    assert found.widths == (32, 64)
    assert found.depths == (2, 3)
    assert len(found.points) == 2 * 2 * (3 + 4)
    assert [(rate.width, rate.depth) for rate in found.rates] == [(32, 2), (32, 3), (64, 2), (64, 3)]
    assert [(s.depth, s.layer) for s in found.scalings] == [
        *((2, f"{place}.weight") for place in (0, 2, 4)),
        *((3, f"{place}.weight") for place in (0, 2, 4, 6)),
    ]
    shown = str(found)
    assert "over the width, before training, depth 3" in shown
    assert "signal a layer" in shown


def test_the_same_sweep_gives_the_same_numbers_and_leaves_the_random_state(batch) -> None:
    def build(width):
        return nn.Sequential(nn.Linear(16, width), nn.Dropout(0.5), nn.Linear(width, 4))

    torch.manual_seed(11)
    before = torch.get_rng_state()
    runs = [wb.sweep(build, batch, widths=[8, 16], seeds=2, recipe=None, optimizer=adam, steps=2) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert runs[0] == runs[1]
    assert runs[0].points[0].signal != runs[0].points[6].signal  # another seed, another network


class Multiplied(nn.Module):
    """Two layers, with a plain number on the output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factor = 32 / width
        self.inside, self.head = nn.Linear(16, width), nn.Linear(width, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.head(torch.relu(self.inside(x)))


class OnlyTrained(Multiplied):
    """The same, which cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            raise RuntimeError("run me with gradients")
        return super().forward(x)


def test_a_factor_on_the_output_is_part_of_the_readout(batch) -> None:
    """muP asks for it where the table is the output layer: what must not go with the width is the product."""

    def unit(width: int) -> dict[str, wb.Initializer]:
        return {"head.weight": wb.Ones(), "inside.weight": wb.Ones()}

    found = wb.sweep(Multiplied, batch, widths=WIDTHS, seeds=1, recipe="he", rules=unit)
    assert slopes(found) == pytest.approx([0, 0], abs=1e-6)  # without the factor: width^1
    read = {point.width: point for point in found.points if point.layer == "head.weight"}
    inside = {point.width: point for point in found.points if point.layer == "inside.weight"}
    assert inside[64].signal == pytest.approx(batch[0].double().sum(1).square().mean().item(), rel=1e-6)
    relu = torch.relu(batch[0].double().sum(1))
    assert read[256].signal == pytest.approx((32 * relu).square().mean().item(), rel=1e-6)
    logits = (32 * relu)[:, None].expand(-1, 4).clone().requires_grad_()
    nn.functional.cross_entropy(logits, batch[1]).backward()
    assert read[256].gradient == pytest.approx(logits.grad.square().mean().item(), rel=1e-5)


def test_without_a_trace_the_readout_is_measured_alone(batch) -> None:
    with pytest.raises(TraceError, match="run me with gradients"):
        wb.sweep(OnlyTrained, batch, widths=[64, 128], seeds=1, recipe="he")
    whole, alone = (wb.sweep(kind, batch, widths=[64, 128], seeds=1, recipe=None) for kind in (Multiplied, OnlyTrained))
    ratios = [one.signal / other.signal for one, other in zip(whole.points, alone.points, strict=True)]
    assert ratios == pytest.approx([1, 1 / 4, 1, 1 / 16], rel=1e-6)


def test_without_a_recipe_the_factorys_weights_stay() -> None:
    def build(width):
        model = nn.Sequential(nn.Linear(4, width, bias=False), nn.Linear(width, 2, bias=False))
        for parameter in model.parameters():
            nn.init.constant_(parameter, 2.0)
        return model

    found = wb.sweep(build, torch.ones(8, 4), widths=[2, 8], seeds=1, recipe=None)
    assert [point.signal for point in found.points] == [64, 1024, 64, 128**2]
    assert found.recipe == "as the factory made them"
    assert "weights as the factory made them" in str(found)


def test_layers_that_become_infinite_fail_by_name(batch) -> None:
    def wild(model):
        return torch.optim.SGD(model.parameters(), lr=1e30)

    found = wb.sweep(mlp, batch, widths=[8, 16, 32], seeds=1, recipe="he", optimizer=wild, steps=2)
    assert "0.weight" in found.failing or "2.weight" in found.failing
    assert "infinite or not a number at width 8, 16, 32" in str(found)
    wb.sweep(mlp, batch, widths=[8, 16, 32], seeds=1, recipe="zeros").to_json()


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(40, width)
        self.inner = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.inner(self.table(tokens)))
        return h @ self.table.weight.T


def test_a_tied_readout_is_followed_at_its_second_use() -> None:
    rules = {"table.weight": wb.Normal(std=1), "inner.weight": wb.XavierNormal()}
    found = wb.sweep(Tied, "tokens:5", widths=[32, 64, 128], rules=rules)
    names = [scaling.layer for scaling in found.scalings]
    assert names[-1] == "table.weight (use 2)"
    assert [scaling.readout for scaling in found.scalings] == [False] * (len(names) - 1) + [True]
    assert found.failing == ("table.weight (use 2)",)
    assert found.scalings[-1].size.value == pytest.approx(0.5, abs=0.05)


class Pair(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, width), nn.Linear(3, width)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.left(a) + self.right(b)


def test_inputs_may_be_two_specs() -> None:
    found = wb.sweep(Pair, "vector:6,vector:3", widths=[8, 16], seeds=1)
    assert [point.layer for point in found.points] == ["left.weight", "right.weight"] * 2
    assert not any(scaling.readout for scaling in found.scalings)  # its outputs go with the width


def test_inputs_are_made_for_the_first_layer_where_none_are_given() -> None:
    found = wb.sweep(square, widths=[16, 32], seeds=1, recipe="xavier")
    assert [point.shape for point in found.points if point.place == 0] == [(16, 16), (32, 32)]


def test_layers_that_some_width_lacks_are_left_out_by_name() -> None:
    def build(width):
        extra = [nn.Linear(width, width)] if width > 8 else []
        return nn.Sequential(nn.Linear(4, width), nn.Linear(width, width), *extra)

    found = wb.sweep(build, "vector:4", widths=[8, 16], seeds=1)
    assert found.left_out == ("2.weight",)
    assert [scaling.layer for scaling in found.scalings] == ["0.weight", "1.weight"]
    assert "not used at every width, so not followed: 2.weight" in str(found)

    def other(width):
        return nn.ModuleDict({f"of{width}": nn.Linear(4, width)})

    class Named(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.parts = other(width)

        def forward(self, x):
            return next(iter(self.parts.values()))(x)

    with pytest.raises(ArgumentError, match="the networks have no layer in common"):
        wb.sweep(Named, "vector:4", widths=[8, 16], seeds=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give widths="),
        ({"widths": [64]}, r"widths must be two or more different positive whole numbers.*got \[64\]"),
        ({"widths": [64, 64]}, "two or more different"),
        ({"widths": [0, 64]}, "two or more different"),
        ({"widths": [32.5, 64]}, "two or more different"),
        ({"widths": 64}, "two or more different"),
        ({"depths": "ab"}, "depths must be two or more different"),
        ({"widths": [8, 16], "seeds": 0}, "seeds must be a number of networks from 1 on"),
        ({"widths": [8, 16], "seeds": "7"}, "seeds must be a number of networks"),
        ({"widths": [8, 16], "seeds": []}, "one or more different seeds"),
        ({"widths": [8, 16], "seeds": [1, 1]}, "one or more different seeds"),
        ({"widths": [8, 16], "seeds": [-1]}, "seed must be an integer"),
        ({"widths": [8, 16], "steps": 4}, "steps=4 needs an optimizer"),
        ({"widths": [8, 16], "optimizer": "adam"}, "optimizer must be a function that takes the model"),
        ({"widths": [8, 16], "optimizer": adam, "steps": -1}, "steps must be a whole number from 0 on"),
        ({"widths": [8, 16], "optimizer": lambda model: None}, "must return a torch.optim.Optimizer, got NoneType"),
        ({"widths": [8, 16], "tolerance": 0}, "tolerance must be a positive number"),
        ({"widths": [8, 16], "recipe": None, "rules": {"*": "zeros"}}, "rules need a recipe"),
        ({"widths": [8, 16], "depths": [1, 2]}, "must take width and depth by these names"),
    ],
)
def test_bad_arguments_are_refused(arguments, words) -> None:
    with pytest.raises(ArgumentError, match=words):
        wb.sweep(mlp, "vector:16", **arguments)


def test_bad_factories_inputs_and_recipes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="factory must be a function that builds a model, got int"):
        wb.sweep(7, widths=[8, 16])
    with pytest.raises(ArgumentError, match=r"the factory must return a torch\.nn\.Module, got int"):
        wb.sweep(lambda width: width, widths=[8, 16])
    with pytest.raises(ArgumentError, match=r"no torch\.nn\.Embedding to read the range of tokens from"):
        wb.sweep(mlp, "tokens:16", widths=[8, 16])
    with pytest.raises(UnknownNameError, match="no recipe is called 'hee'"):
        wb.sweep(mlp, "vector:16", widths=[8, 16], recipe="hee")
    with pytest.raises(TraceError):
        wb.sweep(mlp, torch.ones(8, 15), widths=[8, 16])


def test_numbers_of_torch_and_numpy_will_do() -> None:
    found = wb.sweep(mlp, "vector:16", widths=np.array([16, 8]), seeds=np.array([3, 4]))
    assert found.widths == (8, 16)
    assert found.seeds == (3, 4)
    assert {type(size) for size in (*found.widths, *found.seeds)} == {int}


@pytest.mark.slow
def test_a_fixed_standard_deviation_shows_in_gpt2() -> None:
    """std 0.02 at every width: what reads the normalised stream grows like width^0.5."""
    from transformers import GPT2Config, GPT2LMHeadModel

    def build(width):
        sizes = {"n_embd": width, "n_layer": 1, "n_head": 2, "vocab_size": 50, "n_positions": 16}
        return GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, **sizes))

    tokens = torch.randint(50, (8, 12), generator=torch.Generator().manual_seed(0))
    found = wb.sweep(build, ({"input_ids": tokens}, tokens), widths=[32, 64, 128], seeds=2, recipe="gpt2@1")
    by_layer = {scaling.layer.removeprefix("transformer."): scaling for scaling in found.scalings}
    for name in ("h.0.attn.c_attn.weight", "h.0.mlp.c_fc.weight", "wte.weight (use 2)"):
        assert by_layer[name].size.value == pytest.approx(0.5, abs=0.08)
        assert by_layer[name].fault
    assert by_layer["wte.weight"].size.value == pytest.approx(0, abs=0.04)
    assert [scaling.layer for scaling in found.scalings if scaling.readout] == ["transformer.wte.weight (use 2)"]


def test_images_and_frozen_layers() -> None:
    def build(width):
        model = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10),
        )  # fmt: skip
        model[0].requires_grad_(False)
        return model

    found = wb.sweep(build, "image:3x8x8", widths=[16, 32, 64], optimizer=adam, steps=1)
    assert [scaling.layer for scaling in found.scalings if scaling.step == 1] == ["0.weight", "3.weight", "7.weight"]
    frozen = [point.signal for point in found if point.layer == "0.weight"]
    assert frozen[::2] == frozen[1::2]  # the step left it as it was
    moved = [point.signal for point in found if point.layer == "3.weight"]
    assert all(before != after for before, after in pairwise(moved))
