"""Case 23: parameters with a meaning of their own keep it; an unknown vector or number has to be declared."""

import math

import numpy as np
import pytest
import torch
import transformers
from scipy import stats
from torch import nn

import wellbegun as wb
from wellbegun.errors import UnplannedError

pytestmark = pytest.mark.filterwarnings("ignore")
TOKENS = {"input_ids": torch.arange(12).reshape(1, 12)}
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 48}
LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
CONFIGURATIONS = {
    "Mamba": {"state_size": 8, "time_step_min": 0.002, "time_step_max": 0.05},
    "Mamba2": {
        "state_size": 8, "num_heads": 32, "head_dim": 2, "n_groups": 2, "chunk_size": 8, "time_step_min": 0.002,
        "time_step_max": 0.05,
    },
    "Rwkv": {"context_length": 16, "attention_hidden_size": 32},
    "Qwen3Next": HEADS | LINEAR | EXPERTS | {"num_experts": 4, "shared_expert_intermediate_size": 16,
                                             "num_hidden_layers": 4},
    "DeepseekV3": HEADS | EXPERTS | {
        "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 0, "q_lora_rank": 8,
        "kv_lora_rank": 8, "head_dim": 8,
        "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "num_key_value_heads": 2,
    },
    "GptOss": HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2},
}  # fmt: skip


def build(name: str) -> nn.Module:
    config = getattr(transformers, f"{name}Config")(**(SMALL | CONFIGURATIONS[name]))
    return getattr(transformers, f"{name}ForCausalLM")(config)


def planned(name: str, seed: int = 0) -> tuple[wb.Plan, nn.Module]:
    plan, model = wb.plan(lambda: build(name), TOKENS, seed=seed), build(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    wb.apply(plan, model)
    return plan, model


def named(model: nn.Module, ending: str) -> list[torch.Tensor]:
    found = [t.detach() for n, t in (*model.named_parameters(), *model.named_buffers()) if n.endswith(ending)]
    assert found, ending
    return found


@pytest.mark.parametrize(("name", "ending"), [("Mamba", "dt_proj.bias"), ("Mamba2", "dt_bias")])
def test_time_steps_are_log_uniform_in_their_range(name: str, ending: str) -> None:
    plan, model = planned(name)
    steps = []
    for seed in range(8):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        steps += [torch.nn.functional.softplus(bias.double()).numpy() for bias in named(model, ending)]
    every = np.concatenate(steps)
    assert len(every) >= 500
    assert every.min() >= 0.002 * (1 - 1e-4)
    assert every.max() <= 0.05 * (1 + 1e-4)
    share = np.log(every / 0.002) / math.log(0.05 / 0.002)
    assert stats.kstest(share, "uniform").pvalue > 1e-3
    assert not np.allclose(steps[0], steps[1])  # two layers differ


@pytest.mark.parametrize("name", ["Mamba", "Mamba2"])
def test_decay_rates_and_skips(name: str) -> None:
    _, model = planned(name)
    for table in named(model, "A_log"):
        rates = torch.arange(1, table.shape[-1] + 1, dtype=torch.float32)
        assert torch.allclose(table.exp(), rates.expand(table.shape), rtol=1e-6)
    for skip in named(model, ".D"):
        assert (skip == 1).all()


def test_gated_delta_net() -> None:
    """transformers declares rates log U(0, 16) and time steps softplus(1) for it."""
    plan, model = planned("Qwen3Next")
    rates = torch.cat(named(model, "A_log")).exp()
    assert float(rates.min()) > 0
    assert float(rates.max()) <= 16
    assert all((bias == 1).all() for bias in named(model, "dt_bias"))
    for norm in named(model, "input_layernorm.weight"):
        assert (norm == 0).all()  # the model multiplies by 1 + weight
    for norm in named(model, "linear_attn.norm.weight"):
        assert (norm == 1).all()
    with torch.no_grad():
        assert torch.isfinite(model(**TOKENS).logits).all()
    assert not any(isinstance(e.law, wb.Normal) for e in plan if len(e.shape) < 2)


def test_rwkv_holds_what_its_code_computes() -> None:
    torch.manual_seed(0)
    _, model = planned("Rwkv")
    own = build("Rwkv")
    kinds = ("time_decay", "time_first", "time_mix_key", "time_mix_value", "time_mix_receptance")
    compared = 0
    for name, value in own.named_parameters():
        if name.endswith(kinds):
            assert torch.allclose(model.get_parameter(name), value, atol=1e-6), name
            compared += 1
    assert compared >= 2 * len(kinds)


@pytest.mark.parametrize("name", ["Mamba", "Mamba2", "Rwkv", "DeepseekV3", "GptOss"])
def test_every_norm_starts_at_one(name: str) -> None:
    plan, model = planned(name)
    norms = [e for e in plan if e.role == "normalisation scale"]
    assert norms
    assert all((model.get_parameter(e.name) == 1).all() for e in norms)
    assert all(torch.isfinite(t).all() for t in model.state_dict().values() if t.is_floating_point())


def test_biases_of_routers_are_zero() -> None:
    for name, ending in (("GptOss", "router.bias"), ("DeepseekV3", "e_score_correction_bias")):
        _, model = planned(name)
        assert all((bias == 0).all() for bias in named(model, ending)), name


@pytest.mark.parametrize("form", ["all experts", "chosen experts", "one by one"])
def test_biases_of_experts_are_biases(form: str) -> None:
    """[experts, outputs] beside a stack of weights is no table of positions, which would be random."""

    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.empty(4, 8, 6)), nn.Parameter(torch.empty(4, 6))
            self.head = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            chosen = torch.tensor([0, 2, 1, 3, 0], device=x.device)
            if form == "all experts":
                y = torch.bmm(x.expand(4, 5, 8), self.weight) + self.bias[:, None, :]
            elif form == "chosen experts":
                y = torch.bmm(x[:, None, :], self.weight[chosen])[:, 0] + self.bias[chosen]
            else:
                y = sum(x @ self.weight[i] + self.bias[i] for i in range(4))
            return self.head(torch.relu(y))

    entry = wb.plan(Experts(), torch.randn(5, 8), seed=0)["bias"]
    assert (entry.role, entry.law) == ("bias", wb.Constant(0.0))


