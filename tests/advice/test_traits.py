"""What a graph shows of the network, each trait with its evidence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wellbegun.advice.traits import deepest_chain, traits_of
from wellbegun.graph.trace import trace


def traits(model: nn.Module, inputs: str) -> dict[str, str]:
    return traits_of(trace(model, inputs))


def layers(activation: nn.Module, depth: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(depth):
        parts += [nn.Linear(8, 8), activation]
    return nn.Sequential(*parts, nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (nn.ReLU(), {"rectifier", "mirrored"}),
        (nn.LeakyReLU(0.2), {"rectifier", "mirrored"}),
        (nn.GELU(), {"mirrored", "steeper away from 0"}),
        (nn.SiLU(), {"mirrored", "steeper away from 0"}),
        (nn.Tanh(), {"odd"}),
        (nn.Sigmoid(), {"mostly mean"}),
        (nn.SELU(), {"selu"}),
        (nn.ELU(), set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_activations(activation, expected) -> None:
    found = traits(layers(activation, 2), "vector:8")
    assert set(found) == {"plain", "products"} | expected


def test_depth_counts_hidden_layers_in_a_row() -> None:
    assert "deep" not in traits(layers(nn.ReLU(), 5), "vector:8")
    assert traits(layers(nn.ReLU(), 6), "vector:8")["deep"] == "6 hidden layers in a row"
    assert deepest_chain(trace(nn.Linear(4, 2), "vector:4")) is None


def test_a_network_without_activation_is_odd() -> None:
    assert traits(nn.Linear(8, 2), "vector:8")["odd"] == "it has no activation"


def test_convolutions_are_no_products() -> None:
    found = traits(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)), "image:1x8x8")
    assert found["convolutions"] == "1 convolution"
    assert "products" not in found
    assert "plain" in found


def test_a_normalisation_is_not_plain() -> None:
    found = traits(nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)), "vector:8")
    assert found["normalised"] == "1 normalisation"
    assert "plain" not in found


class Branches(nn.Module):
    def __init__(self, before: bool, behind: bool, factor: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.before = nn.ModuleList(nn.LayerNorm(8) if before else nn.Identity() for _ in range(3))
        self.behind = nn.ModuleList(nn.LayerNorm(8) if behind else nn.Identity() for _ in range(3))
        self.factor = nn.Parameter(torch.ones(())) if factor else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for before, part, behind in zip(self.before, self.parts, self.behind, strict=True):
            branch = torch.relu(part(before(x)))
            x = behind(x + (branch if self.factor is None else self.factor * branch))
        return x


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Branches(False, False), {"residual", "bare branches"}),
        (Branches(True, False), {"residual", "pre-norm", "normalised"}),
        (Branches(False, True), {"post-norm", "normalised"}),
        (Branches(False, False, factor=True), {"residual", "bare branches", "branch factors"}),
    ],
    ids=["bare", "pre-norm", "post-norm", "factors"],
)
def test_residual_branches(model, expected) -> None:
    assert set(traits(model, "vector:8")) == expected | {"products", "rectifier", "mirrored"}


def test_recurrent_layers() -> None:
    assert {"recurrent", "lstm"} <= set(traits(nn.LSTM(4, 8, batch_first=True), "float:5x4"))
    gru = traits(nn.GRU(4, 8, batch_first=True), "float:5x4")
    assert "recurrent" in gru
    assert not {"lstm", "relu state"} & set(gru)
    assert "relu state" in traits(nn.RNN(4, 8, nonlinearity="relu", batch_first=True), "float:5x4")
    assert "relu state" not in traits(nn.RNN(4, 8, batch_first=True), "float:5x4")


def test_attention_and_tables() -> None:
    model = nn.Sequential(nn.Embedding(9, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True))
    found = traits(model.eval(), "tokens:6")
    assert {"attention", "tables", "pre-norm", "residual"} <= set(found)
    assert found["attention"] == "1 attention"
