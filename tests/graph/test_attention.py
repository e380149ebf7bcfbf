"""Attention of torch.nn, packed or not, decomposed or whole."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.graph.recorder import Recorder
from wellbegun.graph.trace import trace
from wellbegun.laws import Fans


def attention_inputs(key: int = 8, value: int = 8) -> tuple[torch.Tensor, ...]:
    return torch.zeros(3, 2, 8), torch.zeros(3, 2, key), torch.zeros(3, 2, value)


def test_self_attention_is_cut_into_three() -> None:
    layer = nn.MultiheadAttention(8, 2)
    x = torch.zeros(3, 2, 8)

    class Self(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x, x, x, need_weights=False)[0]

    for model, inputs in ((Self(), x), (layer, (x, x, x))):
        prefix = "layer." if model is not layer else ""
        uses = trace(model, inputs).uses
        assert [use.fans for use in uses[f"{prefix}in_proj_weight"]] == [Fans(8, 8)] * 3
        assert [use.region[0] for use in uses[f"{prefix}in_proj_weight"]] == [(0, 8), (8, 16), (16, 24)]
        assert [use.region for use in uses[f"{prefix}in_proj_bias"]] == [((0, 8),), ((8, 16),), ((16, 24),)]
        assert {use.role for use in uses[f"{prefix}in_proj_bias"]} == {"bias"}


def test_keys_and_values_of_other_widths() -> None:
    uses = trace(nn.MultiheadAttention(8, 2, kdim=6, vdim=5, add_bias_kv=True), attention_inputs(6, 5)).uses
    assert [uses[f"{name}_proj_weight"][0].fans.fan_in for name in "qkv"] == [8, 6, 5]
    assert uses["bias_k"][0].role == uses["bias_v"][0].role == "token"


@pytest.mark.parametrize("training", [True, False])
def test_encoder_layers(training: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(training)
    graph = trace(model, torch.zeros(2, 3, 8))
    for number in range(2):
        uses = graph.uses[f"layers.{number}.self_attn.in_proj_weight"]
        assert [use.region for use in uses] == [((start, start + 8), (0, 8)) for start in (0, 8, 16)]
        assert graph.uses[f"layers.{number}.linear2.weight"][0].fans == Fans(16, 8)
    assert not graph.unused


def test_a_whole_transformer_is_accounted_for() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    graph = trace(model, (torch.zeros(2, 3, 8), torch.zeros(2, 4, 8)))
    assert set(graph.uses) == {variable.name for variable in graph.variables}
    cross = graph.uses["decoder.layers.0.multihead_attn.in_proj_weight"]
    assert [use.region[0] for use in cross] == [(0, 8), (8, 16), (16, 24)]


def test_each_matrix_of_a_packed_projection_has_the_bound_of_its_own() -> None:
    made = wb.plan(nn.MultiheadAttention(8, 2), attention_inputs(), seed=0, recipe="xavier")
    assert made["in_proj_weight"].law.high == pytest.approx((6 / 16) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_scaled_dot_product_attention_on_meta_is_a_product_a_softmax_and_a_product(causal: bool) -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x, is_causal=causal)

    kinds = [operation.kind for operation in trace(Attention(), torch.zeros(2, 2, 3, 4)).operations]
    assert [kind for kind in kinds if kind in ("matmul", "softmax")] == ["matmul", "softmax", "matmul"]


def test_attention_that_arrives_whole_has_queries_keys_and_values_for_inputs() -> None:
    recorder = Recorder()
    q, k, v = (torch.randn(2, 2, 3, 4) for _ in range(3))
    for tensor in (q, k, v):
        recorder.know_input(tensor, None)
    with torch.no_grad(), recorder:
        F.scaled_dot_product_attention(q, k, v, is_causal=True)
    (operation,) = recorder.operations[3:]
    assert (operation.kind, operation.inputs) == ("attention", (0, 1, 2))
    assert True in dict(operation.scalars).values()
