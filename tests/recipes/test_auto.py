"""auto@0: what is aimed at is what is measured; and where no deep rule applies, the reason says so."""

import math
import re

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.plans import Plan
from wellbegun.theory import moments

ACTIVATIONS = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}
SEEDS = 16
INPUTS, CLASSES, BATCH = 32, 10, 64


def mlp(activation: str, depth: int, width: int, **more: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else INPUTS, width, **more), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES, **more))


def data() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return 3 * torch.randn(BATCH, INPUTS, generator=made), torch.randint(0, CLASSES, (BATCH,), generator=made)


def measured(model: nn.Sequential, plan: Plan) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log of (second moment / aim) by seed and weight; cross-entropy by seed; the aims."""
    x, y = data()
    weights = [name for name, p in model.named_parameters() if p.ndim > 1]
    aims = torch.tensor([plan[name].after for name in weights], dtype=torch.float64)
    logs, losses = [], []
    for seed in range(SEEDS):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        row, value = [], x
        with torch.no_grad():
            for layer in model:
                value = layer(value)
                if isinstance(layer, nn.Linear):
                    row.append(value.double().square().mean())
        logs.append((torch.stack(row) / aims).log())
        losses.append(nn.functional.cross_entropy(value, y).double())
    return torch.stack(logs), torch.stack(losses), aims


SIZES = ((2, 64), (4, 64), (4, 128), (12, 64), (30, 64), (30, 128))
CASES = [(name, depth, width) for name in ACTIVATIONS for depth, width in SIZES]


@pytest.mark.parametrize(("activation", "depth", "width"), CASES)
def test_the_second_moments_aimed_at_are_met(activation: str, depth: int, width: int) -> None:
    model = mlp(activation, depth, width)
    plan = wb.plan(model, data()[0], seed=0)
    logs, losses, _ = measured(model, plan)
    found = logs.mean(0)
    if isinstance(plan["0.weight"].law, wb.MirroredOrthogonal):
        # an exact isometry: what the first layer (a random subspace of the data) leaves stays as it is, in each seed
        assert float(found[:-1].abs().max()) < 0.01
        assert float((logs[:, :-1] - logs[:, :1]).abs().max()) < 1e-3
    # E|x|⁴/E[|x|²]² grows by 1 + kappa/n a layer, kappa = E f⁴/(E f²)² - 1 (literature 4.7; 2/n for the data), so
    # log q has variance about s² = sum kappa/n and mean -s²/2. Orthogonal weights spread less: the same bounds hold.
    q = plan["2.weight"].after if depth > 5 else 1.0
    kappa = _fourth(activation, q) / moments(activation, q).second ** 2 - 1
    for layer, value in enumerate(found.tolist()):
        variance = 2 / min(width, INPUTS) + layer * kappa / width
        error = 4 * math.sqrt(variance / SEEDS)
        assert -variance / 2 - error <= value <= error, (layer, value, variance)
    assert abs(float(losses.mean()) - math.log(CLASSES)) < 0.3


def _fourth(activation: str, q: float) -> float:
    z = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return float((ACTIVATIONS[activation]()(z * math.sqrt(q)) ** 4 * density).sum() * (z[1] - z[0]))


def test_every_reason_is_a_sentence_and_those_of_weights_hold_numbers() -> None:
    for model in (mlp("tanh", 2, 16), mlp("relu", 8, 16), mlp("tanh", 8, 16), mlp("relu", 8, 15)):
        for entry in wb.plan(model, data()[0], seed=0):
            assert len(entry.reason.split()) >= 5
            if entry.role == "linear weight":
                assert re.search(r"\d", entry.reason)
                assert entry.source
                assert entry.before
                assert entry.after


def deep_reason(model: nn.Module, inputs: object = None, name: str = "2.weight") -> str:
    entry = wb.plan(model, data()[0] if inputs is None else inputs, seed=0)[name]
    assert not isinstance(entry.law, (wb.MirroredOrthogonal, wb.Orthogonal))
    return entry.reason


def test_odd_widths_are_not_mirrored() -> None:
    plan = wb.plan(mlp("relu", 8, 15), data()[0], seed=0)
    assert not any(isinstance(entry.law, wb.MirroredOrthogonal) for entry in plan)
    assert plan["2.weight"].law == wb.Orthogonal(math.sqrt(2))
    assert "critical point" in plan["2.weight"].reason
    # GELU's stable critical point needs biases; without them one layer's rule is left
    assert "8 hidden layers" in deep_reason(mlp("gelu", 8, 15, bias=False))


def test_without_biases_there_is_no_critical_point() -> None:
    assert "without a bias in every layer" in deep_reason(mlp("tanh", 8, 16, bias=False))
    assert isinstance(wb.plan(mlp("relu", 8, 16, bias=False), data()[0], seed=0)["2.weight"].law, wb.MirroredOrthogonal)


def test_mixed_activations() -> None:
    model = mlp("relu", 8, 16)
    model[3] = nn.Tanh()
    assert "different activations" in deep_reason(model)


def test_convolutions() -> None:
    layers = [layer for _ in range(7) for layer in (nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())]
    assert "convolutions" in deep_reason(nn.Sequential(*layers), "image:4x8x8")


def test_a_weight_that_stands_twice_in_a_chain() -> None:
    shared = nn.Linear(INPUTS, INPUTS)
    model = nn.Sequential(*(layer for _ in range(7) for layer in (shared, nn.ReLU())), nn.Linear(INPUTS, CLASSES))
    plan = wb.plan(model, data()[0], seed=0)
    assert "more than once" in plan["0.weight"].reason
    # its scale is that of its usual input, so that the signal neither vanishes nor grows over the repetitions,
    # and the head is told what really arrives
    assert plan["0.weight"].before == pytest.approx(0.5)
    moment = float(data()[0].double().square().mean())
    assert plan["14.weight"].before == pytest.approx(moment)
    wb.apply(plan, model)
    with torch.no_grad():
        grown = math.log(float(model[:-1](data()[0]).square().mean()) / moment)
    # one draw for all seven: log q spreads by sqrt(7 · 5/32) = 1.05 (literature 4.7); the data's own scale gave -18
    assert abs(grown) < 3 * math.sqrt(7 * 5 / INPUTS)


CUTS = {
    "flatten": lambda: (nn.Flatten(), nn.Linear(4 * 16, 16)),
    "unflatten": lambda: (nn.Unflatten(-1, (2, 8)), nn.Linear(8, 16)),
    "pool": lambda: (nn.AvgPool1d(2), nn.Linear(8, 16)),
}


@pytest.mark.parametrize("case", CUTS)
def test_units_that_are_cut_or_mixed_are_not_mirrored(case: str) -> None:
    half = [layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.ReLU())]
    model = nn.Sequential(*half, *CUTS[case](), nn.ReLU(), *[nn.Linear(16, 16), nn.ReLU()] * 2, nn.Linear(16, 4))
    assert "cut, pooled or mixed" in deep_reason(model, torch.randn(3, 4, 16))


class Stored(nn.Module):
    """A deep chain of x @ W with W stored as [in, out]."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        sizes = [INPUTS, *[width] * depth, CLASSES]
        for i in range(depth + 1):
            setattr(self, f"w{i}", nn.Parameter(torch.zeros(sizes[i], sizes[i + 1])))
        self.depth = depth

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(self.depth):
            x = torch.relu(x @ getattr(self, f"w{i}"))
        return x @ getattr(self, f"w{self.depth}")


