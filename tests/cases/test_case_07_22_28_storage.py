"""Cases 7, 22 and 28 on one process: fans of the whole tensor in every part, packed storage, pure initializers."""

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ApplyError, PlanError, WellbegunError

RULES = {
    "xavier": wb.XavierUniform(),
    "kaiming": wb.HeNormal(),
    "lecun": wb.LecunNormal(),
    "default Linear": wb.FanInUniform(),
    "orthogonal": wb.Orthogonal(),
}


@pytest.mark.parametrize("rule", RULES)
def test_7_parts_of_a_row_parallel_layer_are_parts_of_the_whole(rule: str) -> None:
    """4096 to 32, split along the inputs: each part is drawn alone, with the fans of the whole."""
    plan = wb.plan(nn.Linear(4096, 32), "vector:4096", seed=0, rules={"weight": RULES[rule]})
    whole = wb.to_numpy(plan, "weight")
    for ranks in (2, 4, 8):
        width = 4096 // ranks
        parts = [wb.to_numpy(plan, "weight", (slice(0, 32), slice(r * width, (r + 1) * width))) for r in range(ranks)]
        gathered = np.concatenate(parts, axis=1)
        assert gathered.tobytes() == whole.tobytes()
        assert gathered.std() / whole.std() == 1


class Packed(nn.Module):
    """A linear layer as libraries for quantisation store it: packed codes, scales, zero points."""

    def __init__(self) -> None:
        super().__init__()
        self.qweight = nn.Parameter(torch.randint(0, 2**31 - 1, (16, 4), dtype=torch.int32), requires_grad=False)
        self.register_buffer("scales", torch.full((32,), 0.25))
        self.register_buffer("qzeros", torch.full((32,), 8, dtype=torch.int32))
        self.plain = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifts = torch.arange(0, 32, 4, device=x.device, dtype=torch.int32)
        codes = (self.qweight[..., None] >> shifts).bitwise_and(15).reshape(16, 32).T  # [32 outputs, 16 inputs]
        weight = (codes - self.qzeros[:, None]).to(x.dtype) * self.scales[:, None]
        return self.plain(nn.functional.linear(x, weight))


RANDOM = [None, {"*": wb.Normal(0.02)}, {nn.Linear: wb.HeNormal()}]


@pytest.mark.parametrize("rules", RANDOM, ids=["auto", "*", "type"])
def test_22_packed_storage_is_left_alone_by_random_rules(rules: object) -> None:
    model = Packed()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = wb.initialize(model, "vector:16", seed=0, rules=rules)
    assert plan["qweight"].law == wb.Keep()
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in ("qweight", "scales", "qzeros"))
    assert not torch.equal(after["plain.weight"], before["plain.weight"])


@pytest.mark.parametrize("law", [wb.Normal(0.02), wb.Uniform(-1, 1), wb.TruncatedNormal(0.02)])
def test_22_a_random_law_for_whole_numbers_is_refused_before_anything_is_written(law: wb.Normal) -> None:
    model = Packed()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises((ApplyError, PlanError), match="qweight"):
        wb.initialize(model, "vector:16", seed=0, rules={"qweight": law})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_22_float8_has_the_same_bits_in_any_chunks(dtype: torch.dtype) -> None:
    whole = torch.empty(1_000_003, dtype=torch.uint8).view(dtype)
    wb.fill(whole, wb.Normal(0.02), seed=0, name="w")
    for size in (1, 4096, 300_000):
        for start in (0, 17, 500_000):
            part = torch.empty(size, dtype=torch.uint8).view(dtype)
            wb.fill(part, wb.Normal(0.02), seed=0, name="w", shape=(1_000_003,), offset=start)
            assert torch.equal(part.view(torch.uint8), whole[start : start + size].view(torch.uint8))


def test_28_one_initializer_for_fifty_layers_and_twice_for_one_name() -> None:
    rule = wb.HeNormal()
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(50)))
    plan = wb.initialize(model, "vector:16", seed=0, rules={f"{i}.weight": rule for i in range(50)})
    values = [layer.weight.detach().numpy().tobytes() for layer in model]
    assert len(set(values)) == 50
    assert repr(rule) == repr(wb.HeNormal())  # nothing was counted in it
    fans = wb.Fans(16, 16)
    drawn = [np.empty((16, 16), np.float32) for _ in range(3)]
    for out, name in zip(drawn, ("a", "a", "b"), strict=True):
        wb.fill(out, rule, seed=0, name=name, fans=fans)
    assert (drawn[0] == drawn[1]).all()
    assert not (drawn[0] == drawn[2]).any()
    assert all(entry.law == rule.law(fans) for entry in plan if entry.name.endswith("weight"))


def test_28_the_order_of_calls_changes_nothing() -> None:
    names = [f"layer.{i}" for i in range(6)]
    found: dict[str, bytes] = {}
    for order in (names, names[::-1], names[3:] + names[:3]):
        rule = wb.XavierNormal()
        for name in order:
            out = np.empty((8, 8), np.float32)
            wb.fill(out, rule, seed=1, name=name, fans=wb.Fans(8, 8))
            assert found.setdefault(name, out.tobytes()) == out.tobytes()
    assert issubclass(PlanError, WellbegunError)
