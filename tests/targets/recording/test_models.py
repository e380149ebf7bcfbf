"""Initialisation code as known libraries have it: transformers, torch.nn, and the styles of well-known code bases."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError
from wellbegun.laws import Keep, Patched, Stored

from .models import STYLES, Nano, Olmo, Titan, titan_stage


def digests(model: nn.Module) -> dict[str, str]:
    tensors = (*model.named_parameters(), *model.named_buffers())
    return {
        name: hashlib.sha256(t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, t in tensors
    }


@pytest.mark.parametrize("style", STYLES)
def test_the_same_bits_whatever_the_random_state(style: str) -> None:
    make, initialise = STYLES[style]
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = make()
        with wb.recording(model, seed=3) as recorded:
            initialise(model)
        found.append((digests(model), recorded.plan.hash))
        assert wb.verify(recorded.plan, model).faults == ()
    assert found[0] == found[1]
    with wb.recording(other := make(), seed=4):
        initialise(other)
    assert digests(other) != found[0][0]


@pytest.mark.parametrize("style", STYLES)
def test_the_laws_are_those_of_the_code(style: str) -> None:
    """What the code itself writes, with torch's numbers, has the moments that the plan names."""
    make, initialise = STYLES[style]
    torch.manual_seed(0)
    plain, model = make(), make()
    initialise(plain)
    with wb.recording(model, seed=3) as recorded:
        initialise(model)
    for name, tensor in (*plain.named_parameters(), *plain.named_buffers()):
        law, ours = recorded.plan[name].law, dict((*model.named_parameters(), *model.named_buffers()))[name]
        if isinstance(law, wb.Constant | Stored | Keep):
            assert torch.equal(tensor, ours), name
        else:
            assert abs(tensor.std() / recorded.plan[name].std - 1) < 0.2, name
            assert abs(ours.std() / recorded.plan[name].std - 1) < 0.2, name
            assert not torch.equal(tensor, ours), name


def test_torchtitan() -> None:
    model = Titan()
    with wb.recording(model, seed=3) as recorded:
        model.init_weights(buffer_device=torch.device("cpu"))
    plan = recorded.plan
    for layer in range(4):
        std = 0.02 / (2 * (layer + 1)) ** 0.5
        assert plan[f"layers.{layer}.attention.wo.weight"].law == wb.Normal(std)
        assert (
            "drawn by TitanFeedForward.init_weights (models.py" in plan[f"layers.{layer}.feed_forward.w2.weight"].reason
        )
    cut = wb.TruncatedNormal(0.25, low=-3, high=3, match_std=False)
    assert plan["output.weight"].law == cut
    assert recorded.applied.kept == 0
    expected = Titan()._precompute_freqs_cis()
    assert torch.equal(model.freqs_cis, expected)
    assert model.freqs_cis.dtype == torch.complex64
    assert isinstance(plan["freqs_cis"].law, Stored)
    assert model(torch.arange(5)[None]).isfinite().all()


def test_a_model_on_meta_and_the_plan_of_one_that_is_built(tmp_path: Any) -> None:
    with torch.device("meta"):
        model = Titan()
    with wb.recording(model, seed=3) as recorded:
        model.init_weights()
    built = Titan()
    with wb.recording(built, seed=3) as other:
        built.init_weights()
    assert digests(model) == digests(built)
    assert recorded.plan.hash == other.plan.hash
    recorded.plan.save(tmp_path / "plan.json")
    applied = Titan()
    wb.apply(wb.load_plan(tmp_path / "plan.json"), applied)
    assert digests(applied) == digests(built)


