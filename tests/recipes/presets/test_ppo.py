"""ppo@1: the heads that the user names, each exactly once."""

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError


class Agent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))
        self.critic = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.actor(x), self.critic(x)


def plan(recipe: str) -> wb.Plan:
    return wb.plan(Agent(), "vector:8", seed=0, recipe=recipe)


@pytest.mark.parametrize("recipe", [
    "ppo(policy='actor.4', value='critic.4')",
    "ppo@1(policy='actor.4.weight', value='critic.4.weight')",
    "ppo(policy='actor.4', value=['critic.4'])",
    "ppo(policy='*or.4', value='*ic.4')",
])  # fmt: skip
def test_heads_and_hidden_layers(recipe: str) -> None:
    made = plan(recipe)
    gains = {entry.name: entry.law.gain for entry in made if entry.name.endswith("weight")}
    hidden = pytest.approx(math.sqrt(2), rel=1e-6)
    assert gains == {
        "actor.0.weight": hidden, "actor.2.weight": hidden, "actor.4.weight": pytest.approx(0.01),
        "critic.0.weight": hidden, "critic.2.weight": hidden, "critic.4.weight": 1.0,
    }  # fmt: skip
    assert all(entry.law == wb.Constant(0.0) for entry in made if entry.name.endswith("bias"))


def test_actions_are_about_equally_likely() -> None:
    model = Agent()
    wb.initialize(model, "vector:8", seed=1, recipe="ppo(policy='actor.4', value='critic.4')")
    actions, values = model(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)))
    assert (actions.softmax(-1) - 0.25).abs().max() < 0.02
    assert values.std() > 0.1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "ppo(policy='actor.5', value='critic.4')",
            r"no weight is called 'actor\.5', .*policy head; did you mean 'actor",
        ),
        ("ppo(policy='actor.4', value='critc.4')", r"no weight is called 'critc\.4', .*value head; did you mean 'crit"),
        ("ppo(policy='actor.*', value='critic.4')", r"must be one weight, and matches 3: actor\.0\.weight, actor\.2"),
        ("ppo(policy='actor.4', value='actor.4')", r"actor\.4\.weight is named twice, as policy and as value head"),
        ("ppo(policy=['actor.4', 'actor.4.weight'])", r"named twice"),
        ("ppo(policy='actor.4.bias')", r"no weight is called"),
    ],
)
def test_a_head_that_is_named_never_or_twice_is_refused(recipe: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(recipe)


@pytest.mark.parametrize(
    "recipe", ["ppo", "ppo(value='critic.4')", "ppo(policy=3)", "ppo(policy='')", "ppo(policy=[])"]
)
def test_the_policy_head_must_be_named(recipe: str) -> None:
    with pytest.raises(ArgumentError, match="policy"):
        plan(recipe)
