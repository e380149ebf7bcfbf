"""Rules on real models: normalisation, statistics, computed buffers, padding rows, types, ties."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import wellbegun as wb
from wellbegun.errors import PlanError
from wellbegun.plans import Candidate

EVERYBODY = {"*": wb.Normal(std=0.02), "*.bias": wb.Zeros()}


def test_batch_norm_keeps_its_scale_and_statistics() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    model(torch.zeros(1, 3, 8, 8))
    made = wb.plan(model, "image:3x8x8", seed=0, rules=EVERYBODY)
    assert made["0.weight"].law == made["4.weight"].law == wb.Normal(0.02)
    assert made["1.weight"].law == made["1.running_var"].law == wb.Constant(1.0)
    assert made["1.num_batches_tracked"].law == wb.Constant(0.0)
    assert "your rule '*' is not about normalisation (say 'norm:...'" in made["1.weight"].reason
    assert "your rule" not in made["1.bias"].reason
    assert "your rule" not in made["1.running_var"].reason
    zeroed = wb.plan(model, "image:3x8x8", seed=0, rules={"norm:*.weight": wb.Zeros()})
    assert zeroed["1.weight"].law == wb.Constant(0.0)
    assert zeroed["0.weight"].law != wb.Constant(0.0)


def test_a_norm_that_the_forward_does_not_call_is_known_by_its_type() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].norm = nn.LayerNorm(4)
    made = wb.plan(model, "vector:4", seed=0, rules=EVERYBODY)
    assert made["0.norm.weight"].law == wb.Constant(1.0)


def test_rotary_frequencies_are_kept_and_can_be_named() -> None:
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2))
    made = wb.plan(model, {"input_ids": torch.zeros(1, 4, dtype=torch.int64)}, seed=0, rules=EVERYBODY_NO_BIAS)
    buffers = [entry for entry in made if entry.kind == "buffer"]
    assert any("inv_freq" in entry.name for entry in buffers)
    assert all(isinstance(entry.law, (wb.Keep, wb.Stored, wb.Constant)) for entry in buffers)
    assert made["model.layers.1.input_layernorm.weight"].law == wb.Constant(1.0)
    assert made["model.layers.1.mlp.up_proj.weight"].law == wb.Normal(0.02)


EVERYBODY_NO_BIAS = {"*": wb.Normal(std=0.02)}


def test_padding_rows_stay_zero_under_a_rule() -> None:
    model = nn.Sequential(nn.Embedding(6, 4, padding_idx=2), nn.Flatten(), nn.Linear(12, 3))
    tokens = torch.zeros(2, 3, dtype=torch.int64)
    made = wb.plan(model, tokens, seed=0, rules={"*": wb.Normal(1.0)})
    assert made["0.weight"].zero_row == 2
    assert not wb.to_numpy(made, "0.weight")[2].any()
    model[0].padding_idx = None
    assert wb.to_numpy(wb.plan(model, tokens, seed=0, rules={"*": wb.Normal(1.0)}), "0.weight")[2].all()


def test_classes_and_functions_as_patterns() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))

    def wide(tensor: Candidate) -> bool:
        return tensor.fans is not None and tensor.fans.fan_in > 4

    made = wb.plan(model, "vector:8", seed=0, rules={nn.Linear: wb.Constant(0.5), wide: "ones"})
    assert made["1.1.weight"].law == made["1.1.bias"].law == wb.Constant(0.5)
    assert made["0.weight"].law == made["0.bias"].law == wb.Constant(1.0)
    assert made["0.weight"].reason == "your rule 'function wide'"


def test_the_two_types_of_a_tied_tensor_must_agree() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10)
            self.head.weight = self.table.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(tokens))

    rules = {nn.Embedding: wb.Normal(1.0), nn.Linear: wb.Normal(0.02)}
    with pytest.raises(PlanError, match=r"table\.weight and head\.weight are one tensor"):
        wb.plan(Tied(), "tokens:3", seed=0, rules=rules)
    made = wb.plan(Tied(), "tokens:3", seed=0, rules={"*": wb.Ones(), "table.*": wb.Normal(0.1)})
    assert made["head.weight"].law == wb.Normal(0.1)


def test_plans_do_not_depend_on_how_a_rule_is_written() -> None:
    model = nn.Linear(4, 4)
    hashes = {
        wb.plan(model, seed=0, rules=rules).hash
        for rules in ({"weight": wb.Ones()}, {"type:Linear.weight": "ones"}, {lambda t: len(t.shape) == 2: wb.Ones()})
    }
    assert len(hashes) == 1