class Scored(nn.Module):
    """Similarities with a temperature, and one vector or number that is no bias and no normalisation."""

    def __init__(self, extra: torch.Tensor, temperature: float = 2.6592) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(16, 8), nn.Linear(16, 8)
        self.logit_scale = nn.Parameter(torch.tensor(temperature))
        self.extra = nn.Parameter(extra)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = nn.functional.normalize(self.left(x) * self.extra, dim=-1)
        return self.logit_scale.exp() * left @ nn.functional.normalize(self.right(x), dim=-1).T


@pytest.mark.parametrize("recipe", ["auto", "he", "gpt2@1", "normal(std=0.02)"])
@pytest.mark.parametrize("shape", [(8,), (1,)], ids=["vector", "one number"])
def test_an_unknown_vector_must_be_declared(shape: tuple[int, ...], recipe: str) -> None:
    x = torch.randn(4, 16)
    model = Scored(torch.randn(8)[: shape[0]] if shape == (8,) else torch.rand(1) * float("nan"))
    with pytest.raises(UnplannedError, match=r"extra \[\d\] \(parameter of Scored; (multiplied|scalar gate): mul"):
        wb.plan(model, x, seed=0, recipe=recipe)
    plan = wb.plan(model, x, seed=0, recipe=recipe, rules={"extra": wb.Ones()})
    assert plan["extra"].law == wb.Constant(1.0)


@pytest.mark.parametrize("recipe", ["auto", "he", "gpt2@1", "normal(std=0.02)"])
@pytest.mark.parametrize("temperature", [2.6592, 0.07, -1.0])
def test_a_temperature_is_as_declared(temperature: float, recipe: str) -> None:
    model = Scored(torch.ones(8), temperature)
    plan = wb.initialize(model, torch.randn(4, 16), seed=0, recipe=recipe)
    assert plan["logit_scale"].law == wb.Constant(temperature)
    assert float(model.logit_scale.detach()) == pytest.approx(temperature, rel=1e-6)


def test_the_scale_of_clip_is_that_of_its_configuration() -> None:
    text = {"vocab_size": 64, "max_position_embeddings": 16, "eos_token_id": 1, "bos_token_id": 0}
    vision = {"image_size": 16, "patch_size": 8}
    both = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=both | text, vision_config=both | vision, projection_dim=16, logit_scale_init_value=1.5
    )
    assert wb.plan(lambda: transformers.CLIPModel(config), seed=0)["logit_scale"].law == wb.Constant(1.5)
