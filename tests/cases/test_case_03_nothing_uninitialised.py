"""Case 3: everything is planned or named in an error, and a model from meta equals one built in memory."""

from collections.abc import Iterator

import pytest
import torch
import transformers
from torch import nn

import wellbegun as wb
from wellbegun.errors import UnplannedError

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 16}
TOKENS = {"input_ids": torch.arange(12).reshape(2, 6)}


def language_model(name: str, **more: object) -> nn.Module:
    return getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**SMALL, **more))


class Attention(nn.Module):
    """nn.MultiheadAttention between batch normalisations, whose statistics are buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.BatchNorm1d(16), nn.BatchNorm1d(16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.before(x.transpose(1, 2)).transpose(1, 2)
        return self.after(self.attention(y, y, y)[0].transpose(1, 2))


MODELS = {
    "Llama": (lambda: language_model("Llama", **HEADS), TOKENS),
    "Llama, tied": (lambda: language_model("Llama", tie_word_embeddings=True, **HEADS), TOKENS),
    "Qwen-MoE": (lambda: language_model("Qwen3Moe", **HEADS, **EXPERTS), TOKENS),
    "Mamba": (lambda: language_model("Mamba", state_size=8), TOKENS),
    "nn.MultiheadAttention": (Attention, torch.randn(2, 5, 16)),
    "nn.Transformer": (
        lambda: nn.Transformer(16, 2, 2, 2, 32, batch_first=True),
        (torch.randn(2, 5, 16), torch.randn(2, 4, 16)),
    ),
}


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Torch fills memory that nobody has written with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, those that are not saved too."""
    return dict((*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_from_meta_is_the_model_built_in_memory(name: str, poisoned: None) -> None:
    build, inputs = MODELS[name]
    plan = wb.plan(build, inputs, seed=5)
    real = build()
    held = tensors(real)
    assert sorted(n for e in plan for n in (e.name, *e.ties)) == sorted(held)
    assert all(entry.reason and entry.role for entry in plan)
    with torch.device("meta"):
        bare = build()
    with torch.no_grad():
        for tensor in held.values():
            if tensor.is_floating_point() and isinstance(tensor, nn.Parameter):
                tensor.fill_(float("nan"))
    wb.apply(plan, real)
    wb.apply(plan, bare, device="cpu")
    found = tensors(bare)
    assert found.keys() == held.keys()
    for key, value in tensors(real).items():
        assert not value.isnan().any(), key
        assert torch.equal(value, found[key]), key


@pytest.mark.parametrize("name", ["Llama", "Mamba", "nn.MultiheadAttention"])
def test_buffers_are_those_that_the_constructor_computes(name: str) -> None:
    build, inputs = MODELS[name]
    with torch.device("meta"):
        model = build()
    wb.apply(wb.plan(build, inputs, seed=5), model, device="cpu")
    own = dict(build().named_buffers())
    assert all(torch.equal(value, own[key]) for key, value in model.named_buffers())
    assert name == "Mamba" or own


def test_what_no_rule_accounts_for_is_named_before_memory_is_taken() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.odd = nn.Linear(4, 4), nn.Parameter(torch.empty(4))
            self.register_buffer("mask", torch.empty(4), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) * self.odd + self.mask

    with torch.device("meta"):
        model = Odd()
    with pytest.raises(UnplannedError, match=r"(?s)nothing accounts for 2 of 4.*odd \[4\].*mask \[4\] \(buffer of Odd"):
        wb.plan(model, "vector:4", seed=0)
    assert all(tensor.is_meta for tensor in tensors(model).values())
