"""Normalised, residual, frozen and zero-initialised networks: sound ones raise no alarm, broken ones do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb


def cnn(classes: int = 10) -> nn.Sequential:
    """Three blocks of convolution, batch normalisation and ReLU."""
    blocks: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 32)):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))


class Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.short = nn.Identity()
        if before != after:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        h += self.short(x)
        return self.relu(h)


class ResNet(nn.Module):
    """Six residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        sizes = ((16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))
        self.blocks = nn.Sequential(*(Residual(*size) for size in sizes))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, width = x.shape
        q, k, v = (
            part.view(batch, time, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, blocks: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(12, width)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.embed(x))).mean(1))


def mlp(activation: type[nn.Module], depth: int, width: int = 256) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


IMAGES = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(5))
SERIES = torch.randn(64, 6, 12, generator=torch.Generator().manual_seed(6))
ROWS = torch.randn(64, 256, generator=torch.Generator().manual_seed(7))
LABELS = torch.randint(10, (64,), generator=torch.Generator().manual_seed(8))


def alarms(found: wb.diagnosis.Diagnosis) -> set[tuple[str, str]]:
    return {(finding.kind, finding.level) for finding in found.findings if finding.level != "note"}


def notes(found: wb.diagnosis.Diagnosis) -> list[str]:
    return [finding.kind for finding in found.findings if finding.level == "note"]


def zero(tensors: Iterable[torch.Tensor]) -> None:
    with torch.no_grad():
        for tensor in tensors:
            tensor.zero_()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("auto", [True, False])
@pytest.mark.parametrize("make", [cnn, ResNet])
def test_sound_networks_with_batch_normalisation_raise_no_alarm(make: Callable[[], nn.Module], auto, training) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        model = make()
        if auto:
            wb.initialize(model, IMAGES, seed=seed, overwrite=True)
        found = wb.diagnose(model.train(training), (IMAGES, LABELS))
        assert all(layer.normalised for layer in found.layers if layer.activation)
        assert sum(bool(layer.activation) for layer in found.layers) >= 3
        # a fresh batch normalisation is the identity in eval mode, so each maximum pool doubles the second moment:
        # where the loss really starts too high, saying so is right
        too_high = found.loss > math.log(10) + 2
        assert alarms(found) == ({("overconfident", "warning")} if too_high else set()), found.findings
        assert not too_high or (make is cnn and auto and not training)


@pytest.mark.parametrize("blocks", [2, 6])
def test_sound_transformers_raise_no_alarm(blocks) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        model = Transformer(blocks)
        wb.initialize(model, SERIES, seed=seed, overwrite=True)
        found = wb.diagnose(model, (SERIES, LABELS))
        assert not found.findings
        assert [layer.activation for layer in found.layers] == ["", *["", "", "gelu", ""] * blocks, ""]


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_torchs_own_weights_raise_no_alarm_in_a_shallow_network(activation) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        assert not wb.diagnose(mlp(activation, 3), (ROWS, LABELS)).findings


@pytest.mark.parametrize("training", [True, False])
def test_equal_convolutions_are_symmetric_behind_a_normalisation(training) -> None:
    model = ResNet().train(training)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
    found = wb.diagnose(model, (IMAGES, LABELS))
    finding = next(f for f in found.findings if f.kind == "symmetric")
    assert (finding.level, finding.layer) == ("error", "stem.0.weight")
    assert "(15 of 15 hidden layers)" in finding.message


def test_a_symmetric_layer_without_an_activation_is_found() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(256, 8), nn.Linear(8, 8), nn.Linear(8, 10))
    assert not wb.diagnose(model, (ROWS, LABELS)).findings
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.zeros_(model[0].bias)
    assert ("symmetric", "error") in alarms(wb.diagnose(model, (ROWS, LABELS)))


