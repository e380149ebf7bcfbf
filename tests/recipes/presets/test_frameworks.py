"""torch@1 against what torch itself draws; keras@1 against the published numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

import wellbegun as wb

X = torch.zeros
MODULES: dict[str, tuple[Callable[[], nn.Module], object]] = {
    "linear": (lambda: nn.Linear(96, 64), X(2, 96)),
    "linear without bias": (lambda: nn.Linear(96, 64, bias=False), X(2, 96)),
    "conv1d": (lambda: nn.Conv1d(24, 48, 5), X(2, 24, 16)),
    "conv2d": (lambda: nn.Conv2d(16, 64, 3, stride=2), X(2, 16, 9, 9)),
    "conv2d in groups": (lambda: nn.Conv2d(32, 64, 3, groups=4), X(2, 32, 9, 9)),
    "depthwise": (lambda: nn.Conv2d(256, 256, 3, groups=256), X(2, 256, 5, 5)),
    "conv3d": (lambda: nn.Conv3d(8, 16, 3), X(1, 8, 5, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(16, 64, 3, stride=2), X(2, 16, 5, 5)),
    "transposed in groups": (lambda: nn.ConvTranspose1d(32, 64, 4, groups=4), X(2, 32, 9)),
    "bilinear": (lambda: nn.Bilinear(12, 20, 16), (X(2, 12), X(2, 20))),
    "embedding": (lambda: nn.Embedding(100, 32), X(2, 4, dtype=torch.int64)),
    "embedding with padding": (lambda: nn.Embedding(100, 32, padding_idx=3), X(2, 4, dtype=torch.int64)),
    "lstm": (lambda: nn.LSTM(20, 36, num_layers=2, bidirectional=True), X(5, 2, 20)),
    "lstm with projection": (lambda: nn.LSTM(20, 36, proj_size=16), X(5, 2, 20)),
    "gru": (lambda: nn.GRU(20, 36), X(5, 2, 20)),
    "rnn": (lambda: nn.RNN(20, 64), X(5, 2, 20)),
    "lstm cell": (lambda: nn.LSTMCell(20, 36), X(2, 20)),
    "gru cell": (lambda: nn.GRUCell(20, 36), X(2, 20)),
    "attention": (lambda: nn.MultiheadAttention(48, 4), (X(5, 2, 48), X(5, 2, 48), X(5, 2, 48))),
    "attention of other sizes": (
        lambda: nn.MultiheadAttention(48, 4, kdim=32, vdim=40, add_bias_kv=True),
        (X(5, 2, 48), X(5, 2, 32), X(5, 2, 40)),
    ),
    "batch norm": (lambda: nn.BatchNorm2d(8), X(2, 8, 3, 3)),
    "layer norm": (lambda: nn.LayerNorm(8), X(2, 8)),
    "group norm": (lambda: nn.GroupNorm(2, 8), X(2, 8, 3)),
    "rms norm": (lambda: nn.RMSNorm(8), X(2, 8)),
    "prelu": (lambda: nn.PReLU(4), X(2, 4)),
}


@pytest.mark.parametrize("case", MODULES)
def test_torch_reproduces_what_torch_draws(case: str) -> None:
    """Many models drawn by torch itself: mean, standard deviation and largest value of each tensor."""
    build, inputs = MODULES[case]
    made = wb.plan(build(), inputs, seed=0, recipe="torch@1")
    assert made.recipe == "torch@1"
    torch.manual_seed(0)
    size = max(entry.size for entry in made)
    models = [build() for _ in range(1 + 40_000 // size)]
    for entry in made:
        drawn = torch.stack([dict(model.state_dict())[entry.name].detach().double() for model in models])
        if entry.zero_row is not None:
            assert not drawn[:, entry.zero_row].any()
            drawn = torch.cat([drawn[:, : entry.zero_row], drawn[:, entry.zero_row + 1 :]], 1)
        mean, std = entry.law.moments(entry.shape)
        if std == 0.0:
            assert (drawn == mean).all(), entry.name
            continue
        error = std / math.sqrt(drawn.numel())  # of a mean; of a standard deviation it is smaller
        assert float(drawn.mean()) == pytest.approx(mean, abs=5 * error), entry.name
        assert float(drawn.std()) == pytest.approx(std, abs=5 * error), entry.name
        bounds = entry.law.bounds()
        if bounds is not None:
            largest = float(drawn.abs().max())
            assert largest <= bounds[1] * (1 + 1e-6), entry.name
            assert largest >= bounds[1] * (1 - 50 / drawn.numel()), entry.name


def test_torch_for_a_parameter_of_no_layer() -> None:
    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(X(25, 10))
            self.b = nn.Parameter(X(10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.addmm(self.b, x, self.w)

    made = wb.plan(Raw(), X(2, 25), seed=0, recipe="torch")
    assert made["w"].law == made["b"].law == wb.Uniform(-0.2, 0.2)
    assert "no layer of torch.nn" in made["w"].reason


def test_keras_layers() -> None:
    model = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2), nn.PReLU(), nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8))
    made = wb.plan(model, X(2, 8, 4, 4), seed=0, recipe="keras@1")
    bound = math.sqrt(6 / (9 * 8 + 9 * 16))  # Keras takes no account of the stride
    assert made["0.weight"].law.high == pytest.approx(bound, rel=1e-6)
    assert made["3.weight"].law.high == pytest.approx(math.sqrt(6 / 24), rel=1e-6)
    assert made["0.bias"].law == made["3.bias"].law == made["1.weight"].law == wb.Constant(0.0)
    assert made["4.weight"].law == wb.Constant(1.0)
    table = wb.plan(nn.Embedding(10, 4), "tokens:3", seed=0, recipe="keras")
    assert table["weight"].law == wb.Uniform(-0.05, 0.05)


def test_keras_gates() -> None:
    made = wb.plan(nn.LSTM(20, 12), X(5, 2, 20), seed=0, recipe="keras")
    assert made["weight_ih_l0"].law.high == pytest.approx(math.sqrt(6 / (20 + 48)), rel=1e-6)
    q = wb.to_numpy(made, "weight_hh_l0").astype("float64")
    assert abs(q.T @ q - torch.eye(12).numpy()).max() < 1e-5  # as one (12, 48) matrix, Keras's orthogonal
    total = wb.to_numpy(made, "bias_ih_l0") + wb.to_numpy(made, "bias_hh_l0")
    assert (total[12:24] == 1.0).all()
    assert (total[:12] == 0.0).all()
    assert (total[24:] == 0.0).all()
    gru = wb.plan(nn.GRU(20, 12), X(5, 2, 20), seed=0, recipe="keras")
    assert gru["bias_ih_l0"].law == wb.Constant(0.0)


def test_keras_attention() -> None:
    x = X(5, 2, 48)
    made = wb.plan(nn.MultiheadAttention(48, 4), (x, x, x), seed=0, recipe="keras")
    assert made["in_proj_weight"].law.high == pytest.approx(math.sqrt(6 / 96), rel=1e-6)
    assert made["in_proj_bias"].law == made["out_proj.bias"].law == wb.Constant(0.0)
