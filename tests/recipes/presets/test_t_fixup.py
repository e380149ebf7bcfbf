"""t_fixup@1 and sub_ln@1: gains by stack and part, what they refuse, and the one thing that each is for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanError

from .parametrised import HEADS, WORDS, Gpt, tokens

WIDTH = 32


class Part(nn.Module):
    """One attention, of one signal or of two."""

    def __init__(self, inner: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.inner = nn.LayerNorm(WIDTH) if inner else nn.Identity()

    def forward(self, x, other):
        rows = x.shape[0]
        q, k, v = (
            layer(y).view(rows, -1, HEADS, WIDTH // HEADS).transpose(1, 2)
            for layer, y in ((self.q, x), (self.k, other), (self.v, other))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return self.o(self.inner(mixed))


class Layer(nn.Module):
    """Attention, perhaps to an encoder, and feed-forward; with Sub-LN's norms or with none."""

    def __init__(self, crosses: bool, norms: bool) -> None:
        super().__init__()
        self.own, self.cross = Part(norms), Part(norms) if crosses else None
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.n = nn.ModuleList(nn.LayerNorm(WIDTH) if norms else nn.Identity() for _ in range(3))
        self.inner = nn.LayerNorm(2 * WIDTH) if norms else nn.Identity()

    def forward(self, x, encoded=None):
        y = self.n[0](x)
        x = x + self.own(y, y)
        if self.cross is not None:
            x = x + self.cross(self.n[1](x), encoded)
        return x + self.down(self.inner(torch.relu(self.up(self.n[2](x)))))


class PostLayer(Layer):
    """The same, post-norm, with DeepNorm's alpha on the shortcut."""

    alpha = 1.0

    def __init__(self, crosses: bool, norms: bool) -> None:
        super().__init__(crosses, False)
        self.n = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))

    def forward(self, x, encoded=None):
        x = self.n[0](self.alpha * x + self.own(x, x))
        if self.cross is not None:
            x = self.n[1](self.alpha * x + self.cross(x, encoded))
        return self.n[2](self.alpha * x + self.down(torch.relu(self.up(x))))


class Translator(nn.Module):
    def __init__(self, encoder: int, decoder: int, norms: bool = False, factor: float = 1.0, layer=Layer) -> None:
        super().__init__()
        self.words, self.others, self.factor = nn.Embedding(WORDS, WIDTH), nn.Embedding(WORDS, WIDTH), factor
        self.encoder = nn.ModuleList(layer(False, norms) for _ in range(encoder))
        self.decoder = nn.ModuleList(layer(True, norms) for _ in range(decoder))
        self.norm, self.head = nn.LayerNorm(WIDTH) if norms else nn.Identity(), nn.Linear(WIDTH, WORDS)

    def forward(self, tokens):
        x, y = self.words(tokens) * self.factor, self.others(tokens) * self.factor
        for layer in self.encoder:
            x = layer(x)
        for layer in self.decoder:
            y = layer(y, x)
        return self.head(self.norm(y if len(self.decoder) else x))


def stds(plan: wb.Plan, layer: str, *names: str) -> list[float]:
    return [plan[f"{layer}.{name}.weight"].std for name in names]


SQUARE, FED = math.sqrt(2 / 64), math.sqrt(2 / 96)


def check_gains(made: wb.Plan, enc: float, dec: float, plain: float) -> None:
    """Xavier's law by stack: four layers of an encoder, three of a decoder, queries and keys with their own gain."""
    for stack, layers, parts, gain in (("encoder", 4, ["own"], enc), ("decoder", 3, ["own", "cross"], dec)):
        for i in range(layers):
            for part in parts:
                found = stds(made, f"{stack}.{i}.{part}", "q", "k", "v", "o")
                assert found == pytest.approx([plain * SQUARE] * 2 + [gain * SQUARE] * 2, rel=1e-6)
            assert stds(made, f"{stack}.{i}", "up", "down") == pytest.approx([gain * FED] * 2, rel=1e-6)


def test_t_fixup_of_an_encoder_and_a_decoder() -> None:
    made = wb.plan(Translator(4, 3), tokens()[0], seed=0, recipe="t_fixup")
    enc, dec = 0.67 * 4**-0.25, 27**-0.25
    check_gains(made, enc, dec, math.sqrt(0.5))
    assert made["words.weight"].std == pytest.approx(dec, rel=1e-6)  # no factor behind it
    assert "lacks that factor" in made["words.weight"].reason
    assert made["head.weight"].law == wb.XavierUniform().law(wb.Fans(WIDTH, WORDS))
    multiplied = wb.plan(Translator(4, 3, factor=math.sqrt(WIDTH)), tokens()[0], seed=0, recipe="t_fixup")
    assert multiplied["words.weight"].std == pytest.approx(WIDTH**-0.5 * dec, rel=1e-6)


