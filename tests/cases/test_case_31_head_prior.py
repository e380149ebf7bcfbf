"""Case 31: a prior for the head: by a rule on its bias, or the author's own, which auto keeps."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb

PRIOR = 0.01
LOGIT = math.log(PRIOR / (1 - PRIOR))  # -4.595
ENTROPY = -(PRIOR * math.log(PRIOR) + (1 - PRIOR) * math.log(1 - PRIOR))


class Detector(nn.Module):
    """A dense head as detectors have it: convolutions, then one logit for each class and place."""

    def __init__(self, classes: int = 20, bias: float | None = None) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()
        )
        self.scores = nn.Conv2d(32, classes, 3, padding=1)
        if bias is not None:
            nn.init.constant_(self.scores.bias, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.tower(x))


def images() -> torch.Tensor:
    return torch.randn(8, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def start(model: nn.Module) -> tuple[float, float]:
    """Mean probability, and the loss on labels that are as rare as the prior says."""
    with torch.no_grad():
        logits = model(images())
    made = torch.Generator().manual_seed(1)
    places = logits.numel()
    target = torch.zeros(places)
    target[torch.randperm(places, generator=made)[: round(PRIOR * places)]] = 1
    loss = F.binary_cross_entropy_with_logits(logits.flatten(), target)
    return float(logits.sigmoid().mean()), float(loss)


RULES = {"scores.weight": wb.Normal(std=0.01), "scores.bias": wb.Constant(LOGIT)}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rule_on_the_bias_of_the_head(seed: int) -> None:
    model = Detector()
    plan = wb.initialize(model, images(), seed=seed, rules=RULES)
    probability, loss = start(model)
    assert probability == pytest.approx(PRIOR, rel=0.05)
    assert loss == pytest.approx(ENTROPY, rel=0.02)
    assert plan["scores.weight"].std == pytest.approx(0.01, rel=1e-6)
    assert float(model.scores.weight.detach().std()) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("complete", [False, True], ids=["model", "factory"])
def test_the_prior_that_the_author_gives_is_kept(complete: bool) -> None:
    def make() -> nn.Module:
        return Detector(bias=LOGIT)

    model = make()
    plan = wb.plan(make if complete else model, images(), seed=0, rules={"scores.weight": wb.Normal(std=0.01)})
    wb.apply(plan, model)
    assert plan["scores.bias"].law == wb.Constant(LOGIT)
    assert "author" in plan["scores.bias"].reason
    assert plan["tower.0.bias"].law == wb.Constant(0.0)
    probability, loss = start(model)
    assert probability == pytest.approx(PRIOR, rel=0.05)
    assert loss == pytest.approx(ENTROPY, rel=0.02)


def test_class_counts_as_priors_of_a_softmax() -> None:
    """The logarithms of the classes' shares as the bias, by a law of stored numbers."""
    shares = torch.tensor([0.7, 0.2, 0.06, 0.04], dtype=torch.float64)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
    bias = wb.Stored(shares.log().float().numpy())
    wb.initialize(model, "vector:16", seed=0, rules={"2.weight": wb.Normal(std=0.002), "2.bias": bias})
    x = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(x)
    assert logits.softmax(-1).mean(0).tolist() == pytest.approx(shares.tolist(), rel=0.05)
    labels = torch.repeat_interleave(torch.arange(4), (shares * 4000).round().long())
    entropy = float(-(shares * shares.log()).sum())
    assert float(F.cross_entropy(logits, labels)) == pytest.approx(entropy, rel=0.02)