@pytest.mark.parametrize("width", [INPUTS, 64])
def test_weights_stored_with_their_inputs_first_are_mirrored_the_other_way(width: int) -> None:
    model, (x, _) = Stored(8, width), data()
    plan = wb.initialize(model, x, seed=0)
    assert plan["w0"].law.rows is False
    assert plan["w8"].law.columns is False
    with torch.no_grad():
        first = (x @ model.w0).square().mean()
        hidden = torch.relu(x @ model.w0) @ model.w1
    assert torch.allclose(hidden[:, : width // 2], -hidden[:, width // 2 :], atol=1e-4)
    assert float(hidden.square().mean() / first) == pytest.approx(1, abs=1e-4)
    assert float(model(x).detach().square().mean()) == pytest.approx(0.5, rel=0.25)


ENDS = {
    "none": nn.Identity,
    "softmax": lambda: nn.Softmax(-1),
    "log_softmax": lambda: nn.LogSoftmax(-1),
    "sigmoid": nn.Sigmoid,
}


@pytest.mark.parametrize("depth", [2, 8])
@pytest.mark.parametrize("end", ENDS)
def test_logits_are_seen_through_what_ends_the_model(end: str, depth: int) -> None:
    model = nn.Sequential(*mlp("relu", depth, 16), ENDS[end]())
    plan = wb.plan(model, data()[0], seed=0)
    assert plan[f"{2 * depth}.weight"].after == 0.5
    assert "ln K" in plan[f"{2 * depth}.weight"].reason
    assert plan["2.weight"].after == 1.0
    assert isinstance(plan["2.weight"].law, wb.MirroredOrthogonal) == (depth == 8)


@pytest.mark.parametrize("depth", [2, 8])
def test_a_chain_that_ends_inside_the_model_has_no_logits(depth: int) -> None:
    model = nn.Sequential(*mlp("relu", depth, 16), nn.LayerNorm(CLASSES), nn.Linear(CLASSES, CLASSES))
    plan = wb.plan(model, data()[0], seed=0)
    assert plan[f"{2 * depth}.weight"].after == 1.0
    assert "ln K" not in plan[f"{2 * depth}.weight"].reason
    assert plan[f"{2 * depth + 2}.weight"].after == 0.5


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_chain_behind_a_normalisation_starts_at_second_moment_1(activation: str) -> None:
    model = nn.Sequential(nn.LayerNorm(INPUTS), *mlp(activation, 8, 16))
    assert wb.plan(model, data()[0], seed=0)["1.weight"].before == 1.0


def test_two_heads_on_one_trunk() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = mlp("relu", 7, 16)[:-1]
            self.a, self.b = nn.Linear(16, 4), nn.Linear(16, 6)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.trunk(x)
            return self.a(x), self.b(x)

    plan = wb.plan(Heads(), data()[0], seed=0)
    for head in ("a", "b"):
        assert plan[f"{head}.weight"].before == pytest.approx(0.5)
        assert plan[f"{head}.weight"].after == 0.5


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += x
        return torch.relu(y)


def test_a_small_residual_network() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), Block(), Block(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip
    torch.manual_seed(0)
    x, y = torch.randn(16, 3, 12, 12), torch.randint(0, CLASSES, (16,))
    plan = wb.initialize(model, x, seed=0)
    assert len(plan) == len(list(model.parameters())) + len(list(model.buffers()))
    assert plan["3.conv1.weight"].before == pytest.approx(0.5)
    # relu of (norm + relu) has a mean to begin with: 1.155 in truth, 1.126 where the sum is taken for normal
    assert plan["4.conv1.weight"].before == pytest.approx(1.126, abs=0.01)
    assert plan["0.weight"].before == pytest.approx(float(x.square().mean()))
    loss = nn.functional.cross_entropy(model(x), y)
    assert abs(float(loss.detach()) - math.log(CLASSES)) < 0.3


@pytest.mark.parametrize("tied", [False, True])
def test_a_pre_norm_transformer_starts_near_ln_v(tied: bool) -> None:
    model = Transformer(tied)
    plan = wb.initialize(model, "tokens:12", seed=0)
    torch.manual_seed(0)
    tokens = torch.randint(0, 200, (16, 12))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), torch.randint(0, 200, (192,)))
    assert abs(float(loss) - math.log(200)) < 0.35  # 0.25 aimed at, and 192 tokens
    assert plan["block.down.weight"].before == pytest.approx(moments("gelu", 1.0).second)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.RMSNorm(64)
        self.q, self.k, self.v, self.o = (nn.Linear(64, 64) for _ in range(4))
        self.up, self.down = nn.Linear(64, 128), nn.Linear(128, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        q, k, v = (layer(y).unflatten(-1, (4, 16)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.table, self.positions = nn.Embedding(200, 64), nn.Embedding(12, 64)
        self.block, self.norm, self.head = Attention(), nn.LayerNorm(64), nn.Linear(64, 200, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.block(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + torch.relu(self.inner(x)))


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class HiddenSoftmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(32, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.softmax(self.first(x), -1))


@pytest.mark.parametrize(
    ("model", "inputs", "doubt"),
    [
        (Residual(), "vector:32", "a sum of branches"),
        (Pooled(), "image:3x8x8", "pooling"),
        (HiddenSoftmax(), "vector:32", "a softmax"),
    ],
    ids=["sum", "pool", "softmax"],
)
def test_what_theory_does_not_know_is_called_an_estimate(model, inputs, doubt) -> None:
    reason = wb.plan(model, inputs, seed=0)["head.weight"].reason
    assert f"an estimate, with {doubt} on the way" in reason
    assert "ln K" not in reason


def test_a_normalisation_ends_all_doubt() -> None:
    model = nn.Sequential(Residual(), nn.LayerNorm(10), nn.Linear(10, 4))
    assert "estimate" not in wb.plan(model, "vector:32", seed=0)["2.weight"].reason


def test_behind_a_softmax_the_second_moment_is_that_of_shares() -> None:
    model = HiddenSoftmax()
    plan = wb.initialize(model, torch.randn(512, 32, generator=torch.Generator().manual_seed(0)), seed=0)
    shares = torch.softmax(model.first(torch.randn(512, 32, generator=torch.Generator().manual_seed(0))), -1)
    assert plan["head.weight"].before == pytest.approx(float(shares.square().mean().detach()), rel=0.2)


class Tables(nn.Module):
    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.token, self.place, self.kind = nn.Embedding(100, 64), nn.Embedding(16, 64), nn.Embedding(2, 64)
        self.head = nn.Linear(64, 100, bias=False)
        if tied:
            self.head.weight = self.token.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1])
        return self.head(self.token(tokens) + self.place(places) + self.kind(torch.zeros_like(tokens)))


@pytest.mark.parametrize("tied", [True, False])
def test_tables_that_are_added_have_one_scale(tied) -> None:
    """Else a position table of std 1 drowns tokens of std 0.09."""
    plan = wb.plan(Tables(tied), "tokens:16", seed=0)
    stds = [plan[f"{name}.weight"].std for name in ("token", "place", "kind")]
    expected = math.sqrt(0.5 / 64) if tied else 1 / math.sqrt(3)
    assert stds == pytest.approx([expected] * 3)


@pytest.mark.parametrize(
    ("rule", "passed_on"),
    [(wb.Normal(0.02), 0.02**2), ("zeros", 1.0), (wb.Keep(), 1.0)],
    ids=["small", "zeros", "kept"],
)
def test_the_layer_behind_a_table_is_planned_for_the_users_rows(rule: object, passed_on: float) -> None:
    model = nn.Sequential(nn.Embedding(30, 16), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
    plan = wb.plan(model, "tokens:5", seed=0, rules={"0.weight": rule})
    assert plan["1.weight"].before == pytest.approx(passed_on)
    assert plan["1.weight"].law.std == pytest.approx(1 / math.sqrt(16 * passed_on), rel=1e-6)


def test_the_layer_behind_a_weight_of_the_users_is_planned_for_what_it_passes_on() -> None:
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    plan = wb.plan(model, "vector:32", seed=0, rules={"2.weight": "xavier", "2.bias": "zeros"})
    assert plan["0.weight"].after == 1.0
    assert plan["4.weight"].before == pytest.approx(0.25)  # half of the 0.5 that ReLU passed on to xavier's layer
