"""How far a plain chain is from passing every direction of the gradient on: the pilot's analytic score."""

from __future__ import annotations

import math

from wellbegun.diagnosis import Diagnosis
from wellbegun.errors import TheoryError
from wellbegun.graph.graph import Graph
from wellbegun.laws import DeltaOrthogonal, Identity, MirroredOrthogonal, Orthogonal
from wellbegun.plans import Plan
from wellbegun.recipes.behind import activation_of
from wellbegun.recipes.chain import Chain
from wellbegun.theory import moments

GRADES = (-1.4, -5.0, -10.0)
"""Least scores of the first three grades. In the pilot (264 networks on digits) their best accuracies had the medians
97%, 93 to 95% and 70%; below -10 networks stayed at chance. Within a grade the score says nothing: it prefers networks
that are nearly linear."""

_ISOMETRIES = (Orthogonal, MirroredOrthogonal, DeltaOrthogonal, Identity)


def isometry_score(chain: Chain, graph: Graph, plan: Plan, diagnosis: Diagnosis) -> float | None:
    """Return S = -|sum of log10 chi| - log10(1 + V) of a chain that was measured or predicted.

    The sum is the logarithm of how much the gradient's energy changes between the last hidden layer and the first. V is
    the spread of the squared singular values of what lies between, over the square of their mean: E f'⁴/(E f'²)² - 1
    from each activation, at the size that its input has, and 1 from each weight of independent numbers.

    Args:
        chain: of the graph, with hidden layers.
        graph: of the model.
        plan: that it was started by.
        diagnosis: of that start.

    Returns:
        A number of at most 0; None where a layer of the chain was not seen, minus infinity where no gradient came back.
    """
    seen = {layer.name: layer for layer in diagnosis.layers}
    hidden = [op for op, name in zip(chain.operations, chain.activations, strict=True) if name]
    if any(operation.weight not in seen or operation.weight not in plan for operation in hidden):
        return None
    ends = [_energy(seen[op.weight].gradient, op.shape) for op in (hidden[0], hidden[-1])]
    if any(math.isnan(end) for end in ends):
        return None
    if not all(0 < end < math.inf for end in ends):
        return -math.inf
    spread = 0.0
    for operation, name in zip(hidden, chain.activations, strict=False):
        law = plan[operation.weight].law
        if isinstance(law, MirroredOrthogonal):
            continue  # pairs u, -u meet again behind the activation: an isometry together
        try:
            at = moments(activation_of(graph, name), seen[operation.weight].signal)
        except (TheoryError, ValueError):
            return -math.inf
        if not at.slope_second > 0:
            return -math.inf
        spread += at.slope_fourth / at.slope_second**2 - 1 + (0.0 if isinstance(law, _ISOMETRIES) else 1.0)
    return -abs(math.log10(ends[0] / ends[1])) - math.log10(1 + spread)


def grade(score: float | None) -> int:
    """Return 0 for the best scores, 3 for the worst; 0 where there is none to judge by.

    >>> [grade(score) for score in (-0.8, -2.0, -7.0, -20.0, None)]
    [0, 1, 2, 3, 0]
    """
    return 0 if score is None else sum(score < least for least in GRADES)


def _energy(gradient: float, shape: tuple[int, ...]) -> float:
    """Sum of squares over the units and places of one input; the batch is as large everywhere."""
    return gradient * math.prod(shape)
