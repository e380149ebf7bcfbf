"""A comparison as plain data, for --json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wellbegun.diagnosis import plain
from wellbegun.lab.outcome.result import Arm, Comparison, NetworkResult

FORMAT = 2


def comparison_to_record(comparison: Comparison) -> dict[str, Any]:
    """Return everything a machine may want to know; numbers that JSON does not know are null."""
    record = {
        "wellbegun_comparison": FORMAT,
        "task": comparison.task,
        "description": comparison.description,
        "settings": comparison.settings,
        "versions": comparison.versions,
        "interrupted": comparison.interrupted,
        "left_out": comparison.left_out,
        "seconds": round(comparison.seconds, 3),
        "networks": [_network(network) for network in comparison.networks],
    }
    result: dict[str, Any] = plain(record)
    return result


def _network(network: NetworkResult) -> dict[str, Any]:
    record = {key: value for key, value in vars(network).items() if key not in ("arms", "auto_minus_best", "scale")}
    record |= asdict(network.scale)
    difference = None if network.auto_minus_best is None else asdict(network.auto_minus_best)
    return record | {"auto_minus_best": difference, "methods": {arm.method: _arm(arm) for arm in network.arms}}


def _arm(arm: Arm) -> dict[str, Any]:
    hidden = arm.hidden
    step0: dict[str, Any] = {"loss": arm.loss}
    if hidden:
        first, last = hidden[0], hidden[-1]
        step0 |= {
            "forward_first": first.signal,
            "forward_last": last.signal,
            "backward_first": first.gradient,
            "backward_last": last.gradient,
            "saturated_first": first.saturated,
            "dead_last": last.dead,
            "cosine_first": first.cosine,
            "cosine_last": last.cosine,
        }
    return {
        "rule": arm.rule,
        "score": asdict(arm.score),
        "scores": [run.test_score for run in arm.chosen_runs()],
        "learning_rate": arm.learning_rate,
        "working_rates": arm.working_rates,
        "decades": arm.decades,
        "divergence": arm.divergence,
        "steps_to_target": arm.steps_to_target,
        "area": arm.area,
        "seconds": arm.seconds,
        "plan_hash": arm.plan_hash,
        "against": {difference.against: asdict(difference) for difference in arm.against},
        "step0": step0 | {"layers": [asdict(layer) for layer in arm.layers]},
        "findings": [asdict(finding) for finding in arm.findings],
        "stopped": sorted({run.stopped for run in arm.chosen_runs() if run.stopped}),
        "runs": [asdict(run) for run in arm.runs],
    }
