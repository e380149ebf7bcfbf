"""What eight kinds of networks' own initialisation is told apart by, with the numbers of the sentences."""

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

import wellbegun as wb
from wellbegun.plans import Finding, PlanDiff
from wellbegun.plans.table import plain_text

WIDTH, LAYERS = 64, 3


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Convolutional(nn.Sequential):
    def __init__(self) -> None:
        stem = (nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        super().__init__(*stem, Block(16), Block(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.lstm = nn.Embedding(50, 32), nn.LSTM(32, WIDTH, 2, batch_first=True)
        self.head = nn.Linear(WIDTH, 50)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.table(tokens))[0])


def chain() -> nn.Sequential:
    layers = [layer for _ in range(20) for layer in (nn.Linear(WIDTH, WIDTH), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def gpt2() -> nn.Module:
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=99, n_embd=WIDTH, n_layer=LAYERS, n_head=2, n_positions=32, **ends))


def llama() -> nn.Module:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 128, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=99, **sizes))


def bert() -> nn.Module:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 256, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    return BertForMaskedLM(BertConfig(vocab_size=99, **sizes))


def vit() -> nn.Module:
    sizes = {"hidden_size": WIDTH, "intermediate_size": 256, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    return ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, num_labels=10, **sizes))


def mamba() -> nn.Module:
    return MambaForCausalLM(MambaConfig(vocab_size=99, hidden_size=WIDTH, num_hidden_layers=LAYERS, state_size=8))


MODELS = {
    "gpt2": (gpt2, None), "llama": (llama, None), "bert": (bert, None), "vit": (vit, None), "mamba": (mamba, None),
    "convolutional": (Convolutional, "image:3x16x16"), "chain": (chain, f"vector:{WIDTH}"),
    "lstm": (Recurrent, "tokens:8"),
}  # fmt: skip
_MADE: dict[str, PlanDiff] = {}


def difference(name: str) -> PlanDiff:
    """The author's plan against auto's, each made once."""
    if name not in _MADE:
        factory, inputs = MODELS[name]
        author, auto = (wb.plan(factory, inputs, seed=0, recipe=recipe) for recipe in ("author", "auto"))
        _MADE[name] = author.diff(auto)
    return _MADE[name]


def finding(name: str, title: str) -> Finding:
    (found,) = [f for f in difference(name).findings if title in f.title]
    assert found.plan == "first"
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_row_stands_once_and_the_text_is_short(name: str) -> None:
    diff = difference(name)
    rows = [change.name for _, rows in diff.sections() for _, changes in rows for change in changes]
    assert sorted(rows) == sorted(change.name for change in diff)
    for width in (80, 150):
        lines = plain_text(diff, width).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) <= 45
    titles = [f.title for f in diff.findings]
    assert len(titles) == len(set(titles)) <= 4
    for found in diff.findings:
        assert found.names
        assert len(found.text) < 500
        assert "nan" not in found.text
        assert found.text in plain_text(diff, 2000)
        assert found.title in diff._repr_html_()


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "vit"])
def test_one_std_for_all_widths_is_named_with_the_width_that_it_suits(name: str) -> None:
    found = finding(name, "layers weaker than planned")
    assert found.level == "note"
    suits = float(found.text.split("suits layers of about ")[1].split(" inputs")[0].replace(",", ""))
    assert 2400 <= suits <= 3200  # 1/0.02² = 2,500, more behind an activation that passes on less than half
    assert "std 0.02 suits" in found.text


def test_a_llama_drowns_its_tokens() -> None:
    diff, found = difference("llama"), finding("llama", "drowns the tokens")
    auto, writes = diff.second, 2 * LAYERS
    table = auto["model.embed_tokens.weight"]
    assert f"at a second moment of {0.02**2:.3g}, and {writes} writes add up" in found.text
    planned = 1 / table.after  # all writes together add 1 to what the table has
    assert f"planned is {planned:.2g}x" in found.text
    outward = [auto[f"model.layers.0.{part}.weight"] for part in ("self_attn.o_proj", "mlp.down_proj")]
    added = sum(LAYERS * 0.02**2 * entry.fans.fan_in * entry.before for entry in outward)
    added *= 0.02**2 * WIDTH  # the layer in front of each is as weak
    assert f"{added / 0.02**2:.2g}x what was there" in found.text
    assert f"{writes:g}" in found.text.split("relative to the other layers each of ")[1]
    assert set(found.names) == {
        "model.embed_tokens.weight",
        f"model.layers.{{0..{LAYERS - 1}}}.self_attn.o_proj.weight",
        f"model.layers.{{0..{LAYERS - 1}}}.mlp.down_proj.weight",
    }