def test_code_that_forgets_a_tensor_of_a_meta_model() -> None:
    with torch.device("meta"):
        model = Nano()
    words = r"transformer.h.0.ln_1.weight: is on meta, and the code"
    with pytest.raises(ApplyError, match=words) as caught, wb.recording(model, seed=1):
        model.initialise()
    assert "transformer.h.3.bias: is on meta" in str(caught.value)
    assert all(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("splits", [[[0, 1], [2, 3]], [[0], [1], [2], [3]], [[0, 2], [1, 3]], [[], [0, 1, 2, 3]]])
def test_stages_of_a_pipeline(splits: list[list[int]]) -> None:
    whole = Titan()
    with wb.recording(whole, seed=3):
        whole.init_weights()
    expected, found = digests(whole), {}
    for place, numbers in enumerate(splits):
        torch.manual_seed(place)
        stage = titan_stage(Titan(), numbers, place == 0, place == len(splits) - 1)
        with wb.recording(stage, seed=3):
            stage.init_weights()
        found |= digests(stage)
    assert found == expected


def test_a_stage_that_numbers_its_layers_anew() -> None:
    whole = Titan()
    with wb.recording(whole, seed=3) as everything:
        whole.init_weights()
    stage = nn.Sequential(*list(Titan().layers.values())[2:])
    with wb.recording(stage, seed=3, names={"0": "layers.2", "1": "layers.3"}) as recorded:
        for block in stage:
            block.init_weights()
    expected = digests(whole)
    for name, digest in digests(stage).items():
        number, _, rest = name.partition(".")
        assert digest == expected[f"layers.{int(number) + 2}.{rest}"]
    assert {entry.name for entry in recorded.plan} < {entry.name for entry in everything.plan}
    assert all(entry.law == everything.plan[entry.name].law for entry in recorded.plan)


class Rejecting(nn.Module):
    """Older code that draws again what lies too far out, and so looks at random numbers while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)

    @torch.no_grad()
    def init_weights(self) -> None:
        for layer in (self.up, self.down):
            weight = layer.weight.normal_()
            while (outside := weight.abs() > 1).any():
                weight[outside] = torch.randn(int(outside.sum()))
            layer.bias.copy_(torch.rand(layer.out_features).softmax(0))


def test_code_that_looks_at_random_numbers_gives_a_stage_the_numbers_of_the_whole() -> None:
    def initialised(numbers: list[int]) -> dict[str, str]:
        model = nn.ModuleDict({str(number): Rejecting() for number in numbers})
        with wb.recording(model, seed=3) as recorded:
            for layer in model.values():
                layer.init_weights()
        assert all("fixed to seed 3" in entry.reason for entry in recorded.plan)
        for layer in model.values():
            assert layer.up.weight.abs().max() <= 1
            assert abs(layer.up.bias.sum() - 1) < 1e-6
        assert not torch.equal(model[str(numbers[0])].up.weight[:8, :8], model[str(numbers[0])].down.weight[:, :8])
        return digests(model)

    whole = initialised([0, 1, 2, 3])
    assert whole == initialised([0, 1]) | initialised([2, 3])
    assert len(set(whole.values())) == len(whole)


def test_wrapped_models_have_the_names_of_the_bare_one() -> None:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    bare = Olmo()
    with wb.recording(bare, seed=3):
        bare.init_weights()
    compiled = torch.compile(Olmo(), backend="eager")
    with wb.recording(compiled, seed=3):
        compiled.init_weights()
    assert digests(compiled._orig_mod) == digests(bare)
    parallel = nn.DataParallel(Olmo())
    with wb.recording(parallel, seed=3):
        parallel.module.init_weights()
    assert digests(parallel.module) == digests(bare)
    inner = Olmo()
    for name, block in list(inner.blocks.items()):
        inner.blocks[name] = checkpoint_wrapper(block)
    with wb.recording(inner, seed=3) as recorded:
        inner.init_weights()
    assert list(digests(inner).values()) == list(digests(bare).values())
    assert "blocks.0.w_qkv.weight" in recorded.plan


TRANSFORMERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {
        "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 32,
    }),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "vocab_size": 99, "pad_token_id": 3,
    }),
    "mamba2": ("Mamba2ForCausalLM", "Mamba2Config", {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4, "num_heads": 8, "head_dim": 8,
        "n_groups": 2,
    }),
    "vit": ("ViTForImageClassification", "ViTConfig", {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
        "image_size": 16, "patch_size": 4,
    }),
}  # fmt: skip


def build(name: str) -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    model, config, settings = TRANSFORMERS[name]
    return getattr(transformers, model)(getattr(transformers, config)(**settings))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    pytest.importorskip("transformers")
    found = []
    for seed, way in enumerate(("init_weights", "apply")):
        torch.manual_seed(seed)
        model = build(name)
        marks = [getattr(module, "_is_hf_initialized", None) for module in model.modules()]
        with wb.recording(model, seed=3) as recorded:
            model.init_weights() if way == "init_weights" else model.apply(model._init_weights)
        assert recorded.applied.kept == 0
        assert marks == [getattr(module, "_is_hf_initialized", None) for module in model.modules()]
        found.append(digests(model))
    assert found[0] == found[1]
    plan = recorded.plan
    if name == "gpt2":
        assert plan["transformer.h.1.attn.c_proj.weight"].law == wb.Normal(0.02 / 2)
        assert plan["transformer.wte.weight"].ties == ("lm_head.weight",)
    if name == "llama":
        assert plan["model.embed_tokens.weight"].law == Patched(wb.Normal(0.02), [(((3, 4),), wb.Constant(0.0))])
        assert isinstance(plan["model.rotary_emb.inv_freq"].law, Stored)
    if name == "mamba2":
        steps = nn.functional.softplus(model.backbone.layers[0].mixer.dt_bias)
        assert 1e-3 < steps.min() < steps.max() < 0.11
        assert torch.equal(model.backbone.layers[0].mixer.A_log, torch.log(torch.arange(1.0, 9)))


def test_what_a_checkpoint_of_transformers_brought_stays(tmp_path: Any) -> None:
    transformers = pytest.importorskip("transformers")
    build("llama").model.save_pretrained(tmp_path)
    config = transformers.LlamaConfig.from_pretrained(tmp_path)
    model = transformers.LlamaForSequenceClassification.from_pretrained(tmp_path, config=config)
    before = digests(model)
    with wb.recording(model, seed=3) as recorded:
        model.init_weights()
    changed = {name for name, digest in digests(model).items() if digest != before[name]}
    assert changed == {"score.weight"}
    assert not isinstance(recorded.plan["score.weight"].law, Keep)


def layers() -> nn.Module:
    """One of each of torch.nn's layers that has a reset_parameters."""
    return nn.ModuleList(
        [
            nn.Linear(5, 3),
            nn.Bilinear(3, 4, 5),
            nn.Conv1d(4, 6, 3, groups=2),
            nn.Conv2d(2, 4, 3),
            nn.ConvTranspose3d(2, 2, 2),
            nn.Embedding(9, 4, padding_idx=2),
            nn.EmbeddingBag(9, 4),
            nn.LayerNorm(4),
            nn.GroupNorm(2, 4),
            nn.RMSNorm(4),
            nn.BatchNorm2d(3),
            nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
            nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
            nn.GRU(3, 4),
            nn.RNN(3, 4),
            nn.LSTMCell(3, 4),
            nn.PReLU(3),
            nn.MultiheadAttention(8, 2, kdim=4, vdim=4, add_bias_kv=True),
            nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
            nn.AdaptiveLogSoftmaxWithLoss(32, 20, [5, 10]),
        ]
    )


def test_every_layer_of_torch() -> None:
    def reset(model: nn.Module) -> None:
        for module in model.modules():
            for name in ("reset_parameters", "_reset_parameters"):
                if hasattr(module, name):
                    getattr(module, name)()

    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, plain = layers(), layers()
        with wb.recording(model, seed=3) as recorded:
            reset(model)
        reset(plain)
        found.append(digests(model))
    assert found[0] == found[1]
    for name, tensor in model.state_dict().items():
        law, other = recorded.plan[name].law, plain.state_dict()[name]
        if isinstance(law, wb.Constant):
            assert torch.equal(tensor, other), name
        else:
            assert isinstance(law, wb.Uniform | wb.Normal | Patched | Keep), name
    assert recorded.plan["5.weight"].law == Patched(wb.Normal(1.0), [(((2, 3),), wb.Constant(0.0))])
    kept = {entry.name for entry in recorded.plan if isinstance(entry.law, Keep)}
    assert kept <= {name for name in recorded.plan._names if name.endswith(("in_proj_bias", "out_proj.bias"))}


def test_adapters_keep_the_names_of_the_base() -> None:
    peft = pytest.importorskip("peft")
    base, adapted = Olmo(), peft.get_peft_model(Olmo(), peft.LoraConfig(target_modules=["w_qkv"]))
    for model in (base, adapted):
        with wb.recording(model, seed=3):
            (model if model is base else model.base_model.model).init_weights()
    assert torch.equal(base.head.weight, adapted.base_model.model.head.weight)
    inner = adapted.base_model.model.blocks["0"].w_qkv.base_layer
    assert torch.equal(base.blocks["0"].w_qkv.weight, inner.weight)


def test_time_and_memory_do_not_grow_with_the_stand_ins() -> None:
    """A model on meta of 8 GiB: the block itself takes no memory, an error in it leaves none behind."""
    import resource

    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(16_384, 16_384, bias=False) for _ in range(8)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def code() -> None:
        for layer in model:
            nn.init.trunc_normal_(layer.weight, std=0.02)
        raise KeyError

    with pytest.raises(KeyError), wb.recording(model, seed=1):
        code()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
