"""Case 11: building and loading a model draws what the checkpoint lacks, and nothing else."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import wellbegun as wb
from wellbegun.targets import array

CONFIG = LlamaConfig(
    vocab_size=128,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=False,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many elements the sampler is asked for."""
    found: list[int] = []
    write = array.write

    def counting(out: Any, draw: Any, *arguments: Any) -> int:
        if draw.kind != "constant":
            found.append(out.size)
        return int(write(out, draw, *arguments))

    monkeypatch.setattr(array, "write", counting)
    return found


def test_only_the_missing_layer_is_drawn_and_it_is_that_of_a_full_start(drawn: list[int]) -> None:
    whole = LlamaForCausalLM(CONFIG)
    plan = wb.plan(whole, seed=5)
    wb.apply(plan, whole)
    state = {name: tensor for name, tensor in whole.state_dict().items() if ".layers.1.mlp." not in name}
    random = torch.get_rng_state()
    drawn.clear()
    with wb.skeleton():
        model = LlamaForCausalLM(CONFIG)
    missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    assert drawn == []
    assert torch.equal(random, torch.get_rng_state())
    done = wb.fill_missing(plan, model, missing)
    assert unexpected == []
    assert len(missing) == done.written == 3
    assert sum(drawn) == 3 * 64 * 96
    for name, tensor in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