def test_a_normalisation_that_scales_too_high_saturates() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
    )
    assert not wb.diagnose(model, (IMAGES, LABELS)).findings
    nn.init.constant_(model[1].weight, 50.0)
    finding = wb.diagnose(model, (IMAGES, LABELS)).findings[0]
    assert (finding.kind, finding.level, finding.layer) == ("saturated", "error", "0.weight")
    assert "normalisation" in finding.remedy


def test_the_scale_before_a_normalisation_means_nothing() -> None:
    torch.manual_seed(0)
    model = cnn()
    with torch.no_grad():
        model[8].weight.mul_(1e4)
    assert "exploding" not in {f.kind for f in wb.diagnose(model, (IMAGES, LABELS)).findings if "signal" in f.message}
    plain = nn.Sequential(*(module for module in model if not isinstance(module, nn.BatchNorm2d)))
    assert any(f.kind == "exploding" and "signal" in f.message for f in wb.diagnose(plain, IMAGES).findings)


@pytest.mark.parametrize("frozen", [1, 3, 4])
def test_frozen_layers_have_no_gradient_to_judge(frozen) -> None:
    torch.manual_seed(0)
    model = mlp(nn.Tanh, 3)
    for layer in [module for module in model if isinstance(module, nn.Linear)][:frozen]:
        layer.requires_grad_(False)
    found = wb.diagnose(model, (ROWS, LABELS))
    assert [math.isnan(layer.gradient) for layer in found.layers] == [at < frozen for at in range(4)]
    assert [math.isnan(layer.weight_gradient) for layer in found.layers] == [at < frozen for at in range(4)]
    assert not found.findings
    assert "nan" not in str(found)


def test_a_frozen_layer_behind_trained_ones_is_judged() -> None:
    torch.manual_seed(0)
    model = mlp(nn.Tanh, 3)
    model[4].requires_grad_(False)
    assert all(layer.gradient > 0 for layer in wb.diagnose(model, (ROWS, LABELS)).layers)


def test_a_zero_last_normalisation_of_each_branch_is_legal() -> None:
    torch.manual_seed(0)
    model = ResNet()
    zero(block.bn2.weight for block in model.blocks)
    found = wb.diagnose(model, (IMAGES, LABELS))
    assert not alarms(found)
    (note,) = found.findings
    assert (note.kind, note.level, note.layer) == ("no gradient", "note", "blocks.0.conv1.weight")
    assert "begin to learn after the first step" in note.message
    assert "blocks.0.bn2.weight" in note.message


class Branches(nn.Module):
    def __init__(self, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.stem, self.head = nn.Linear(256, 32), nn.Linear(32, 10)
        self.one = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
        self.two = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
        zero(p for layer in self.two for p in layer.parameters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.stem(x))
        for one, two in zip(self.one, self.two, strict=True):
            x = self.activation(x + two(self.activation(one(x))))
        return self.head(x)


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh])
@pytest.mark.parametrize("zero_head", [False, True])
def test_a_zero_last_weight_of_each_branch_is_legal(activation, zero_head) -> None:
    torch.manual_seed(0)
    model = Branches(activation)
    if zero_head:
        zero([model.head.weight, model.head.bias])
    found = wb.diagnose(model, (ROWS, LABELS))
    assert not alarms(found)
    assert notes(found) == ["no gradient"]


def test_a_branch_that_is_zero_twice_never_learns() -> None:
    torch.manual_seed(0)
    model = Branches(torch.relu)
    zero(p for layer in model.one for p in layer.parameters())
    assert ("no gradient", "error") in alarms(wb.diagnose(model, (ROWS, LABELS)))


def test_a_frozen_zero_is_no_excuse() -> None:
    torch.manual_seed(0)
    model = Branches(torch.relu)
    model.two.requires_grad_(False)
    assert ("no gradient", "error") in alarms(wb.diagnose(model, (ROWS, LABELS)))


