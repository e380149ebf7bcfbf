"""What the general rules of `shrink.py` cannot know, by model type: values, or a function of the configuration."""

from __future__ import annotations

from typing import Any


def _rotary_sections(config: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Three sections (time, height, width) that share half of a head of 16."""
    return {"rope_parameters": _with_sections(arguments.get("rope_parameters", config.rope_parameters) or {})}


def _with_sections(parameters: dict[str, Any]) -> dict[str, Any]:
    if parameters and all(isinstance(value, dict) for value in parameters.values()):
        return {key: _with_sections(value) for key, value in parameters.items()}
    half = int(16 * parameters.get("partial_rotary_factor", 1.0)) // 2
    third = max(1, half // 3)
    return (
        {"rope_theta": 10000.0, "rope_type": "default"}
        | parameters
        | {"mrope_section": [half - 2 * third, third, third]}
    )


def _resnet(*stages: str) -> Any:
    """A small ResNet in place of a backbone of the timm library."""

    def make(config: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        from transformers import ResNetConfig

        backbone = ResNetConfig(
            embedding_size=16,
            hidden_sizes=[16, 24, 32, 40],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_features=list(stages),
        )
        return {"backbone_config": backbone}

    return make


_DETR = _resnet("stage4")
_DETR3 = _resnet("stage2", "stage3", "stage4")
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_expand": 2}
_SERIES = {"prediction_length": 4, "context_length": 16}
_GLOBAL_HEAD = {"global_head_dim": 32}

SPECIAL: dict[str, Any] = {
    # text
    "bamba": _MAMBA | {"attn_layer_indices": [1]},
    "falcon_h1": _MAMBA | {"mamba_d_ssm": 128},
    "granitemoehybrid": _MAMBA | {"layer_types": ["mamba", "attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2},
    "jamba": {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1},
    "blt": {"encoder_hash_byte_group_vocab": 97},
    "canine": {"num_hash_buckets": 64, "max_position_embeddings": 128},
    "ctrl": {"dff": 128},
    "cpmant": {"dim_ff": 128, "dim_head": 16, "prompt_length": 8, "segment_types": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16, "moe_topk": 2, "num_experts": 4},
    "ministral": {"head_dim": 16},
    "nemotron": {"num_key_value_heads": 2, "head_dim": 16},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "xlnet": {"d_head": 16, "n_head": 4, "d_model": 64},
    "zamba": {
        "num_hidden_layers": 6,
        "layers_block_type": ["mamba", "hybrid"] * 3,
        "attention_hidden_size": 128,
        "attention_head_dim": 32,
    },
    "dory": {"num_hidden_layers": 3, "n_input_layers": 1, "n_recurrent_layers": 1, "n_output_layers": 1},
    "recurrent_gemma": {
        "num_hidden_layers": 3,
        "block_types": ["recurrent", "recurrent", "attention"],
        "lru_width": 64,
    },
    "xlstm": {"qk_dim_factor": 1.0, "num_heads": 4, "hidden_size": 64},
    "gemma4_assistant": {},
    "lilt": {"hidden_size": 96, "intermediate_size": 128, "channel_shrink_ratio": 4},
    "layoutlmv3": {"coordinate_size": 11, "shape_size": 10, "hidden_size": 64},
    "nystromformer": {"segment_means_seq_len": 24, "num_landmarks": 4},
    "xmod": {"default_language": "en_XX"},
    "longcat_flash": {"head_dim": 8},
    # several kinds
    "chameleon": {"vocabulary_map": {"<image>": 100}},
    "emu3": {"vocabulary_map": {"<|extra_200|>": 5, "<image>": 100}},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"]},
    "slanet": {"max_text_length": 4},
    "slanext": {"max_text_length": 4},
    "blip-2": {"image_token_index": 101},
    "instructblip": {"image_token_index": 101},
    "instructblipvideo": {"video_token_index": 101},
    "vipllava": {"vision_feature_layers": [-2, -1]},
    "voxtral": {"audio_token_id": 101},
    "exaone4_5_vision": {"fullatt_block_indexes": (1,), "depth": 2, "window_size": 64},
    "qwen2_5_vl_vision": {"fullatt_block_indexes": (1,), "depth": 2, "window_size": 64},
    "fun_asr_nano": {},
    "llama4_vision_model": {"projector_input_dim": 64, "projector_output_dim": 64, "pixel_shuffle_ratio": 0.5},
    "pix2struct_vision_model": {"patch_embed_hidden_size": 768, "seq_len": 64},
    "kosmos_2_5_vision_model": {"patch_embed_hidden_size": 768},
    # pictures
    "align_vision_model": {"hidden_dim": 320, "width_coefficient": 0.25, "depth_coefficient": 0.3},
    "efficientnet": {"hidden_dim": 320, "width_coefficient": 0.25, "depth_coefficient": 0.3},
    "mobilenet_v1": {"depth_multiplier": 0.125},
    "mobilenet_v2": {"depth_multiplier": 0.125},
    "mobilevitv2": {"width_multiplier": 0.25},
    "pp_lcnet": {"scale": 0.25},
    "beit": {"out_indices": [1, 2, 3, 4], "num_hidden_layers": 4},
    "data2vec-vision": {"out_indices": [1, 2, 3, 4], "num_hidden_layers": 4, "use_auxiliary_head": False},
    "sam2_hiera_det_model": {"hidden_size": 32},
    "superpoint": {"keypoint_decoder_dim": 65},
    "textnet": {"stem_out_channels": 24},
    "zoedepth": {"bottleneck_features": 64},
    "cvt": {"depth": [1, 2, 3], "embed_dim": [16, 32, 64], "num_heads": [1, 2, 4]},
    "swinv2": {"embed_dim": 16, "num_heads": [2, 2, 4, 4], "window_size": 4},
    "detr": _DETR,
    "conditional_detr": _DETR,
    "dab-detr": _DETR,
    "table-transformer": _DETR,
    "deformable_detr": _DETR3,
    "align": {"projection_dim": 320},
    "vitmatte": {"fusion_hidden_sizes": [64, 32, 16, 8], "convstream_hidden_sizes": [12, 24, 48]},
    "mask2former": {"feature_size": 64, "mask_feature_size": 64, "hidden_dim": 64},
    "maskformer": {"fpn_feature_size": 64, "mask_feature_size": 64},
    # sounds
    "autoformer": _SERIES,
    "informer": _SERIES,
    "time_series_transformer": _SERIES,
    "wav2vec2-bert": {"vocab_size": 99},
    "wav2vec2-conformer": {"vocab_size": 99},
    "speecht5_hifigan": {"upsample_initial_channel": 64},
    "fastspeech2_conformer_hifigan": {"upsample_initial_channel": 64},
    "vits": {"upsample_initial_channel": 64},
    "speech_to_text": {"conv_channels": 64, "input_feat_per_channel": 16},
    "mgp-str": {"num_bpe_labels": 50, "num_wordpiece_labels": 40},
    "lxmert": {"num_qa_labels": 20, "num_object_labels": 16, "num_attr_labels": 12, "visual_feat_dim": 64},
}
SPECIAL["hunyuan_vl_text"] = lambda config, arguments: {"head_dim": 16} | _rotary_sections(config, arguments)
SPECIAL["ernie4_5_vl_moe_text"] = {"rope_parameters": _with_sections({}) | {"mrope_section": [3, 3, 2]}}
for _name in (
    *("qwen2_vl_text", "qwen2_5_vl_text", "glm4v_text", "glm4v_moe_text", "glm_image_text", "glm_ocr_text"),
    *(
        "paddleocr_vl_text",
        "qwen3_vl_text",
        "qwen3_vl_moe_text",
        "qwen3_5_text",
        "qwen3_5_moe_text",
        "qwen2_5_omni_text",
    ),
    *("qwen3_omni_moe_text", "cosmos3_edge_text", "qwen4_exp_text"),
):
    SPECIAL[_name] = _rotary_sections
for _name in ("gemma4_text", "gemma4_unified_text", "diffusion_gemma_text", "embedding_gemma2_text"):
    SPECIAL[_name] = _GLOBAL_HEAD
