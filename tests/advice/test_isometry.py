"""The analytic score of plain chains against the theory of their Jacobians."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.advice.isometry import GRADES, grade, isometry_score
from wellbegun.advice.traits import deepest_chain
from wellbegun.graph.trace import trace
from wellbegun.theory import jacobian_spectrum

DEPTH = 10


def score(activation: type[nn.Module], rule: wb.laws.Initializer, width: int = 256) -> float:
    parts: list[nn.Module] = []
    for _ in range(DEPTH):
        parts += [nn.Linear(width, width, bias=False), activation()]
    model = nn.Sequential(*parts, nn.Linear(width, 4, bias=False))
    batch = torch.randn(64, width, generator=torch.Generator().manual_seed(0))
    plan = wb.plan(model, batch, seed=3, recipe="he", rules={f"{2 * i}.weight": rule for i in range(DEPTH)})
    wb.apply(plan, model)
    graph = trace(model, batch)
    chain = deepest_chain(graph)
    assert chain is not None
    found = isometry_score(chain, graph, plan, wb.diagnose(model, batch))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "rule"), [("gaussian", wb.Normal((2 / 256) ** 0.5)), ("orthogonal", wb.Orthogonal(2**0.5))]
)
def test_of_relu_it_is_the_spread_of_the_spectrum(kind, rule) -> None:
    """At He's variance the mean of the spectrum is 1, whatever the size of the signal."""
    spectrum = jacobian_spectrum("relu", depth=DEPTH, weights=kind, weight_variance=2.0)
    assert spectrum.mean == pytest.approx(1)
    assert score(nn.ReLU, rule) == pytest.approx(-math.log10(1 + spectrum.spread), abs=0.12)


def test_mirrored_weights_are_an_isometry() -> None:
    assert score(nn.ReLU, wb.MirroredOrthogonal(1.0)) == pytest.approx(0, abs=1e-4)


def test_half_the_variance_costs_log_2_a_layer() -> None:
    """Between the last hidden layer and the first lie DEPTH - 1 weights and slopes."""
    lost = score(nn.ReLU, wb.Normal((2 / 256) ** 0.5)) - score(nn.ReLU, wb.Normal((1 / 256) ** 0.5))
    assert lost == pytest.approx((DEPTH - 1) * math.log10(2), abs=1e-3)


def test_no_gradient_is_the_worst() -> None:
    assert score(nn.ReLU, wb.Zeros()) == -math.inf


def test_grades_end_where_the_pilot_does() -> None:
    assert [grade(least) for least in GRADES] == [0, 1, 2]
    assert [grade(least - 0.01) for least in GRADES] == [1, 2, 3]
    assert grade(None) == 0
