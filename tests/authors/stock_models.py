"""Small models of many kinds, built by code: torch.nn, hand-written networks, and the classes of transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
TEXT = SIZES | {"vocab_size": 99}
DECODER = TEXT | {"num_key_value_heads": 2}
IMAGE = SIZES | {"image_size": 16, "patch_size": 4}
SPEECH = SIZES | {
    "conv_dim": (16, 16), "conv_kernel": (3, 3), "conv_stride": (2, 2), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
BOTH = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 99,
}  # fmt: skip
EXPERTS = {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "num_experts_per_tok": 2}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "v_head_dim": 8, "qk_nope_head_dim": 8}
STAGES = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}

TRANSFORMERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "albert": ("AlbertForMaskedLM", "AlbertConfig", TEXT | {"embedding_size": 16}),
    "bart": ("BartForConditionalGeneration", "BartConfig", BOTH | {"max_position_embeddings": 20}),
    "beit": ("BeitForImageClassification", "BeitConfig", IMAGE | {"use_relative_position_bias": True}),
    "bert": ("BertForMaskedLM", "BertConfig", TEXT | {"max_position_embeddings": 20}),
    "big_bird": ("BigBirdForMaskedLM", "BigBirdConfig", TEXT),
    "bloom": ("BloomForCausalLM", "BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99}),
    "clip": (
        "CLIPModel", "CLIPConfig", {"text_config": TEXT, "vision_config": IMAGE, "projection_dim": 16},
    ),
    "convnext": ("ConvNextForImageClassification", "ConvNextConfig", {
        "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1],
    }),
    "deberta": ("DebertaForMaskedLM", "DebertaConfig", TEXT | {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"],
    }),
    "deberta_v2": ("DebertaV2ForMaskedLM", "DebertaV2Config", TEXT | {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"],
    }),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config", TEXT | LATENT | {
        "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 8, "n_group": 2, "topk_group": 1,
        "num_experts_per_tok": 2, "first_k_dense_replace": 1,
    }),
    "deit": ("DeiTModel", "DeiTConfig", IMAGE),
    "dinov2": ("Dinov2Model", "Dinov2Config", SIZES | {"image_size": 28, "patch_size": 14}),
    "electra": ("ElectraForPreTraining", "ElectraConfig", TEXT | {"embedding_size": 16}),
    "falcon": ("FalconForCausalLM", "FalconConfig", TEXT | {"alibi": True}),
    "funnel": ("FunnelModel", "FunnelConfig", {
        "vocab_size": 99, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48,
    }),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", DECODER | {"head_dim": 8}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {
        "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 32,
    }),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", TEXT),
    "hubert": ("HubertModel", "HubertConfig", SPEECH),
    "jamba": ("JambaForCausalLM", "JambaConfig", DECODER | {
        "num_experts": 2, "mamba_d_state": 4, "mamba_dt_rank": 4, "attn_layer_period": 2, "attn_layer_offset": 1,
    }),
    "llama": ("LlamaForCausalLM", "LlamaConfig", DECODER),
    "mamba": ("MambaForCausalLM", "MambaConfig", {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4,
    }),
    "mamba2": ("Mamba2ForCausalLM", "Mamba2Config", {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4, "num_heads": 8, "head_dim": 8,
        "n_groups": 2,
    }),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", DECODER | {"num_local_experts": 4}),
    "nystromformer": ("NystromformerModel", "NystromformerConfig", TEXT | {
        "segment_means_seq_len": 8, "num_landmarks": 4,
    }),
    "opt": ("OPTForCausalLM", "OPTConfig", TEXT | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", DECODER | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}),
    "qwen2_moe": ("Qwen2MoeForCausalLM", "Qwen2MoeConfig", DECODER | EXPERTS | {"num_experts": 4}),
    "qwen3_next": ("Qwen3NextForCausalLM", "Qwen3NextConfig", DECODER | EXPERTS | {
        "head_dim": 8, "num_experts": 4, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
        "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    }),
    "recurrent_gemma": ("RecurrentGemmaForCausalLM", "RecurrentGemmaConfig", TEXT | {
        "num_hidden_layers": 3, "lru_width": 32,
    }),
    "reformer": ("ReformerModel", "ReformerConfig", {
        "vocab_size": 99, "hidden_size": 32, "attention_head_size": 8, "num_attention_heads": 4,
        "feed_forward_size": 48, "axial_pos_shape": (4, 4), "axial_pos_embds_dim": (16, 16),
        "attn_layers": ["local", "lsh"],
    }),
    "resnet": ("ResNetForImageClassification", "ResNetConfig", STAGES),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", TEXT),
    "rwkv": ("RwkvForCausalLM", "RwkvConfig", {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "attention_hidden_size": 32,
        "intermediate_size": 48,
    }),
    "segformer": ("SegformerForSemanticSegmentation", "SegformerConfig", {
        "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2],
        "decoder_hidden_size": 16,
    }),
    "speecht5": ("SpeechT5ForTextToSpeech", "SpeechT5Config", {
        "vocab_size": 99, "hidden_size": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    }),
    "swin": ("SwinForImageClassification", "SwinConfig", {
        "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 32, "patch_size": 2, "window_size": 4,
    }),
    "t5": ("T5ForConditionalGeneration", "T5Config", {
        "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 99,
    }),
    "vit": ("ViTForImageClassification", "ViTConfig", IMAGE),
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2Config", SPEECH | {"vocab_size": 20}),
    "whisper": ("WhisperForConditionalGeneration", "WhisperConfig", BOTH | {
        "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
    }),
    "xlnet": ("XLNetLMHeadModel", "XLNetConfig", {
        "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "vocab_size": 99,
    }),
    "zamba2": ("Zamba2ForCausalLM", "Zamba2Config", TEXT | {
        "num_key_value_heads": 4, "mamba_d_state": 4, "layers_block_type": ["mamba", "mamba"], "mamba_headdim": 8,
        "n_mamba_heads": 8,
    }),
}  # fmt: skip


def build(name: str) -> nn.Module:
    """Build one of the models of transformers."""
    import transformers

    transformers.logging.set_verbosity_error()
    model, config, settings = TRANSFORMERS[name]
    made: nn.Module = getattr(transformers, model)(getattr(transformers, config)(**settings))
    return made


class Residual(nn.Module):
    """Two convolutions, the last normalisation zero, as torchvision's zero_init_residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)