def test_a_gpt2_scales_its_writes() -> None:
    """0.02/sqrt(2L): no warning about depth."""
    assert not any("scaled" in f.text for f in difference("gpt2").findings)
    assert not any(f.level != "note" for f in difference("gpt2").findings)


def test_a_vit_does_not_scale_its_writes() -> None:
    found = finding("vit", "residual writes are not scaled with depth")
    assert found.level == "warning"
    assert f"each of {2 * LAYERS} writes is " in found.text
    assert float(found.text.split("writes is ")[1].split("x")[0]) > LAYERS


def test_the_tables_of_a_bert_differ_alike() -> None:
    """Normalised as soon as they are added, so their common size is no trouble."""
    found = finding("bert", "scale of the look-up tables")
    assert found.level == "note"
    assert "rows of second moment 0.0004" in found.text
    assert "each has the planned share of their sum" in found.text
    assert len(found.names) == 3
    assert not any("residual" in f.text or "logits" in f.title for f in difference("bert").findings)


def test_a_convolution_has_a_third_of_the_variance() -> None:
    found = finding("convolutional", "layers weaker than planned")
    assert "has a third of the variance 1/fan_in" in found.text
    assert "normalisation keeps it from multiplying" in found.text
    assert "behind each of 5 weights" in found.text


def test_twenty_layers_of_tanh_shrink_the_signal() -> None:
    found = finding("chain", "the signal shrinks from layer to layer")
    assert found.level == "error"
    entry = difference("chain").second["2.weight"]
    share = entry.before / 3 / entry.after  # a third of what comes in, over what is aimed at
    assert f"is {1 / share:.3g}x smaller than aimed at" in found.text
    assert "so 19 such factors multiply" in found.text


def test_the_gates_of_an_lstm() -> None:
    found = finding("lstm", "recurrent gates")
    assert "keep 50% of the memory a step, where 1 and 73% are planned" in found.text
    # U(±1/sqrt(64)): std 0.125/sqrt(3), over 32 and 64 inputs
    assert "their input at 0.408 to 0.577 times its size, planned is 1" in found.text
    assert "the last state at 0.577 times its size, planned is 1" in found.text
    assert len(found.names) == 8
    assert not any("signal" in f.title for f in difference("lstm").findings)


def test_the_way_back_finds_the_same() -> None:
    """The trouble belongs to the same plan, whichever is asked."""
    diff = difference("lstm")
    back = diff.second.diff(diff.first)
    assert [(f.title, f.text, f.plan) for f in back.findings] == [(f.title, f.text, "second") for f in diff.findings]


def test_a_mamba() -> None:
    found = finding("mamba", "layers weaker than planned")
    # in_proj, conv1d and x_proj of each layer; dt_proj is the author's in both plans, as the bias beside it is
    assert f"behind each of {3 * LAYERS} weights" in found.text
    assert not any(f.level == "error" for f in difference("mamba").findings)


def test_a_factor_in_the_forward_pass_makes_no_alarm() -> None:
    """T5 divides what its tied output layer reads by sqrt(width), so that a table of std 1 gives logits of size 1."""
    sizes = {"d_model": WIDTH, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 2}
    factory = lambda: T5ForConditionalGeneration(T5Config(vocab_size=99, **sizes))  # noqa: E731
    author, auto = (wb.plan(factory, seed=0, recipe=recipe) for recipe in ("author", "auto"))
    assert not any("logits" in f.title for f in author.diff(auto).findings)


def test_one_layer_has_two_writes() -> None:
    config = GPT2Config(
        vocab_size=99, n_embd=WIDTH, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0
    )
    author, auto = (wb.plan(lambda: GPT2LMHeadModel(config), seed=0, recipe=recipe) for recipe in ("author", "auto"))
    assert any("and 2 writes add up to" in f.text for f in author.diff(auto).findings)


def test_siblings_are_one_row() -> None:
    text = plain_text(difference("llama"), 150)
    assert f"model.layers.{{0..{LAYERS - 1}}}.self_attn.{{q_proj,k_proj,v_proj}}.weight" in text
