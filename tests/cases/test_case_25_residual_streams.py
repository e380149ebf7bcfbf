"""Case 25: residual writers are found by structure; gpt2@1 divides them by sqrt(2L); auto's stream grows as planned."""

import math

import pytest
import torch
import transformers
from torch import nn

import wellbegun as wb

TOKENS = {"input_ids": torch.arange(12).reshape(1, 12)}


def gpt2(depth: int) -> nn.Module:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=64, n_embd=32, n_layer=depth, n_head=2, n_positions=16, bos_token_id=0,
                                eos_token_id=0)
    )  # fmt: skip


def llama(depth: int) -> nn.Module:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=depth, num_attention_heads=2,
            num_key_value_heads=1,
        )
    )  # fmt: skip


def mixture(depth: int) -> nn.Module:
    return transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=depth, num_attention_heads=2,
            num_key_value_heads=1, num_local_experts=4,
        )
    )  # fmt: skip


def bert(depth: int) -> nn.Module:
    return transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=depth, num_attention_heads=2,
            max_position_embeddings=16,
        )
    )  # fmt: skip


class Renamed(nn.Module):
    """A pre-norm transformer whose names say nothing, with a packed projection and a stack of experts."""

    def __init__(self, depth: int, width: int = 32) -> None:
        super().__init__()
        self.a = nn.Embedding(64, width)
        self.b = nn.ModuleList(
            nn.ModuleDict({
                "c": nn.LayerNorm(width), "d": nn.Linear(width, 3 * width), "e": nn.Linear(width, width),
                "f": nn.LayerNorm(width),
            })
            for _ in range(depth)
        )  # fmt: skip
        self.g = nn.ParameterList(nn.Parameter(torch.zeros(4, width, 48)) for _ in range(depth))
        self.h = nn.ParameterList(nn.Parameter(torch.zeros(4, 48, width)) for _ in range(depth))
        self.i, self.j = nn.LayerNorm(width), nn.Linear(width, 64)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.a(input_ids)
        for block, up, down in zip(self.b, self.g, self.h, strict=True):
            q, k, v = block["d"](block["c"](x)).chunk(3, -1)
            x = x + block["e"](nn.functional.scaled_dot_product_attention(q, k, v))
            y = block["f"](x).expand(4, *x.shape[1:])
            x = x + (torch.bmm(torch.relu(torch.bmm(y, up)), down) / 4).sum(0, keepdim=True)
        return self.j(self.i(x))


WRITERS = {
    "gpt2": (gpt2, ("attn.c_proj.weight", "mlp.c_proj.weight")),
    "llama": (llama, ("self_attn.o_proj.weight", "mlp.down_proj.weight")),
    "mixture": (mixture, ("self_attn.o_proj.weight", "mlp.experts.down_proj")),
    "renamed": (Renamed, None),
}


def writers(name: str, depth: int) -> set[str]:
    make, endings = WRITERS[name]
    if endings is None:
        return {f"b.{i}.e.weight" for i in range(depth)} | {f"h.{i}" for i in range(depth)}
    return {weight for weight, _ in make(depth).named_parameters() if weight.endswith(endings)}


@pytest.mark.parametrize("depth", [2, 12])
@pytest.mark.parametrize("name", WRITERS)
def test_gpt2_divides_what_writes_into_the_stream(name: str, depth: int) -> None:
    plan = wb.plan(lambda: WRITERS[name][0](depth), TOKENS, seed=0, recipe="gpt2@1")
    expected = writers(name, depth)
    assert len(expected) == 2 * depth
    for entry in plan:
        if len(entry.shape) < 2 or "embedding" in entry.role:
            continue
        base = 0.02 / math.sqrt(2 * depth) if entry.name in expected else 0.02
        assert entry.std == pytest.approx(base, rel=1e-6), entry.name


def test_post_norm_models_are_not_scaled() -> None:
    for depth in (2, 12):
        plan = wb.plan(bert(depth), TOKENS, seed=0, recipe="gpt2@1")
        assert {round(entry.std, 6) for entry in plan if len(entry.shape) == 2 and entry.kind == "parameter"} == {0.02}
    plans = {depth: wb.plan(lambda depth=depth: bert(depth), TOKENS, seed=0) for depth in (2, 12)}
    for weight in ("attention.output.dense.weight", "output.dense.weight"):
        name = f"bert.encoder.layer.1.{weight}"
        assert plans[12][name].std == pytest.approx(plans[2][name].std, rel=1e-6)


class Stream(nn.Module):
    """A pre-norm stream of L branches of two matrices each."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth + 1))
        self.head = nn.Linear(width, 10)
        self.seen: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = []
        for up, down, norm in zip(self.up, self.down, self.norm, strict=False):
            x = x + down(nn.functional.gelu(up(norm(x))))
            if not x.is_meta:
                self.seen.append(float(x.detach().square().mean()))
        return self.head(self.norm[-1](x))


@pytest.mark.parametrize("depth", [2, 12, 48])
def test_the_stream_under_auto_is_as_large_as_planned(depth: int) -> None:
    """Theory: from 1, each of L writes adds 1/L, so behind write l the stream's std is sqrt(1 + l/L)."""
    model = Stream(depth, 128)
    x = torch.randn(256, 128, generator=torch.Generator().manual_seed(0))
    plan = wb.plan(model, x, seed=0)
    found = torch.zeros(depth, dtype=torch.float64)
    for seed in range(4):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        with torch.no_grad():
            model(x)
        found += torch.tensor(model.seen, dtype=torch.float64) / 4
    for place, size in enumerate(found.sqrt().tolist(), 1):
        assert size == pytest.approx(math.sqrt(1 + place / depth), rel=0.1), place


def stream_of(model: nn.Module, layers: nn.ModuleList, tokens: torch.Tensor) -> tuple[float, float]:
    """Second moment of the stream before the first and behind the last layer."""
    sizes: list[float] = []

    def first(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        sizes.append(float(args[0].detach().double().square().mean()))

    def last(module: nn.Module, args: object, made: object) -> None:
        hidden = made[0] if isinstance(made, tuple) else made
        sizes.append(float(hidden.detach().double().square().mean()))

    hooks = [layers[0].register_forward_pre_hook(first), layers[-1].register_forward_hook(last)]
    with torch.no_grad():
        model(input_ids=tokens)
    for hook in hooks:
        hook.remove()
    return sizes[0], sizes[1]


@pytest.mark.parametrize("depth", [2, 12, pytest.param(48, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_streams_of_real_transformers(family: str, depth: int) -> None:
    """The MLPs add what theory says; attention adds at most that, and less where it averages over many tokens."""
    make = {"gpt2": gpt2, "llama": llama}[family]
    plan = wb.plan(lambda: make(depth), TOKENS, seed=0)
    model = make(depth).eval()
    layers = model.transformer.h if family == "gpt2" else model.model.layers
    tokens = torch.randint(1, 64, (4, 12), generator=torch.Generator().manual_seed(0))
    grown = []
    for seed in range(4):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        before, after = stream_of(model, layers, tokens)
        grown.append((before, after))
    before = sum(b for b, _ in grown) / len(grown)
    after = sum(a for _, a in grown) / len(grown)
    written = sum(plan[name].after for name in writers(family, depth))
    # GPT-2's table is the output layer too: the writes outweigh its two tables until a token's own logit is 1
    more = 0.5 * model.config.hidden_size / 2 - 1 if family == "gpt2" else 1.0
    assert written == pytest.approx(more * before, rel=0.15)
    assert math.sqrt(before + 0.5 * written) * 0.9 <= math.sqrt(after) <= math.sqrt(before + written) * 1.1
