"""deepscale_lm@1: its laws by depth against the recursion, its multipliers, and a stream that keeps its size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError

from .parametrised import Gpt, PostGpt, tokens
from .test_t_fixup import WIDTH, Layer, Translator, stds


class Mixed(Layer):
    """Pre-norm, with lambda and beta in the forward pass."""

    shortcut = branch = 1.0

    def __init__(self, crosses: bool, norms: bool) -> None:
        super().__init__(crosses, False)
        self.n = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, x, encoded=None):
        y = self.n[0](x)
        x = self.shortcut * x + self.branch * self.own(y, y)
        return self.shortcut * x + self.branch * self.down(torch.relu(self.up(self.n[1](x))))


def network(layers: int) -> Translator:
    model = Translator(layers, 0, layer=Mixed)
    for layer in model.encoder:
        layer.shortcut, layer.branch = math.sqrt(1 - 2 / layers), math.sqrt(2 / layers)
    return model


def recursion(layers: int, dropout: float, similar: float) -> list[float]:
    """std·sqrt(d) of values and outputs by layer, as the published code computes it."""
    beta, r, found = 2 / layers, similar * (1 - dropout), []
    for _ in range(layers):
        found.append(math.sqrt(math.sqrt((1 - dropout) / r)))
        r = (1 - beta) * r + beta * (1 - dropout)
        behind = (1 - dropout) * (r + (math.sqrt(1 - r**2) - r * math.acos(r)) / math.pi)
        r = (1 - beta) * r + beta * behind
    return found


@pytest.mark.parametrize(("dropout", "similar"), [(0.0, 0.221), (0.1, 0.4)])
def test_laws_by_depth(dropout: float, similar: float) -> None:
    layers = 6
    recipe = f"deepscale_lm(dropout={dropout}, token_similarity={similar})"
    made = wb.plan(network(layers), tokens()[0], seed=0, recipe=recipe)
    plain, fed = WIDTH**-0.5, math.sqrt(math.sqrt((1 - dropout) / 2 * 4 / 2) / WIDTH)  # h is 2d here, not 4d
    for layer, factor in enumerate(recursion(layers, dropout, similar)):
        found = stds(made, f"encoder.{layer}.own", "q", "k", "v", "o")
        assert found == pytest.approx([plain, plain, factor * plain, factor * plain], rel=1e-6)
        assert stds(made, f"encoder.{layer}", "up", "down") == pytest.approx([fed, fed], rel=1e-6)
    assert made["words.weight"].std == pytest.approx(math.sqrt((1 - dropout) / 3), rel=1e-6)
    assert made.unmet == ()
    assert {m.place for m in made.multipliers} == {"shortcut", "residual branch"}


def test_multipliers_and_refusals() -> None:
    made = wb.plan(PostGpt(32, 8), tokens()[0], seed=0, recipe="deepscale_lm")
    assert len(made.unmet) == 32
    assert {round(m.value, 6) for m in made.unmet} == {0.5, round(math.sqrt(0.75), 6)}
    with pytest.raises(PlanError, match=r"four layers of two branches or more \(8\), this model has 4 branches"):
        wb.plan(Gpt(64, 2), tokens()[0], seed=0, recipe="deepscale_lm")
    with pytest.raises(PlanError, match="a decoder that attends to an encoder"):
        wb.plan(Translator(4, 4, norms=True), tokens()[0], seed=0, recipe="deepscale_lm")
    with pytest.raises(ArgumentError, match="dropout must be a number from 0 to 1"):
        wb.plan(Gpt(), tokens()[0], seed=0, recipe="deepscale_lm(dropout=1.0)")


def test_the_stream_keeps_its_size_through_many_layers() -> None:
    """The one thing it is for: forward and backward, where the same numbers without lambda and beta grow."""

    def sizes(model: Translator) -> tuple[float, float]:
        wb.initialize(model, tokens()[0], seed=3, recipe="deepscale_lm")
        x = torch.randn(8, 16, WIDTH, generator=torch.Generator().manual_seed(0))
        shared = torch.randn(8, 1, WIDTH, generator=torch.Generator().manual_seed(1))
        start = (math.sqrt(0.221) * shared + math.sqrt(1 - 0.221) * x).requires_grad_()
        end = start
        for layer in model.encoder:
            end = layer(end)
        noise = torch.randn(end.shape, generator=torch.Generator().manual_seed(2))
        (end * noise).sum().backward()
        gradient = start.grad
        assert gradient is not None
        return end.detach().square().mean().item(), (gradient.square().mean() / noise.square().mean()).item()

    forward, backward = sizes(network(24))
    assert 0.6 < forward < 1.5
    assert 0.3 < backward < 3
    bare = Translator(24, 0, layer=Mixed)
    with pytest.warns(wb.errors.UnmetMultiplierWarning):
        assert sizes(bare)[0] > 10
