"""Roles of everything that is no weight: normalisation, its statistics, slopes, counters, ties."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.graph.trace import trace


def roles(model: nn.Module, inputs: object) -> dict[str, list[str]]:
    return {name: [use.role for use in uses] for name, uses in trace(model, inputs).uses.items()}


NORMS = {
    "layer": (nn.LayerNorm(8), "vector:8", {"weight", "bias"}),
    "rms": (nn.RMSNorm(8), "vector:8", {"weight"}),
    "group": (nn.GroupNorm(2, 8), "image:8x4x4", {"weight", "bias"}),
    "batch": (nn.BatchNorm2d(8), "image:8x4x4", {"weight", "bias", "running_mean", "running_var"}),
    "instance": (nn.InstanceNorm2d(8, affine=True), "image:8x4x4", {"weight", "bias"}),
}
EXPECTED = {
    "weight": "normalisation scale",
    "bias": "normalisation shift",
    "running_mean": "running mean",
    "running_var": "running variance",
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", NORMS)
def test_normalisation(case: str, training: bool) -> None:
    model, inputs, names = NORMS[case]
    model.train(training)
    made = wb.plan(model, inputs, seed=0)
    for name in names:
        assert made[name].law.value == (0.0 if name in ("bias", "running_mean") else 1.0), name
    if training:
        found = roles(model, inputs)
        for name in names & {"weight", "bias"}:
            assert found[name] == [EXPECTED[name]]
    assert model.training is training


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_statistics_and_counter(training: bool) -> None:
    model = nn.BatchNorm1d(8).train(training)
    with torch.no_grad():
        model.running_mean.fill_(3)
        model.num_batches_tracked.fill_(7)
    made = wb.initialize(model, "vector:8", seed=0)
    assert len(made) == 5
    assert model.num_batches_tracked.item() == 0
    assert model.num_batches_tracked.dtype == torch.int64
    assert model.running_mean.abs().max() == 0


def test_hand_written_norm_scale() -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale

    assert roles(Norm(), "vector:8") == {"scale": ["normalisation scale"]}


def test_prelu_slope() -> None:
    made = wb.plan(nn.Sequential(nn.Linear(8, 8), nn.PReLU(8)), "vector:8", seed=0)
    assert made["1.weight"].law == wb.Constant(0.25)


def test_a_tied_embedding_appears_once_with_both_roles() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.table(tokens))

    made = wb.plan(Tied(), "tokens:4", seed=0)
    assert len(made) == 1
    assert made["head.weight"] is made["table.weight"]
    assert made["table.weight"].role == "embedding weight and linear weight"
    assert made["table.weight"].std == pytest.approx((0.5 / 8) ** 0.5)  # logits of second moment 1/2
    assert made["table.weight"].fans == wb.Fans(8, 50)
    with torch.device("meta"):
        assert wb.plan(Tied(), "tokens:4", seed=0).hash == made.hash


def test_a_module_called_several_times_is_one_entry_with_several_uses() -> None:
    layer = nn.Linear(8, 8)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), layer)
    assert roles(model, "vector:8")["0.weight"] == ["linear weight"] * 3
    assert [entry.name for entry in wb.plan(model, "vector:8", seed=0)] == ["0.weight", "0.bias"]


@pytest.mark.parametrize("row", [0, 3, -1])
def test_the_padding_row_is_zero_and_the_others_keep_their_numbers(row: int) -> None:
    plain, padded = nn.Embedding(5, 8), nn.Embedding(5, 8, padding_idx=row)
    wb.initialize(plain, "tokens:4", seed=3)
    made = wb.initialize(padded, "tokens:4", seed=3)
    assert made["weight"].zero_row == row % 5
    expected = plain.weight.detach().clone()
    expected[row] = 0
    assert torch.equal(padded.weight, expected)
    assert torch.equal(torch.from_numpy(wb.to_numpy(made, "weight")), expected)
    part = wb.to_numpy(made, "weight", (slice(2, 5), slice(1, 4)))
    assert torch.equal(torch.from_numpy(part), expected[2:5, 1:4])
    assert "row" in made.explain("weight")
    rule = wb.initialize(nn.Embedding(5, 8, padding_idx=row), "tokens:4", seed=3, rules={"*": wb.Ones()})
    assert wb.to_numpy(rule, "weight")[row].max() == 0


class Uses(nn.Module):
    """Parameters of given shapes, and what the forward pass does with them."""

    def __init__(self, forward: object, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.zeros(shape)))
        self.act = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self, x)


def scores(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x @ m.layer(x).mT / 8**0.5


ROLES = {
    "bias behind a linear layer": (lambda m, x: m.layer(x) + m.p, (8,), "bias"),
    "bias reshaped": (lambda m, x: m.layer(x) + m.p.view(1, 1, 8), (8,), "bias"),
    "bias of heads": (lambda m, x: m.layer(x).view(2, 6, 2, 4).transpose(1, 2) + m.p[:, None], (2, 4), "bias"),
    "bias before a cut": (lambda m, x: torch.mul(*(m.layer(x) + m.p).chunk(2, -1)), (8,), "bias"),
    "behind an activation": (lambda m, x: m.layer(x).relu() + m.p, (8,), "added"),
    "added to the data": (lambda m, x: x + m.p, (8,), "added"),
    "multiplied": (lambda m, x: m.layer(x) * m.p, (8,), "multiplied"),
    "divided": (lambda m, x: m.layer(x) / m.p, (8,), "divided"),
    "scalar gate": (lambda m, x: x + m.p * m.layer(x), (), "scalar gate"),
    "scalar gate of shape [1]": (lambda m, x: x + m.p * m.layer(x), (1,), "scalar gate"),
    "layer scale behind a norm with a scale": (
        lambda m, x: F.layer_norm(x, (8,), m.layer.bias) * m.p, (8,), "multiplied",
    ),
    "class token": (lambda m, x: m.layer(torch.cat((m.p.expand(2, -1, -1), x), 1)), (1, 1, 8), "token"),
    "registers": (lambda m, x: m.layer(torch.cat((m.p[None].repeat(2, 1, 1), x), 1)), (3, 8), "token"),
    "class token with its position": (
        lambda m, x: m.layer(torch.cat(((m.p[:1] + m.p[1:])[None].expand(2, -1, -1), x), 1)), (2, 8), "token",
    ),
    "mask token": (lambda m, x: m.layer(torch.where(x > 0, x, m.p)), (8,), "token"),
    "mask token by multiplication": (
        lambda m, x: (lambda mask: m.layer(x * (1 - mask) + m.p * mask))((x[..., :1] > 0).to(x.dtype)), (8,), "token",
    ),
    "learned queries": (lambda m, x: torch.softmax(m.layer(m.p.expand(2, 3, 8)) @ x.mT, -1) @ x, (3, 8), "token"),
    "learned queries behind a norm": (lambda m, x: m.layer(m.p) @ x.mT, (3, 8), "token"),
    "positions added whole": (lambda m, x: m.layer(x + m.p), (1, 6, 8), "position table"),
    "positions sliced": (lambda m, x: m.layer(x + m.p[: x.shape[1]]), (10, 8), "position table"),
    "positions by index": (
        lambda m, x: m.layer(x + m.p[torch.arange(6, device=x.device)]), (10, 8), "position table",
    ),
    "positions beside features": (lambda m, x: torch.cat((x, m.p.expand(2, 6, 8)), -1), (6, 8), "position table"),
    "positions behind a layer": (lambda m, x: m.layer(x) + m.p, (6, 8), "position table"),
    "attention sink": (
        lambda m, x: torch.cat((scores(m, x), m.p[:, None].expand(2, 6, 1)), -1).softmax(-1), (6,), "attention sink",
    ),
    "bias table": (lambda m, x: scores(m, x).softmax(-1) + 0 * (scores(m, x) + m.p), (6, 6), "bias table"),
    "bias table by index": (
        lambda m, x: (scores(m, x) + m.p[torch.zeros(36, dtype=torch.long, device=x.device)].view(6, 6, 2)[..., 0])
        .softmax(-1), (11, 2), "bias table",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROLES)
def test_roles_of_single_parameters(case: str) -> None:
    forward, shape, role = ROLES[case]
    found = roles(Uses(forward, p=shape), torch.zeros(2, 6, 8))
    assert found["p"][0] == role
    assert len(set(found["p"])) == 1


def test_an_interpolated_position_table() -> None:
    def forward(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        table = F.interpolate(m.p.permute(0, 3, 1, 2), size=(2, 3), mode="bicubic")
        return m.layer(x + table.permute(0, 2, 3, 1).flatten(1, 2))

    use = trace(Uses(forward, p=(1, 4, 4, 8)), torch.zeros(2, 6, 8)).uses["p"][0]
    assert (use.role, use.serves) == ("derived: upsample_bicubic2d", "position table")


def test_a_hand_written_embedding_is_an_embedding() -> None:
    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(20, 8))
            self.positions = nn.Parameter(torch.zeros(16, 8))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.table[tokens] + self.positions[: tokens.shape[1]]

    found = trace(ByHand(), "tokens:4").uses
    assert (found["table"][0].role, found["table"][0].axes) == ("embedding weight", "vo")
    assert found["positions"][0].role == "position table"


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bags(mode: str) -> None:
    (use,) = trace(nn.EmbeddingBag(10, 4, mode=mode), "tokens:3").uses["weight"]
    assert (use.role, use.fans.fan_in) == ("embedding weight", 4)


def test_a_relative_position_embedding_is_a_table_of_biases() -> None:
    class Relative(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer = nn.Embedding(11, 2), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            places = torch.zeros(6, 6, dtype=torch.long, device=x.device)
            q = self.layer(x).view(2, 6, 2, 4).transpose(1, 2)
            return (q @ q.mT + self.table(places).permute(2, 0, 1)).softmax(-1)

    assert roles(Relative(), torch.zeros(2, 6, 8))["table.weight"] == ["bias table"]


def test_a_buffer_that_the_forward_pass_writes_is_updated() -> None:
    class Moving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.register_buffer("mean", torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.mean.mul_(0.9).add_(x.mean((0, 1)), alpha=0.1)
            return self.layer(x - self.mean)

    assert roles(Moving(), torch.zeros(2, 6, 8))["mean"] == ["updated", "updated", "added"]


@pytest.mark.parametrize("training", [True, False])
def test_statistics_that_are_averaged_in_steps_have_one_use(training: bool) -> None:
    model = nn.InstanceNorm1d(8, affine=True, track_running_stats=True).train(training)
    found = roles(model, torch.zeros(2, 8, 5))
    assert found["running_mean"] == ["running mean"]
    assert found["running_var"] == ["running variance"]


def test_a_table_that_shortens_its_rows_is_an_embedding() -> None:
    assert roles(nn.Embedding(5, 4, max_norm=1.0), "tokens:3")["weight"] == ["embedding weight"]


UNUSED = {
    "linear": (lambda: nn.Linear(8, 4), {"weight": ("linear weight", 8, 4), "bias": ("bias", 8, 4)}),
    "convolution": (
        lambda: nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False),
        {"weight": ("transposed convolution weight", 2, 12)},
    ),
    "embedding": (lambda: nn.Embedding(9, 4, padding_idx=0), {"weight": ("embedding weight", 4, 4)}),
    "norm": (lambda: nn.LayerNorm(8), {"weight": ("normalisation scale",), "bias": ("normalisation shift",)}),
    "gru": (lambda: nn.GRUCell(8, 4, bias=False), {"weight_ih": ("input weight of gates", 8, 4)}),
}


@pytest.mark.parametrize("case", UNUSED)
def test_modules_that_are_never_called_are_known_by_their_type(case: str) -> None:
    make, expected = UNUSED[case]
    model = nn.Linear(8, 8)
    model.idle = make()
    graph = trace(model, "vector:8")
    for name, (role, *fans) in expected.items():
        use = graph.unused[f"idle.{name}"]
        assert (use.role, use.operation) == (role, -1)
        assert [use.fans.fan_in, use.fans.fan_out] == fans if fans else use.fans is None
    assert not set(graph.unused) & set(graph.uses)


def test_every_operation_on_a_signal_is_recorded_with_its_numbers() -> None:
    class Steps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.add(x, x, alpha=0.5) * 1.702
            return F.gelu(x.pow(3), approximate="tanh").clamp(min=-2.0)

    from wellbegun.graph.trace import record

    found = {operation.detail: operation for operation in record(Steps(), torch.zeros(2, 8)).operations}
    assert found["add"].scalars == (("alpha", 0.5),)
    assert found["mul"].scalars == ((1, 1.702),)
    assert found["pow"].scalars == ((1, 3),)
    assert found["gelu_tanh"].scalars == (("approximate", "tanh"),)
    assert dict(found["clamp"].scalars)[1] == -2.0


def test_what_is_written_into_a_part_of_a_tensor_reaches_the_whole() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.out = nn.Linear(8, 8), nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = torch.zeros(2, 16, device=x.device)
            made[:, 8:] = self.layer(x)
            return self.out(made)

    graph = trace(Writes(), "vector:8")
    out = graph.operations[graph.uses["out.weight"][0].operation]
    assert graph.operations[graph.source(out.inputs[0]).index].inputs
