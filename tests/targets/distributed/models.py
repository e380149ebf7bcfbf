"""Models to be sharded: a GPT, a mixture of experts, and both in stages."""

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, WIDTH, HEADS = 61, 24, 4


class Block(nn.Module):
    def __init__(self, experts: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = Experts(experts) if experts else Mlp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        return x + self.mlp(self.norm2(x))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(F.gelu(self.up(x)))


class Experts(nn.Module):
    """All experts see every token, weighted by a router: no matter for starting weights."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, count, bias=False)
        self.up = nn.Parameter(torch.empty(count, WIDTH, 2 * WIDTH))
        self.down = nn.Parameter(torch.empty(count, 2 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.router(x).softmax(-1)
        hidden = F.gelu(torch.einsum("btd,edh->bteh", x, self.up))
        return torch.einsum("bteh,ehd,bte->btd", hidden, self.down, weight)


class GPT(nn.Module):
    def __init__(self, layers: int = 4, experts: int = 0, tied: bool = True) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH, padding_idx=3), nn.Embedding(16, WIDTH)
        self.layers = nn.ModuleDict({str(number): Block(experts) for number in range(layers)})
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.tokens.weight
        self.register_buffer("scale", torch.full((WIDTH,), 2.0), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = tokens
        if self.tokens is not None:
            x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        for layer in self.layers.values():
            x = layer(x)
        return x if self.head is None else self.head(self.norm(x * self.scale))


def stage(model: GPT, numbers: list[int], first: bool, last: bool) -> GPT:
    """Cut a model down to a stage, as pipelines by hand do."""
    for number in list(model.layers):
        if int(number) not in numbers:
            del model.layers[number]
    if not first:
        model.tokens = model.places = None
    if not last:
        model.norm = model.head = None
    return model