class Vision(nn.Module):
    """Initialised as torchvision's ResNet is: He by fan_out, norms 1 and 0, the last of a branch 0, small head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7)
        self.blocks = nn.Sequential(Residual(16), Residual(16))
        self.head = nn.Linear(16, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
        for module in self.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.norm2.weight)
        nn.init.trunc_normal_(self.head.weight, std=0.01, a=-0.02, b=0.02)


class Recurrent(nn.Module):
    """Gates by slices: orthogonal one by one, the forget bias 1, a padding row."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16, padding_idx=3)
        self.lstm = nn.LSTM(16, 8)
        self.gru = nn.GRU(8, 8, bidirectional=True)
        self.cell = nn.LSTMCell(8, 8)
        for gate in self.lstm.weight_hh_l0.chunk(4):
            nn.init.orthogonal_(gate)
        with torch.no_grad():
            self.lstm.bias_ih_l0[8:16].fill_(1.0)
            self.gru.weight_ih_l0[:, :4] *= 0.5
        self.cell.weight_hh.data.copy_(torch.eye(8).repeat(4, 1))


class Special(nn.Module):
    """Values that need more than a draw: time steps, tables, clamped and composed numbers."""

    def __init__(self) -> None:
        super().__init__()
        step = torch.exp(torch.rand(48) * 4.6 - 6.9).clamp(min=1e-4)
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))
        self.A_log = nn.Parameter(torch.log(torch.arange(1, 17, dtype=torch.float32)).repeat(4, 1))
        self.token = nn.Parameter(torch.randn(1, 1, 32) * 0.02)
        self.scale = nn.Parameter(torch.tensor(2.6592))
        self.clamped = nn.Parameter(torch.randn(40, 20).clamp_(-2, 2))
        self.composed = nn.Parameter(torch.empty(40, 20).uniform_(-0.9, 0.9).erfinv_().mul_(0.5))
        self.sum = nn.Parameter(torch.randn(40, 20) + torch.rand(40, 20))
        self.both = nn.Parameter(torch.cat([torch.zeros(2, 20), torch.randn(6, 20)]))
        self.soft = nn.Parameter(torch.randn(40, 20).softmax(-1))
        self.lecun = nn.Parameter(nn.init.trunc_normal_(torch.empty(40, 20), std=0.1, a=-0.2, b=0.2))
        table = torch.zeros(50, 8)
        angle = torch.arange(50.0)[:, None] * torch.exp(torch.arange(0, 8, 2.0) * -1.1)
        table[:, 0::2], table[:, 1::2] = angle.sin(), angle.cos()
        self.register_buffer("table", table)
        self.register_buffer("ids", torch.arange(50), persistent=False)
        self.register_buffer("mask", torch.ones(6, 6, dtype=torch.bool).tril())
        self.register_buffer("projection", torch.randn(16, 8))


class Attention(nn.Module):
    """torch.nn's own: packed and split projections, an encoder of cloned layers, a whole Transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.packed = nn.MultiheadAttention(16, 4)
        self.split = nn.MultiheadAttention(16, 4, kdim=8, vdim=12, add_bias_kv=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
        self.whole = nn.Transformer(16, 4, 1, 1, 32, batch_first=True)


class Layers(nn.Module):
    """One of each other layer of torch.nn with parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([
            nn.Linear(16, 8), nn.Bilinear(4, 5, 6), nn.Conv1d(4, 8, 3), nn.Conv2d(4, 8, 3, groups=2),
            nn.Conv3d(2, 4, 3), nn.ConvTranspose1d(4, 8, 3), nn.ConvTranspose2d(4, 8, 3), nn.ConvTranspose3d(2, 4, 3),
            nn.EmbeddingBag(20, 8), nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.BatchNorm1d(8), nn.RMSNorm(8),
            nn.InstanceNorm2d(4, affine=True), nn.PReLU(3), nn.RNN(4, 8), nn.RNNCell(4, 8), nn.GRUCell(4, 8),
            nn.AdaptiveLogSoftmaxWithLoss(32, 20, [5, 10]), nn.utils.parametrizations.weight_norm(nn.Linear(8, 6)),
        ])  # fmt: skip


OWN: dict[str, Callable[[], nn.Module]] = {
    "vision": Vision, "recurrent": Recurrent, "special": Special, "attention": Attention, "layers": Layers,
}  # fmt: skip

BUILDERS: dict[str, Callable[[], nn.Module]] = OWN | {name: (lambda n=name: build(n)) for name in TRANSFORMERS}
