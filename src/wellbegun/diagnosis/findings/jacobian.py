"""An input-output map that passes some directions on and loses others."""

from __future__ import annotations

import math

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings.words import weights_of

ILL, VERY_ILL = 1e3, 1e6
"""Ratios of the largest to the smallest singular value among a few random directions: a warning, an error.

Random directions of a well-conditioned map of rank r lie within sqrt(r) of each other; products of L Gaussian matrices
of width n spread by exp(sqrt(L/n)) and more, products of orthogonal ones do not (Saxe, McClelland and Ganguli 2014)."""


def find(facts: Facts) -> list[Finding]:
    """Return whether the Jacobian that was asked for is ill-conditioned."""
    jacobian = facts.jacobian
    if jacobian is None or not facts.layers:
        return []
    ratio = jacobian.largest / jacobian.smallest if jacobian.smallest > 0 else math.inf
    if not ratio > ILL:
        return []
    message = (
        f"the outputs' slopes with respect to the inputs are ill-conditioned: among {jacobian.probes} random "
        f"directions the largest singular value is {ratio:.2g} times the smallest"
    )
    level = "error" if ratio > VERY_ILL else "warning"
    remedy = "orthogonal weights keep all directions: auto in deep networks"
    where = facts.layers[0].name
    return [Finding("ill-conditioned", level, where, message, remedy, weights_of(facts, facts.layers))]
