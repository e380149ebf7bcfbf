"""Weight selection and upcycling: which numbers go where, what they are for, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.tuning.select_weights import uniform_selection

from .digits import accuracy, plain, trained


def test_indices_are_even_and_stay_in_their_thirds() -> None:
    assert uniform_selection(np.arange(12), (4,)).tolist() == [0, 3, 6, 9]
    assert uniform_selection(np.arange(10), (4,)).tolist() == [0, 2, 5, 7]
    third = uniform_selection(np.arange(10), (4,))
    packed = uniform_selection(np.arange(30), (12,))
    assert packed.tolist() == [*third, *(third + 10), *(third + 20)]


def test_every_dimension_and_the_first_layers() -> None:
    def build(width: int, layers: int) -> nn.Module:
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True)
        return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    larger, model = build(16, 3), build(8, 2)
    base = wb.plan(model, torch.zeros(1, 4, 8), seed=0)
    plan = wb.select_weights(base, larger.state_dict())
    state = larger.state_dict()
    for entry in plan:
        taken = state[entry.name][tuple(slice(None, None, 2) for _ in entry.shape)]
        np.testing.assert_array_equal(wb.to_numpy(plan, entry.name), taken.numpy())
    assert plan["layers.1.linear1.weight"].reason == (
        "selected from layers.1.linear1.weight of the larger model: 16 of 32 × 8 of 16, evenly"
    )
    assert plan.recipe.endswith("with selected weights")


def test_a_head_of_other_classes_is_left() -> None:
    larger, model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)), nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 5))
    base = wb.plan(model, "vector:8", seed=0)
    with pytest.raises(ArgumentError, match=r"name them in `leave`.*\n  1.weight: \[5, 4\] here, \[2, 8\] in the"):
        wb.select_weights(base, larger)
    plan = wb.select_weights(base, larger, leave="1.*")
    assert plan["1.weight"].law == base["1.weight"].law
    assert plan["1.weight"].reason.endswith("not selected: left to the plan")
    with pytest.raises(ArgumentError, match="nothing is left to select"):
        wb.select_weights(base, {"other": torch.zeros(3)})
    with pytest.raises(ArgumentError, match="takes a trained model or its state dict, got list"):
        wb.select_weights(base, [])
    with torch.device("meta"):
        bare = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    with pytest.raises(ArgumentError, match="is on meta"):
        wb.select_weights(base, bare)


def test_a_selected_network_learns_faster() -> None:
    """The one thing it is for: half of a trained network's width, after a few steps, on real digits."""
    larger = plain(2, 96)
    wb.initialize(larger, "vector:64", seed=0)
    assert trained(larger, 100) > 0.9
    small, fresh = plain(2, 48), plain(2, 48)
    base = wb.plan(small, "vector:64", seed=1)
    wb.apply(wb.select_weights(base, larger), small)
    wb.apply(base, fresh)
    assert trained(small, 5) > trained(fresh, 5) + 0.2
    assert accuracy(larger) > accuracy(small)


class Dense(nn.Module):
    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(layers))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Mixture(nn.Module):
    """Two of four experts, whose shares sum up to 1; experts as modules, or stacked in one tensor."""

    def __init__(self, stacked: bool) -> None:
        super().__init__()
        self.router, self.stacked = nn.Linear(8, 4, bias=False), stacked
        if stacked:
            self.up, self.up_bias = nn.Parameter(torch.empty(4, 16, 8)), nn.Parameter(torch.empty(4, 16))
            self.down, self.down_bias = nn.Parameter(torch.empty(4, 8, 16)), nn.Parameter(torch.empty(4, 8))
        else:
            self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(4))

    def forward(self, x):
        logits, chosen = self.router(x).topk(2, -1)
        shares = torch.zeros(len(x), 4).scatter(1, chosen, torch.softmax(logits, -1))
        if self.stacked:
            inside = torch.relu(torch.einsum("bi,eoi->ebo", x, self.up) + self.up_bias[:, None])
            made = torch.einsum("ebi,eoi->ebo", inside, self.down) + self.down_bias[:, None]
        else:
            made = torch.stack([expert(x) for expert in self.experts])
        return torch.einsum("be,ebo->bo", shares, made)


