"""What is aimed at behind operations that are more than a layer, against what is measured there."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wellbegun as wb

ROWS = 64


class Net(nn.Module):
    """A layer, something written by hand, and a layer whose input is looked at."""

    def __init__(self, between: Callable[[Net, Tensor], Tensor], width: int = 64, last: int = 64) -> None:
        super().__init__()
        self.between = between
        self.first, self.second, self.loop = nn.Linear(32, width), nn.Linear(32, width), nn.Linear(width, width)
        self.last = nn.Linear(last, 64)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.between(self, x)
        return torch.tanh(self.last(self.seen))


def straight_through(net: Net, x: Tensor) -> Tensor:
    h = net.first(x)
    return h + (net.second(x) - h).detach()


def looped(net: Net, x: Tensor) -> Tensor:
    h = net.first(x)
    for _ in range(8):
        h = h + 0.25 * net.loop(h)
    return h


def spectrum(net: Net, x: Tensor) -> Tensor:
    return torch.fft.irfft(torch.fft.rfft(net.first(x)), n=64) + 0 * x.sum()


def cut_in_two(net: Net, x: Tensor) -> Tensor:
    h = net.first(x)
    return torch.maximum(h, torch.zeros_like(h)) + torch.minimum(2 * (torch.exp(h / 2) - 1), torch.zeros_like(h))


def exp_of_gates(net: Net, x: Tensor) -> Tensor:
    h = net.first(x)
    for _ in range(6):
        h = torch.exp(-F.softplus(net.second(x))) * h
    return h


def values_on_the_left(net: Net, x: Tensor) -> Tensor:
    values, shares = net.first(x), (4 * net.second(x)[:, :ROWS] * torch.eye(ROWS)).softmax(-1)
    return (values.T @ shares.T).T


@pytest.mark.parametrize(
    ("between", "least", "most"),
    [
        (straight_through, 0.7, 1.4),
        (looped, 0.5, 2.0),
        (spectrum, 0.7, 1.4),
        (lambda net, x: F.relu(F.relu(net.first(x)) + F.relu(net.second(x))), 0.7, 1.4),
        (lambda net, x: net.first(x) / (2 + net.second(x).abs()), 0.3, 3.0),
        (lambda net, x: F.max_pool1d(F.relu(net.first(x)).T[None], 4)[0].T.repeat(4, 1), 0.4, 1.4),
        (lambda net, x: torch.where(net.second(x) > 0, net.first(x), net.second(x)), 0.7, 1.4),
        (cut_in_two, 0.7, 1.4),
        (lambda net, x: F.relu(net.first(x)).index_add(0, torch.arange(ROWS), F.relu(net.second(x))), 0.2, 1.4),
    ],
    ids="straight loop spectrum shifted quotient max where constants index".split(),
)
def test_sizes(between: Callable[[Net, Tensor], Tensor], least: float, most: float) -> None:
    x = torch.randn(ROWS, 32, generator=torch.Generator().manual_seed(0))
    ratios = []
    for seed in range(4):
        net = Net(between)
        plan = wb.plan(net, x, seed=seed)
        wb.apply(plan, net, overwrite=True)
        net(x)
        before = plan["last.weight"].before
        assert before is not None
        ratios.append(math.log(float(net.seen.detach().square().mean()) / before))
    assert math.log(least) < sum(ratios) / len(ratios) < math.log(most)


def test_a_decay_is_no_growth() -> None:
    x = torch.randn(ROWS, 32, generator=torch.Generator().manual_seed(0))
    before = wb.plan(Net(exp_of_gates), x, seed=0)["last.weight"].before
    assert before is not None
    assert before <= 1.01  # exp of a normal signal of size 1 would make it 10^5


def test_attention_with_its_values_on_the_left() -> None:
    x = torch.randn(ROWS, 32, generator=torch.Generator().manual_seed(0))
    entry = wb.plan(Net(values_on_the_left), x, seed=0)["last.weight"]
    assert entry.before == pytest.approx(1.0)
    assert "fed by attention, which averages values" in entry.reason


def test_the_state_of_a_loop_written_by_hand() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.start = nn.Parameter(torch.empty(1, 16).uniform_(-0.1, 0.1))
            self.inner, self.state, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 5)

        def forward(self, x: Tensor) -> Tensor:
            h, outputs = self.start.expand(len(x), -1), []
            for step in x.unbind(1):
                h = torch.tanh(self.inner(step) + self.state(h))
                outputs.append(self.out(h))
            return torch.stack(outputs, 1)

    plan = wb.plan(Cell(), torch.randn(4, 6, 8), seed=0)
    assert plan["state.weight"].law == wb.Orthogonal()  # and not 1/(16·0.0004), which the start would ask for
    assert "ln K" in plan["out.weight"].reason or "outputs" in plan["out.weight"].reason


def test_parameters_that_do_not_learn_keep_their_values() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.linspace(0, 1, 24).view(1, 3, 8), requires_grad=False)
            self.code = nn.Parameter(torch.randn(4))
            self.net, self.out, self.codes = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.net(x) + self.table) + self.codes(self.code)

    plan = wb.plan(Frozen(), torch.randn(5, 3, 8), seed=0)
    assert plan["table"].law == wb.Keep()
    assert plan["code"].law == wb.Normal(1.0)  # a learnt input of a layer, and not a token beside others


def test_zeros_that_end_a_branch_through_a_function() -> None:
    class Scaled(nn.Module):
        def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.function = function
            self.one, self.two, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)
            nn.init.zeros_(self.two.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.one(x) * self.function(self.two(x)))

    x = torch.randn(4, 8)
    assert wb.plan(lambda: Scaled(torch.exp), x, seed=0)["two.weight"].law == wb.Zeros().law()
    assert wb.plan(lambda: Scaled(torch.relu), x, seed=0)["two.weight"].law != wb.Zeros().law()  # it would never learn
