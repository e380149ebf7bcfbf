"""Case 2b: a duplicated shard is named with its partner, and the command exits with a status that is not zero."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Finding
from wellbegun.diagnosis.copies import find_copies
from wellbegun.diagnosis.facts import Copies


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(96, 80), nn.Tanh(), nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, 96))


def found(network: nn.Module) -> list[Finding]:
    batch = torch.randn(16, 96, generator=torch.Generator().manual_seed(1))
    diagnosis = wb.diagnose(network, batch)
    copies = [finding for finding in diagnosis.findings if finding.kind == "copies"]
    assert diagnosis.healthy is not bool(copies)
    return copies


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((2, slice(0, 40), slice(None)), (2, slice(40, 80), slice(None))),  # both shards of rows were drawn alike
        ((2, slice(0, 20), slice(None)), (2, slice(60, 80), slice(None))),
        ((0, slice(0, 40), slice(None)), (0, slice(40, 80), slice(None))),
        ((0, slice(None), slice(0, 64)), (4, slice(0, 80), slice(0, 64))),  # a shard of columns of another tensor
        ((2, slice(10, 40), slice(None)), (4, slice(30, 60), slice(None))),
    ],
)
def test_one_duplicated_shard(source, target, dtype) -> None:
    network = model().to(dtype)
    weights = {at: network[at].weight for at in (0, 2, 4)}
    assert not find(weights)
    with torch.no_grad():
        rows = weights[source[0]][source[1:]].clone()
        weights[target[0]][target[1:]] = rows
    copies = find(weights)
    assert len(copies) == 1
    assert set(copies[0].names) == {f"{source[0]}.weight", f"{target[0]}.weight"}
    assert copies[0].blocks >= 20


def find(weights: dict[int, nn.Parameter]) -> tuple[Copies, ...]:
    return find_copies({f"{at}.weight": weight for at, weight in weights.items()})


def test_the_finding_names_both() -> None:
    network = model()
    assert found(network) == []
    with torch.no_grad():
        network[4].weight[30:60] = network[2].weight[10:40]
    (finding,) = found(network)
    assert finding.level == "error"
    assert "2.weight and 4.weight have 30 blocks of 64 numbers in common" in finding.message
    assert finding.weights == ("2.weight", "4.weight")


def test_values_that_repeat_on_purpose_are_no_copies() -> None:
    network = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64), nn.Embedding(64, 64))
    with torch.no_grad():
        nn.init.eye_(network[0].weight)
        nn.init.constant_(network[1].weight, 0.5)
        network[2].weight.copy_(torch.arange(64.0).expand(64, 64))
        network[3].weight.copy_(torch.arange(4.0).repeat(64, 16))
    assert not find({at: network[at].weight for at in range(4)})


def test_narrow_types_have_few_numbers_and_no_copies() -> None:
    made = torch.Generator().manual_seed(0)
    weights = {at: nn.Parameter(torch.randn(512, 512, generator=made) * 0.02) for at in range(4)}
    for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2):
        assert not find({at: nn.Parameter(weight.detach().to(dtype)) for at, weight in weights.items()})