class LowRank(nn.Module):
    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(4, base.in_features) / 16)
        self.b = nn.Parameter(torch.zeros(base.out_features, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + 2.0 * F.linear(F.linear(x, self.a), self.b)


def test_low_rank_adapters_start_at_zero_legally() -> None:
    torch.manual_seed(0)
    model = mlp(nn.ReLU, 3)
    for at in (0, 2, 4):
        model[at] = LowRank(model[at])
    found = wb.diagnose(model, (ROWS, LABELS))
    assert not alarms(found)
    assert notes(found) == ["no gradient"]
    assert "0.b is zero" in found.findings[0].message


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_zero_head_is_legal(activation) -> None:
    torch.manual_seed(0)
    model = mlp(activation, 3)
    zero(model[-1].parameters())
    found = wb.diagnose(model, (ROWS, LABELS))
    assert not alarms(found)
    assert found.findings[0].message.startswith("3 of 4 weights get no gradient yet, 0.weight first, because 6.weight")


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
def test_zeros_everywhere_are_not(activation) -> None:
    model = mlp(activation, 3)
    zero(model.parameters())
    found = alarms(wb.diagnose(model, (ROWS, LABELS)))
    assert found >= {("symmetric", "error"), ("no gradient", "error")}


def test_zero_units_in_front_of_equal_ones_stay_copies() -> None:
    torch.manual_seed(0)
    model = mlp(nn.Tanh, 2)
    zero(model[2].parameters())
    nn.init.constant_(model[4].weight, 0.1)
    assert ("symmetric", "error") in alarms(wb.diagnose(model, (ROWS, LABELS)))


def test_a_codebook_that_nobody_filled_is_not_blamed_on_the_weight_behind_it() -> None:
    """As transformers builds EnCodec: codebooks are buffers of zeros, and the decoder's first weight learns nothing."""

    class Coded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codebook", torch.zeros(16, 8))
            self.first, self.second = nn.Linear(8, 32), nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            codes = torch.cdist(x, self.codebook).argmin(-1)
            return self.second(torch.tanh(self.first(nn.functional.embedding(codes, self.codebook))))

    torch.manual_seed(0)
    model, batch = Coded(), (torch.randn(16, 8), torch.arange(16) % 4)
    (found,) = [finding for finding in wb.diagnose(model, batch).findings if finding.kind == "no gradient"]
    assert found.layer == "first.weight"
    assert "all that flows into it is zero, and no weight before it is the reason" in found.message
    assert found.weights == ()
    with torch.no_grad():
        model.codebook.normal_()
    assert not [finding for finding in wb.diagnose(model, batch).findings if finding.kind == "no gradient"]


def test_a_narrow_encoder_behind_a_cross_attention_of_small_weights_gets_little_gradient() -> None:
    """N(0, 0.02) at 64 units: a factor 1/39 at each of the two weights on the way, and the places share the rest."""

    def build() -> nn.Module:
        return Translator()

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source, self.target = nn.Embedding(50, 64), nn.Embedding(50, 64)
            layer = {"dim_feedforward": 256, "dropout": 0.0, "batch_first": True}
            self.encoder = nn.ModuleList(nn.TransformerEncoderLayer(64, 2, **layer) for _ in range(2))
            self.decoder = nn.ModuleList(nn.TransformerDecoderLayer(64, 2, **layer) for _ in range(2))
            self.head = nn.Linear(64, 50)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            memory, y = self.source(x), self.target(x)
            for layer in self.encoder:
                memory = layer(memory)
            for layer in self.decoder:
                y = layer(y, memory)
            return self.head(y)

    torch.manual_seed(0)
    model, text = Translator(), torch.randint(50, (16, 24))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.02)
    found = wb.diagnose(model, (text, text))
    (vanishing,) = [finding for finding in found.findings if finding.kind == "vanishing"]
    assert "multihead_attn" in vanishing.layer
    gradients = {layer.name: layer.gradient for layer in found.layers}
    assert gradients["encoder.1.linear1.weight"] < 1e-3 * gradients["decoder.0.linear1.weight"]

    wb.apply(wb.plan(build, text, seed=0), model, overwrite=True)
    assert not [finding for finding in wb.diagnose(model, (text, text)).findings if finding.kind == "vanishing"]
