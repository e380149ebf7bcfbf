"""Dummy weights: finite through any model, and packed numbers are never random."""

import copy

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM

import wellbegun as wb


class Quantised(nn.Module):
    """Four-bit codes, packed two in a byte, with scales and zero points; and a float8 layer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("qweight", torch.randint(0, 256, (32, 16), dtype=torch.uint8))
        self.scales = nn.Parameter(torch.full((32, 2), float("nan")))
        self.register_buffer("qzeros", torch.zeros(32, 2, dtype=torch.int32))
        self.narrow = nn.Parameter(torch.empty(16, 32).to(torch.float8_e4m3fn), requires_grad=False)
        self.weight_scale = nn.Parameter(torch.tensor(float("nan")))
        self.norm = nn.RMSNorm(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        codes = torch.stack((self.qweight & 15, self.qweight >> 4), -1).flatten(1).float() - 8
        groups = (codes.unflatten(1, (2, 16)) - self.qzeros[..., None]) * self.scales[..., None]
        x = x @ groups.flatten(1).T
        return self.norm(x @ (self.narrow.float() * self.weight_scale).T)


def test_packed_numbers_stay_and_their_scales_are_neutral() -> None:
    model = Quantised()
    codes = model.qweight.clone()
    done = wb.dummy(model)
    assert torch.equal(model.qweight, codes)
    assert done.kept == 2
    assert (model.scales == 1).all()
    assert model.weight_scale == 1
    narrow = model.narrow.float()
    assert 0.1 < narrow.abs().max() <= 1 / 32**0.5
    assert model(torch.randn(4, 32)).isfinite().all()
    again = copy.deepcopy(model)
    wb.dummy(again)
    assert torch.equal(again.narrow.float(), narrow)


LLAMA = LlamaConfig(
    vocab_size=64,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=24,
    num_attention_heads=4,
    num_key_value_heads=2,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (GPT2LMHeadModel, GPT2Config(vocab_size=64, n_embd=64, n_layer=24, n_head=4)),
        (LlamaForCausalLM, LLAMA),
        (MambaForCausalLM, MambaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=12, state_size=8)),
    ],
    ids=["gpt2", "llama", "mamba"],
)
def test_outputs_are_finite(kind: type, config: object, dtype: torch.dtype) -> None:
    with torch.device("meta"):
        skeleton = kind(config).to(dtype)
    wb.dummy(skeleton)
    model = kind(config).to(dtype)
    for tensor in model.parameters():
        tensor.data.fill_(float("nan"))
    wb.dummy(model)
    tokens = torch.arange(12)[None] % 64
    with torch.no_grad():
        assert model(tokens).logits.isfinite().all()
        assert skeleton(tokens).logits.isfinite().all()
    for name, tensor in skeleton.named_parameters():
        assert torch.equal(tensor, model.get_parameter(name)), name


def test_the_orthogonal_parametrisation_gets_the_one_law_that_it_can_hold() -> None:
    model = nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(8, 8)), nn.Linear(8, 4))
    assert wb.dummy(model).written == 4
    assert model(torch.ones(2, 8)).isfinite().all()
    assert torch.allclose(model[0].weight @ model[0].weight.T, torch.eye(8), atol=1e-5)
