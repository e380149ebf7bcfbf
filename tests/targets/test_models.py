"""Applying plans to models as people have them: wrapped, with adapters, on meta, partitioned, with special tensors."""

import sys
import types
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.targets.memory import read_only
from wellbegun.targets.tensor import share_memory


def network() -> nn.Sequential:
    return nn.Sequential(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)), nn.BatchNorm1d(8))


def planned() -> wb.Plan:
    return wb.plan(network(), "vector:8", seed=3)


def values(model: nn.Module) -> list[torch.Tensor]:
    return [t.detach().clone() for t in (*model.parameters(), *model.buffers())]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(values(first), values(second), strict=True))


@pytest.fixture
def process_group() -> Iterator[None]:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_a_plan_of_the_bare_model_applies_inside_every_wrapper(process_group: None) -> None:
    plan, bare = planned(), network()
    done = wb.apply(plan, bare)
    part = network()
    part[0] = checkpoint_wrapper(torch.compile(part[0], backend="eager"))
    wrapped = {
        "compiled": torch.compile(network(), backend="eager"),
        "checkpointed": checkpoint_wrapper(network()),
        "parts": part,
        "distributed": nn.parallel.DistributedDataParallel(network()),
        "nested": torch.compile(nn.parallel.DistributedDataParallel(network()), backend="eager"),
    }
    for name, model in wrapped.items():
        assert wb.apply(plan, model) == done, name
        assert same(model, bare), name
        with pytest.raises(ApplyError, match="already applied"):
            wb.apply(plan, model)
    with pytest.raises(ApplyError, match="already applied"):
        wb.apply(plan, wrapped["compiled"]._orig_mod)


class Adapted(nn.Linear):
    """A linear layer with an adapter of low rank."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down, self.up = nn.Parameter(torch.randn(2, inputs)), nn.Parameter(torch.zeros(outputs, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x @ self.down.T @ self.up.T


def test_adapters_are_left_alone_if_asked() -> None:
    plan, model, bare = planned(), network(), network()
    model[0][2] = Adapted(16, 8)
    before = model[0][2].down.detach().clone()
    with pytest.raises(ApplyError, match=r"(?s)0\.2\.down: in the model, not in the plan.*strict=False"):
        wb.apply(plan, model)
    done = wb.apply(plan, model, strict=False)
    wb.apply(plan, bare)
    assert done.skipped == 2
    assert done.written + done.kept + done.tied + done.skipped == len(list(model.parameters())) + len(
        list(model.buffers())
    )
    assert torch.equal(model[0][2].down, before)
    assert (model[0][2].up == 0).all()
    assert torch.equal(model[0][2].weight, bare[0][2].weight)
    del model[1]
    with pytest.raises(ApplyError, match=r"1\.weight: in the plan, not in the model"):
        wb.apply(plan, model, strict=False, overwrite=True)


class Layer(nn.Module):
    """A layer of adapters as PEFT makes them: the layer that was there inside, the new tensors beside it."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base_layer.in_features, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base_layer.out_features, bias=False)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))


def test_the_entries_of_the_base_match_under_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    library = types.ModuleType("peft.tuners.tuners_utils")  # stands for PEFT, whose classes are known by their module
    library.BaseTunerLayer = Layer
    monkeypatch.setitem(sys.modules, library.__name__, library)
    plan, model, bare = planned(), network(), network()
    model[0][2] = Layer(model[0][2])
    before = {name: t.detach().clone() for name, t in model.named_parameters() if "lora" in name}
    with pytest.raises(ApplyError, match=r"0\.2\.lora_A\.default\.weight: in the model, not in the plan"):
        wb.apply(plan, model)
    done = wb.apply(plan, model, strict=False)
    wb.apply(plan, bare)
    assert (done.written, done.skipped) == (len(plan), 2)
    assert torch.equal(model[0][2].base_layer.weight, bare[0][2].weight)
    assert all(torch.equal(value, model.get_parameter(name)) for name, value in before.items())
    done = wb.fill_missing(plan, model, ["0.2.base_layer.weight"], strict=False, overwrite=True)
    assert (done.written, done.kept, done.skipped) == (1, len(plan) - 1, 2)


class Tagged(nn.Parameter):
    """A parameter class with arguments of its own, as libraries for serving have them."""

    def __new__(cls, data: torch.Tensor, axis: int) -> "Tagged":
        made = torch.Tensor._make_subclass(cls, data, True)
        made.axis = axis
        return made

    def __init__(self, data: torch.Tensor, axis: int) -> None:
        pass


