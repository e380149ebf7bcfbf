"""From facts to findings: what is wrong, where it starts, and what mends it. One file for each kind, one registry."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from wellbegun.diagnosis.facts import Facts, Finding
from wellbegun.diagnosis.findings import (
    attention,
    collapsed,
    copies,
    dead,
    jacobian,
    no_gradient,
    non_finite,
    not_judged,
    number_format,
    off_plan,
    outputs,
    rank_collapse,
    replicas,
    residual_growth,
    saturated,
    scale,
    symmetric,
    unused,
)

FINDINGS: tuple[Callable[[Facts], list[Finding]], ...] = (
    non_finite.find,
    replicas.find,
    number_format.find,
    symmetric.find,
    saturated.find,
    scale.find,
    residual_growth.find,
    dead.find,
    collapsed.find,
    rank_collapse.find,
    attention.find,
    no_gradient.find,
    unused.find,
    outputs.find,
    copies.find,
    off_plan.find,
    jacobian.find,
    not_judged.find,
)
"""The most basic causes first. A new finding is a file with a function of the facts, and a line here."""

LEVELS = MappingProxyType({"error": 0, "warning": 1, "note": 2})


def find_faults(facts: Facts) -> tuple[Finding, ...]:
    """Return what is wrong with a network, worst first."""
    found = [finding for find in FINDINGS for finding in find(facts)]
    return tuple(sorted(found, key=lambda finding: LEVELS[finding.level]))
