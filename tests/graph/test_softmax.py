"""Softmaxes written out of primitives, numbers that a forward only looks at, and gates on one part of a result."""

import pytest
import torch
from torch import nn

from wellbegun.graph.graph import Graph
from wellbegun.graph.trace import trace

Tensor = torch.Tensor
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def exponentials(a: Tensor) -> Tensor:
    return torch.exp(a - a.amax(-1, keepdim=True))


SOFTMAXES = {
    "exp over its sum": lambda a: (lambda e: e / e.sum(-1, keepdim=True))(a.exp()),
    "the maximum taken off": lambda a: (lambda e: e / e.sum(-1, keepdim=True))(exponentials(a)),
    "guarded": lambda a: (lambda e: e / (e.sum(-1, keepdim=True) + 1e-9))(a.exp()),
    "masked by a product": lambda a: (lambda e: e / e.sum(-1, keepdim=True))(a.exp() * CAUSAL),
    "masked by where": lambda a: (
        lambda e: e / e.sum(-1, keepdim=True).clamp_min(1e-6)
    )(torch.where(CAUSAL, exponentials(a), 0.0)),
    "masked before": lambda a: (lambda e: e / e.sum(-1, keepdim=True))(a.masked_fill(~CAUSAL, -1e9).exp()),
    "torch's own, masked": lambda a: a.masked_fill(~CAUSAL, -torch.inf).softmax(-1),
}  # fmt: skip


class Attention(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.form = SOFTMAXES[form]

    def forward(self, x: Tensor) -> Tensor:
        return self.form(self.q(x) @ self.k(x).transpose(-1, -2)) @ self.v(x)


def kinds(graph: Graph) -> list[str]:
    return [operation.kind for operation in graph.operations]


@pytest.mark.parametrize("form", SOFTMAXES)
def test_softmaxes(form: str) -> None:
    graph = trace(Attention(form), "float:5x8")
    assert kinds(graph).count("softmax") == 1
    assert "activation" not in kinds(graph)
    (softmax,) = [operation for operation in graph.operations if operation.kind == "softmax"]
    scores = graph.operations[softmax.inputs[0]]
    while scores.kind == "view" or scores.detail == "masked_fill":
        scores = graph.operations[scores.inputs[0]]
    assert scores.kind == "matmul"


def test_other_quotients_are_no_softmax() -> None:
    SOFTMAXES["squares"] = lambda a: (lambda e: e / e.sum(-1, keepdim=True))(a.relu())
    try:
        assert "softmax" not in kinds(trace(Attention("squares"), "float:5x8"))
    finally:
        del SOFTMAXES["squares"]


def test_a_number_that_the_forward_looks_at_is_no_activation() -> None:
    class Watches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            if h.square().mean().item() > 1e6 or bool(torch.isnan(h).any()):
                raise ValueError("too large")
            return self.last(torch.relu(h))

    graph = trace(Watches(), "vector:8")
    assert [(o.kind, o.detail) for o in graph.operations if o.kind not in ("input", "linear")] == [
        ("activation", "relu")
    ]


class Gated(nn.Module):
    def __init__(self, cut: object) -> None:
        super().__init__()
        self.up, self.down, self.cut = nn.Linear(8, 16), nn.Linear(8, 2), cut

    def forward(self, x: Tensor) -> Tensor:
        g, u = self.cut(self.up(x))
        return self.down(g * torch.sigmoid(1.702 * g) * u)


CUTS = {
    "chunk": lambda h: h.chunk(2, -1),
    "split": lambda h: h.split((8, 8), -1),
    "slices": lambda h: (h[..., :8], h[..., 8:]),
    "interleaved": lambda h: (h[..., ::2], h[..., 1::2]),
    "unbind": lambda h: h.unflatten(-1, (8, 2)).unbind(-1),
}


@pytest.mark.parametrize("cut", CUTS)
def test_an_activation_of_one_part(cut: str) -> None:
    graph = trace(Gated(CUTS[cut]), "vector:8")
    (gate,) = [operation for operation in graph.operations if operation.kind == "activation"]
    assert gate.detail == "quick_gelu"
    (product,) = [operation for operation in graph.operations if operation.kind == "multiply"]
    other = next(index for index in product.inputs if index != gate.index)
    assert graph.operations[other].kind == graph.operations[gate.inputs[0]].kind == "view"
    assert gate.inputs[0] != other
    assert len(graph.uses["up.weight"]) == 2
