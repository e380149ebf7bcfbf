"""Attention and tied tables under auto: scores of size 1 whoever divides them, and no token that predicts itself."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb

WIDTH, HEADS = 64, 4


class Attention(nn.Module):
    """One block of attention over tokens; `scaled` says where the scores are divided by sqrt(d)."""

    def __init__(self, scaled: str) -> None:
        super().__init__()
        self.scaled, self.norm, self.heads = scaled, nn.LayerNorm(WIDTH), HEADS
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.bias = nn.Parameter(torch.zeros(HEADS, 8, 8))

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        q, k = (layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.q, self.k))
        d = WIDTH // HEADS
        if self.scaled == "queries":
            q = q * d**-0.5
        scores = q @ k.transpose(-1, -2)
        return scores / math.sqrt(d) if self.scaled == "scores" else scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        shares = F.softmax(self.scores(x) + self.bias, -1)
        v = self.v(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        return self.o((shares @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("scaled", ["scores", "queries", "nowhere"])
def test_scores_have_second_moment_1(scaled: str) -> None:
    x = torch.randn(64, 8, WIDTH, generator=torch.Generator().manual_seed(0))
    model = Attention(scaled)
    plan = wb.plan(model, x, seed=0)
    found = []
    for seed in range(8):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        with torch.no_grad():
            found.append(float(model.scores(model.norm(x)).double().square().mean()))
    assert sum(found) / len(found) == pytest.approx(1.0, rel=0.1)
    d = WIDTH // HEADS
    assert plan["q.weight"].after == pytest.approx(1 / d if scaled == "nowhere" else 1.0)
    assert ("nothing here divides" in plan["q.weight"].reason) == (scaled == "nowhere")
    assert plan["k.weight"].after == 1.0


class Fused(Attention):
    """The same with PyTorch's own attention, which multiplies queries and keys by d^(-1/4) each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_pytorchs_attention_divides_the_scores_itself(heads: int) -> None:
    model = Fused("scores")
    model.heads = heads
    plan = wb.plan(model, torch.randn(4, 8, WIDTH), seed=0)
    assert plan["q.weight"].after == plan["k.weight"].after == 1.0
    assert plan["q.weight"].law == plan["k.weight"].law


class Tied(nn.Module):
    """A pre-norm network whose table is its output layer too."""

    def __init__(self, words: int, depth: int, rows: float = 1.0, norm: type[nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.table, self.rows, self.depth = nn.Embedding(words, WIDTH), rows, depth
        self.norms = nn.ModuleList(norm(WIDTH) for _ in range(depth + 1))
        self.up = nn.ModuleList(nn.Linear(WIDTH, 128) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(128, WIDTH) for _ in range(depth))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) * self.rows
        for norm, up, down in zip(self.norms, self.up, self.down, strict=False):
            x = x + down(F.gelu(up(norm(x))))
        return self.norms[-1](x) @ self.table.weight.T


@pytest.mark.parametrize("rows", [1.0, math.sqrt(WIDTH)])
@pytest.mark.parametrize("words", [50, 5000])
def test_no_token_predicts_itself(words: int, rows: float) -> None:
    tokens = torch.randint(0, words, (16, 32), generator=torch.Generator().manual_seed(0))
    model = Tied(words, 6, rows)
    plan = wb.plan(model, tokens, seed=0)
    own, excess = [], []
    for seed in range(4):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        with torch.no_grad():
            logits = model(tokens).double()
        own.append(float(logits.gather(-1, tokens[..., None]).mean()))
        # the loss over all targets alike: no luck of single targets
        excess.append(float((logits.logsumexp(-1) - logits.mean(-1)).mean()) - math.log(words))
    most = max(1.0, math.log(words) - 5)
    assert sum(own) / 4 < most + 0.4
    assert sum(excess) / 4 < 0.3
    assert "predicting themselves" in plan["down.0.weight"].reason


def test_an_output_layer_behind_another_layer_asks_nothing_of_the_writes() -> None:
    class Head(Tied):
        def __init__(self) -> None:
            super().__init__(500, 4)
            self.turn, self.last = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            x = self.table(tokens)
            for norm, up, down in zip(self.norms, self.up, self.down, strict=False):
                x = x + down(F.gelu(up(norm(x))))
            return self.last(F.gelu(self.turn(self.norms[-1](x)))) @ self.table.weight.T

    plan = wb.plan(Head, "tokens:8", seed=0)
    assert "predicting themselves" not in plan["down.0.weight"].reason
    assert plan["down.0.weight"].after == pytest.approx(plan["table.weight"].std ** 2 / 4)


def test_a_weight_beside_a_bias_that_the_author_sets_is_the_authors() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
            nn.init.normal_(self.head.weight, std=0.01)
            nn.init.constant_(self.head.bias, math.log(0.01 / 0.99))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.body(x)))

    plan = wb.plan(Detector, "vector:16", seed=0)
    assert plan["head.weight"].law == wb.Normal(0.01)
    assert plan["head.bias"].law == wb.Constant(math.log(0.01 / 0.99))
    assert plan["body.weight"].law == wb.Normal(0.25)


def test_a_projection_that_is_read_both_ways_may_not_make_the_signal_grow() -> None:
    """A factorised table, tied at both ends: words -> 16 -> 64 and back through the same two tensors."""

    class Factorised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.turn = nn.Embedding(200, 16), nn.Linear(16, WIDTH, bias=False)
            self.norm, self.body = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            x = self.turn(self.table(tokens))
            x = self.norm(x + self.body(self.norm(x)))
            return x @ self.turn.weight @ self.table.weight.T

    model, tokens = Factorised(), torch.arange(64).reshape(4, 16)
    plan = wb.initialize(model, tokens, seed=0)
    assert plan["turn.weight"].law == wb.Normal(WIDTH**-0.5)
    assert "used a second time" in plan["turn.weight"].reason
    with torch.no_grad():
        assert float(model(tokens).double().square().mean()) < 1.0
