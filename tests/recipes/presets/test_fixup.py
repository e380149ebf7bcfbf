"""fixup@1 and scaled_residual@1: what they set, what they refuse, and what Fixup is for."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanError


class Block(nn.Module):
    """A residual branch of linear layers, without normalisation."""

    def __init__(self, width: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        for position, layer in enumerate(self.layers):
            out = layer(torch.relu(out) if position else out)
        return x + out


class ConvBlock(nn.Module):
    """As in the published code: scalar biases and a scalar multiplier; ReLU behind the sum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for name in ("b1", "b2", "b3", "b4"):
            setattr(self, name, nn.Parameter(torch.full((1,), 0.3)))
        self.scale = nn.Parameter(torch.full((1,), 0.7))
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(self.conv1(x + self.b1) + self.b2)
        return torch.relu(self.conv2(out + self.b3) * self.scale + self.b4 + self.short(x))


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.Sequential(ConvBlock(4, 4), ConvBlock(4, 8), ConvBlock(8, 8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def mlp(blocks: int, layers: int = 2, width: int = 64) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, width), *(Block(width, layers) for _ in range(blocks)), nn.Linear(width, 10))


@pytest.mark.parametrize(("blocks", "layers"), [(4, 2), (9, 2), (7, 3), (5, 4)])
def test_the_scale_of_branches(blocks: int, layers: int) -> None:
    made = wb.plan(mlp(blocks, layers), "vector:64", seed=0, recipe="fixup")
    he = math.sqrt(2 / 64)
    for block in range(1, blocks + 1):
        for layer in range(layers - 1):
            entry = made[f"{block}.layers.{layer}.weight"]
            assert entry.std == pytest.approx(he * blocks ** (-1 / (2 * layers - 2)), rel=1e-6)
            assert f"{blocks} branches of {layers} weights" in entry.reason
        assert made[f"{block}.layers.{layers - 1}.weight"].law == wb.Constant(0.0)
    assert made["0.weight"].std == pytest.approx(he, rel=1e-6)
    assert made[f"{blocks + 1}.weight"].law == made[f"{blocks + 1}.bias"].law == wb.Constant(0.0)


def test_the_numbers_are_those_of_the_base_scaled() -> None:
    made, base = (wb.plan(mlp(4), "vector:64", seed=3, recipe=recipe) for recipe in ("fixup", "he"))
    scaled, plain = (wb.to_numpy(plan, "2.layers.0.weight") for plan in (made, base))
    assert abs(scaled - plain * 0.5).max() < 1e-7


def test_scalars_are_found_and_learn_slowly() -> None:
    made = wb.plan(Pooled(), "image:3x6x6", seed=0, recipe="fixup")
    for block in range(3):
        for name in ("b1", "b2", "b3", "b4"):
            assert made[f"blocks.{block}.{name}"].law == wb.Constant(0.0)
        assert made[f"blocks.{block}.scale"].law == wb.Constant(1.0)
        assert made[f"blocks.{block}.conv2.weight"].law == wb.Constant(0.0)
        assert "lacks" not in made[f"blocks.{block}.conv2.weight"].reason
    assert made["blocks.0.conv1.weight"].std == pytest.approx(math.sqrt(2 / 36) * 3**-0.5, rel=1e-6)
    assert made["blocks.1.short.weight"].std == pytest.approx(math.sqrt(2 / 4), rel=1e-6)
    groups = made.param_groups(0.1, weight_decay=1e-4)
    slow = [group for group in groups if group["lr"] == pytest.approx(0.01)]
    assert len(slow) == 1
    assert len(slow[0]["names"]) == 15
    assert slow[0]["weight_decay"] == 0
    assert all(group["lr"] == 0.1 for group in groups if group is not slow[0])


def test_what_the_network_lacks_is_said() -> None:
    made = wb.plan(mlp(3), "vector:64", seed=0, recipe="fixup")
    assert "lacks a scalar multiplier and scalar biases (it has 0)" in made["1.layers.1.weight"].reason


def test_networks_that_it_is_not_for() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.layer = nn.LayerNorm(64), nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.layer(self.norm(x))

    with pytest.raises(PlanError, match=r"ends with 0\.layer.* holds a normalisation.*use zero_residual"):
        wb.plan(nn.Sequential(Normed()), "vector:64", seed=0, recipe="fixup")
    with pytest.raises(PlanError, match="no residual branch; for plain chains"):
        wb.plan(nn.Linear(64, 64), "vector:64", seed=0, recipe="fixup")


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    return (x - x.mean()) / x.std(), torch.tensor(data.target)


def losses(recipe: str, blocks: int, steps: int, lr: float = 0.1) -> list[float]:
    """SGD with momentum on batches of 128 real digits; the loss before each step."""
    x, y = digits()
    model = mlp(blocks)
    plan = wb.initialize(model, "vector:64", seed=1, recipe=recipe)
    optimizer = torch.optim.SGD(plan.param_groups(lr, model=model), momentum=0.9)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    found = []
    for step in range(steps):
        batch = order[(step * 128) % 1664 : (step * 128) % 1664 + 128]
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        found.append(loss.item())
        if not math.isfinite(found[-1]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


def test_a_hundred_bare_branches_train_at_a_large_rate() -> None:
    """The one thing it is for: ln 10 at step 0 at any depth, and learning at rate 0.1, where others end in nan."""
    starts = [losses("fixup", blocks, 1)[0] for blocks in (2, 100)]
    assert starts == pytest.approx([math.log(10)] * 2, abs=1e-6)
    assert losses("fixup", 100, 20)[-1] < 1.5
    for other in ("he", "scaled_residual"):
        found = losses(other, 100, 20)
        assert not math.isfinite(found[-1]) or found[-1] > 2.3, (other, found[-1])
    assert losses("he", 100, 1)[0] > 1e9


def test_scaled_residual_bounds_the_stream() -> None:
    x, _ = digits()
    sizes = {}
    for recipe in ("he", "scaled_residual"):
        model = mlp(64)
        wb.initialize(model, "vector:64", seed=1, recipe=recipe)
        with torch.no_grad():
            before = model[0](x[:256])
            after = model[:-1](x[:256])
        sizes[recipe] = (after.square().mean() / before.square().mean()).item()
    assert sizes["he"] > 1e9
    assert 1 < sizes["scaled_residual"] < 2 * math.e**2
    made = wb.plan(mlp(16), "vector:64", seed=0, recipe="scaled_residual(base='lecun', exponent=1)")
    assert made["3.layers.1.weight"].std == pytest.approx(0.125 / 16, rel=1e-6)
    assert made["3.layers.0.weight"].std == pytest.approx(0.125, rel=1e-6)


def test_scaled_residual_refuses_a_norm_at_the_end() -> None:
    class Post(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(64, 64), nn.BatchNorm1d(64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.norm(self.layer(x))

    with pytest.raises(PlanError, match=r"ends with a normalisation \(.*norm.*use zero_residual"):
        wb.plan(nn.Sequential(Post()), "vector:64", seed=0, recipe="scaled_residual")
