"""Applying plans: everything is written, exactly once, or nothing at all."""

import copy
import mmap
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.plans import Plan
from wellbegun.targets import Applied
from wellbegun.targets.array import fill_array


class Net(nn.Module):
    """Embedding tied to the head, blocks, a normalisation with statistics, a frozen weight and a computed buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.blocks = nn.ModuleList(copy.deepcopy(block) for _ in range(3))
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 20)
        self.head.weight = self.table.weight
        self.blocks[0][1].weight.requires_grad_(False)
        self.register_buffer("positions", torch.arange(8, dtype=torch.float32), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) + self.positions
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x.mean(1)))


RULES = {"positions": wb.Keep()}


def planned(seed: int = 7, **more: object) -> Plan:
    return wb.plan(Net(), "tokens:4", seed=seed, rules=RULES, **more)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.detach().clone() for n, t in (*model.named_parameters(), *model.named_buffers())}


def poison(model: nn.Module) -> None:
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name != "positions":
                tensor.fill_(float("nan") if tensor.is_floating_point() else -7)


def equal_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def test_poisoned_memory_holds_the_plan_afterwards() -> None:
    model, plan = Net(), planned()
    poison(model)
    done = wb.apply(plan, model)
    assert done == Applied(written=len(plan) - 1, kept=1, tied=1, elements=sum(e.size for e in plan) - 8)
    assert done.written + done.kept == len(plan)
    found = state(model)
    for entry in plan:
        assert torch.isfinite(found[entry.name]).all(), entry.name
        if entry.name != "positions":
            assert equal_bits(found[entry.name], torch.from_numpy(wb.to_numpy(plan, entry.name))), entry.name
    assert torch.equal(model.positions, torch.arange(8.0))
    assert model.norm.num_batches_tracked == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64])
def test_tensors_without_dimensions_are_written(dtype: torch.dtype) -> None:
    out = torch.full((), 9, dtype=dtype)
    wb.fill(out, wb.Constant(3.0), seed=0, name="x")
    assert out == 3


def meta_net() -> Net:
    with torch.device("meta"):
        model = Net()
    model.positions = torch.arange(8.0)
    return model


def test_meta_models_become_the_model_built_on_the_cpu() -> None:
    plan, built, meta = planned(), Net(), meta_net()
    wb.apply(plan, built)
    wb.apply(plan, meta, device="cpu")
    assert all(equal_bits(value, state(meta)[name]) for name, value in state(built).items())
    assert meta.head.weight is meta.table.weight
    assert isinstance(meta.head.weight, nn.Parameter)
    assert [p.requires_grad for p in meta.parameters()] == [p.requires_grad for p in built.parameters()]
    assert not meta.blocks[0][1].weight.requires_grad
    assert torch.equal(meta(torch.zeros(2, 4, dtype=torch.long)), built(torch.zeros(2, 4, dtype=torch.long)))


def test_ties_torn_by_to_empty_are_tied_again() -> None:
    with torch.device("meta"):
        model = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)])
        model[1].weight = model[0].weight
        model = nn.Sequential(*model)
        plan = wb.plan(model, "vector:4", seed=0)
    torn = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    assert wb.apply(plan, torn).tied == 1
    assert torn[0].weight is torn[1].weight


def test_ties_of_the_model_that_the_plan_does_not_know() -> None:
    plan = wb.plan(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "vector:4", seed=0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    with pytest.raises(ApplyError, match="the plan does not"):
        wb.apply(plan, model)


def test_a_second_application_is_refused() -> None:
    model, plan = Net(), planned()
    wb.apply(plan, model)
    before = state(model)
    for other in (plan, plan.with_seed(8)):
        with pytest.raises(ApplyError, match="overwrite=True"):
            wb.apply(other, model)
    assert all(equal_bits(value, state(model)[name]) for name, value in before.items())
    wb.apply(plan.with_seed(8), model, overwrite=True)
    assert not torch.equal(before["table.weight"], model.table.weight)
    wb.apply(plan, model, overwrite=True)
    assert all(equal_bits(value, state(model)[name]) for name, value in before.items())
    assert wb.apply(plan, copy.deepcopy(Net())).written


def changed_entry(plan: Plan, name: str, /, **change: object) -> Plan:
    return replace(plan, entries=tuple(replace(e, **change) if e.name == name else e for e in plan))


def closed_memory() -> torch.Tensor:
    """Eight numbers in a page of memory that may be read only, as a file that was opened for reading is."""
    pages = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given .* is not writable")
        return torch.from_numpy(np.frombuffer(pages, np.float32, 8))


UNFIT = {
    "another shape at the end": (lambda p: changed_entry(p, "positions", shape=(9,)), lambda m: m, "planned shape"),
    "another shape": (lambda p: changed_entry(p, "head.bias", shape=(21,)), lambda m: m, r"\[21\].*\[20\]"),
    "an entry too many": (
        lambda p: replace(p, entries=(*p.entries, replace(p["head.bias"], name="head.bais"))),
        lambda m: m,
        "not in the model",
    ),
    "an entry too few": (lambda p: replace(p, entries=p.entries[:-2]), lambda m: m, "not in the plan"),
    "a renamed entry": (
        lambda p: changed_entry(p, "head.bias", name="head.bais"),
        lambda m: m,
        r"is it now head\.bias",
    ),
    "a random law for whole numbers": (
        lambda p: changed_entry(p, "norm.num_batches_tracked", law=wb.Normal(1.0)),
        lambda m: m,
        "takes whole constants",
    ),
    "a law of another shape": (
        lambda p: changed_entry(p, "head.bias", law=wb.Orthogonal()),
        lambda m: m,
        "at least two dimensions",
    ),
    "a buffer to keep that has no value": (
        lambda p: p,
        lambda m: m.register_buffer("positions", torch.empty(8, device="meta")),
        "has none",
    ),
    "an expanded buffer": (
        lambda p: p,
        lambda m: m.norm.register_buffer("running_mean", torch.zeros(1).expand(8)),
        "share memory",
    ),
    "a dtype that is not supported": (
        lambda p: p,
        lambda m: setattr(m.head, "bias", nn.Parameter(torch.zeros(20, dtype=torch.float8_e4m3fnuz))),
        "float8_e4m3fnuz",
    ),
    "a sparse tensor": (
        lambda p: p,
        lambda m: setattr(m.head, "bias", nn.Parameter(torch.zeros(20).to_sparse())),
        "layout",
    ),
    "memory that can only be read": (
        lambda p: p,
        lambda m: m.norm.register_buffer("running_var", closed_memory()),
        r"norm\.running_var: its memory is read-only",
    ),
    "packed weights": (
        lambda p: p,
        lambda m: setattr(m.blocks[2][3], "weight", nn.Parameter(torch.zeros(8, 16, dtype=torch.uint8), False)),
        r"blocks\.2\.3\.weight: a tensor of uint8 takes whole constants",
    ),
    "a tied tensor of another type": (
        lambda p: p,
        lambda m: setattr(m.head, "weight", nn.Parameter(torch.zeros(20, 8, dtype=torch.uint8), False)),
        r"table\.weight: head\.weight is tied to it, but is uint8 and not float32",
    ),
    "two tensors in one memory": (
        lambda p: p,
        lambda m: setattr(m.blocks[1][1], "bias", nn.Parameter(m.blocks[2][1].bias.data[:])),
        "share",
    ),
    "a transposed view of another": (
        lambda p: p,
        lambda m: setattr(m.blocks[1][1], "weight", nn.Parameter(m.blocks[1][3].weight.data.t())),
        "share memory without being one tensor",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_nothing_is_written_unless_all_fits(case: str) -> None:
    change_plan, change_model, message = UNFIT[case]
    model = Net()
    plan = change_plan(planned())
    change_model(model)
    before = {n: t.detach().to_dense().clone() for n, t in (*model.named_parameters(), *model.named_buffers())}
    with pytest.raises(ApplyError, match=message):
        wb.apply(plan, model)
    after = {n: t.detach().to_dense() for n, t in (*model.named_parameters(), *model.named_buffers())}
    assert all(value.is_meta or torch.equal(value, after[name]) for name, value in before.items())
    assert all(getattr(t, "_wellbegun_plan", None) is None for t in (*model.parameters(), *model.buffers()))


def test_every_problem_is_listed() -> None:
    model = Net()
    model.head.bias = nn.Parameter(torch.zeros(21))
    model.norm.running_mean = torch.zeros(1).expand(8)
    model.blocks[0][1].weight.ds_shape = torch.Size([32, 8])
    with pytest.raises(ApplyError) as error:
        wb.apply(planned(), model)
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == [
        "blocks.0.1.weight",
        "head.bias",
        "norm.running_mean",
    ]


def test_one_misfit_leaves_a_meta_model_on_meta() -> None:
    model = meta_net()
    with pytest.raises(ApplyError):
        wb.apply(changed_entry(planned(), "head.bias", shape=(21,)), model)
    assert all(p.is_meta for p in model.parameters())


def test_views_of_one_memory_that_do_not_overlap_are_fine() -> None:
    model, memory = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)), torch.zeros(4, 8)
    model[0].weight, model[1].weight = nn.Parameter(memory[:, :4]), nn.Parameter(memory[:, 4:])
    plan = wb.initialize(model, "vector:4", seed=0)
    assert torch.equal(memory[:, 4:], torch.from_numpy(wb.to_numpy(plan, "1.weight")))


def test_a_stale_backward_raises() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    loss = model(torch.ones(2, 4)).sum()
    wb.initialize(model, "vector:4", seed=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_global_random_states_are_not_touched() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    model = meta_net()
    wb.initialize(model, "tokens:4", seed=0, rules=RULES)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()
    torch.manual_seed(99)
    again = meta_net()
    wb.initialize(again, "tokens:4", seed=0, rules=RULES)
    assert all(equal_bits(value, state(again)[name]) for name, value in state(model).items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_precisions_are_the_float32_draws_rounded_once(dtype: torch.dtype) -> None:
    model, plan = Net().to(dtype), planned()
    poison(model)
    wb.apply(plan, model)
    for entry in plan:
        if entry.name != "positions":
            expected = torch.from_numpy(wb.to_numpy(plan, entry.name))
            wide = expected.to(dtype) if expected.is_floating_point() else expected
            assert torch.equal(state(model)[entry.name], wide), entry.name
    own = wb.plan(model, "tokens:4", seed=7, rules=RULES)
    assert own["blocks.1.1.weight"].dtype == str(dtype).removeprefix("torch.")
    assert wb.to_numpy(own, "blocks.1.1.weight").dtype.name == own["blocks.1.1.weight"].dtype
    assert own.hash == plan.hash


def test_layers_made_by_deepcopy_differ() -> None:
    model = Net()
    assert torch.equal(model.blocks[0][1].weight, model.blocks[1][1].weight)
    wb.initialize(model, "tokens:4", seed=0, rules=RULES)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        for layer in (1, 3):
            a, b = (model.blocks[i][layer].weight.detach().ravel() for i in (first, second))
            assert not set(a.tolist()) & set(b.tolist())
            assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.3  # 128 pairs: 3.4 standard errors


def test_one_initializer_object_for_many_names() -> None:
    rule = wb.Normal(std=0.1)
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(50)))
    plan = wb.initialize(model, "vector:6", seed=0, rules={"*": rule})
    assert len({t.detach().numpy().tobytes() for t in model.parameters()}) == 100
    assert torch.equal(torch.from_numpy(wb.to_numpy(plan, "7.weight")), model[7].weight)


def named(**layers: nn.Module) -> nn.Module:
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def test_adding_removing_and_reordering_keeps_every_other_bit() -> None:
    def weights(*names: str, **more: object) -> dict[str, bytes]:
        model = named(**{name: nn.Linear(6, 6) for name in names})
        wb.initialize(model, "vector:6", seed=1, recipe="he", **more)
        return {name: t.detach().numpy().tobytes() for name, t in model.named_parameters()}

    whole = weights("a", "b", "c")
    assert weights("c", "a", "b") == whole
    assert weights("a", "c") == {n: v for n, v in whole.items() if not n.startswith("b.")}
    assert weights("new", "a", "b", "c").items() >= whole.items()
    renamed = weights("a", "z", "c")
    assert renamed["z.weight"] != whole["b.weight"]
    assert renamed["a.weight"] == whole["a.weight"]
    kept = weights("a", "z", "c", aliases={"z.weight": "b.weight"})
    assert kept["z.weight"] == whole["b.weight"]


def test_a_dot_belongs_to_the_name() -> None:
    first, second = np.empty(64, np.float32), np.empty(64, np.float32)
    wb.fill(first, wb.Normal(1.0), seed=0, name="ab.cdef")
    wb.fill(second, wb.Normal(1.0), seed=0, name="abc.def")
    assert not np.intersect1d(first, second).size


def test_other_devices_and_what_is_no_model() -> None:
    for device in ("meta", "xpu", "banana", "mps"):
        with pytest.raises(ApplyError, match=f"device must be 'cpu' or a CUDA device, not '{device}'"):
            wb.apply(planned(), Net(), device=device)
    if not torch.cuda.is_available():
        with pytest.raises(ApplyError, match="'cuda:1' is asked for, and torch sees no CUDA device"):
            wb.apply(planned(), meta_net(), device="cuda:1")
    with pytest.raises(ArgumentError):
        wb.apply(planned(), torch.zeros(3))


def test_a_wrong_count_of_elements_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from wellbegun.targets import array

    monkeypatch.setattr(array, "fill_array", lambda *arguments: fill_array(*arguments) and 0)
    with pytest.raises(ApplyError, match="fault in wellbegun"):
        wb.apply(planned(), Net())
