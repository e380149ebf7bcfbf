"""transformers' models are traced with inputs that their configurations give, and everything on them is put back."""

from typing import Any

import pytest
import torch
import transformers
from transformers import PreTrainedModel

from wellbegun.errors import TraceError
from wellbegun.graph.trace import trace
from wellbegun.graph.transformers_inputs import pretrained_inputs

TEXT: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
T = transformers


def build(kind: str, **changes: Any) -> PreTrainedModel:
    model = getattr(T, kind)
    return model(model.config_class(**changes))


SOUND = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3], "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4, "num_feat_extract_layers": 2, "vocab_size": 32,
}  # fmt: skip
SPEECH = {
    "vocab_size": 64, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "num_mel_bins": 16,
    "max_source_positions": 40, "max_target_positions": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
TRANSLATION = {
    "vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0
}  # fmt: skip
MODELS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "GPT2LMHeadModel": (
        {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32, "eos_token_id": 2},
        {"input_ids"},
    ),
    "LlamaForCausalLM": ({**TEXT, "num_key_value_heads": 2}, {"input_ids"}),
    "MixtralForCausalLM": ({**TEXT, "num_key_value_heads": 2, "num_local_experts": 4}, {"input_ids"}),
    "BertForSequenceClassification": (TEXT, {"input_ids"}),
    "T5ForConditionalGeneration": (TRANSLATION, {"input_ids", "decoder_input_ids"}),
    "MambaForCausalLM": (
        {"vocab_size": 64, "hidden_size": 32, "state_size": 4, "num_hidden_layers": 2, "pad_token_id": 0},
        {"input_ids"},
    ),
    "ViTForImageClassification": (VISION, {"pixel_values"}),
    "ResNetForImageClassification": (
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        {"pixel_values"},
    ),
    "VideoMAEForVideoClassification": ({**VISION, "num_frames": 4}, {"pixel_values"}),
    "WhisperForConditionalGeneration": (SPEECH, {"input_features", "decoder_input_ids"}),
    "Wav2Vec2ForCTC": (SOUND, {"input_values"}),
    "ASTForAudioClassification": ({**VISION, "num_mel_bins": 16, "max_length": 64}, {"input_values"}),
    "CLIPModel": ({"text_config": TEXT, "vision_config": VISION, "projection_dim": 16}, {"input_ids", "pixel_values"}),
    "LayoutLMModel": ({**TEXT, "max_2d_position_embeddings": 64}, {"input_ids", "bbox"}),
    "PatchTSTForPrediction": (
        {"num_input_channels": 2, "context_length": 32, "patch_length": 4, "patch_stride": 4, "d_model": 16,
         "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24, "prediction_length": 8},
        {"past_values"},
    ),
    "TimeSeriesTransformerModel": (
        {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2], "num_time_features": 2, "d_model": 16,
         "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2},
        {"past_values", "past_time_features", "past_observed_mask", "future_values", "future_time_features"},
    ),
    "LlavaForConditionalGeneration": (
        {
            "text_config": {**TEXT, "model_type": "llama"},
            "vision_config": {**VISION, "model_type": "clip_vision_model"},
            "image_token_id": 5,
        },
        {"input_ids", "pixel_values"},
    ),
}  # fmt: skip


READ_OTHERWISE: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "flattened patches, with their grids": (
        {"kind": "Siglip2ForImageClassification",
         "vision_config": {**VISION, "num_patches": 64, "model_type": "siglip2_vision_model"}},
        {"pixel_values": (2, 16, 192), "spatial_shapes": (2, 2), "pixel_attention_mask": (2, 16)},
    ),
    "sizes of pictures": (
        {"kind": "Mistral3ForConditionalGeneration", "image_token_index": 5, "spatial_merge_size": 2,
         "text_config": {**TEXT, "model_type": "mistral", "num_key_value_heads": 2, "head_dim": 8},
         "vision_config": {**VISION, "model_type": "pixtral", "head_dim": 8}, "vision_feature_layer": -1},
        {"pixel_values": (1, 3, 32, 32), "image_sizes": (1, 2)},
    ),
    "pairs of pictures": (
        {"kind": "Idefics3ForConditionalGeneration", "scale_factor": 2, "image_token_id": 5,
         "text_config": {**TEXT, "model_type": "llama", "num_key_value_heads": 2},
         "vision_config": {**VISION, "model_type": "idefics3_vision"}},
        {"pixel_values": (1, 1, 3, 32, 32), "pixel_attention_mask": (1, 1, 32, 32)},
    ),
    "a series without channels": (
        {"kind": "TimesFmModelForPrediction", "patch_length": 8, "context_length": 32, "horizon_length": 8,
         "num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 48, "head_dim": 8, "num_attention_heads": 4},
        {"past_values": (2, 32)},
    ),
    "a task in words": (
        {"kind": "SplinterForPreTraining", **TEXT, "question_token_id": 7}, {"input_ids": (2, 16)},
    ),
    "what a visual model saw": (
        {"kind": "LxmertModel", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
         "l_layers": 1, "x_layers": 1, "r_layers": 1, "visual_feat_dim": 24},
        {"input_ids": (1, 16), "visual_feats": (1, 4, 24), "visual_pos": (1, 4, 4)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ_OTHERWISE)
def test_inputs_that_signature_and_configuration_describe(case: str) -> None:
    changes, expected = READ_OTHERWISE[case]
    model = build(**changes)
    made = [{name: tuple(value.shape) for name, value in one.items()} for one in pretrained_inputs(model)]
    assert any(expected.items() <= one.items() for one in made)
    uses = trace(model).uses
    unused = {n for n, _ in model.named_parameters() if n not in uses}
    assert not {name for name in unused if "embed" not in name and "pool" not in name}


def test_the_text_alone_where_pictures_cannot_be_made() -> None:
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
              "image_size": 56, "patch_size": 14, "model_type": "idefics3_vision"}  # fmt: skip
    text = {**TEXT, "model_type": "aria_text", "num_key_value_heads": 2, "moe_num_experts": 2, "moe_topk": 1,
            "moe_num_shared_experts": 1}  # fmt: skip
    model = build("AriaForConditionalGeneration", text_config=text, vision_config=vision, image_token_index=5)
    graph = trace(model)
    tower = {v.name for v in graph.variables if "vision_tower" in v.name and v.name.endswith("weight")}
    assert not tower & set(graph.uses)
    assert {graph.unused[name].role for name in tower if "fc1" in name} == {"linear weight"}
    assert {"linear weight"} == {use.role for use in graph.uses["lm_head.weight"]}


@pytest.mark.parametrize("kind", MODELS)
def test_inputs_from_the_configuration(kind: str) -> None:
    changes, expected = MODELS[kind]
    model = build(kind, **changes)
    made = next(iter(pretrained_inputs(model)))
    assert expected <= set(made)
    graph = trace(model)
    unused = {v.name for v in graph.variables if v.kind == "parameter" and v.name not in graph.uses}
    # not used by a forward without masked positions, or by a pooler that the head goes around
    assert {name.rsplit(".", 1)[-1] for name in unused} <= {"masked_spec_embed", "mask_token"}
    assert any(operation.kind == "linear" for operation in graph.operations)
    assert graph.outputs


def test_placeholders_are_as_many_as_the_image_has_vectors() -> None:
    model = build("LlavaForConditionalGeneration", **MODELS["LlavaForConditionalGeneration"][0])
    ids = next(iter(pretrained_inputs(model)))["input_ids"]
    assert int((ids == 5).sum()) == 16


def test_tokens_mean_nothing_special() -> None:
    (ids,) = next(iter(pretrained_inputs(build("BertModel", **TEXT))))["input_ids"][:1].tolist()
    assert ids[-1] == 2
    assert not {0, 1, 2} & set(ids[:-1])
    assert max(ids) < 64


@pytest.mark.parametrize("kind", ["MixtralForCausalLM", "Wav2Vec2ForCTC"])
def test_settings_and_modes_are_put_back(kind: str) -> None:
    model = build(kind, **MODELS[kind][0]).train()
    before = model.config.to_dict(), model.config._attn_implementation, model.config._experts_implementation
    trace(model)
    after = model.config.to_dict(), model.config._attn_implementation, model.config._experts_implementation
    assert before == after
    assert all(module.training for module in model.modules())
    assert not any(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["LlamaForCausalLM", "MixtralForCausalLM"])
def test_attention_and_experts_are_products_that_can_be_seen(kind: str) -> None:
    graph = trace(build(kind, **MODELS[kind][0]))
    assert sum(operation.kind == "softmax" for operation in graph.operations) >= 2
    norms = [uses for name, uses in graph.uses.items() if name.endswith("norm.weight")]
    assert all(use.role == "normalisation scale" for uses in norms for use in uses)
    assert len(norms) == 5 if kind == "LlamaForCausalLM" else norms


def test_a_configuration_on_meta_gives_the_same_operations() -> None:
    changes = MODELS["LlamaForCausalLM"][0]
    with torch.device("meta"):
        empty = build("LlamaForCausalLM", **changes)
    real = trace(build("LlamaForCausalLM", **changes))
    assert trace(empty).operations == real.operations


def test_an_argument_that_no_configuration_gives_is_named() -> None:
    class Strange(T.BertModel):
        def forward(self, input_ids: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
            return self.embeddings(input_ids) * phase

    with pytest.raises(TraceError, match=r"what phase of its forward shall be; pass inputs=\{'input_ids': \.\.\., "):
        trace(Strange(T.BertConfig(**TEXT)))


def test_hooks_that_a_forward_installs_are_taken_off() -> None:
    model = build("LlavaForConditionalGeneration", **MODELS["LlavaForConditionalGeneration"][0])
    before = sum(len(module._forward_hooks) for module in model.modules())
    trace(model)
    assert sum(len(module._forward_hooks) for module in model.modules()) == before
    ids = torch.tensor([[7, 8] + [5] * 16 + [9]])
    assert model(input_ids=ids, pixel_values=torch.ones(1, 3, 32, 32)).logits.isfinite().all()
