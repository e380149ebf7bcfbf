"""Small models in the styles of known code bases, each with initialisation code as it is written there."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, WIDTH, HIDDEN = 50, 16, 40


class TitanNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight)


class TitanAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def init_weights(self, init_std: float) -> None:
        for linear in (self.wq, self.wk, self.wv):
            nn.init.trunc_normal_(linear.weight, mean=0.0, std=0.02)
        nn.init.trunc_normal_(self.wo.weight, mean=0.0, std=init_std)

    def forward(self, x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        q, k, v = (w(x).unflatten(-1, (2, -1)).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        turn = torch.view_as_complex
        q, k = (
            torch.view_as_real(turn(t.unflatten(-1, (-1, 2)).contiguous()) * angles[: x.shape[1]]).flatten(-2)
            for t in (q, k)
        )
        return self.wo(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TitanFeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w3 = nn.Linear(WIDTH, HIDDEN, bias=False), nn.Linear(WIDTH, HIDDEN, bias=False)
        self.w2 = nn.Linear(HIDDEN, WIDTH, bias=False)

    def init_weights(self, init_std: float) -> None:
        nn.init.trunc_normal_(self.w1.weight, mean=0.0, std=0.02)
        for linear in (self.w2, self.w3):
            nn.init.trunc_normal_(linear.weight, mean=0.0, std=init_std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class TitanBlock(nn.Module):
    def __init__(self, layer_id: int, depth: int, depth_init: bool = True) -> None:
        super().__init__()
        self.attention, self.feed_forward = TitanAttention(), TitanFeedForward()
        self.attention_norm, self.ffn_norm = TitanNorm(WIDTH), TitanNorm(WIDTH)
        self.weight_init_std = 0.02 / (2 * ((layer_id + 1) if depth_init else depth)) ** 0.5

    def init_weights(self) -> None:
        for norm in (self.attention_norm, self.ffn_norm):
            norm.reset_parameters()
        self.attention.init_weights(self.weight_init_std)
        self.feed_forward.init_weights(self.weight_init_std)

    def forward(self, x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x), angles)
        return x + self.feed_forward(self.ffn_norm(x))


class Titan(nn.Module):
    """A Llama in the style of torchtitan: everything is initialised by one method, rotary angles included."""

    def __init__(self, depth: int = 4) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.register_buffer("freqs_cis", self._precompute_freqs_cis(), persistent=False)
        self.layers = nn.ModuleDict({str(number): TitanBlock(number, depth) for number in range(depth)})
        self.norm, self.output = TitanNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.init_weights()

    def _precompute_freqs_cis(self) -> torch.Tensor:
        frequencies = 1.0 / 10000 ** (torch.arange(0, WIDTH // 2, 2).float() / (WIDTH // 2))
        angles = torch.outer(torch.arange(12.0), frequencies)
        return torch.polar(torch.ones_like(angles), angles)

    def init_weights(self, buffer_device: torch.device | None = None) -> None:
        buffer_device = buffer_device or self.freqs_cis.device
        with torch.device(buffer_device):
            self.freqs_cis = self._precompute_freqs_cis()
        if self.tok_embeddings is not None:
            nn.init.normal_(self.tok_embeddings.weight)
        for layer in self.layers.values():
            if layer is not None:
                layer.init_weights()
        if self.norm is not None:
            self.norm.reset_parameters()
        final_out_std, cutoff_factor = WIDTH**-0.5, 3
        if self.output is not None:
            nn.init.trunc_normal_(
                self.output.weight,
                mean=0.0,
                std=final_out_std,
                a=-cutoff_factor * final_out_std,
                b=cutoff_factor * final_out_std,
            )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tok_embeddings(tokens) if self.tok_embeddings is not None else tokens
        for layer in self.layers.values():
            x = layer(x, self.freqs_cis)
        return self.output(self.norm(x)) if self.output is not None else x


def titan_stage(model: Titan, numbers: list[int], first: bool, last: bool) -> Titan:
    """Cut a model down to a pipeline stage as torchtitan does: modules are deleted or become None."""
    for name in list(model.layers):
        if int(name) not in numbers:
            del model.layers[name]
    if not first:
        model.tok_embeddings = None
    if not last:
        model.norm = model.output = None
    return model


def _init_linear(weight: torch.Tensor, *, std: float, generator: torch.Generator | None = None) -> None:
    nn.init.trunc_normal_(weight, mean=0.0, std=std, a=-3 * std, b=3 * std, generator=generator)


class OlmoBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w_qkv, self.w_out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)


def init_attention(block: OlmoBlock, *, layer: int, generator: torch.Generator | None) -> None:
    _init_linear(block.w_qkv.weight, std=0.02, generator=generator)
    _init_linear(block.w_out.weight, std=0.02 / (2 * (layer + 1)) ** 0.5, generator=generator)
    for linear in (block.w_qkv, block.w_out):
        nn.init.zeros_(linear.bias)


class Olmo(nn.Module):
    """The style of OLMo-core: helper functions of a module, with a generator that is handed around."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleDict({str(number): OlmoBlock() for number in range(depth)})
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    @torch.no_grad()
    def init_weights(self, *, seed: int = 0) -> torch.Generator:
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        nn.init.normal_(self.embeddings.weight, std=1.0, generator=generator)
        for number, block in self.blocks.items():
            init_attention(block, layer=int(number), generator=generator)
        _init_linear(self.head.weight, std=WIDTH**-0.5, generator=generator)
        return generator


class NanoBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(WIDTH, 4 * WIDTH), "c_proj": nn.Linear(4 * WIDTH, WIDTH)})
        self.register_buffer("bias", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))


class Nano(nn.Module):
    """The style of nanoGPT: a walk over the modules, then one over the names, a tied table."""

    def __init__(self, depth: int = 4) -> None:
        super().__init__()
        self.depth = depth
        self.transformer = nn.ModuleDict(
            {"wte": nn.Embedding(VOCABULARY, WIDTH), "wpe": nn.Embedding(8, WIDTH), "h": nn.ModuleList()}
        )
        self.transformer.h.extend(NanoBlock() for _ in range(depth))
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.initialise()

    def initialise(self) -> None:
        self.apply(self._init_weights)
        for pn, p in self.named_parameters():
            if pn.endswith("c_proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * self.depth))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)


def gpt2() -> nn.Module:
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=99, n_positions=32)
    made: nn.Module = transformers.GPT2LMHeadModel(config)
    return made


STYLES: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], object]]] = {
    "torchtitan": (Titan, lambda model: model.init_weights()),
    "OLMo": (Olmo, lambda model: model.init_weights(seed=5)),
    "nanoGPT": (Nano, lambda model: model.initialise()),
}

WITH_LIBRARIES = STYLES | {"transformers": (gpt2, lambda model: model.init_weights())}
