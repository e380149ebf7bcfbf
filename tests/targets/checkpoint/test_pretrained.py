"""Checkpoints of models of transformers: the names that save_pretrained uses, the bits that apply writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import wellbegun as wb
from wellbegun.errors import ApplyError

from .plans import tensors_of

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
EXPERTS = SMALL | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"vocab_size": 90, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "llama": ("llama", SMALL),
    "llama tied": ("llama", SMALL | {"tie_word_embeddings": True, "dtype": "bfloat16"}),
    "mixtral": ("mixtral", SMALL | {"num_local_experts": 4}),
    "qwen2_moe": ("qwen2_moe", EXPERTS | {"shared_expert_intermediate_size": 16}),
    "qwen3_moe": ("qwen3_moe", EXPERTS),
}


def built(key: str) -> Any:
    kind, settings = CONFIGS[key]
    config = transformers.CONFIG_MAPPING[kind](**settings, bos_token_id=1, eos_token_id=2)
    with wb.skeleton():
        return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("key", CONFIGS)
def test_from_pretrained_gives_the_bits_of_apply(tmp_path: Path, key: str) -> None:
    model = built(key)
    plan = wb.plan(model, seed=5)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    wb.write_checkpoint(plan, ours, model=model, max_shard_bytes="30kB")
    model.config.save_pretrained(ours)
    loaded, info = AutoModelForCausalLM.from_pretrained(ours, output_loading_info=True)
    assert not any(info.values()), info
    wb.apply(plan, model)
    assert loaded.dtype == model.dtype
    for (name, one), (other, two) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other
        assert one.dtype == two.dtype
        assert torch.equal(one, two), name
    if model.config.tie_word_embeddings:
        assert loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight
    model.save_pretrained(theirs)
    expected = load_file(theirs / "model.safetensors")
    found = dict(tensors_of(ours))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("key", ["gpt2", "mixtral"])
def test_a_plan_alone_is_enough_to_load(tmp_path: Path, key: str) -> None:
    """Without the model, fused experts keep their own names, which from_pretrained takes too."""
    model = built(key)
    plan = wb.plan(model, seed=5)
    wb.write_checkpoint(plan, tmp_path)
    model.config.save_pretrained(tmp_path)
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    wb.apply(plan, model)
    for (name, one), two in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_a_storage_type_of_its_own(tmp_path: Path) -> None:
    model = built("mixtral")
    plan = wb.plan(model, seed=5)
    wb.write_checkpoint(plan, tmp_path, model=model, dtype="bfloat16")
    model.config.dtype = "bfloat16"
    model.config.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    low = model.to(torch.bfloat16)
    wb.apply(plan, low)
    for (name, one), two in zip(low.named_parameters(), loaded.parameters(), strict=True):
        assert two.dtype == torch.bfloat16
        assert torch.equal(one, two), name


def test_what_is_no_stretch_of_a_planned_tensor_is_refused(tmp_path: Path) -> None:
    """Weights that are saved transposed cannot be cut out of a stream; the message says what can be done."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import Transpose, WeightConverter

    model = built("llama")
    plan = wb.plan(model, seed=5)
    assert get_model_conversion_mapping(model) is not None
    model._weight_conversions = [
        WeightConverter("o_proj.other", "o_proj.weight", operations=[Transpose(0, 1)]),
    ]
    with pytest.raises(ApplyError, match=r"saves .*o_proj.other in another form .* use save_pretrained"):
        wb.write_checkpoint(plan, tmp_path / "out", model=model)
    assert not (tmp_path / "out").exists()
