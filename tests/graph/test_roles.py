"""Roles of everything that is no weight: normalisation, its statistics, slopes, counters, ties."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.graph.trace import trace


def roles(model: nn.Module, inputs: object) -> dict[str, list[str]]:
    return {name: [use.role for use in uses] for name, uses in trace(model, inputs).uses.items()}


NORMS = {
    "layer": (nn.LayerNorm(8), "vector:8", {"weight", "bias"}),
    "rms": (nn.RMSNorm(8), "vector:8", {"weight"}),
    "group": (nn.GroupNorm(2, 8), "image:8x4x4", {"weight", "bias"}),
    "batch": (nn.BatchNorm2d(8), "image:8x4x4", {"weight", "bias", "running_mean", "running_var"}),
    "instance": (nn.InstanceNorm2d(8, affine=True), "image:8x4x4", {"weight", "bias"}),
}
EXPECTED = {
    "weight": "normalisation scale",
    "bias": "normalisation shift",
    "running_mean": "running mean",
    "running_var": "running variance",
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", NORMS)
def test_normalisation(case: str, training: bool) -> None:
    model, inputs, names = NORMS[case]
    model.train(training)
    made = wb.plan(model, inputs, seed=0)
    for name in names:
        assert made[name].law.value == (0.0 if name in ("bias", "running_mean") else 1.0), name
    if training:
        found = roles(model, inputs)
        for name in names & {"weight", "bias"}:
            assert found[name] == [EXPECTED[name]]
    assert model.training is training


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_statistics_and_counter(training: bool) -> None:
    model = nn.BatchNorm1d(8).train(training)
    with torch.no_grad():
        model.running_mean.fill_(3)
        model.num_batches_tracked.fill_(7)
    made = wb.initialize(model, "vector:8", seed=0)
    assert len(made) == 5
    assert model.num_batches_tracked.item() == 0
    assert model.num_batches_tracked.dtype == torch.int64
    assert model.running_mean.abs().max() == 0


def test_hand_written_norm_scale() -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale

    assert roles(Norm(), "vector:8") == {"scale": ["normalisation scale"]}


def test_prelu_slope() -> None:
    made = wb.plan(nn.Sequential(nn.Linear(8, 8), nn.PReLU(8)), "vector:8", seed=0)
    assert made["1.weight"].law == wb.Constant(0.25)


def test_a_tied_embedding_appears_once_with_both_roles() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(tokens))

    made = wb.plan(Tied(), "tokens:4", seed=0)
    assert len(made) == 1
    assert made["head.weight"] is made["table.weight"]
    assert made["table.weight"].role == "embedding weight and linear weight"
    assert made["table.weight"].std == pytest.approx((0.5 / 8) ** 0.5)  # logits of second moment 1/2
    assert made["table.weight"].fans == wb.Fans(8, 50)
    with torch.device("meta"):
        assert wb.plan(Tied(), "tokens:4", seed=0).hash == made.hash


def test_a_module_called_several_times_is_one_entry_with_several_uses() -> None:
    layer = nn.Linear(8, 8)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), layer)
    assert roles(model, "vector:8")["0.weight"] == ["linear weight"] * 3
    assert [entry.name for entry in wb.plan(model, "vector:8", seed=0)] == ["0.weight", "0.bias"]


@pytest.mark.parametrize("row", [0, 3, -1])
def test_the_padding_row_is_zero_and_the_others_keep_their_numbers(row: int) -> None:
    plain, padded = nn.Embedding(5, 8), nn.Embedding(5, 8, padding_idx=row)
    wb.initialize(plain, "tokens:4", seed=3)
    made = wb.initialize(padded, "tokens:4", seed=3)
    assert made["weight"].zero_row == row % 5
    expected = plain.weight.detach().clone()
    expected[row] = 0
    assert torch.equal(padded.weight, expected)
    assert torch.equal(torch.from_numpy(wb.to_numpy(made, "weight")), expected)
    part = wb.to_numpy(made, "weight", (slice(2, 5), slice(1, 4)))
    assert torch.equal(torch.from_numpy(part), expected[2:5, 1:4])
    assert "row" in made.explain("weight")
    rule = wb.initialize(nn.Embedding(5, 8, padding_idx=row), "tokens:4", seed=3, rules={"*": wb.Ones()})
    assert wb.to_numpy(rule, "weight")[row].max() == 0
