"""zero_residual@1: branches add nothing at step 0, whatever ends them."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError, UnknownNameError


class ConvBlock(nn.Module):
    """As in ResNet, with a projection in the shortcut where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        change = inputs != outputs
        self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs)) if change else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + self.short(x))


class PreNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(self.norm(x))))


def zeroed(made: wb.Plan) -> set[str]:
    return {entry.name for entry in made if "ends a residual branch" in entry.reason}


def test_the_last_scale_of_each_branch_and_never_the_shortcut() -> None:
    model = nn.Sequential(ConvBlock(4, 4), ConvBlock(4, 8), ConvBlock(8, 8))
    made = wb.plan(model, "image:4x6x6", seed=0, recipe="zero_residual(base='torch@1')")
    assert zeroed(made) == {f"{i}.bn2.{part}" for i in range(3) for part in ("weight", "bias")}
    assert all(made[name].law == wb.Constant(0.0) for name in zeroed(made))
    assert made["1.short.1.weight"].law == wb.Constant(1.0)
    assert made["0.conv1.weight"].reason.startswith("torch's own start")
    assert made.recipe == "zero_residual@1(base='torch@1')"


def test_the_last_layer_where_no_normalisation_ends_a_branch() -> None:
    model = nn.Sequential(PreNorm(), PreNorm())
    made = wb.initialize(model, "vector:8", seed=0, recipe="zero_residual")
    assert zeroed(made) == {f"{i}.down.{part}" for i in range(2) for part in ("weight", "bias")}
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x), x)
    assert made["0.up.weight"].law == wb.plan(model, "vector:8", seed=0)["0.up.weight"].law


def test_models_without_branches_and_bad_bases() -> None:
    with pytest.raises(PlanError, match="no residual branch"):
        wb.plan(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), seed=0, recipe="zero_residual")
    with pytest.raises(UnknownNameError, match="did you mean 'torch'"):
        wb.plan(PreNorm(), "vector:8", seed=0, recipe="zero_residual(base='torhc')")
    with pytest.raises(ArgumentError, match="base must be the name"):
        wb.plan(PreNorm(), "vector:8", seed=0, recipe="zero_residual(base=3)")


def test_a_weight_at_several_places_is_not_zeroed_silently() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(self.layer(x))
            return y + self.layer(torch.relu(y))

    with pytest.raises(PlanError, match=r"layer\.weight ends a residual branch and is used elsewhere"):
        wb.plan(Shared(), "vector:8", seed=0, recipe="zero_residual")
