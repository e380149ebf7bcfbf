"""Case 8: fans come from the operation: the planned std is that of the logical fans, the output meets its target."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError, UnplannedError
from wellbegun.laws import Law, find_method, parse_method
from wellbegun.plans import Entry

Whole = tuple[tuple[int, int], ...] | None


class Weight(nn.Module):
    """A parameter, and what the forward pass does with it."""

    def __init__(self, shape: tuple[int, ...], use: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.weight, self.use = nn.Parameter(torch.zeros(shape)), use

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.use(x, self.weight)


@dataclass(frozen=True)
class Row:
    """A layer, an input of second moment 1, and the logical fans of each part of its weight.

    Attributes:
        make: builds the layer.
        shape: of the input.
        fans: of the weight, or of its parts by the rows (or columns) that hold them.
        axis: of the parts.
        border: outputs at each end of each dimension of space that see less than a full kernel.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    fans: wb.Fans | dict[tuple[int, int], wb.Fans]
    axis: int = 0
    border: int = 0


def grouped_query(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    q, k, v = F.linear(x, w).split([512, 64, 64], -1)
    q = q.unflatten(-1, (8, 64)).transpose(1, 2)
    k, v = (part.unflatten(-1, (1, 64)).transpose(1, 2) for part in (k, v))
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def gated(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    gate, up = F.linear(x, w).chunk(2, -1)
    return F.silu(gate) * up


ROWS = {
    # the rows of the table
    "ConvTranspose2d 64→128 k4 s2": Row(
        lambda: nn.ConvTranspose2d(64, 128, 4, 2, 1), (4, 64, 16, 16), wb.Fans(256, 2048), border=2
    ),
    "Conv2d 64→64 k3 groups=64": Row(
        lambda: nn.Conv2d(64, 64, 3, groups=64), (16, 64, 16, 16), wb.Fans(9, 9)
    ),
    "expert stack [8, 512, 2048]": Row(
        lambda: Weight((8, 512, 2048), torch.bmm), (8, 8, 512), wb.Fans(512, 2048)
    ),
    "packed qkv, width 512": Row(
        lambda: Weight((1536, 512), lambda x, w: F.scaled_dot_product_attention(*F.linear(x, w).chunk(3, -1))),
        (2, 16, 512),
        wb.Fans(512, 512),
    ),
    "Conv1D-style [in, out]": Row(lambda: Conv1D(768, 256), (64, 256), wb.Fans(256, 768)),
    # the items of the sentence
    "dilation": Row(lambda: nn.Conv2d(16, 32, 3, dilation=3), (8, 16, 24, 24), wb.Fans(144, 288)),
    "stride": Row(lambda: nn.Conv2d(16, 64, 4, stride=2), (8, 16, 32, 32), wb.Fans(256, 256)),
    "stride and dilation, transposed": Row(
        lambda: nn.ConvTranspose2d(32, 64, 3, 2, output_padding=1, dilation=2),
        (4, 32, 24, 24), wb.Fans(72, 576), border=4,
    ),
    "groups=1": Row(lambda: nn.Conv2d(32, 32, 3, groups=1), (8, 32, 16, 16), wb.Fans(288, 288)),
    "groups=g": Row(lambda: nn.Conv2d(32, 64, 3, groups=4), (8, 32, 16, 16), wb.Fans(72, 144)),
    "groups=C": Row(lambda: nn.Conv2d(256, 256, 3, groups=256), (4, 256, 16, 16), wb.Fans(9, 9)),
    "groups=g, transposed": Row(
        lambda: nn.ConvTranspose2d(32, 64, 4, 2, 1, groups=4), (4, 32, 16, 16), wb.Fans(32, 256), border=2
    ),
    "transposed Linear": Row(lambda: Weight((256, 768), lambda x, w: x @ w), (64, 256), wb.Fans(256, 768)),
    "fused qkv, 8:1:1": Row(
        lambda: Weight((640, 512), grouped_query),
        (2, 16, 512),
        {(0, 512): wb.Fans(512, 512), (512, 576): wb.Fans(512, 64), (576, 640): wb.Fans(512, 64)},
    ),
    "fused gate_up": Row(lambda: Weight((1024, 256), gated), (64, 256), wb.Fans(256, 512)),
    "experts [in, out]": Row(lambda: Weight((4, 256, 512), torch.bmm), (4, 32, 256), wb.Fans(256, 512)),
    "experts [out, in]": Row(
        lambda: Weight((4, 512, 256), lambda x, w: torch.bmm(x, w.mT)), (4, 32, 256), wb.Fans(256, 512)
    ),
    "einsum btd,dhk->bthk": Row(
        lambda: Weight((256, 4, 32), lambda x, w: torch.einsum("btd,dhk->bthk", x, w)), (4, 16, 256), wb.Fans(256, 128)
    ),
    "einsum bthk,hkd->btd": Row(
        lambda: Weight((4, 32, 256), lambda x, w: torch.einsum("bthk,hkd->btd", x, w)), (4, 16, 4, 32),
        wb.Fans(128, 256),
    ),
    "einsum experts": Row(
        lambda: Weight((4, 256, 512), lambda x, w: torch.einsum("ebd,edf->ebf", x, w)), (4, 32, 256),
        wb.Fans(256, 512),
    ),
}  # fmt: skip
RULES = ["lecun", "he", "he(mode='fan_out')", "xavier", "xavier_normal", "fan_in_uniform"]


def law_of(rule: str, fans: wb.Fans) -> Law:
    method, arguments = parse_method(rule)
    return find_method(method.name).make(**arguments).law(fans)


def law_at(entry: Entry, rows: tuple[int, int], axis: int) -> Law:
    """The law that a plan has for these rows (or columns)."""
    if not isinstance(entry.law, wb.Patched):
        return entry.law
    return next((law for region, law in entry.law.patches if region[axis] == rows), entry.law.base)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ROWS)
def test_the_planned_std_is_that_of_the_logical_fans(name: str, rule: str) -> None:
    row = ROWS[name]
    entry = wb.plan(row.make(), torch.zeros(row.shape), seed=0, recipe=rule)["weight"]
    parts = row.fans if isinstance(row.fans, dict) else {(0, entry.shape[0]): row.fans}
    for rows, fans in parts.items():
        expected = law_of(rule, fans).moments(entry.shape)[1]
        assert law_at(entry, rows, row.axis).moments(entry.shape)[1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("recipe", ["lecun", "auto"])
@pytest.mark.parametrize("name", ROWS)
def test_the_output_has_the_second_moment_aimed_at(name: str, recipe: str) -> None:
    row = ROWS[name]
    model = row.make()
    x = torch.randn(row.shape, generator=torch.Generator().manual_seed(0))
    plan = wb.initialize(model, x, seed=0, recipe=recipe)
    entry = plan["weight"]
    first = row.fans if isinstance(row.fans, wb.Fans) else next(iter(row.fans.values()))
    aim = 1.0 if recipe == "lecun" else entry.after
    assert aim == pytest.approx(first.fan_in * float(x.square().mean()) ** (recipe == "auto") * entry.std**2, rel=1e-3)
    with torch.no_grad():
        made = projected(model, x)
    for axis in range(2, made.ndim if row.border else 0):
        made = made.narrow(axis, row.border, made.shape[axis] - 2 * row.border)
    assert float(made.square().mean()) == pytest.approx(aim, rel=0.05)


def projected(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the weight makes of the input, before attention or a gate takes it."""
    if isinstance(model, Weight) and model.weight.ndim == 2 and model.weight.shape[1] == x.shape[-1]:
        return F.linear(x, model.weight)
    return model(x)


@pytest.mark.parametrize("rows", [1000, 50000])
def test_an_embedding_has_its_width_and_not_its_vocabulary(rows: int) -> None:
    table = nn.Embedding(rows, 64)
    assert wb.plan(table, "tokens:8", seed=0, recipe="lecun")["weight"].std == pytest.approx(1 / 8, rel=1e-6)
    assert wb.plan(table, "tokens:8", seed=0, recipe="xavier")["weight"].std == pytest.approx(1 / 8, rel=1e-6)
    plan = wb.initialize(table, "tokens:8", seed=0)
    found = table(torch.arange(rows)).detach().square().mean()
    assert float(found) == pytest.approx(plan["weight"].after, rel=0.05)


def test_the_numbers_of_the_table() -> None:
    """What the table says of torch 2.13, and what is planned instead."""
    experts = wb.plan(ROWS["expert stack [8, 512, 2048]"].make(), torch.zeros(8, 8, 512), seed=0, recipe="xavier")
    assert experts["weight"].std == pytest.approx(0.02795, abs=5e-6)
    qkv = wb.plan(ROWS["packed qkv, width 512"].make(), torch.zeros(2, 16, 512), seed=0, recipe="xavier")
    assert qkv["weight"].law.high == pytest.approx(0.0765, abs=5e-5)
    depthwise = nn.Conv2d(64, 64, 3, groups=64, bias=False)
    plan = wb.initialize(depthwise, "image:64x8x8", seed=0, recipe="he(mode='fan_out')")
    assert plan["weight"].std == pytest.approx(math.sqrt(2 / 9), rel=1e-6)
    made = wb.plan(nn.Conv2d(64, 64, 3, groups=64), "image:64x8x8", seed=0, recipe="he")["weight"]
    assert (made.fans, made.std) == (wb.Fans(9, 9), pytest.approx(math.sqrt(2 / 9), rel=1e-6))
    # torch's fan_out of 576 gives 0.0155; here it is 1, for inputs of the second moment that ReLU leaves
    # (over 16 seeds, as 576 weights are few)
    x = torch.randn(8, 64, 16, 16, generator=torch.Generator().manual_seed(0))
    sizes = []
    for seed in range(16):
        wb.initialize(depthwise, "image:64x8x8", seed=seed, recipe="he(mode='fan_out')", overwrite=True)
        with torch.no_grad():
            sizes.append(float(depthwise(x * math.sqrt(0.5)).square().mean()))
    assert sum(sizes) / 16 == pytest.approx(1, rel=0.05)


class Ambiguous(nn.Module):
    """Half of the rows are a stack and half are outputs: no reading of the dimensions is certain."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 6, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x.expand(4, 2, 4), self.weight.view(4, 3, 4).mT)


class Unused(nn.Module):
    """A raw parameter that the forward pass does not touch: nothing says what its dimensions are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(2, 6, 4)), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)


@pytest.mark.parametrize("model", [Ambiguous, Unused])
@pytest.mark.parametrize("recipe", ["auto", "he", "xavier", "orthogonal"])
def test_an_ambiguous_parameter_is_an_error_that_asks_for_its_axes(model: type[nn.Module], recipe: str) -> None:
    with pytest.raises(UnplannedError, match=r"(?s)weight \[2, 6, 4\].*wb\.WithFans.*axes.*'bio'"):
        wb.plan(model(), torch.zeros(2, 4), seed=0, recipe=recipe)
    with pytest.raises(PlanError, match=r"weight \[2, 6, 4\]: .*needs fans.*wb\.WithFans.*'bio'"):
        wb.plan(model(), torch.zeros(2, 4), seed=0, recipe=recipe, rules={"weight": wb.HeNormal()})


@pytest.mark.parametrize("model", [Ambiguous, Unused])
def test_the_axes_that_are_given_are_used(model: type[nn.Module]) -> None:
    rule = wb.WithFans(wb.XavierNormal(), wb.Fans.of((2, 6, 4), "boi"))
    entry = wb.plan(model(), torch.zeros(2, 4), seed=0, rules={"weight": rule})["weight"]
    assert (entry.fans, entry.std) == (wb.Fans(4, 6), pytest.approx(math.sqrt(2 / 10), rel=1e-6))
    assert eval(entry.initializer, {name: getattr(wb, name) for name in wb.__all__}) == rule


def test_axes_are_checked() -> None:
    assert wb.Fans.of((64, 3, 7, 7), "oikk") == wb.Fans(147, 3136)
    assert wb.Fans.of((5,), "i") == wb.Fans(5, 1)
    for shape, axes in (((2, 3), "o"), ((2, 3), "oik"), ((2, 3), "ox"), ((2, 3), "ob"), ((2, 3), "")):
        with pytest.raises(ArgumentError, match=r"axes must have one letter for each of the 2 dimensions of \[2, 3\]"):
            wb.Fans.of(shape, axes)
    with pytest.raises(ArgumentError, match=r"must be a positive number"):
        wb.Fans.of((0, 3), "io")
    with pytest.raises(ArgumentError, match="rule must be an initializer that needs fans"):
        wb.WithFans(wb.Normal(0.02), wb.Fans(1, 1))
    with pytest.raises(ArgumentError, match="fans must be Fans"):
        wb.WithFans(wb.HeNormal(), (1, 1))
