"""Activations and normalisations that are written out of primitives are found, named or registered, and measured."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.graph.graph import Graph, Operation
from wellbegun.graph.trace import trace
from wellbegun.theory import find_activation, moments

Tensor = torch.Tensor
Function = Callable[[Tensor], Tensor]


class Between(nn.Module):
    """A matrix product, a function, and another matrix product."""

    def __init__(self, function: Function, behind: int = 16) -> None:
        super().__init__()
        self.first, self.last, self.function = nn.Linear(8, 16), nn.Linear(behind, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.first(x)))


def between(function: Function, behind: int = 16) -> tuple[Graph, list[Operation]]:
    graph = trace(Between(function, behind), "vector:8")
    inner = [operation for operation in graph.operations if operation.kind not in ("input", "view")]
    assert inner[0].weight == "first.weight"
    assert inner[-1].weight == "last.weight"
    check_indices(graph)
    return graph, inner[1:-1]


def check_indices(graph: Graph) -> None:
    """Indices count up, and whatever refers to an operation refers to an earlier one that is there."""
    assert [operation.index for operation in graph.operations] == list(range(len(graph.operations)))
    assert all(before < operation.index for operation in graph.operations for before in operation.inputs)
    assert all(use.operation < len(graph.operations) for uses in graph.uses.values() for use in uses)
    assert all(index < len(graph.operations) for index in graph.outputs)
    for operation in graph.operations:
        assert not operation.weight or operation.index in {use.operation for use in graph.uses[operation.weight]}


NAMED: dict[str, Function] = {
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "relu_squared": lambda x: torch.relu(x) ** 2,
    "relu": lambda x: x.clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "hardtanh": lambda x: torch.clamp(x, -1.0, 1.0),
    "mish": lambda x: x * torch.tanh(F.softplus(x)),
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "softsign": lambda x: x / (1 + x.abs()),
    "snake": lambda x: x + torch.sin(x) ** 2,
    "ssp": lambda x: F.softplus(x) - math.log(2),
    "gaussian": lambda x: torch.exp(-x * x / 2),
    "leaky_relu_0.2": lambda x: torch.where(x > 0, x, 0.2 * x),
    "leaky_relu_0.1": lambda x: torch.maximum(x, 0.1 * x),
    "sin_30": lambda x: torch.sin(30 * x),
    "softplus_2": lambda x: F.softplus(x, beta=2),
    "lecun_tanh": lambda x: 1.7159 * torch.tanh(2 / 3 * x),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_equals_a_named_activation_gets_its_name(name: str) -> None:
    graph, inner = between(NAMED[name])
    assert [(operation.kind, operation.detail) for operation in inner] == [("activation", name)]
    assert not graph.functions


OWN: dict[str, Function] = {
    "x^3-x": lambda x: x**3 - x,
    "clamp(x,-2,3)": lambda x: x.clamp(-2, 3),
    "tanh(x/50)*50": lambda x: 50 * torch.tanh(x / 50),
    "x+relu(x)": lambda x: x + torch.relu(x),
    "where(x>1,x^2,silu(x))": lambda x: torch.where(x > 1, x**2, F.silu(x)),
    "2^(-x^2)": lambda x: torch.pow(2.0, -(x**2)),
}


@pytest.mark.parametrize("formula", OWN)
def test_any_other_function_can_be_evaluated(formula: str) -> None:
    graph, inner = between(OWN[formula])
    assert [operation.kind for operation in inner] == ["activation"]
    (detail,) = graph.functions
    assert inner[0].detail == detail
    if formula != "2^(-x^2)":
        assert detail == formula
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert np.allclose(graph.functions[detail](z.numpy()), OWN[formula](z).numpy(), rtol=1e-12, atol=1e-12)
    expected = moments(find_activation(OWN[formula])).second
    assert moments(find_activation(graph.functions[detail])).second == pytest.approx(expected, rel=1e-9)


def test_a_plan_uses_the_moments_of_a_function_without_a_name() -> None:
    made = wb.plan(Between(lambda x: x**3 - x), "vector:8", seed=0)
    assert made["last.weight"].before == pytest.approx(15 - 2 * 3 + 1)
    assert "x^3-x" in made["last.weight"].reason


def test_deep_chains_of_a_function_without_a_name_are_chains() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) * 0.7

    layers = [part for _ in range(8) for part in (nn.Linear(16, 16), Odd())]
    named = [part for _ in range(8) for part in (nn.Linear(16, 16), nn.Tanh())]
    own, usual = (wb.plan(nn.Sequential(*made), "vector:16", seed=0) for made in (layers, named))
    assert type(own["6.weight"].law) is type(usual["6.weight"].law)
    assert "tanh(x)*0.7" in own["6.weight"].reason


def test_scales_and_shifts_alone_stay() -> None:
    _, inner = between(lambda x: (2 * x + 1) / 3)
    assert [operation.kind for operation in inner] == ["scale", "shift", "scale"]


def test_functions_of_two_values_stay_products() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.up = nn.Linear(8, 16), nn.Linear(8, 16)

        def forward(self, x: Tensor) -> Tensor:
            gate = self.gate(x)
            return gate * torch.sigmoid(1.702 * gate) * (self.up(x) + 1)

    graph = trace(Gated(), "vector:8")
    kinds = [(o.kind, o.detail) for o in graph.operations if o.kind in ("activation", "multiply")]
    assert kinds == [("activation", "quick_gelu"), ("multiply", "mul")]


def test_halves_of_one_product_are_two_values() -> None:
    def gated(x: Tensor) -> Tensor:
        gate, up = x.chunk(2, dim=-1)
        return torch.sigmoid(gate) * up

    _, inner = between(gated, behind=8)
    assert [(operation.kind, operation.detail) for operation in inner] == [
        ("activation", "sigmoid"),
        ("multiply", "mul"),
    ]


def test_a_learned_slope_is_no_function() -> None:
    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(0.2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) - self.slope * torch.relu(-x)

    graph = trace(nn.Sequential(nn.Linear(4, 4), Slope()), "vector:4")
    check_indices(graph)
    assert [o.detail for o in graph.operations if o.kind == "activation"] == ["relu", "relu(-x)"]
    assert [use.role for use in graph.uses["1.slope"]] in (["multiplied"], ["scalar gate"])


def test_functions_that_are_not_defined_everywhere_are_no_activations() -> None:
    _, inner = between(lambda x: torch.log(x) * 2)
    assert all(operation.kind != "activation" for operation in inner)


def test_a_step_that_is_needed_twice_stays_for_the_other() -> None:
    def both(x: Tensor) -> Tensor:
        y = torch.relu(x)
        return torch.cat([y, y**2], -1)

    _, inner = between(both, behind=32)
    assert [operation.detail for operation in inner] == ["relu", "relu_squared", "cat"]


NORMS: dict[str, tuple[Function, str, float | None]] = {
    "rms": (lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6), "rms_norm", None),
    "rms with a root": (lambda x: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6), "rms_norm", None),
    "layer": (
        lambda x: (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5),
        "layer_norm",
        None,
    ),
    "layer with std": (
        lambda x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, unbiased=False) + 1e-5),
        "layer_norm",
        None,
    ),
    "F.normalize": (lambda x: F.normalize(x, dim=-1), "l2_norm", 1 / 16),
    "its norm": (lambda x: x / x.norm(dim=-1, keepdim=True), "l2_norm", 1 / 16),
    "its sum": (lambda x: x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + 1e-6), "l2_norm", 1 / 16),
    "half": (lambda x: x / (2 * x.pow(2).mean(-1, keepdim=True).sqrt()), "rms_norm", 1 / 4),
}


@pytest.mark.parametrize("which", NORMS)
def test_normalisations_are_found_with_the_size_of_their_result(which: str) -> None:
    function, detail, second_moment = NORMS[which]
    _, inner = between(function)
    assert [(operation.kind, operation.detail) for operation in inner] == [("norm", detail)]
    assert inner[0].second_moment == (second_moment and pytest.approx(second_moment))
    values = function(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)))
    assert float(values.square().mean()) == pytest.approx(second_moment or 1.0, rel=1e-3)


class Norm(nn.Module):
    """Normalisation, scale and shift as a published model has them written out."""

    def __init__(self, scale_first: bool) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))
        self.scale_first = scale_first

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        size = (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        if self.scale_first:
            return self.weight * centred / size + self.bias
        return self.weight * (centred / size) + self.bias


@pytest.mark.parametrize("scale_first", [True, False])
def test_scale_and_shift_of_a_written_out_normalisation_have_their_roles(scale_first: bool) -> None:
    graph = trace(nn.Sequential(nn.Linear(8, 8), Norm(scale_first), nn.Linear(8, 2)), "vector:8")
    check_indices(graph)
    roles = {name: uses[0].role for name, uses in graph.uses.items() if name.startswith("1.")}
    assert roles == {"1.weight": "normalisation scale", "1.bias": "normalisation shift"}
    kinds = [operation.kind for operation in graph.operations if operation.kind != "view"]
    assert kinds == ["input", "linear", "norm", "norm", "shift", "linear"]


def test_a_division_by_another_size_is_no_normalisation() -> None:
    _, inner = between(lambda x: x / torch.tanh(x).pow(2).mean(-1, keepdim=True).sqrt())
    assert all(operation.kind != "norm" for operation in inner)


def test_long_graphs_take_linear_time() -> None:
    def steps(count: int) -> Function:
        def function(x: Tensor) -> Tensor:
            for _ in range(count):
                x = torch.tanh(x) * 1.1
            return x

        return function

    _, inner = between(steps(500))
    assert [operation.kind for operation in inner] == ["activation"]
    assert len(inner[0].detail) <= 70


def test_a_difference_that_is_written_twice_is_one() -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.mean(-1, keepdim=True)
            variance = (x - mean).pow(2).mean(-1, keepdim=True)
            return (x - mean) * torch.rsqrt(variance + 1e-5)

    operations = trace(Twice(), torch.randn(4, 16)).operations
    assert [operation.detail for operation in operations if operation.kind == "norm"] == ["layer_norm"]
    assert len(operations) == 2
