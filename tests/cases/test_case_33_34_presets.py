"""Cases 33 and 34: PPO's heads by name, each exactly once; SIREN's bounds and the statistics of ten layers."""

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanError


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.policy, self.value = nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.trunk(x)
        return self.policy(h), self.value(h)


def test_ppo_gains() -> None:
    model = ActorCritic()
    wb.initialize(model, "vector:8", seed=0, recipe="ppo@1(policy='policy', value='value')")
    gains = {"trunk.0": math.sqrt(2), "trunk.2": math.sqrt(2), "policy": 0.01, "value": 1.0}
    for name, gain in gains.items():
        weight = model.get_parameter(f"{name}.weight").detach().double()
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        assert (gram / gain**2 - torch.eye(len(gram))).abs().max() < 1e-5, name
        assert not model.get_parameter(f"{name}.bias").any()


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ("policy='policy', value='policy'", "policy.weight is named twice"),
        ("policy=['policy', 'p*cy'], value='value'", "policy.weight is named twice"),
        ("policy='polcy', value='value'", r"no weight is called 'polcy'.*did you mean 'policy"),
        ("policy='policy', value='trunk.*'", "must be one weight, and matches 2"),
    ],
)
def test_a_head_that_is_matched_twice_or_never_is_refused(heads: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        wb.plan(ActorCritic(), "vector:8", seed=0, recipe=f"ppo({heads})")


class Sine(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30.0 * self.linear(x))


def siren() -> nn.Sequential:
    return nn.Sequential(Sine(2, 256), *(Sine(256, 256) for _ in range(9)), nn.Linear(256, 1))


def test_siren_bounds() -> None:
    plan = wb.plan(siren(), "vector:2", seed=0, recipe="siren@1")
    assert plan["0.linear.weight"].law == wb.Uniform(-1 / 2, 1 / 2)
    bound = math.sqrt(6 / 256) / 30
    for place in range(1, 10):
        assert plan[f"{place}.linear.weight"].law.high == pytest.approx(bound, rel=1e-6)
        assert plan[f"{place}.linear.weight"].law.low == -plan[f"{place}.linear.weight"].law.high


def test_siren_holds_its_statistics_over_ten_layers() -> None:
    """Behind the first layer each pre-activation has std 1 by its weights: sqrt(6/n)/30·30 and inputs of 1/2."""
    model = siren()
    x = torch.rand(1024, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before, after = [], []
    for seed in range(4):
        wb.initialize(model, "vector:2", seed=seed, recipe="siren@1", overwrite=True)
        value = x
        with torch.no_grad():
            for place in range(10):
                layer = model[place].linear
                if place:
                    before.append(float((30 * (value @ layer.weight.T)).std()))
                value = model[place](value)
                after.append(float(value.std()))
    assert sum(before) / len(before) == pytest.approx(1, rel=0.03)
    by_layer = [sum(before[place::9]) / 4 for place in range(9)]
    assert by_layer == pytest.approx([1] * 9, rel=0.1)
    assert 0.70 <= sum(after) / len(after) <= 0.72
