"""Small configurations: the defaults of any configuration class of transformers, with every size made small.

Widths become 64, inner widths 128, heads 4 of size 16, layers 2 (more where layers differ in kind), vocabularies 128.
One width for all keeps most relations between the parts of a model; what else has to fit is said in `special.py`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from transformers import CONFIG_MAPPING, PretrainedConfig
from transformers.integrations.heterogeneity.configuration_utils import AmbiguousGlobalPerLayerAttributeError

from .special import SPECIAL

WIDTH, INNER, HEADS, HEAD, VOCABULARY, POSITIONS, IMAGE, PATCH = 64, 128, 4, 16, 128, 128, 64, 16

# the class of these types takes the configuration of a part
INSTEAD = {"musicgen": "musicgen_decoder", "musicgen_melody": "musicgen_melody_decoder"}


def small_config(model_type: str) -> PretrainedConfig:
    """Return a configuration of a model type, small enough to run in a moment.

    >>> small_config("gpt2").n_embd
    64
    """
    kind = CONFIG_MAPPING[INSTEAD.get(model_type, model_type)]
    return _small(kind(), Ids())


class Ids:
    """Token numbers within the small vocabulary: one for each name, the same in all parts of a model."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, name: str, value: int) -> int:
        if value < 100:
            return value
        return self.known.setdefault(name.replace("_index", "_id"), 100 + len(self.known) % 28)


def _small(config: PretrainedConfig, ids: Ids) -> PretrainedConfig:
    arguments = _layers(config) | _chosen_layers(config)
    usual = type(config)()
    for field in dataclasses.fields(config):
        if field.name in arguments or field.name in _BASE:
            continue
        value = field_of(config, field.name)
        small = _value(config, field.name, value, ids)
        if isinstance(small, PretrainedConfig) or small != field_of(usual, field.name):
            arguments[field.name] = small
    special = SPECIAL.get(config.model_type, {})
    arguments |= special(config, arguments) if callable(special) else special
    return type(config)(**arguments)


def field_of(config: PretrainedConfig, name: str) -> Any:
    """A field of the configuration; where it differs from layer to layer, its general default."""
    try:
        return getattr(config, name, None)
    except AmbiguousGlobalPerLayerAttributeError:
        return next(field.default for field in dataclasses.fields(config) if field.name == name)


def _value(config: PretrainedConfig, name: str, value: Any, ids: Ids) -> Any:
    if isinstance(value, PretrainedConfig):
        return _small(value, ids)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if name in ("rope_parameters", "rope_scaling"):
        return _rope(value)
    if isinstance(value, int):
        return _number(config, name, value, ids)
    if isinstance(value, (list, tuple)) and value and all(type(item) is int for item in value):
        if len(set(value)) == 1 and len(value) > 1 and _rule(name) in (WIDTH, INNER):
            return type(value)(_number(config, name, item, ids) for item in value)
        return type(value)(_item(config, name, item, ids) for item in value)
    return value


_RULES: tuple[tuple[str, Any], ...] = (
    # first match wins; a number is an upper limit
    (r"^n_group$|topk_group|num_expert_group", 1),
    (r"(token|start|end|mask|pad|bos|eos|sep|unk)_(id|index|ids|idx)$", "id"),
    (r"type_vocab_size|ignore_index|_bins$(?<!mel_bins)", None),
    (r"num_pos_feats", 32),
    (r"mm_tokens_per_image", 4),
    (r"^n_window$", 8),
    (r"^n_window_infer$", 16),
    (r"^base_channels$", 32),
    (r"vocab_size|vocab_size_per_layer_input|vocab_offset|num_embeddings$|codebook_size|codebook_vocab", VOCABULARY),
    (r"(key_value|kv)_?(attention_)?heads$|n_head_kv", "kv"),
    (r"^num_conv_pos_embedding_groups$|groups?$", 4),
    (r"heads$|^n_heads?$|_head$(?<!dim_head)", HEADS),
    (r"qk_rope_head_dim|rotary_dim", 8),
    (r"qk_head_dim", 24),
    (r"head_dim$|head_size$|^d_kv$|^d_head$|kv_channels|dim_head$|head_width", HEAD),
    (r"lora_rank|_rank$", 16),
    (r"(num|n)_?(local|routed)?_?(experts?)$|moe_num_experts$|_experts$(?<!shared_experts)", 4),
    (r"experts_per_tok|moe_topk|moe_k$|top_?k_experts|num_selected_experts", 2),
    (r"shared_experts?$", 1),
    (r"first_k_dense_replace|num_dense_layers|max_window_layers", 1),
    (r"sparse_step|_period$", 2),
    (r"window_layers|_layers_index|mtp|nextn", 1),
    (r"layers?$|^depth$|_depth$|num_blocks|repeats$|num_res_blocks|num_self_attends_per_block", 2),
    (r"(image|img|input_image|pretrain_image)_size|^resolution$|train_size", "image"),
    (r"temporal_patch|tubelet|patch_length|patch_stride|patch_temporal|patch_padding", None),
    (r"patch_size$|encoder_stride", "patch"),
    (
        r"max_position|n_positions|positions$|max_seq|seq_len|context_length$|n_ctx|max_2d|max_length|n_embed_pos",
        POSITIONS,
    ),
    (
        r"kernel|stride|rate|dilation|expan|ratio|factor|mult|channels?_in$|num_channels|_frames?$|^audio_channels$",
        None,
    ),
    (r"sliding_window|window_size|attention_window|local_attention|chunk_size$|context_left|block_size", 16),
    (r"num_mel_bins|n_mels|mel_bins|feature_size|input_feat|feat_per_channel", 16),
    (r"num_codebooks|n_codebooks|num_quantizers|n_q$|_quantizers$", 4),
    (r"num_queries|num_denoising|num_query_tokens|num_latents|n_latents|query_num|num_negatives|prompt_length", 8),
    (r"num_conv_pos_embeddings", 16),
    (r"codevectors_per_group", 8),
    (r"state_size|d_state|ssm_state", 16),
    (r"time_step_rank|dt_rank", 4),
    (r"moe_intermediate_size|expert_intermediate|expert_ffn|moe_ffn", 32),
    (r"intermediate|ffn|mlp_dim|d_ff|feed_?forward|ff_dim|d_inner|n_inner|linear_units|inner_dim", INNER),
    (
        r"hidden|d_model|n_embd|_dim$|dim$|dims$|dim_per_stage|channel_list|_size$|width|channels|filters|units|d_latents|feats$",
        WIDTH,
    ),
    (r"num_landmarks|num_global_tokens", 16),
)
_COMPILED = tuple((re.compile(pattern), rule) for pattern, rule in _RULES)