def test_t_fixup_of_a_packed_weight() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.fed = nn.MultiheadAttention(32, 4, batch_first=True), nn.Linear(32, 32)

        def forward(self, x):
            x = x + self.mix(x, x, x, need_weights=False)[0]
            return x + self.fed(torch.relu(x))

    made = wb.plan(nn.Sequential(Block(), Block()), torch.zeros(1, 4, 32), seed=0, recipe="t_fixup")
    values = wb.to_numpy(made, "0.mix.in_proj_weight")
    bounds = [np.abs(values[i : i + 32]).max() for i in (0, 32, 64)]
    xavier = math.sqrt(6 / 64)
    assert bounds == pytest.approx([xavier * 0.5**0.5] * 2 + [xavier * 0.67 * 2**-0.25], rel=0.01)


def test_what_t_fixup_refuses() -> None:
    with pytest.raises(PlanError, match=r"has a normalisation \(blocks\.0\.n1.*deepnorm, sub_ln"):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="t_fixup")
    with pytest.raises(PlanError, match="no residual layers with attention; use fixup"):
        wb.plan(nn.Linear(8, 8), "vector:8", seed=0, recipe="t_fixup")


def test_t_fixup_trains_a_deep_transformer_without_norms_and_warm_up() -> None:
    """The one thing it is for: 16 bare layers learn at Adam's full rate, where Xavier's law explodes at step 0."""
    inputs, targets = tokens()

    def losses(recipe: str, steps: int) -> list[float]:
        model, found = Translator(16, 0), []
        plan = wb.initialize(model, inputs, seed=2, recipe=recipe)
        optimizer = torch.optim.Adam(plan.param_groups(1e-3, model=model))
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
            found.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return found

    fixed, plain = losses("t_fixup", 15), losses("xavier", 1)
    assert abs(fixed[0] - math.log(WORDS)) < 1.5
    assert fixed[-1] < fixed[0] - 0.3
    assert not plain[0] < 10 * fixed[0]


def test_deepnorm_of_an_encoder_and_a_decoder() -> None:
    model = Translator(4, 3, layer=PostLayer)
    made = wb.plan(model, tokens()[0], seed=0, recipe="deepnorm")
    both = (4**4 * 3) ** (1 / 16)
    check_gains(made, 0.87 / both, 36**-0.25, 1.0)
    assert len(made.multipliers) == len(made.unmet) == 4 * 2 + 3 * 3
    for layers, alpha in ((model.encoder, 0.81 * both), (model.decoder, 9**0.25)):
        for layer in layers:
            layer.alpha = alpha
    assert wb.plan(model, tokens()[0], seed=0, recipe="deepnorm").unmet == ()


def test_sub_ln_of_an_encoder_and_a_decoder() -> None:
    alone = wb.plan(Translator(4, 0, norms=True), tokens()[0], seed=0, recipe="sub_ln")
    gain = math.sqrt(math.log(8))
    assert stds(alone, "encoder.3.own", "q", "k", "v", "o") == pytest.approx(
        [SQUARE, SQUARE, gain * SQUARE, gain * SQUARE], rel=1e-6
    )
    both = wb.plan(Translator(4, 3, norms=True), tokens()[0], seed=0, recipe="sub_ln")
    enc, dec = math.sqrt(math.log(9) * math.log(8) / 3), math.sqrt(math.log(9))
    assert stds(both, "encoder.0", "up", "down") == pytest.approx([enc * FED, enc * FED], rel=1e-6)
    assert stds(both, "decoder.2", "up", "down") == pytest.approx([dec * FED, dec * FED], rel=1e-6)
    assert stds(both, "decoder.1.cross", "q", "k", "v", "o") == pytest.approx(
        [SQUARE, SQUARE, dec * SQUARE, dec * SQUARE], rel=1e-6
    )
    with pytest.raises(PlanError, match=r"ends with blocks\.0\.out\.weight has 1 normalisation, and Sub-LN has two"):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="sub_ln")


def test_sub_ln_bounds_what_one_step_does() -> None:
    """The one thing it is for: a step moves 24 layers as far as 8, where it moves them further with Xavier's law."""
    inputs, targets = tokens()

    def moved(layers: int, recipe: str) -> float:
        model = Translator(layers, 0, norms=True)
        plan = wb.initialize(model, inputs, seed=2, recipe=recipe)
        optimizer = torch.optim.SGD(plan.param_groups(1e-3, model=model))
        before = model(inputs)
        nn.functional.cross_entropy(before.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        with torch.no_grad():
            after = model(inputs)
        return ((after - before).square().mean() / before.square().mean()).sqrt().item()

    recipe = "sub_ln(base='xavier_normal')"
    assert moved(24, recipe) < 1.2 * moved(8, recipe)
    assert moved(24, "xavier_normal") > 1.3 * moved(8, "xavier_normal")
