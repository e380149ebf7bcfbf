"""Case 26: zeros at the start: a branch that is zero twice never learns and is reported, once is legal."""

import pytest
import torch
from torch import nn

import wellbegun as wb


class Branches(nn.Module):
    """Residual branches whose last step is a normalisation, a modulation (adaLN) or a low-rank adapter."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.stem, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        if kind == "batch norm":
            self.norm = nn.BatchNorm1d(32)
            nn.init.zeros_(self.norm.weight)
        elif kind == "adaLN":
            self.norm, self.modulation = nn.LayerNorm(32, elementwise_affine=False), nn.Linear(16, 96)
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)
        else:
            self.a, self.b = nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
            nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        if self.kind == "batch norm":
            h = h + self.norm(self.down(torch.relu(self.up(h))))
        elif self.kind == "adaLN":
            shift, scale, gate = self.modulation(x).chunk(3, -1)
            y = self.norm(h) * (1 + scale) + shift
            h = h + gate * self.down(torch.relu(self.up(y)))
        else:
            h = h + self.b(self.a(h)) + 0.1 * self.down(torch.relu(self.up(h)))
        return self.head(h)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return torch.randn(64, 16, generator=made), torch.randint(0, 4, (64,), generator=made)


def blamed(model: nn.Module) -> set[str]:
    return {f.kind for f in wb.diagnose(model, batch()).findings if f.level in ("error", "warning")}


@pytest.mark.parametrize("kind", ["batch norm", "adaLN", "adapter"])
def test_a_branch_that_is_zero_once_is_legal_and_is_kept(kind: str) -> None:
    model = Branches(kind)
    zeros = {name for name, p in model.named_parameters() if not p.any()}
    plan = wb.initialize(model, batch()[0], seed=0)
    for name in zeros:
        assert plan[name].law == wb.Constant(0.0), name
        assert "no gradient" not in plan[name].reason
    assert not blamed(model) & {"no gradient", "symmetric"}


@pytest.mark.parametrize("kind", ["batch norm", "adaLN", "adapter"])
def test_a_branch_that_is_zero_twice_is_reported(kind: str) -> None:
    model = Branches(kind)
    wb.initialize(model, batch()[0], seed=0)
    first = {"batch norm": "down", "adaLN": "down", "adapter": "a"}[kind]
    with torch.no_grad():
        for parameter in model.get_submodule(first).parameters():
            parameter.zero_()
    found = [f for f in wb.diagnose(model, batch()).findings if f.kind == "no gradient"]
    assert found, wb.diagnose(model, batch())
    assert any(finding.level == "error" for finding in found)
    stuck = {"batch norm": "up.weight", "adaLN": "modulation.weight", "adapter": "a.weight"}[kind]
    assert found[0].layer == stuck  # the first weight that no step will change


@pytest.mark.parametrize("kind", ["batch norm", "adaLN", "adapter"])
def test_what_is_zero_once_learns_and_lets_the_rest_learn(kind: str) -> None:
    model = Branches(kind)
    wb.initialize(model, batch()[0], seed=0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = batch()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    still = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert not still - {"down.bias"}  # a bias before BatchNorm has no effect at any time
