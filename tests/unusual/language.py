"""Language models as people write them by hand."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, tokens

V, D, H, T = 96, 64, 4, 12


class FusedAttention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool = True) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.heads = heads
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class NanoBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = FusedAttention(width, H)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        h = F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
        return x + self.mlp["c_proj"](h)


class NanoGPT(nn.Module):
    """Ties, and draws everything in its constructor."""

    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, D), nn.Embedding(64, D)
        self.h = nn.ModuleList(NanoBlock(D) for _ in range(layers))
        self.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.wte.weight = self.lm_head.weight
        self.apply(self._init)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * layers))

    def _init(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1), device=idx.device))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        loss = None if targets is None else F.cross_entropy(logits.view(-1, V), targets.view(-1))
        return logits, loss


class RMSNorm(nn.Module):
    def __init__(self, width: int, plus_one: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width) if plus_one else torch.ones(width))
        self.plus_one = plus_one

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return x * (1 + self.weight) if self.plus_one else x * self.weight


class GroupedAttention(nn.Module):
    """Grouped queries from one fused matrix, rotated, by einsum; queries and keys normalised."""

    def __init__(self, width: int, heads: int, groups: int, qk_norm: bool = True) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.wqkv = nn.Parameter(torch.empty((heads + 2 * groups) * self.size, width))
        self.wo = nn.Parameter(torch.empty(heads, self.size, width))
        nn.init.trunc_normal_(self.wqkv, std=width**-0.5)
        nn.init.trunc_normal_(self.wo, std=width**-0.5)
        self.q_norm = RMSNorm(self.size) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.size) if qk_norm else nn.Identity()
        frequencies = 1.0 / 10000 ** (torch.arange(0, self.size, 2).float() / self.size)
        angles = torch.outer(torch.arange(64).float(), frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        a, b = x[..., ::2], x[..., 1::2]
        cos, sin = self.cos[None, :t, None], self.sin[None, :t, None]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        qkv = torch.einsum("btd,ed->bte", x, self.wqkv)
        q, k, v = qkv.split([self.heads * self.size, self.groups * self.size, self.groups * self.size], dim=-1)
        q = self.rotate(self.q_norm(q.view(b, t, self.heads, self.size)))
        k = self.rotate(self.k_norm(k.view(b, t, self.groups, self.size)))
        v = v.view(b, t, self.groups, self.size)
        k, v = (y.repeat_interleave(self.heads // self.groups, dim=2) for y in (k, v))
        scores = torch.einsum("bthd,bshd->bhts", q, k) / self.size**0.5
        scores = scores + torch.full((t, t), float("-inf")).triu(1)
        return torch.einsum("bhts,bshd,hde->bte", scores.softmax(-1), v, self.wo)


class GatedMLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class RotaryLM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(V, D) * 0.02)
        self.blocks = nn.ModuleList(
            nn.ModuleList([RMSNorm(D, True), GroupedAttention(D, 4, 2), RMSNorm(D, True), GatedMLP(D, 160)])
            for _ in range(3)
        )
        self.norm = RMSNorm(D, True)
        self.head = nn.Parameter(torch.zeros(D, V))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table[ids]
        for norm1, attention, norm2, mlp in self.blocks:
            x = x + attention(norm1(x))
            x = x + mlp(norm2(x))
        return self.norm(x) @ self.head


class AlibiLM(nn.Module):
    """Slopes as a buffer, parallel attention and MLP, embedding scaled by sqrt(d), soft-capped logits."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.register_buffer("slopes", 2.0 ** -torch.arange(1, H + 1).float())
        self.blocks = nn.ModuleList()
        for _ in range(2):
            block = nn.Module()
            block.norm = nn.LayerNorm(D, bias=False)
            block.q, block.k, block.v = (nn.Linear(D, D, bias=False) for _ in range(3))
            block.up, block.out = nn.Linear(D, 128), nn.Linear(D + 128, D)
            self.blocks.append(block)

    def forward(self, ids: Tensor) -> Tensor:
        t = ids.shape[1]
        x = self.embed(ids) * D**0.5
        place = torch.arange(t)
        distance = (place[None] - place[:, None]).clamp(max=0)
        bias = self.slopes[:, None, None] * distance
        mask = torch.ones(t, t, dtype=torch.bool).tril()
        for block in self.blocks:
            h = block.norm(x)
            q, k, v = (f(h).unflatten(-1, (H, -1)).transpose(1, 2) for f in (block.q, block.k, block.v))
            scores = (q @ k.mT / (D // H) ** 0.5 + bias).masked_fill(~mask, -1e9)
            a = (scores.softmax(-1) @ v).transpose(1, 2).flatten(-2)
            x = x + block.out(torch.cat([a, F.relu(block.up(h)) ** 2], dim=-1))
        logits = F.layer_norm(x, (D,)) @ self.embed.weight.T / D**0.5
        return 30 * torch.tanh(logits / 30)


class LoopMoE(nn.Module):
    """Experts in a Python loop over those that got tokens."""

    def __init__(self, experts: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.router = nn.Linear(D, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(D, 128), nn.GELU(), nn.Linear(128, D)) for _ in range(experts)
        )
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        flat = self.norm(x).flatten(0, 1)
        weights, chosen = self.router(flat).softmax(-1).topk(2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            row, slot = (chosen == number).nonzero(as_tuple=True)
            if row.numel():
                out.index_add_(0, row, expert(flat[row]) * weights[row, slot, None])
        return self.head(F.layer_norm(x + out.view_as(x), (D,)))


class StackedMoE(nn.Module):
    """All experts in two tensors, with a one-hot dispatch of fixed capacity, a balancing buffer and a shared expert."""

    def __init__(self, experts: int = 4, hidden: int = 96, capacity: int = 8) -> None:
        super().__init__()
        self.capacity = capacity
        self.embed = nn.Embedding(V, D)
        self.gate = nn.Parameter(torch.randn(experts, D) * D**-0.5)
        self.register_buffer("balance", torch.zeros(experts))
        self.w1 = nn.Parameter(torch.empty(experts, D, 2 * hidden))
        self.w2 = nn.Parameter(torch.empty(experts, hidden, D))
        self.b2 = nn.Parameter(torch.zeros(experts, D))
        for w in (self.w1, self.w2):
            for expert in w:
                nn.init.kaiming_uniform_(expert, a=math.sqrt(5))
        self.shared = nn.Sequential(nn.Linear(D, 128), nn.SiLU(), nn.Linear(128, D))
        self.norm = nn.RMSNorm(D)
        self.head = nn.Linear(D, V, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        h = self.norm(x).flatten(0, 1)
        scores = torch.sigmoid(h @ self.gate.T)
        _, chosen = (scores + self.balance).topk(1, dim=-1)
        one = F.one_hot(chosen[:, 0], self.gate.shape[0]).float()
        place = ((one.cumsum(0) - 1) * one).sum(-1).long()
        keep = (place < self.capacity).float()
        slots = F.one_hot(place.clamp(max=self.capacity - 1), self.capacity).float()
        dispatch = one[:, :, None] * slots[:, None] * keep[:, None, None]
        grouped = torch.einsum("nec,nd->ecd", dispatch, h)
        a, b = torch.bmm(grouped, self.w1).chunk(2, -1)
        y = torch.baddbmm(self.b2[:, None], F.silu(a) * b, self.w2)
        combined = torch.einsum("nec,ecd->nd", dispatch * (scores * one).sum(-1)[:, None, None], y)
        x = x + (combined + self.shared(h)).view_as(x)
        return self.head(F.rms_norm(x, (D,)))


class MixtureOfDepths(nn.Module):
    """A block that only the tokens of the highest scores go through."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.routers = nn.ModuleList(nn.Linear(D, 1, bias=False) for _ in range(2))
        self.blocks = nn.ModuleList(NanoBlock(D) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, V, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for router, block in zip(self.routers, self.blocks, strict=True):
            weight = router(x).squeeze(-1)
            top, index = weight.topk(x.shape[1] // 2, dim=1)
            index, order = index.sort(dim=1)
            where = index.unsqueeze(-1).expand(-1, -1, D)
            picked = x.gather(1, where)
            update = (block(picked) - picked) * top.gather(1, order).sigmoid().unsqueeze(-1)
            x = x.scatter_add(1, where, update)
        return self.head(self.norm(x))


class Universal(nn.Module):
    """One block run six times with a step embedding: weights shared across depth."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D, padding_idx=0)
        self.step = nn.Embedding(6, D)
        self.block = nn.TransformerEncoderLayer(D, H, 128, dropout=0.1, batch_first=True, norm_first=True)
        self.halt = nn.Linear(D, 1)
        nn.init.constant_(self.halt.bias, 1.0)
        self.norm, self.out = nn.LayerNorm(D), nn.Linear(D, V)

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        x = self.embed(ids)
        total = torch.zeros_like(x)
        for number in range(6):
            x = self.block(x + self.step.weight[number])
            total = total + torch.sigmoid(self.halt(x)) * x
        return {"logits": self.out(self.norm(total)), "state": x}


class LoRA(nn.Module):
    def __init__(self, layer: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = layer
        self.A = nn.Parameter(torch.empty(rank, layer.in_features))
        self.B = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + F.linear(F.linear(x, self.A), self.B) * 2.0


class LoRANet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            LoRA(nn.Linear(32, 64)), nn.ReLU(), LoRA(nn.Linear(64, 64)), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class LinearAttention(nn.Module):
    """RetNet-like decay per head in a buffer, a group norm and a swish gate, hand-written recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.q, self.k, self.v, self.g, self.o = (nn.Linear(D, D, bias=False) for _ in range(5))
        self.norm = nn.LayerNorm(D)
        self.group = nn.GroupNorm(H, D, affine=False)
        self.register_buffer("decay", 1 - 2.0 ** (-5 - torch.arange(H).float()))
        self.head = nn.Linear(D, V)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        h = self.norm(x)
        b, t, _ = h.shape
        q, k, v = (f(h).view(b, t, H, -1) for f in (self.q, self.k, self.v))
        k = k * (D // H) ** -0.5
        state = torch.zeros(b, H, D // H, D // H)
        outputs = []
        for i in range(t):
            state = state * self.decay[:, None, None] + k[:, i, :, :, None] * v[:, i, :, None, :]
            outputs.append(torch.einsum("bhk,bhkv->bhv", q[:, i], state))
        y = torch.stack(outputs, 1).reshape(b * t, D)
        y = self.group(y).view(b, t, D) * F.silu(self.g(h))
        return self.head(x + self.o(y))


class RelativeBias(nn.Module):
    """Transformer-XL/T5-like bucket table, sandwich norms with LayerScale, prefix tokens and a keyword-only forward."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.prefix = nn.Parameter(torch.zeros(3, D))
        nn.init.uniform_(self.prefix, -0.1, 0.1)
        self.bias = nn.Parameter(torch.zeros(2 * 32 - 1, H))
        nn.init.trunc_normal_(self.bias, std=0.02)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.pre, self.post = nn.LayerNorm(D), nn.LayerNorm(D)
        self.scale = nn.Parameter(torch.full((D,), 1e-4))
        self.head = nn.Linear(D, V)
        place = torch.arange(32)
        self.register_buffer("index", place[:, None] - place[None] + 31)

    def forward(self, *, ids: Tensor, mask: Tensor | None = None) -> dict[str, Any]:
        x = torch.cat([self.prefix.expand(ids.shape[0], -1, -1), self.embed(ids)], dim=1)
        t = x.shape[1]
        q, k, v = self.qkv(self.pre(x)).unflatten(-1, (3, H, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias[self.index[:t, :t]].permute(2, 0, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(0).expand(x.shape[0], -1, -1, -1))
        y = self.post(self.out(y.transpose(1, 2).flatten(-2)))
        x = x + self.scale * y
        return {"logits": self.head(x[:, 3:]), "pair": (x, q)}


def _keyword() -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (), {"ids": tokens(V, 2, T)()[0][0]}


CASES = [
    Case(
        "nanogpt",
        NanoGPT,
        tokens(V, 2, T),
        {"h.0.attn.c_attn.weight": (D, D), "h.0.mlp.c_proj.weight": (4 * D, D), "wte.weight": (D, V)},
        V,
    ),
    Case(
        "rotary",
        RotaryLM,
        tokens(V, 2, T),
        {"blocks.0.1.wqkv": (D, D), "blocks.0.1.wo": (D, D), "blocks.0.3.gate_up.weight": (D, 160), "head": (D, V)},
        V,
        {"norm.weight": "Constant(value=0.0)", "blocks.0.1.q_norm.weight": "Constant(value=1.0)"},
    ),
    Case("alibi", AlibiLM, tokens(V, 2, T), {"blocks.0.out.weight": (D + 128, D)}, V),
    Case("loop_moe", LoopMoE, tokens(V, 2, T), {"experts.0.0.weight": (D, 128), "router.weight": (D, 4)}, V),
    Case("stacked_moe", StackedMoE, tokens(V, 2, T), {"w1": (D, 96), "w2": (96, D), "gate": (D, 4)}, V),
    Case("mixture_of_depths", MixtureOfDepths, tokens(V, 2, T), {"routers.0.weight": (D, 1)}, V),
    Case("universal", Universal, tokens(V, 2, T), {"block.linear1.weight": (D, 128)}, V),
    Case(
        "lora",
        LoRANet,
        lambda: ((torch.randn(8, 32),), {}),
        {"net.0.A": (32, 4), "net.0.B": (4, 64)},
        10,
        {"net.0.B": "Constant(value=0.0)"},
    ),
    Case("retention", LinearAttention, tokens(V, 2, T), {"q.weight": (D, D)}, V),
    Case("relative_bias", RelativeBias, _keyword, {"qkv.weight": (D, D)}, V),
]
