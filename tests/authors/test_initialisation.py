"""Models that exist: their own code is run again on stand-ins, and what it does not show is said."""

from __future__ import annotations

import pytest
import torch
from stock_models import Vision
from torch import nn

import wellbegun as wb
from wellbegun.authors import record_initialisation
from wellbegun.errors import UnplannedError


class Block(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.number = number

    def init_weights(self, std: float) -> None:
        nn.init.trunc_normal_(self.up.weight, std=0.02)
        nn.init.trunc_normal_(self.down.weight, std=std)


class Titan(nn.Module):
    """The pattern of torchtitan: the model's init_weights calls those of its blocks, buffers are made there too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.blocks = nn.ModuleList(Block(k) for k in range(2))
        self.register_buffer("angles", self._angles(), persistent=False)

    def _angles(self) -> torch.Tensor:
        return 1 / 10000 ** (torch.arange(0, 8, 2) / 8)

    def init_weights(self, buffer_device: torch.device | None = None) -> None:
        self.angles = self._angles()
        nn.init.normal_(self.embedding.weight)
        for block in self.blocks:
            block.init_weights(0.02 / (2 * (block.number + 1)) ** 0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) * self.angles.repeat(2)
        for block in self.blocks:
            x = x + block.down(block.up(x).relu())
        return x


def snapshot(model: nn.Module) -> dict[str, object]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_model_s_own_function(device) -> None:
    with torch.device(device):
        model = Titan()
    objects = [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    attributes = [set(vars(module)) for module in model.modules()]
    state, before = torch.get_rng_state(), snapshot(model)
    found = record_initialisation(model)
    assert (torch.get_rng_state() == state).all()
    assert objects == [id(tensor) for tensor in (*model.parameters(), *model.buffers())]
    assert attributes == [set(vars(module)) for module in model.modules()]
    assert device == "meta" or all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert found["blocks.1.down.weight"].law == wb.Normal(0.01)
    assert "overwrites nn.Linear.reset_parameters" in found["blocks.1.down.weight"].note
    assert found["blocks.0.up.bias"].law == wb.Uniform(-(8**-0.5), 8**-0.5)
    expected = 1 / 10000 ** (torch.arange(0, 8, 2) / 8)
    assert found["angles"].law == wb.Stored(expected.numpy())
    plan = wb.plan(model, "tokens:4", seed=1, recipe="author")
    assert "the model's own code" in plan["angles"].source


def test_a_function_that_the_user_names() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))

    def initialise(module: nn.Module) -> None:
        for layer in module:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)

    plan = wb.plan(model, "vector:8", seed=3, recipe=initialise)
    assert plan["0.weight"].law == wb.Normal(8**-0.5)
    assert "drawn by test_a_function_that_the_user_names.initialise (test_initialisation.py:" in plan["0.weight"].reason
    assert plan["2.bias"].law == wb.Uniform(-(8**-0.5), 8**-0.5)
    assert wb.plan(Titan, "tokens:4", seed=3, recipe=lambda m: nn.init.zeros_(m.embedding.weight))[
        "embedding.weight"
    ].law == wb.Constant(0.0)


def test_what_a_constructor_drew_cannot_be_seen_any_more() -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 8))
            self.layer = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x + self.token)

    with pytest.raises(UnplannedError, match=r"token \[1, 8\] \(parameter of Token.*\n.*with wb.skeleton"):
        wb.plan(Token(), "vector:8", seed=1, recipe="author")
    plan = wb.plan(Token(), "vector:8", seed=1, recipe="author", rules={"token": wb.Zeros()})
    assert plan["token"].law == wb.Constant(0.0)
    assert wb.plan(Token, "vector:8", seed=1, recipe="author")["token"].law == wb.Normal(1.0)


def test_layers_whose_numbers_their_constructor_changed_are_not_claimed() -> None:
    found = record_initialisation(Vision())
    assert found["stem.weight"].law is None
    assert "its numbers are not what its layer makes" in found["stem.weight"].note
    assert found["blocks.0.norm2.weight"].law is None
    assert found["blocks.0.norm1.weight"].law == wb.Constant(1.0)
    assert found["head.bias"].law == wb.Uniform(-0.25, 0.25)


def test_ties_and_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=32, n_layer=8, n_head=4, vocab_size=99, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    found = record_initialisation(model)
    assert found["transformer.h.3.attn.c_proj.weight"].law == wb.Normal(0.02 / 4)
    assert found["transformer.h.3.mlp.c_fc.weight"].law == wb.Normal(0.02)
    assert found["lm_head.weight"] == found["transformer.wte.weight"]
    assert all(module._is_hf_initialized for module in model.modules())


def test_numbers_that_the_code_computes_are_seen_in_a_model_that_exists() -> None:
    class Offsets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 6)
            self.init_weights()

        def init_weights(self) -> None:
            with torch.no_grad():
                self.layer.bias.copy_(torch.arange(6.0).cos())

    found = record_initialisation(Offsets())["layer.bias"].law
    assert found == wb.Stored(torch.arange(6.0).cos().numpy())
