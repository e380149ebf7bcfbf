"""Tracing changes nothing, works on meta, and fails with the model's own words."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, TraceError
from wellbegun.graph.trace import trace
from wellbegun.recipes.layers import find_outputs


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(288, 10)
    )


@pytest.mark.parametrize("training", [True, False])
def test_planning_changes_nothing(training: bool) -> None:
    model = network().train(training)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    versions = [t._version for t in (*model.parameters(), *model.buffers())]
    before = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    wb.plan(model, torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), seed=0)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert all(np.array_equal(a, b) for a, b in zip(before[1], np.random.get_state(), strict=True))
    assert before[2] == random.getstate()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, model.parameters(), strict=True))
    assert versions == [t._version for t in (*model.parameters(), *model.buffers())]
    assert all(module.training is training for module in model.modules())


def test_a_forward_and_a_factory_that_draw_leave_the_random_states_alone() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.rand(3, device="cpu")
            return self.layer(x) * (1 if random.random() > 2 else 2) * float(1 + np.random.rand() * 0)

    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    wb.plan(Draws, "vector:4", seed=0)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])


def test_meta_models_give_the_same_plan() -> None:
    with torch.device("meta"):
        model = network()
    real = wb.plan(network(), "image:3x8x8", seed=0)
    assert all(tensor.is_meta for tensor in model.parameters())
    assert wb.plan(model, "image:3x8x8", seed=0) == real
    assert wb.plan(network, "image:3x8x8", seed=0) == real


def test_a_failing_forward_is_shown_with_its_message_and_line() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("the flux capacitor is empty")

    line = Broken.forward.__code__.co_firstlineno + 1
    with pytest.raises(TraceError, match="the flux capacitor is empty") as caught:
        wb.plan(Broken(), "vector:4", seed=0)
    assert f"{__file__}:{line}" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_wrong_shape_says_which_shape() -> None:
    with pytest.raises(TraceError, match=r"\(2, 5\)"):
        wb.plan(nn.Linear(4, 2), "vector:5", seed=0)


def test_what_a_forward_stores_on_modules_is_undone() -> None:
    class Stores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not hasattr(self, "ones"):
                self.register_buffer("ones", torch.ones(4, device=x.device))
            self.cache = self.layer(x) * self.ones
            return self.cache

    model = Stores()
    wb.initialize(model, "vector:4", seed=0)
    assert not hasattr(model, "cache")
    assert not list(model.buffers())
    assert not model(torch.ones(2, 4)).is_meta


def test_a_forward_that_makes_parameters_is_refused() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.scale = nn.Linear(4, 4), None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.scale = nn.Parameter(torch.ones(4, device=x.device))
            return self.layer(x) * self.scale

    model = Late()
    with pytest.raises(TraceError, match="scale"):
        wb.plan(model, "vector:4", seed=0)
    assert model.scale is None


def test_lazy_layers_are_refused_until_they_know_their_shape() -> None:
    with pytest.raises(ArgumentError, match="needs shapes"):
        wb.plan(nn.LazyLinear(4), "vector:8", seed=0)


@pytest.mark.parametrize("model", [3, "resnet", lambda: 3, None])
def test_what_is_no_module(model: object) -> None:
    with pytest.raises(ArgumentError, match=r"needs a torch\.nn\.Module"):
        wb.plan(model, "vector:4", seed=0)


def test_torch_compile_does_not_change_the_plan() -> None:
    model = network()
    compiled = torch.compile(model, backend="eager")
    made = wb.plan(compiled, "image:3x8x8", seed=0)
    assert made == wb.plan(model, "image:3x8x8", seed=0)
    assert wb.apply(made, compiled).written == len(made)


def test_the_order_of_operations_and_what_the_model_returns() -> None:
    graph = trace(nn.Sequential(nn.Linear(4, 4), nn.GELU(approximate="tanh"), nn.Linear(4, 3), nn.LogSoftmax(-1)))
    assert [operation.kind for operation in graph.operations if operation.kind != "view"] == [
        "input", "linear", "activation", "linear", "softmax",
    ]  # fmt: skip
    assert [operation.detail for operation in graph.operations if operation.kind == "activation"] == ["gelu_tanh"]
    assert [graph.operations[index].weight for index in find_outputs(graph)] == ["2.weight"]


def test_what_a_forward_draws_does_not_change_the_plan() -> None:
    class LeavesOut(nn.Module):
        """Leaves layers out by chance in training, as stochastic depth does."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                if not self.training or random.random() < 0.5 or float(torch.rand(())) < 0.5:
                    x = x + layer(x)
            return x

    graphs = []
    for seed in range(3):
        torch.manual_seed(seed)
        random.seed(seed)
        graphs.append(trace(LeavesOut(), "vector:4"))
    assert graphs[0].operations == graphs[1].operations == graphs[2].operations


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_looked_through(training: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)).train(training)
    graph = trace(model, "vector:4")
    (last,) = [operation for operation in graph.operations if operation.weight == "3.weight"]
    assert graph.source(last.inputs[0]).detail == "relu"


def test_a_whole_encoder_layer_is_not_one_operation_in_evaluation_mode() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    graph = trace(model, torch.ones(2, 5, 8))
    assert {"linear1.weight", "linear2.weight", "norm1.weight"} <= set(graph.uses)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_plan_does_not_depend_on_the_library_that_orders_an_einsum() -> None:
    """opt_einsum, which other packages bring along, sums an einsum of three in another order."""

    class Low(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Parameter(torch.randn(2, 64)), nn.Parameter(torch.randn(64, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.einsum("bi,ri,or->bo", x, self.down, self.up)

    library = torch.backends.opt_einsum
    was = library.enabled
    with library.flags(enabled=False):
        without = wb.plan(Low(), "vector:64", seed=1)
    assert wb.plan(Low(), "vector:64", seed=1).hash == without.hash
    assert library.enabled == was