def test_meta_parameters_keep_their_class_attributes_and_strides() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 6), nn.Conv2d(6, 4, 3).to(memory_format=torch.channels_last))
    model[0].weight = Tagged(torch.empty(6, 4, device="meta"), axis=1)
    model[0].bias.no_weight_decay = True
    model[0].bias.requires_grad_(False)
    rules = {"*weight": wb.Normal(std=0.1), "*bias": wb.Zeros()}
    names = wb.plan(nn.Sequential(nn.Linear(4, 6)), "vector:4", seed=1, rules=rules)
    kernel = wb.plan(nn.Sequential(nn.Identity(), nn.Conv2d(6, 4, 3)), "image:6x8x8", seed=1, rules=rules)
    plan = wb.Plan((*names, *kernel), seed=1, recipe="auto@0")
    wb.apply(plan, model)
    assert type(model[0].weight) is Tagged
    assert model[0].weight.axis == 1
    assert isinstance(model[0].bias, nn.Parameter)
    assert model[0].bias.no_weight_decay
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True]
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last)
    for entry in plan:
        assert torch.equal(model.get_parameter(entry.name), torch.from_numpy(wb.to_numpy(plan, entry.name)))
    with pytest.raises(ApplyError, match="already applied"):
        wb.apply(plan, model)


def test_real_buffers_stay_and_computed_ones_on_meta_are_made() -> None:
    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("rates", 10.0 ** -torch.arange(4.0), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) * self.rates

    real = Rotary()
    with torch.device("meta"):
        model, bare = Rotary(), Rotary()
    model.rates = real.rates.clone()
    plan = wb.initialize(model, "vector:4", seed=1)
    assert isinstance(plan["rates"].law, wb.Keep)
    assert torch.equal(model.rates, real.rates)
    with pytest.raises(ApplyError, match="rates: is to keep its value, but it is on meta"):
        wb.apply(plan, bare)
    plan = wb.initialize(bare, "vector:4", seed=1, rules={"rates": wb.Stored(real.rates.numpy())})
    assert torch.equal(bare.rates, real.rates)
    assert "rates" in bare._non_persistent_buffers_set
    assert torch.equal(bare(torch.ones(1, 4)), model(torch.ones(1, 4)))


def test_recurrent_layers_see_their_new_weights() -> None:
    rules = {"*": wb.Normal(std=0.1)}
    real, meta = nn.LSTM(3, 4), nn.LSTM(3, 4, device="meta")
    plan = wb.initialize(real, torch.zeros(5, 2, 3), seed=1, rules=rules)
    wb.apply(plan, meta)
    data = torch.ones(5, 2, 3)
    assert torch.equal(real(data)[0], meta(data)[0])


def test_partitioned_parameters_without_processes_are_refused() -> None:
    model, plan = network(), planned()
    for parameter in model.parameters():  # as ZeRO-3 leaves them
        parameter.ds_shape, parameter.ds_tensor = parameter.shape, parameter.detach().flatten()
        parameter.data = torch.empty(0)
    with pytest.raises(ApplyError, match=r"0\.0\.weight: is partitioned by ZeRO-3, and torch\.distributed is not init"):
        wb.apply(plan, model)
    gathered = network()
    for parameter in gathered.parameters():
        parameter.ds_shape = parameter.shape
    assert wb.apply(plan, gathered).elements == sum(entry.size for entry in plan)


def test_parts_of_tensor_parallel_weights_must_be_named() -> None:
    """Hand-written tensor parallelism: a plain local tensor, about which nothing says which part it is."""
    plan, bare = planned(), network()
    wb.apply(plan, bare)
    part = network()
    part[0][0] = nn.Linear(8, 4)
    with pytest.raises(ApplyError, match=r"(?s)0\.0\.weight: planned shape \[16, 8\], .*regions=.*0\.0\.bias"):
        wb.apply(plan, part)
    regions = {"0.0.weight": (slice(4, 8), slice(None)), "0.0.bias": (slice(4, 8),)}
    done = wb.apply(plan, part, regions=regions)
    assert done.elements == sum(entry.size for entry in plan) - 12 * 8 - 12
    assert torch.equal(part[0][0].weight, bare[0][0].weight[4:8])
    marked = network()
    marked[0][0].weight.tensor_model_parallel = True
    with pytest.raises(ApplyError, match=r"0\.0\.weight: is marked as one part of a tensor-parallel weight"):
        wb.apply(plan, marked)
    wb.apply(plan, marked, regions={"0.0.weight": (slice(None), slice(None))})
    with pytest.raises(ArgumentError, match=r"0\.7\.weight"):
        wb.apply(plan, network(), regions={"0.7.weight": (slice(None),)})


