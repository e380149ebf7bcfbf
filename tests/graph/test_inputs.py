"""Example inputs: tensors, tuples, dictionaries, specs and guesses."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.inputs import example_inputs, from_spec
from wellbegun.graph.trace import trace


@pytest.mark.parametrize(
    ("spec", "shape", "dtype"),
    [
        ("vector:64", (2, 64), torch.float32),
        ("image:3x8x16", (2, 3, 8, 16), torch.float32),
        ("tokens:16", (2, 16), torch.int64),
        ("float:1x16000", (2, 1, 16000), torch.float32),
        ("float:5", (2, 5), torch.float32),
    ],
)
def test_specs(spec: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made = from_spec(spec)
    assert (tuple(made.shape), made.dtype, made.is_meta) == (shape, dtype, True)


BAD = [
    "",
    "vector",
    "vector:",
    "vector:0",
    "vector:-3",
    "vector:3x4",
    "image:8x8",
    "image:3x8x8x8",
    "audio:3",
    "vector:3.5",
    "vector:3x",
    " vector:3",
    "tokens:a",
]


@pytest.mark.parametrize("spec", BAD)
def test_bad_specs(spec: str) -> None:
    with pytest.raises(ArgumentError, match="cannot read the input spec"):
        from_spec(spec)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 4), nn.Linear(6, 4)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": self.left(a) + self.right(b)}


def test_tuples_lists_and_dictionaries_are_arguments() -> None:
    a, b = torch.randn(2, 8), torch.randn(2, 6)
    plans = [wb.plan(Two(), inputs, seed=0) for inputs in ((a, b), [a, b], {"a": a, "b": b}, {"b": b, "a": a})]
    assert len({plan.hash for plan in plans}) == 1
    assert plans[0]["right.weight"].before == pytest.approx(float(b.square().mean()))


@pytest.mark.parametrize("inputs", [3, 2.5, {1, 2}])
def test_bad_inputs(inputs: object) -> None:
    with pytest.raises(ArgumentError, match="inputs must be"):
        next(example_inputs(nn.Linear(2, 2), inputs))


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(8, 4),
        nn.Conv2d(3, 4, 3),
        nn.Conv1d(3, 4, 3),
        nn.Embedding(8, 4),
        nn.Sequential(nn.Flatten(), nn.Linear(8, 4)),
    ],
)
def test_guessed_inputs(model: nn.Module) -> None:
    assert len(wb.plan(model, seed=0)) == len(list(model.parameters()))


@pytest.mark.parametrize("model", [nn.ReLU(), nn.LayerNorm(4)])
def test_nothing_to_guess_from(model: nn.Module) -> None:
    with pytest.raises(TraceError, match="pass inputs="):
        wb.plan(model, seed=0)


def test_whole_numbers_that_become_floats_are_measured() -> None:
    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.float() / 255)

    pixels = torch.randint(0, 256, (64, 16), dtype=torch.uint8)
    moment = float((pixels.double() / 255).square().mean())
    assert wb.plan(Pixels(), pixels, seed=0)["layer.weight"].before == pytest.approx(moment, rel=1e-6)
    # without data, 1/255 of an unknown size is an unknown size, and not 1.5e-5
    assert wb.plan(Pixels(), "vector:16", seed=0)["layer.weight"].before == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite(value: float) -> None:
    with pytest.raises(ArgumentError, match="not finite"):
        wb.plan(nn.Linear(4, 2), torch.full((2, 4), value), seed=0)


def test_inputs_of_zeros_measure_nothing() -> None:
    assert wb.plan(nn.Linear(4, 2), torch.zeros(2, 4), seed=0)["weight"].before == 1


@pytest.mark.parametrize("inputs", ["vector:8,vector:6", ("vector:8", "vector:6"), {"a": "vector:8", "b": "vector:6"}])
def test_specs_of_several_arguments(inputs: object) -> None:
    assert wb.plan(Two(), inputs, seed=0) == wb.plan(Two(), (torch.empty(2, 8, device="meta"), "vector:6"), seed=0)


def test_a_forward_with_more_arguments_than_can_be_guessed() -> None:
    with pytest.raises(TraceError, match=r"takes 2 arguments; pass inputs=\{'a': \.\.\., 'b': \.\.\.\}"):
        wb.plan(Two(), seed=0)


LAYERS = [
    nn.Bilinear(3, 4, 5),
    nn.Conv3d(2, 4, 2),
    nn.ConvTranspose2d(2, 4, 2),
    nn.EmbeddingBag(8, 4),
    nn.LSTM(4, 6),
    nn.GRUCell(4, 6),
    nn.MultiheadAttention(8, 2),
    nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
    nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1, enable_nested_tensor=False),
    nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 1),
    nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 2)),
]


@pytest.mark.parametrize("model", LAYERS, ids=lambda model: type(model).__name__)
def test_inputs_of_layers_of_torch(model: nn.Module) -> None:
    graph = trace(model)
    assert all(variable.name in graph.uses for variable in graph.variables)


class Scaled(nn.Module):
    """Takes its data twice as large, a little moved."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first = first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.first(2.0 * x - 1.0)
        return made


@pytest.mark.parametrize("given", [False, True])
def test_a_factor_on_the_data_is_a_factor(given: bool) -> None:
    """It was recorded as a shift where no data were given, so that a recipe could read 2 * x as x + 2."""
    data = torch.rand(64, 16, generator=torch.Generator().manual_seed(0)) if given else "vector:16"
    graph = trace(Scaled(nn.Linear(16, 8)), data)
    assert [(step.kind, step.factor) for step in graph.operations] == [
        ("input", 1.0),
        ("scale", 2.0),
        ("shift", 1.0),
        ("linear", 1.0),
    ]
    linear = graph.operations[-1]
    assert graph.source(linear.inputs[0]).kind == "input"
    assert graph.is_assumed_data(linear.inputs[0]) is not given


def test_scaled_data_are_data_still() -> None:
    data = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    moment = float((2 * data.double()).square().mean())
    measured = wb.plan(Scaled(nn.Linear(16, 8)), data, seed=0)["first.weight"]
    assert measured.before == pytest.approx(moment, rel=1e-6)
    assert "fed by the data" in measured.reason
    assert "(measured)" in measured.reason
    assumed = wb.plan(Scaled(nn.Linear(16, 8)), "vector:16", seed=0)["first.weight"]
    assert assumed.before == 1
    assert "(assumed" in assumed.reason
