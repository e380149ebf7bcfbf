"""Every way in which PyTorch multiplies with a parameter is seen, and meets its target."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

import wellbegun as wb
from wellbegun.laws import Fans
from wellbegun.plans import Entry, Plan


def data(*shape, seed=0):
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 0.5


def plan_by_hand(model, targets, std=0.3, seed=9):
    """A plan that asks nothing of the graph: calibration is tested alone."""
    entries = []
    for actual, parameter in model.named_parameters():
        name = actual.removesuffix("_orig")  # a pruned weight
        bias = name.endswith(("bias", "bias_ih_l0", "bias_hh_l0"))
        law = wb.Constant(0.0) if bias else wb.Normal(std)
        entries.append(
            Entry(
                name=name,
                kind="parameter",
                shape=tuple(parameter.shape),
                dtype=str(parameter.dtype).removeprefix("torch."),
                role="bias" if bias else "linear weight",
                initializer=repr(law),
                law=law,
                reason="by hand",
                fans=Fans(1, 1),
                after=targets.get(name),
            )
        )
    for name, buffer in model.named_buffers():
        dtype = str(buffer.dtype).removeprefix("torch.")
        entries.append(Entry(name, "buffer", tuple(buffer.shape), dtype, "constant", "Keep()", wb.Keep(), "kept"))
    return Plan(tuple(entries), seed, "by hand")


class Function(nn.Module):
    """A parameter and any function of it."""

    def __init__(self, shape, function, dtype=torch.float32):
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.zeros(shape, dtype=dtype)), function

    def forward(self, x):
        return self.function(x, self.weight)


CASES = {
    "x @ W": ((16, 8), (64, 16), lambda x, w: x @ w),
    "W @ x": ((8, 64), (64, 16), lambda x, w: w @ x),
    "a stack of inputs @ W": ((16, 8), (5, 64, 16), lambda x, w: x @ w),
    "a vector": ((16,), (64, 16), lambda x, w: x @ w),
    "F.linear": ((8, 16), (64, 16), lambda x, w: F.linear(x, w)),
    "einsum": ((16, 2, 4), (5, 7, 16), lambda x, w: torch.einsum("btd,dhk->bthk", x, w)),
    "einsum, inputs last": ((8, 16), (5, 7, 16), lambda x, w: torch.einsum("btd,od->bot", x, w)),
    "addmm with the data": ((16, 16), (64, 16), lambda x, w: torch.addmm(torch.zeros(64, 16), x, w)),
    "experts in one tensor": ((3, 16, 8), (3, 20, 16), lambda x, w: torch.bmm(x, w)),
    "baddbmm": ((3, 16, 8), (3, 20, 16), lambda x, w: torch.baddbmm(torch.zeros(3, 20, 8), x, w)),
    "in place": ((16, 8), (64, 16), lambda x, w: torch.zeros(64, 8).addmm_(x, w)),
    "with out": ((16, 8), (64, 16), lambda x, w: torch.mm(x, w, out=torch.empty(64, 8))),
    "bilinear": ((8, 16, 16), (64, 16), lambda x, w: F.bilinear(x, x, w)),
    "conv1d": ((8, 4, 3), (5, 4, 30), lambda x, w: F.conv1d(x, w, padding=2, dilation=2)),
    "conv2d, depthwise": ((8, 1, 3, 3), (5, 8, 9, 9), lambda x, w: F.conv2d(x, w, groups=8, stride=2)),
    "conv2d, without a batch": ((8, 4, 3, 3), (4, 9, 9), lambda x, w: F.conv2d(x, w)),
    "conv3d": ((8, 4, 2, 2, 2), (2, 4, 5, 5, 5), lambda x, w: F.conv3d(x, w)),
    "transposed": ((4, 8, 3, 3), (5, 4, 6, 6), lambda x, w: F.conv_transpose2d(x, w, stride=2, output_padding=1)),
    "a turned copy": ((16, 8), (64, 16), lambda x, w: F.linear(x, w.t().contiguous())),
    "a scaled copy": ((16, 8), (64, 16), lambda x, w: x @ (w * 0.5)),
    "a chosen expert": ((3, 16, 8), (64, 16), lambda x, w: x @ w[torch.tensor([1])][0]),
    "float64 copy": ((16, 8), (64, 16), lambda x, w: x.double() @ w.double()),
    "checkpointed": ((16, 8), (64, 16), lambda x, w: checkpoint(torch.matmul, x, w, use_reentrant=False)),
    "in inference mode": ((16, 8), (64, 16), torch.inference_mode()(lambda x, w: F.linear(x, w.t()))),
    "a product of elements": ((16,), (64, 16), lambda x, w: x * w),
}


@pytest.mark.parametrize("case", CASES)
def test_the_result_meets_the_target(case):
    shape, batch, function = CASES[case]
    model, x = Function(shape, function), data(*batch)
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, x)
    assert made["weight"].measured == pytest.approx(0.7, rel=1e-5)
    wb.apply(made, model)
    with torch.no_grad():
        assert float(model(x).double().square().mean()) == pytest.approx(0.7, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types(dtype):
    model, x = Function((64, 32), lambda x, w: x @ w, dtype), data(128, 64).to(dtype)
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, x)
    wb.apply(made, model)
    assert float(model(x).detach().double().square().mean()) == pytest.approx(
        0.7, rel=1e-5 if dtype.itemsize > 4 else 0.01
    )


def test_complex_weights():
    model = Function((16, 8), lambda x, w: x @ w, torch.complex64)
    x = torch.complex(data(64, 16), data(64, 16, seed=1))
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, x)
    wb.apply(made, model)
    assert float(model(x).detach().abs().double().square().mean()) == pytest.approx(0.7, rel=1e-5)


def test_autocast():
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64))
    x = data(128, 64)
    plan = plan_by_hand(model, {"0.weight": 1.0, "2.weight": 0.5})
    with torch.autocast("cpu", torch.bfloat16):
        made = wb.calibrate(plan, model, x)
        wb.apply(made, model)
        assert float(model(x).detach().double().square().mean()) == pytest.approx(0.5, rel=0.01)


def test_parts_of_one_tensor_share_a_factor():
    model, x = Function((24, 16), lambda x, w: F.linear(F.linear(x, w[:16]), w[16:])), data(64, 16)
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, x)
    wb.apply(made, model)
    with torch.no_grad():
        first = float(F.linear(x, model.weight[:16]).double().square().mean())
        last = float(model(x).double().square().mean())
    assert first == pytest.approx(0.7, rel=1e-5)
    assert f"at the first of 2 uses, {last:.4g} at the last" in made["weight"].reason


def test_what_is_no_product_is_left_alone_and_says_so():
    model, x = Function((16,), lambda x, w: x + w), data(64, 16)
    plan = plan_by_hand(model, {"weight": 0.7})
    made = wb.calibrate(plan, model, x)
    assert made["weight"].law == plan["weight"].law
    assert made["weight"].reason == "by hand; not calibrated: no product with it ran on the batch"


def test_products_of_parameters_are_left_alone():
    """B·A of an adapter, one of them zero: nothing flows in but parameters."""

    class Adapter(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(16, 16, bias=False)
            self.a, self.b = nn.Parameter(torch.zeros(4, 16)), nn.Parameter(torch.zeros(16, 4))

        def forward(self, x):
            return self.base(x) + F.linear(x, self.b @ self.a)

    model, x = Adapter(), data(64, 16)
    plan = plan_by_hand(model, {"base.weight": 1.0, "a": 1.0, "b": 1.0})
    made = wb.calibrate(plan, model, x)
    assert made["base.weight"].measured == pytest.approx(1.0, rel=1e-5)
    assert all("not calibrated" in made[name].reason for name in "ab")


def test_a_pruned_weight():
    model, x = nn.Linear(16, 8), data(64, 16)
    prune.l1_unstructured(model, "weight", amount=0.5)
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, x)
    wb.apply(made, model)
    with torch.no_grad():
        model(x)
        assert float(model(x).double().square().mean()) == pytest.approx(0.7, rel=1e-5)


def test_learned_queries_are_data():
    class Queries(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries, self.layer = nn.Parameter(torch.zeros(5, 16)), nn.Linear(16, 8)

        def forward(self, x):
            return self.layer(self.queries) + x.mean()

    model = Queries()
    made = wb.calibrate(plan_by_hand(model, {"layer.weight": 0.7}), model, data(3))
    assert made["layer.weight"].measured == pytest.approx(0.7, rel=1e-5)


def test_padding_rows_do_not_count():
    model = nn.Embedding(20, 16, padding_idx=0)
    tokens = torch.arange(20).repeat(4, 1)
    tokens[:, 5:] = 0
    plan = wb.plan(model, tokens, seed=1)
    made = wb.calibrate(plan, model, tokens)
    wb.apply(made, model)
    assert float(model.weight[1:5].detach().double().square().mean()) == pytest.approx(plan["weight"].after, rel=1e-5)


def test_embedding_bag():
    model = nn.EmbeddingBag(20, 16, mode="sum")
    tokens = torch.arange(40).reshape(8, 5) % 20
    made = wb.calibrate(plan_by_hand(model, {"weight": 0.7}), model, tokens)
    wb.apply(made, model)
    assert float(model(tokens).detach().double().square().mean()) == pytest.approx(0.7, rel=1e-5)


# whole modules


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_multihead_attention(cross, need_weights):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(32, 4, batch_first=True)

        def forward(self, x, y):
            return self.inner(x, y, y, need_weights=need_weights)[0]

    model, x = Attention(), data(8, 10, 32)
    y = data(8, 12, 32, seed=1) if cross else x
    plan = plan_by_hand(model, {"inner.in_proj_weight": 1.0, "inner.out_proj.weight": 0.5})
    made = wb.calibrate(plan, model, {"x": x, "y": y})
    wb.apply(made, model)
    assert float(model(x, y).detach().double().square().mean()) == pytest.approx(0.5, rel=1e-4)
    part = F.linear(x, model.inner.in_proj_weight[:32] if cross else model.inner.in_proj_weight)
    assert float(part.detach().double().square().mean()) == pytest.approx(1.0, rel=1e-4)


def test_transformer_encoder_with_a_padding_mask():
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)
    mask = torch.zeros(8, 10, dtype=torch.bool)
    mask[:, 7:] = True
    names = [name for name, p in model.named_parameters() if p.ndim > 1]
    plan = plan_by_hand(model, dict.fromkeys(names, 1.0))
    made = wb.calibrate(plan, model, {"src": data(8, 10, 32), "src_key_padding_mask": mask})
    assert len(names) == 8
    assert all(made[name].measured == pytest.approx(1.0, rel=1e-5) for name in names)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers(kind):
    """The state starts at zero: the first step tells nothing about the recurrent weight, the second does."""
    model, x = kind(16, 32, batch_first=True), data(32, 5, 16)
    plan = plan_by_hand(model, {"weight_ih_l0": 1.0, "weight_hh_l0": 0.25})
    made = wb.calibrate(plan, model, x)
    wb.apply(made, model)
    with torch.no_grad():
        gates = F.linear(x, model.weight_ih_l0)
        recurrent = F.linear(model(x[:, :1])[0][:, 0], model.weight_hh_l0)
    assert float(gates.double().square().mean()) == pytest.approx(1.0, rel=1e-5)
    assert float(recurrent.double().square().mean()) == pytest.approx(0.25, rel=1e-4)
    assert " at the first of 4 uses" in made["weight_hh_l0"].reason


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (GPT2LMHeadModel, GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=97, n_positions=32)),
        (
            LlamaForCausalLM,
            LlamaConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                vocab_size=97,
            ),
        ),
        (
            MixtralForCausalLM,
            MixtralConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                num_local_experts=4,
                vocab_size=97,
            ),
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_language_models(kind, config):
    config.bos_token_id = config.eos_token_id = None
    model = kind(config)
    tokens = torch.randint(0, 97, (8, 24), generator=torch.Generator().manual_seed(0))
    names = [name for name, p in model.named_parameters() if p.ndim > 1]
    plan = plan_by_hand(model, dict.fromkeys(names, 1.0))
    ties = {"transformer.wte.weight": ("lm_head.weight",)} if kind is GPT2LMHeadModel else {}
    plan = replace(plan, entries=tuple(replace(entry, ties=ties.get(entry.name, ())) for entry in plan))
    made = wb.calibrate(plan, model, {"input_ids": tokens})
    for name in names:
        assert made[name].measured == pytest.approx(1.0, rel=1e-5), (name, made[name].reason)


def test_a_language_model_planned_by_auto_starts_at_the_entropy_of_its_words():
    config = LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, vocab_size=97
    )
    model = LlamaForCausalLM(config)
    tokens = torch.randint(0, 97, (8, 24), generator=torch.Generator().manual_seed(0))
    plan = wb.plan(model, {"input_ids": tokens}, seed=1, rules={"*inv_freq": wb.Keep()})
    made = wb.calibrate(plan, model, {"input_ids": tokens})
    aimed = [entry for entry in made if entry.after is not None]
    assert len(aimed) == 4 * 7 + 2
    assert all(entry.measured == pytest.approx(entry.after, rel=1e-5) for entry in aimed)
    wb.apply(made, model)
    loss = model(input_ids=tokens, labels=tokens).loss
    assert float(loss.detach()) == pytest.approx(math.log(97) + 0.25, abs=0.1)
