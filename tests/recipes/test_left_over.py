"""Tensors that a forward pass does not reach, or that have no elements, are planned too."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.graph.trace import trace

Tensor = torch.Tensor


class Narrow(nn.Module):
    """A layer that some sizes leave without outputs, and another without inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.none, self.last = nn.Linear(8, 4), nn.Linear(4, 0), nn.Linear(4, 2)
        self.from_none = nn.Linear(0, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(torch.cat((h, self.none(h)), -1) + self.from_none(self.none(h)))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("recipe", ["auto", "he", "torch@1", "gpt2@1"])
def test_tensors_without_elements(recipe: str) -> None:
    model = Narrow()
    made = wb.plan(model, "vector:8", seed=0, recipe=recipe)
    for name in ("none.weight", "none.bias", "from_none.weight"):
        assert (made[name].law, made[name].reason) == (wb.Zeros().law(), "it has no elements")
    wb.apply(made, model, overwrite=True)


class Scaled(nn.Module):
    """An expert of parameters that no layer of torch holds."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(torch.randn(8, 16)), nn.Parameter(torch.randn(16, 8))
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(nn.functional.layer_norm(x, (8,)) * self.scale @ self.up) @ self.down


class Mixture(nn.Module):
    """Experts of which only those run that the values of the router choose."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(8, 6), nn.ModuleList(Scaled() for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        chosen = int(self.router(x).sum(0).argmax())
        return x + self.experts[chosen](x)


def test_experts_that_no_token_reaches_are_planned_like_the_others() -> None:
    model = Mixture()
    graph = trace(model, "vector:8")
    assert sum(f"experts.{i}.up" in graph.uses for i in range(6)) == 1
    made = wb.plan(model, "vector:8", seed=0)
    for name in ("up", "down", "scale"):
        entries = [made[f"experts.{i}.{name}"] for i in range(6)]
        assert len({entry.role.removeprefix("unused ") for entry in entries}) == 1
        assert len({entry.fans for entry in entries}) == 1
    used = next(i for i in range(6) if f"experts.{i}.up" in graph.uses)
    other = (used + 1) % 6
    assert (made[f"experts.{other}.up"].role, made[f"experts.{other}.scale"].law) == (
        "unused linear weight",
        made[f"experts.{used}.scale"].law,
    )


def test_a_signal_that_explodes_in_theory_is_an_estimate() -> None:
    class Exponentials(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x * torch.exp(12 * self.first(x)) * torch.exp(9 * self.first(x)))

    entry = wb.plan(Exponentials(), "vector:8", seed=0)["last.weight"]
    assert entry.before == 1.0
    assert "an estimate" in entry.reason
