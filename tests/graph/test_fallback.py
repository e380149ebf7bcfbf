"""Forwards that ask for values: whole numbers stay real, and where that is not enough, small real tensors are used."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import TraceError
from wellbegun.graph import fallback
from wellbegun.graph.fallback import pattern
from wellbegun.graph.trace import trace

Tensor = torch.Tensor


class Gate(nn.Module):
    """Which of two layers runs depends on the size of the values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.never = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        return self.last(h) if h.square().mean().item() < 1e6 else self.never(h)


class Masked(nn.Module):
    """Rows are chosen by a mask made of the tokens: a number that only they tell."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 3)
        self.register_buffer("order", torch.arange(16).flip(0))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens[:, self.order[: tokens.shape[1]].sort().indices]
        kept = self.table(tokens)[tokens != 0]
        if int((tokens != 0).sum()) != len(kept):
            raise AssertionError("rows are missing")
        return self.head(kept)


class Signs(nn.Module):
    """Rows are chosen by a mask made of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(h[h[:, 0] > 0])


def test_item_runs_on_small_real_tensors() -> None:
    model = Gate()
    graph = trace(model, "vector:8")
    assert {name.split(".")[0] for name in graph.uses} == {"first", "last"}
    assert [operation.weight for operation in graph.weight_operations()] == ["first.weight", "last.weight"]


def test_the_plan_does_not_depend_on_the_values_that_the_model_holds() -> None:
    with torch.device("meta"):
        empty = Gate()
    huge = Gate()  # drawn, as all weights are: one number everywhere would be somebody's wish, and stand
    with torch.no_grad():
        for parameter in huge.parameters():
            parameter.normal_(std=1e9)
    before = {name: tensor.clone() for name, tensor in huge.state_dict().items()}
    rules = {"never.*": wb.Zeros()}
    plans = [wb.plan(model, "vector:8", seed=0, rules=rules) for model in (Gate(), empty, huge)]
    assert plans[0] == plans[1] == plans[2]
    assert all(torch.equal(before[name], tensor) for name, tensor in huge.state_dict().items())


@pytest.mark.parametrize(
    "inputs", ["tokens:6", torch.tensor([[1, 2, 0], [3, 0, 0]]), None], ids=["spec", "data", "none"]
)
def test_masks_of_tokens(inputs: object) -> None:
    graph = trace(Masked(), inputs)
    assert {name: uses[0].role for name, uses in graph.uses.items() if name != "order"} == {
        "table.weight": "embedding weight",
        "head.weight": "linear weight",
        "head.bias": "bias",
    }


def test_masks_of_tokens_need_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "LIMIT", 0)
    assert "head.weight" in trace(Masked(), torch.tensor([[1, 2, 0], [3, 0, 0]])).uses


def test_masks_of_activations() -> None:
    assert set(trace(Signs(), "vector:8").uses) == {"first.weight", "first.bias", "last.weight", "last.bias"}


def test_a_model_that_is_too_large_for_real_tensors() -> None:
    class Large(Gate):
        def __init__(self) -> None:
            super().__init__()
            self.large = nn.Linear(2**15, 2**15, device="meta")

    with pytest.raises(TraceError, match=r"4\.0 GiB, more than the 2 GiB .* smaller") as caught:
        trace(Large(), "vector:8")
    assert "item" in str(caught.value)
    assert f"{__file__}:{Gate.forward.__code__.co_firstlineno + 2}" in str(caught.value)


def test_sizes_that_are_exponentials_stay_small() -> None:
    class Durations(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(64, 64) for _ in range(6)))
            self.last = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.exp(10 * self.layers(x) ** 2).sum(-1)
            frames = torch.arange(int(lengths.max()))
            return self.last(x[:, None].expand(-1, len(frames[:10]), -1))

    with torch.no_grad():
        assert "last.weight" in trace(Durations(), "vector:64").uses


def test_both_errors_are_shown_where_they_differ() -> None:
    class Fails(Gate):
        def forward(self, x: Tensor) -> Tensor:
            if self.first(x).sum().item() == self.first(x).sum().item():
                raise RuntimeError("values do not help")
            return x

    with pytest.raises(TraceError, match=r"values do not help \(before, on meta tensors: .*item") as caught:
        trace(Fails(), "vector:8")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_buffers_and_plain_tensors_keep_their_values_and_are_not_changed() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.register_buffer("calls", torch.tensor(3))
            self.plain, self.listed = torch.full((4,), 7.0), [torch.zeros(4)]

        def forward(self, x: Tensor) -> Tensor:
            if int(self.calls) != 3 or float(self.plain.mean()) not in (7.0, 8.0):
                raise AssertionError("values are gone")
            self.calls += 1
            self.plain.add_(1)
            self.listed[0].add_(x.sum())
            return self.layer(x) * self.plain

    model = Counts()
    trace(model, torch.ones(2, 4))
    assert (int(model.calls), float(model.plain.sum()), float(model.listed[0].sum())) == (3, 28.0, 0.0)


def test_the_pattern_is_even() -> None:
    values = pattern((3, 20000), torch.float64)
    assert float(values.square().mean()) == pytest.approx(1, abs=1e-3)
    assert float(values.mean()) == pytest.approx(0, abs=1e-3)
    assert not torch.equal(values[0], values[1])
