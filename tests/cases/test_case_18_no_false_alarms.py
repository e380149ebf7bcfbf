"""Case 18, as far as it belongs to planning: diagnose finds no fault in the networks that the planner starts."""

import pytest
import torch
import transformers
from torch import nn

import wellbegun as wb

SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}


def tokens() -> dict[str, torch.Tensor]:
    return {"input_ids": torch.randint(1, 128, (4, 16), generator=torch.Generator().manual_seed(0))}


def pixels() -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))}


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 64, num_layers=2, batch_first=True), nn.Linear(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Logits(nn.Module):
    """A model of transformers by its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        made = self.model(**inputs).logits
        return made.flatten(0, 1) if made.ndim == 3 else made


NETWORKS = {
    "gpt2": (
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=128, n_embd=64, n_layer=6, n_head=4, n_positions=32, bos_token_id=0,
                                    eos_token_id=0)
        ),
        tokens, 64,
    ),
    "llama": (
        lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(vocab_size=128, num_hidden_layers=6, num_key_value_heads=2, **SMALL)
        ),
        tokens, 64,
    ),
    "vit": (
        lambda: transformers.ViTForImageClassification(
            transformers.ViTConfig(num_hidden_layers=6, image_size=32, patch_size=8, num_labels=10, **SMALL)
        ),
        pixels, 4,
    ),
    "resnet": (
        lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(embedding_size=32, hidden_sizes=[32, 64, 96, 128], depths=[2, 2, 2, 2],
                                      layer_type="basic", num_labels=10)
        ),
        pixels, 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_models_of_transformers(name: str) -> None:
    make, inputs, rows = NETWORKS[name]
    model = make()
    wb.apply(wb.plan(make, inputs(), seed=0), model)
    labels = torch.arange(rows) % 10
    found = wb.diagnose(Logits(model.eval()), (inputs(), labels))
    assert not [f for f in found.findings if f.level != "note"], found.findings


def test_a_recurrent_network() -> None:
    model, x = Tagger(), torch.randn(32, 12, 16, generator=torch.Generator().manual_seed(0))
    wb.initialize(model, x, seed=0)
    found = wb.diagnose(model, (x, torch.arange(32) % 8))
    assert not [f for f in found.findings if f.level == "error"], found.findings
    assert not [f for f in found.findings if f.kind == "copies"], found.findings


def test_weights_that_are_equal_on_purpose_are_no_copies() -> None:
    """Identities, tables of decay rates whose rows repeat, and frozen tables are the same in each layer by design."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Linear(16, 16)
            nn.init.eye_(self.mix.weight)
            self.rates = nn.Parameter(torch.arange(1.0, 17).log().expand(4, 16).clone())
            self.table = nn.Parameter(torch.linspace(0, 1, 64).reshape(4, 16), requires_grad=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(x) * self.rates.exp().mean(0) + self.table.mean(0)

    model = nn.Sequential(Layer(), Layer(), nn.Linear(16, 2))
    found = wb.diagnose(model, (torch.randn(8, 16), torch.arange(8) % 2))
    assert not [f for f in found.findings if f.kind == "copies"], found.findings


def test_single_weights_that_are_equal_are_named() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
    with torch.no_grad():
        model[2].weight.copy_(model[0].weight)
    found = [f for f in wb.diagnose(model, (torch.randn(8, 16), torch.arange(8) % 2)).findings if f.kind == "copies"]
    assert [f.layer for f in found] == ["0"]
    assert "2 identical layers (0 and 2): the same numbers in weight" in found[0].message