def test_stages_of_a_pipeline_hold_what_the_whole_model_holds() -> None:
    plan, bare = planned(), network()
    wb.apply(plan, bare)
    first, last = nn.Sequential(bare[0]), nn.Sequential(nn.BatchNorm1d(8))
    stage = nn.Sequential(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)))
    with pytest.raises(ApplyError, match=r"(?s)1\.weight: in the plan, not in the model.*stage=True"):
        wb.apply(plan, stage)
    done = wb.apply(plan, stage, stage=True)
    assert (done.written, done.elsewhere) == (4, len(plan) - 4)
    assert same(stage, first)
    with pytest.raises(ApplyError, match=r"0\.weight: planned|no tensor that is in the plan|in the model, not in"):
        wb.apply(plan, last, stage=True)
    wb.apply(plan, last, stage=True, names={"0": "1"})
    assert same(last, nn.Sequential(bare[1]))
    with pytest.raises(ArgumentError, match=r"name nothing in .*'5'"):
        wb.apply(plan, last, stage=True, names={"0": "1", "5": "2"})


def test_a_distributed_tensor_on_one_process_is_the_whole(process_group: None) -> None:
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = torch.distributed.init_device_mesh("cpu", (1,))
    model, bare = network(), network()
    wb.apply(planned(), bare)
    model[0][0].weight = nn.Parameter(distribute_tensor(model[0][0].weight.detach(), mesh, [Shard(0)]))
    wb.apply(planned(), model)
    assert torch.equal(model[0][0].weight.full_tensor(), bare[0][0].weight)
    model[0][0].weight = nn.Parameter(model[0][0].weight.detach().to("meta"), requires_grad=False)
    model[0][0].weight.note = "kept"
    assert model[0][0].weight.is_meta
    wb.apply(planned(), model, overwrite=True)
    weight = model[0][0].weight
    assert torch.equal(weight.full_tensor(), bare[0][0].weight)
    assert isinstance(weight, nn.Parameter)
    assert (weight.placements, weight.note, weight.requires_grad) == ((Shard(0),), "kept", False)


def test_tensors_made_in_inference_mode() -> None:
    with torch.inference_mode():
        model = network()
    plan, bare = planned(), network()
    wb.apply(plan, model)
    wb.apply(plan, bare)
    assert same(model, bare)
    with torch.device("meta"):
        later = network()
    with torch.inference_mode():
        wb.apply(plan, later)
    later(torch.ones(2, 8)).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(later.parameters(), bare.parameters(), strict=True))


def test_parameters_that_share_all_memory_stay_two_objects() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = nn.Parameter(model[0].weight.data)
    first, second = model[0].weight, model[1].weight
    plan = wb.initialize(model, "vector:4", seed=1)
    assert len(plan) == 1
    assert model[0].weight is first
    assert model[1].weight is second
    assert torch.equal(second, torch.from_numpy(wb.to_numpy(plan, "0.weight")))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.int64])
def test_shared_memory_is_found_by_addresses(dtype: torch.dtype) -> None:
    memory = torch.zeros(8, 8).to(dtype)
    assert share_memory({"a": memory[:, :4], "b": memory[:, 4:]}) == []
    assert share_memory({"a": memory[:, :5], "b": memory[:, 4:]}) == [("a", "b")]
    assert share_memory({"a": memory, "b": torch.empty(8, device="meta"), "c": memory[:0]}) == []


def test_memory_that_can_only_be_read_is_known() -> None:
    import mmap

    closed = np.frombuffer(mmap.mmap(-1, 3 * mmap.PAGESIZE, prot=mmap.PROT_READ), np.uint8)
    start, inside = closed.ctypes.data, mmap.PAGESIZE + 5
    open_memory = np.zeros(100)
    spans = {
        "all": (start, start + closed.size),
        "inside": (start + inside, start + inside + 1),
        "open": (open_memory.ctypes.data, open_memory.ctypes.data + open_memory.nbytes),
    }
    assert read_only(spans) == ["all", "inside"]
    assert read_only({}) == []