class Sparse(Dense):
    def __init__(self, stacked: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Mixture(stacked) for _ in range(2))


MODULES = {
    f"blocks.{{layer}}.experts.{{}}.{i}.{what}": f"blocks.{{layer}}.{i}.{what}"
    for i in (0, 2)
    for what in ("weight", "bias")
}
STACKS = {
    f"blocks.{{layer}}.{new}": f"blocks.{{layer}}.{old}"
    for new, old in (("up", "0.weight"), ("up_bias", "0.bias"), ("down", "2.weight"), ("down_bias", "2.bias"))
}


@pytest.mark.parametrize(("stacked", "names"), [(False, MODULES), (True, STACKS)], ids=["modules", "stacked"])
def test_a_network_with_experts_starts_as_the_dense_one(stacked, names) -> None:
    """The one thing it is for: the same function, and experts that part in the first step."""
    torch.manual_seed(0)
    dense, model, x = Dense(), Sparse(stacked), torch.randn(64, 8)
    base = wb.plan(model, x, seed=3)
    plan = wb.upcycle(base, dense, names)
    wb.apply(plan, model)
    torch.testing.assert_close(model(x), dense(x), rtol=1e-5, atol=1e-5)
    assert plan["blocks.0.router.weight"].law == base["blocks.0.router.weight"].law
    assert plan["blocks.0.router.weight"].reason.endswith("new: not in the dense model")
    assert torch.equal(model.head.weight, dense.head.weight)
    model(x).square().sum().backward()
    gradients = model.blocks[0].up.grad if stacked else [e[0].weight.grad for e in model.blocks[0].experts]
    assert not torch.equal(gradients[0], gradients[1])


def test_what_upcycling_refuses() -> None:
    plan, dense = wb.plan(Sparse(False), "vector:8", seed=0), Dense()
    with pytest.raises(ArgumentError, match=r"no tensor of the plan is called blocks\.\{layer\}\.mlp.*its names: "):
        wb.upcycle(plan, dense, MODULES | {"blocks.{layer}.mlp": "head.weight"})
    with pytest.raises(ArgumentError, match=r"the dense model has no tensor 'blocks\.0\.5\.weight', which blocks\.0\."):
        wb.upcycle(plan, dense, {"blocks.{layer}.experts.{}.0.weight": "blocks.{layer}.5.weight"})
    with pytest.raises(ArgumentError, match=r"has shape \[16, 8\], and head.weight of the dense model \[3, 8\]"):
        wb.upcycle(plan, dense, {"blocks.{layer}.experts.{}.0.weight": "head.weight"})
    with pytest.raises(ArgumentError, match="experts must be"):
        wb.upcycle(plan, dense, {})


def test_a_pattern_that_names_nothing_is_refused() -> None:
    """A mistyped `leave` would select the very tensor that it was to protect."""
    larger, model = plain(1, 8, nn.ReLU), plain(1, 4, nn.ReLU)
    plan = wb.plan(model, "vector:64", seed=0)
    with pytest.raises(ArgumentError, match=r"leave names no tensor of the plan: 'haed.\*'; its names: 0.weight"):
        wb.select_weights(plan, larger, leave="haed.*")
    with pytest.raises(ArgumentError, match="leave must be names or patterns of names"):
        wb.select_weights(plan, larger, leave=3)
    with pytest.raises(ArgumentError, match="nothing is left to select"):
        wb.select_weights(plan, larger, leave=iter(["*"]))
    with pytest.raises(ArgumentError, match="the first argument must be a plan"):
        wb.select_weights(model, larger)


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        ("0.weight", 3, "experts must map names to names"),
        ("0.{}", "0.{layer}", r"has a part \{layer\} that '0.\{\}' does not name"),
        ("0.{}", "0.{}", r"\{\} is the expert's number"),
    ],
)
def test_names_that_cannot_be_filled_in_are_refused(new: str, old: object, said: str) -> None:
    model = plain(1, 4, nn.ReLU)
    with pytest.raises(ArgumentError, match=said):
        wb.upcycle(wb.plan(model, "vector:64", seed=0), model, {new: old})
