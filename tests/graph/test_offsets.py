"""Scales of normalisations that are stored as 1 + w, and constants that buffers hold."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.graph.trace import trace

Tensor = torch.Tensor


def rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def rms_late(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


FORMS = {
    "1 + w behind": lambda w, x: rms(x) * (1.0 + w),
    "w + 1 before": lambda w, x: (w + 1) * rms(x),
    "cast": lambda w, x: rms(x.float()) * (1 + w.float()),
    "divided": lambda w, x: rms_late(x) * (1 + w),
    "argument of layer_norm": lambda w, x: F.layer_norm(x, (8,), w + 1, None),
    "a variable of its own": lambda w, x: (lambda scale: rms(x) * scale)(1 + w),
}


class Stored(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.w, self.head, self.form = nn.Parameter(torch.ones(8)), nn.Linear(8, 4), FORMS[form]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.form(self.w, x))


@pytest.mark.parametrize("form", FORMS)
def test_scales_that_are_stored_as_one_plus_w(form: str) -> None:
    graph = trace(Stored(form), "vector:8")
    (use,) = graph.uses["w"]
    assert (use.role, use.offset, use.factor, use.axes) == ("normalisation scale", 1.0, 1.0, "o")
    assert graph.operations[use.operation].kind == "norm"
    (head,) = graph.weight_operations()
    assert graph.source(head.inputs[0]).kind == "norm"
    entry = wb.plan(Stored(form), "vector:8", seed=0)["w"]
    assert entry.law == wb.Constant(0.0)
    assert "1 + w" in entry.reason


def test_a_scaled_offset() -> None:
    FORMS["scaled"] = lambda w, x: rms(x) * (0.5 + 0.1 * w)
    try:
        entry = wb.plan(Stored("scaled"), "vector:8", seed=0)["w"]
    finally:
        del FORMS["scaled"]
    assert entry.law == wb.Constant(5.0)


def test_an_author_who_closes_a_branch_is_heard() -> None:
    def build() -> Stored:
        model = Stored("1 + w behind")
        nn.init.constant_(model.w, -1.0)
        return model

    assert wb.plan(build, "vector:8", seed=0)["w"].law == wb.Constant(-1.0)


class Grown(nn.Module):
    """Rows of a table times a number that a buffer holds, and a normalisation of the result."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 64)
        self.register_buffer("size", torch.tensor(8.0), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.table(ids) * self.size
        return (rms(h) + h) @ self.table.weight.T


def test_a_number_in_a_buffer_is_a_factor() -> None:
    graph = trace(Grown(), "tokens:6")
    (scale,) = [operation for operation in graph.operations if operation.kind == "scale"]
    assert scale.factor == 8.0
    assert graph.uses["size"][0].role == "scalar gate"
    assert [operation.detail for operation in graph.operations if operation.kind == "norm"] == ["rms_norm"]


def test_a_learned_scale_before_the_statistic_belongs_to_the_normalised_value() -> None:
    class Before(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.head = nn.Parameter(torch.ones(8)), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(rms(x * self.w))

    graph = trace(Before(), "vector:8")
    assert graph.uses["w"][0].role == "multiplied"
    assert [operation.detail for operation in graph.operations if operation.kind == "norm"] == ["rms_norm"]
