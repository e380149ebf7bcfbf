"""gpt2@1, llama@1, bert@1, vit@1 against the published numbers and against transformers' own draws."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.graph.trace import trace
from wellbegun.recipes.presets.residual import find_branches
from wellbegun.recipes.streams import residual_writers

TOKENS = {"input_ids": torch.zeros(1, 8, dtype=torch.int64)}


def gpt2(layers: int = 3) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=96, n_embd=64, n_layer=layers, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2)
    )


def llama() -> LlamaForCausalLM:
    sizes = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2))


def bert() -> BertModel:
    sizes = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    return BertModel(BertConfig(**sizes, num_attention_heads=2, max_position_embeddings=64))


def test_gpt2_scales_what_writes_by_the_number_of_writes() -> None:
    made = wb.plan(gpt2(12), TOKENS, seed=0, recipe="gpt2@1")
    for i in range(12):
        for name in ("attn.c_proj", "mlp.c_proj"):
            assert made[f"transformer.h.{i}.{name}.weight"].law == wb.Normal(0.02 / math.sqrt(24))
        for name in ("attn.c_attn", "mlp.c_fc"):
            assert made[f"transformer.h.{i}.{name}.weight"].law == wb.Normal(0.02)
    assert made["lm_head.weight"].law == made["transformer.wpe.weight"].law == wb.Normal(0.02)
    assert "one of 24 writes" in made["transformer.h.3.attn.c_proj.weight"].reason
    assert len(str(made).splitlines()) < 30


def test_gpt2_has_the_statistics_of_transformers_own_start() -> None:
    made, model = wb.plan(gpt2(), TOKENS, seed=0, recipe="gpt2"), gpt2()
    for entry in made:
        if entry.kind == "parameter" and entry.size > 4000:
            assert float(model.get_parameter(entry.name).detach().std()) == pytest.approx(entry.std, rel=0.06), (
                entry.name
            )


def test_llama_has_the_statistics_of_transformers_own_start() -> None:
    made, model = wb.plan(llama(), TOKENS, seed=0, recipe="llama"), llama()
    for entry in made:
        if entry.kind == "parameter" and entry.size > 4000:
            assert float(model.get_parameter(entry.name).detach().std()) == pytest.approx(entry.std, rel=0.06), (
                entry.name
            )
    assert made["model.norm.weight"].law == wb.Constant(1.0)
    smaller = wb.plan(llama(), TOKENS, seed=0, recipe="llama(std=0.006)")
    assert smaller["lm_head.weight"].law == wb.Normal(0.006)
    assert smaller.recipe == "llama@1(std=0.006)"


def test_bert_is_cut_at_two_sigma_and_post_norm_is_not_scaled() -> None:
    graph = trace(bert(), TOKENS)
    assert set(residual_writers(graph).values()) == {1}
    made = wb.plan(bert(), TOKENS, seed=0, recipe="bert", rules={"pooler.*": "zeros"})
    law = made["encoder.layer.0.attention.self.query.weight"].law
    assert law.bounds() == pytest.approx((-0.04, 0.04))
    assert law.moments(())[1] == pytest.approx(0.02 * 0.879625661, rel=1e-6)


def test_vit_layers() -> None:
    config = ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32)
    model = ViTForImageClassification(config)
    rules = {"*position_embeddings": wb.Normal(0.02), "*cls_token": wb.Normal(0.02)}
    made = wb.plan(model, {"pixel_values": torch.zeros(1, 3, 32, 32)}, seed=0, recipe="vit", rules=rules)
    patch = next(entry for entry in made if entry.role == "convolution weight")
    assert patch.law.bounds() == pytest.approx((-2.0, 2.0))
    assert patch.std == pytest.approx(0.02)


class Block(nn.Module):
    def __init__(self, parallel: bool = False) -> None:
        super().__init__()
        self.norm, self.a, self.b, self.c = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.parallel = parallel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        branch = torch.relu(self.a(y))
        return x + self.b(branch) + self.c(branch) if not self.parallel else x + (self.b(branch) + self.c(branch))


@pytest.mark.parametrize("parallel", [False, True])
def test_layers_that_are_summed_first_count_each(parallel: bool) -> None:
    graph = trace(nn.Sequential(Block(parallel), Block(parallel)), "vector:8")
    assert residual_writers(graph) == {"0.b.weight": 4, "0.c.weight": 4, "1.b.weight": 4, "1.c.weight": 4}


def test_sums_that_are_no_residual_ones() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
            self.table, self.position = nn.Embedding(5, 8), nn.Embedding(5, 8)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            x = self.table(tokens) + self.position(tokens)
            return self.a(x) + self.b(x)

    assert find_branches(trace(Sums(), "tokens:3")) == []


@pytest.mark.parametrize("recipe", ["gpt2(std=0)", "llama(std=-1)", "bert(std='x')", "vit(std=True)"])
def test_bad_scales(recipe: str) -> None:
    with pytest.raises(ArgumentError, match="std must be a number above 0"):
        wb.plan(nn.Linear(2, 2), seed=0, recipe=recipe)