def test_initialize_takes_what_plan_and_apply_take() -> None:
    with torch.device("meta"):
        model = network()
    plan = wb.initialize(model, "vector:8", seed=3, device="cpu", aliases={"0.0.weight": "old"})
    assert plan["0.0.weight"].stream == "old"
    assert torch.isfinite(model(torch.ones(2, 8))).all()
    with pytest.raises(ApplyError, match="device must be"):
        wb.initialize(network(), "vector:8", seed=3, device="banana")
    with pytest.raises(ArgumentError, match=r"needs a torch\.nn\.Module, got function"):
        wb.initialize(network, "vector:8", seed=3)


class Packed(nn.Module):
    """nn.MultiheadAttention as people call it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


def language_model(name: str, **more: object) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    usual = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "pad_token_id": 0}
    config = getattr(transformers, f"{name}Config")(**usual, **more)
    return getattr(transformers, f"{name}ForCausalLM")(config)


HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "head_dim": 8}
TOKENS = {"input_ids": torch.arange(12).reshape(2, 6)}
MODELS = {
    "nn.MultiheadAttention": (Packed, torch.ones(2, 5, 8)),
    "nn.Transformer": (
        lambda: nn.Transformer(8, 2, 2, 2, 16, batch_first=True),
        (torch.ones(2, 5, 8), torch.ones(2, 4, 8)),
    ),
    "Llama": (lambda: language_model("Llama", **HEADS), TOKENS),
    "Llama, tied": (lambda: language_model("Llama", tie_word_embeddings=True, **HEADS), TOKENS),
    "Qwen3Moe": (lambda: language_model("Qwen3Moe", **HEADS, **EXPERTS), TOKENS),
    "Mamba": (lambda: language_model("Mamba", state_size=4), TOKENS),
}


@pytest.fixture
def poisoned_memory() -> Iterator[None]:
    """Let torch fill memory that nobody has written with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def without_memory(model: nn.Module) -> nn.Module:
    """The model with its parameters on meta and its buffers as they are; ties stay."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                meta = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
                vars(meta).update(vars(parameter))
                module._parameters[name] = made.setdefault(id(parameter), meta)
    return model


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.filterwarnings("ignore:The fast path is not available")
@pytest.mark.parametrize("name", MODELS)
def test_models_without_memory_become_those_that_were_built_with_it(name: str, poisoned_memory: None) -> None:
    build, inputs = MODELS[name]
    real, meta = build(), without_memory(build())
    rules = {parameter: wb.Normal(std=0.02) for parameter, _ in real.named_parameters()}
    plan = wb.plan(meta, inputs, seed=5, rules=rules)
    assert plan.hash == wb.plan(real, inputs, seed=5, rules=rules).hash
    covered = [n for entry in plan for n in (entry.name, *entry.ties)]
    held = [n for n, _ in (*real.named_parameters(remove_duplicate=False), *real.named_buffers(remove_duplicate=False))]
    assert sorted(covered) == sorted(held)
    with torch.no_grad():
        for parameter in real.parameters():
            parameter.fill_(float("nan"))
    assert wb.apply(plan, real) == wb.apply(plan, meta)
    for (n, first), (other, second) in zip(
        (*real.named_parameters(), *real.named_buffers()),
        (*meta.named_parameters(), *meta.named_buffers()),
        strict=True,
    ):
        assert n == other
        assert not torch.isnan(first).any(), n
        assert torch.equal(first, second), n
        assert vars(first).keys() == vars(second).keys(), n


def test_arguments_in_the_wrong_order() -> None:
    for verb in (wb.apply, lambda model, plan: wb.fill_missing(model, plan, [])):
        with pytest.raises(ArgumentError, match="the first argument must be a plan, the second the model"):
            verb(network(), planned())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_cuda_device_holds_what_the_cpu_holds() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.LSTM(8, 8))

    rules = {"*": wb.Normal(std=0.1)}
    here, there = build(), without_memory(build())
    plan = wb.initialize(here, "float:3x8", seed=5, rules=rules)
    wb.apply(plan, there, device="cuda:0")
    assert all(parameter.is_cuda for parameter in there.parameters())
    assert torch.equal(there[0].weight.cpu(), here[0].weight)
    for first, second in zip(here[1].parameters(), there[1].parameters(), strict=True):
        assert torch.equal(first, second.cpu())
    there(torch.ones(3, 8, device="cuda:0"))
    shared = torch.zeros(4, 4, device="cuda:0")
    assert share_memory({"a": shared[:3], "b": shared[2:]}) == [("a", "b")]
