"""Case 20: the gain of any scalar activation, and networks of 50 layers of it that keep their second moment."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.errors import TheoryError

Function = Callable[[torch.Tensor], torch.Tensor]
HELD: dict[str, Function] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "lecun_tanh": lambda x: 1.7159 * torch.tanh(2 * x / 3),
    "erf": torch.erf,
    "atan": torch.atan,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
    "sigmoid": torch.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "sin": torch.sin,
    "cos": torch.cos,
    "gaussian": lambda x: torch.exp(-x * x),
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "snake": lambda x: x + torch.sin(x) ** 2,
    "abs": torch.abs,
    "identity": lambda x: x * 1.0,
    "of your own": lambda x: torch.tanh(x) + 0.1 * x,
    "of your own, shifted": lambda x: F.relu(x + 0.3) - 0.5,
}
RUN_AWAY: dict[str, Function] = {
    "relu_squared": lambda x: F.relu(x) ** 2,
    "tanhshrink": F.tanhshrink,
    "exp": torch.exp,
}
"""Functions whose second moment no weights hold over 50 layers: it grows faster than what flows in."""
OFTEN = ("relu", "gelu", "tanh", "sigmoid", "mish", "of your own, shifted")
SEEDS, WIDTH, DEPTH = 4, 256, 50


class Act(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", [*HELD, *RUN_AWAY])
def test_gains_of_any_callable_equal_quadrature(name: str) -> None:
    function = (HELD | RUN_AWAY)[name]
    z = torch.linspace(-12, 12, 480_001, dtype=torch.float64)  # a plain sum, fine enough for kinks
    weight = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    forward = float((function(z) ** 2 * weight).sum())
    tracked = z.clone().requires_grad_()
    slopes = torch.autograd.grad(function(tracked).sum(), tracked)[0]
    backward = float((slopes**2 * weight).sum())
    assert wb.gain(function) == pytest.approx(forward**-0.5, rel=1e-4)
    if name != "hardshrink":  # it jumps, which its slopes do not show
        assert wb.gain(function, kind="backward") == pytest.approx(backward**-0.5, rel=1e-4)
        both = (2 / (forward + backward)) ** 0.5
        assert wb.gain(function, kind="compromise") == pytest.approx(both, rel=1e-4)


def test_names_and_plain_python_and_numpy_functions() -> None:
    assert wb.gain("gelu") == pytest.approx(wb.gain(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))), rel=1e-4)
    assert wb.gain("tanh") == pytest.approx(wb.gain(np.tanh), rel=1e-4)
    with pytest.raises(TheoryError, match="no compromise gain"):
        wb.gain(lambda x: 0 * x, kind="compromise")


@pytest.mark.parametrize("function", [F.silu, F.gelu, torch.sigmoid, F.relu, torch.tanh], ids=lambda f: f.__name__)
def test_a_gated_pair_keeps_its_second_moment(function: Function) -> None:
    """a·f(b) has the gain of f, as a has second moment 1; the same is planned without being told."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up, self.down = nn.Linear(256, 512), nn.Linear(256, 512), nn.Linear(512, 256)
            self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(self.down(self.up(x) * function(self.gate(x)))))

    model, x = Gated(), torch.randn(512, 256, generator=torch.Generator().manual_seed(0))
    plan = wb.initialize(model, x, seed=0)
    assert plan["down.weight"].std * math.sqrt(512) == pytest.approx(wb.gain(function), rel=1e-3)
    with torch.no_grad():
        made = model.down(model.up(x) * function(model.gate(x)))
    assert float(made.square().mean()) == pytest.approx(1, rel=0.1)


def moments_by_layer(function: Function) -> tuple[torch.Tensor, wb.Plan]:
    """Second moment before each activation over the one planned: geometric mean over seeds."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        layers += [nn.Linear(WIDTH if i else 64, WIDTH), Act(function)]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    plan = wb.plan(model, x, seed=0)
    logs = torch.zeros(SEEDS, DEPTH, dtype=torch.float64)
    for seed in range(SEEDS):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        value = x
        with torch.no_grad():
            for i in range(DEPTH):
                value = model[2 * i](value)
                logs[seed, i] = torch.log(value.double().square().mean() / plan[f"{2 * i}.weight"].after)
                value = model[2 * i + 1](value)
    return logs.mean(0).exp(), plan


@pytest.mark.parametrize("name", [
    name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in HELD
])  # fmt: skip
def test_fifty_layers_keep_the_second_moment(name: str) -> None:
    found, _ = moments_by_layer(HELD[name])
    assert float(found.min()) >= 0.5, found
    assert float(found.max()) <= 2, found


@pytest.mark.parametrize("name", RUN_AWAY)
def test_functions_that_no_weights_can_hold_are_said_so(name: str) -> None:
    """E f(sqrt(q) z)² / q grows with q: above its fixed point a signal grows in every layer, below it fades."""
    found, plan = moments_by_layer(RUN_AWAY[name])
    assert not (found <= 2).all()
    assert (
        "has no critical point that is stable: signals too small fade, too large ones blow up"
        in plan["4.weight"].reason
    )