def _rule(name: str) -> Any:
    return next((rule for pattern, rule in _COMPILED if pattern.search(name)), None)


def _number(config: PretrainedConfig, name: str, value: int, ids: Ids) -> int:
    rule = _rule(name)
    codec = hasattr(config, "upsampling_ratios") or hasattr(config, "downsampling_ratios")
    if codec and name in ("num_filters", "encoder_hidden_size", "n_filters"):
        return min(value, 4)
    if hasattr(config, "depths") and name == "window_size":
        return min(value, 2)
    if hasattr(config, "depths") and name in ("embed_dim", "embedding_size"):
        return min(value, 16)
    if rule is None:
        return value
    if rule == "id":
        return ids(name, value)
    if rule == "image":
        return min(value, IMAGE)
    if rule == "patch":
        return PATCH if value >= 14 else value
    if rule == "kv":
        heads = getattr(config, "num_attention_heads", None) or getattr(config, "num_heads", 0)
        return min(value, HEADS) if value == heads else min(value, 2)
    return min(value, rule)


def _item(config: PretrainedConfig, name: str, value: int, ids: Ids) -> int:
    """One number of a list: widths of stages stay different, and equal ones stay equal."""
    if name in ("depths", "layers") or name.endswith(("_depths", "num_blocks", "blocks_per_stage", "layer_repeats")):
        return min(value, 1)
    rule = _rule(name)
    if rule == HEADS and hasattr(config, "depths"):
        return min(value, 2)
    if rule in (WIDTH, INNER) and value > 8:
        return 8 * max(1, (value - 1).bit_length() - 3)
    return _number(config, name, value, ids)


def _rope(parameters: Any) -> Any:
    """Sections of a rotary embedding share half of a head."""
    if not isinstance(parameters, dict):
        return parameters
    if parameters and all(isinstance(value, dict) for value in parameters.values()):
        return {key: _rope(value) for key, value in parameters.items()}
    found = dict(parameters)
    section = found.get("mrope_section")
    if section:
        found["mrope_section"] = [part * (HEAD // 2) // sum(section) for part in section]
        found["mrope_section"][-1] += HEAD // 2 - sum(found["mrope_section"])
    for key in ("long_factor", "short_factor"):
        if key in found:
            found[key] = [1.0] * (HEAD // 2)
    return found


def _layers(config: PretrainedConfig) -> dict[str, Any]:
    """As few layers as show every kind of layer: lists with an entry for each layer keep one layer of each kind."""
    names = {field.name for field in dataclasses.fields(config)}
    count_name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    count = getattr(config, count_name, None)
    if type(count) is not int or count_name not in names or count < 2:
        return {}
    lists = {
        name: value
        for name in names
        if isinstance(value := field_of(config, name), (list, tuple)) and len(value) == count
    }
    if not lists:
        return {}
    kinds = list(zip(*(map(str, lists[name]) for name in sorted(lists) if name in _PER_LAYER), strict=False))
    firsts = sorted({kind: at for at, kind in reversed(list(enumerate(kinds)))}.values()) if kinds else [0]
    if len(firsts) > 6:
        firsts = firsts[:6]
    chosen = sorted({*firsts, *range(2)} if len(firsts) < 2 else firsts)
    small = {name: type(value)(value[at] for at in chosen) for name, value in lists.items()}
    return small | {count_name: len(chosen)}


def _chosen_layers(config: PretrainedConfig) -> dict[str, Any]:
    """Lists that choose layers (whose output is taken, say) choose the first few, and there are as many layers."""
    names = {field.name for field in dataclasses.fields(config)}
    count_name = config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    count_name = count_name if count_name in names else "depth"
    found = {
        name: value
        for name in names
        if _CHOICE.search(name) and isinstance(value := field_of(config, name), (list, tuple)) and value
    }
    small: dict[str, Any] = {name: type(value)(range(len(value))) for name, value in found.items()}
    taken = getattr(config, "_out_indices", None)
    if count_name in names and taken:
        small["out_indices"] = list(range(1, len(taken) + 1)) if len(taken) > 1 else [2]
    elif taken:
        small["out_indices"] = list(taken)
    if count_name in names and small:
        small[count_name] = max(2, len(taken or ()), *(len(value) for value in found.values()))
    return small


_CHOICE = re.compile(
    r"^(backbone_out_indices|deepstack_visual_indexes|.*hidden_state_indices|.*attn_indexes|fullatt_block_indexes"
    r"|intermediate_layers_indices|segmentation_indices|deepstack_layer.*)$"
)
_PER_LAYER = ("layer_types", "mlp_layer_types", "indexer_types", "no_rope_layers", "layers_block_type")
_BASE = {field.name for field in dataclasses.fields(PretrainedConfig)} - {
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
}
